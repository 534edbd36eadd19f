module github.com/seed4a306b22/keepalive

go 1.25.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

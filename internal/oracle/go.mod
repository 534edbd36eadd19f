module github.com/seed4a306b22/keepalive/internal/oracle

go 1.25.0

require (
	github.com/seed4a306b22/keepalive v0.0.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/net v0.58.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/seed4a306b22/keepalive => ../..

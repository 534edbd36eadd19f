module github.com/seed4a306b22/keepalive/cmd/keepalive

go 1.25.0

require (
	github.com/DeRuina/timberjack v1.4.10
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/go-chi/chi/v5 v5.5.0
	github.com/justinas/nosurf v1.2.0
	github.com/klauspost/compress v1.20.4
	github.com/seed4a306b22/keepalive v0.0.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/net v0.56.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/seed4a306b22/keepalive => ../..

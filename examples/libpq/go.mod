module github.com/seed4a306b22/keepalive/examples/libpq

go 1.25.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/lib/pq v1.12.3
	github.com/seed4a306b22/keepalive v0.0.0
	github.com/seed4a306b22/keepalive/postgresstore v0.0.0
)

require github.com/alexedwards/scs/postgresstore v0.0.0-20251002162104-209de6e426de // indirect

replace (
	github.com/seed4a306b22/keepalive => ../..
	github.com/seed4a306b22/keepalive/postgresstore => ../../postgresstore
)

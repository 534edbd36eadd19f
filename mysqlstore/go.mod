module github.com/seed4a306b22/keepalive/mysqlstore

go 1.25.0

require (
	github.com/alexedwards/scs/mysqlstore v0.0.0-20250417082927-ab20b3feb5e9
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/go-sql-driver/mysql v1.10.1
	github.com/seed4a306b22/keepalive v0.0.0
)

require filippo.io/edwards25519 v1.2.0 // indirect

replace github.com/seed4a306b22/keepalive => ../

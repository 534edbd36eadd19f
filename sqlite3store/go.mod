module github.com/seed4a306b22/keepalive/sqlite3store

go 1.25.0

require (
	github.com/alexedwards/scs/sqlite3store v0.0.0-20251002162104-209de6e426de
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/seed4a306b22/keepalive v0.0.0
)

replace github.com/seed4a306b22/keepalive => ../

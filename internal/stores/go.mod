module github.com/seed4a306b22/keepalive/internal/stores

go 1.25.0

require (
	github.com/alexedwards/scs/goredisstore v0.0.0-20250212122300-421ef1d8611c
	github.com/alexedwards/scs/mysqlstore v0.0.0-20250417082927-ab20b3feb5e9
	github.com/alexedwards/scs/pgxstore v0.0.0-20240316134038-7e11d57e8885
	github.com/alexedwards/scs/postgresstore v0.0.0-20251002162104-209de6e426de
	github.com/alexedwards/scs/redisstore v0.0.0-20251002162104-209de6e426de
	github.com/alexedwards/scs/sqlite3store v0.0.0-20251002162104-209de6e426de
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/go-sql-driver/mysql v1.10.1
	github.com/gomodule/redigo v1.9.3
	github.com/jackc/pgx/v5 v5.12.0
	github.com/lib/pq v1.12.3
	github.com/mattn/go-sqlite3 v1.14.52
	github.com/redis/go-redis/v9 v9.22.0
	github.com/seed4a306b22/keepalive v0.0.0
	github.com/seed4a306b22/keepalive/goredisstore v0.0.0
	github.com/seed4a306b22/keepalive/mysqlstore v0.0.0
	github.com/seed4a306b22/keepalive/pgxstore v0.0.0
	github.com/seed4a306b22/keepalive/postgresstore v0.0.0
	github.com/seed4a306b22/keepalive/presence/redispresence v0.0.0
	github.com/seed4a306b22/keepalive/redisstore v0.0.0
	github.com/seed4a306b22/keepalive/sqlite3store v0.0.0
	github.com/stretchr/testify v1.12.1
	modernc.org/sqlite v1.50.0
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/ncruces/go-strftime v1.0.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	go.uber.org/atomic v1.11.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.42.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	modernc.org/libc v1.72.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.11.0 // indirect
)

replace (
	github.com/seed4a306b22/keepalive => ../..
	github.com/seed4a306b22/keepalive/goredisstore => ../../goredisstore
	github.com/seed4a306b22/keepalive/mysqlstore => ../../mysqlstore
	github.com/seed4a306b22/keepalive/pgxstore => ../../pgxstore
	github.com/seed4a306b22/keepalive/postgresstore => ../../postgresstore
	github.com/seed4a306b22/keepalive/presence/redispresence => ../../presence/redispresence
	github.com/seed4a306b22/keepalive/redisstore => ../../redisstore
	github.com/seed4a306b22/keepalive/sqlite3store => ../../sqlite3store
)

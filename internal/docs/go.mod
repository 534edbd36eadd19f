module github.com/seed4a306b22/keepalive/internal/docs

go 1.25.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/coder/websocket v1.8.15
	github.com/evanw/esbuild v0.28.2
	github.com/gomodule/redigo v1.9.3
	github.com/gorilla/csrf v1.7.3
	github.com/jackc/pgx/v5 v5.12.0
	github.com/justinas/nosurf v1.2.0
	github.com/prometheus/client_golang v1.24.0
	github.com/redis/go-redis/v9 v9.22.0
	github.com/seed4a306b22/keepalive v0.0.0
	github.com/seed4a306b22/keepalive/goredisstore v0.0.0
	github.com/seed4a306b22/keepalive/mysqlstore v0.0.0
	github.com/seed4a306b22/keepalive/otel v0.0.0
	github.com/seed4a306b22/keepalive/pgxstore v0.0.0
	github.com/seed4a306b22/keepalive/postgresstore v0.0.0
	github.com/seed4a306b22/keepalive/presence/redispresence v0.0.0
	github.com/seed4a306b22/keepalive/prometheus v0.0.0
	github.com/seed4a306b22/keepalive/redisstore v0.0.0
	github.com/seed4a306b22/keepalive/sqlite3store v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/alexedwards/scs/mysqlstore v0.0.0-20250417082927-ab20b3feb5e9 // indirect
	github.com/alexedwards/scs/pgxstore v0.0.0-20240316134038-7e11d57e8885 // indirect
	github.com/alexedwards/scs/postgresstore v0.0.0-20251002162104-209de6e426de // indirect
	github.com/alexedwards/scs/sqlite3store v0.0.0-20251002162104-209de6e426de // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/go-sql-driver/mysql v1.10.1 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.70.0 // indirect
	github.com/prometheus/procfs v0.21.1 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.46.0 // indirect
	go.opentelemetry.io/otel/metric v1.46.0 // indirect
	go.opentelemetry.io/otel/trace v1.46.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)

replace (
	github.com/seed4a306b22/keepalive => ../..
	github.com/seed4a306b22/keepalive/goredisstore => ../../goredisstore
	github.com/seed4a306b22/keepalive/mysqlstore => ../../mysqlstore
	github.com/seed4a306b22/keepalive/otel => ../../otel
	github.com/seed4a306b22/keepalive/pgxstore => ../../pgxstore
	github.com/seed4a306b22/keepalive/postgresstore => ../../postgresstore
	github.com/seed4a306b22/keepalive/presence/redispresence => ../../presence/redispresence
	github.com/seed4a306b22/keepalive/prometheus => ../../prometheus
	github.com/seed4a306b22/keepalive/redisstore => ../../redisstore
	github.com/seed4a306b22/keepalive/sqlite3store => ../../sqlite3store
)

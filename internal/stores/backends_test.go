package stores_test

import (
	"context"
	"database/sql"
	"net"
	"path/filepath"
	"testing"
	"time"

	scsredis "github.com/alexedwards/scs/goredisstore"
	scsmysql "github.com/alexedwards/scs/mysqlstore"
	scspgx "github.com/alexedwards/scs/pgxstore"
	scspostgres "github.com/alexedwards/scs/postgresstore"
	scsredigo "github.com/alexedwards/scs/redisstore"
	scssqlite "github.com/alexedwards/scs/sqlite3store"
	"github.com/alexedwards/scs/v2"
	"github.com/go-sql-driver/mysql"
	redigo "github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	_ "github.com/mattn/go-sqlite3"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/goredisstore"
	"github.com/seed4a306b22/keepalive/internal/stores/servers"
	"github.com/seed4a306b22/keepalive/mysqlstore"
	"github.com/seed4a306b22/keepalive/pgxstore"
	"github.com/seed4a306b22/keepalive/postgresstore"
	"github.com/seed4a306b22/keepalive/redisstore"
	"github.com/seed4a306b22/keepalive/sqlite3store"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"
)

// via is how a handle reaches its storage. Zero: straight, with the defaults.
type via struct {
	addr   string // instead of the server's own, such as a Proxy's
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	params string // more of the DSN, of an SQL server
	// contextTimeouts is Redis's ContextTimeoutEnabled.
	contextTimeouts bool
}

// backend is a real storage, with the table of scs where it needs one.
type backend struct {
	name   string
	server *servers.Server // nil for SQLite
	// ours and theirs open a handle of their own: keepalive's store, and scs's
	// store of the same name.
	ours   func(tb testing.TB, v via) keepalive.Store
	theirs func(tb testing.TB, v via) scs.Store
	// floor is the least that a touch can cost: the same driver moves an expiry, and
	// does nothing else. It is for benchmarks.
	floor func(tb testing.TB, v via) func(ctx context.Context, token string) error
}

// each runs f once for each storage, as a subtest with a fresh server.
func each(t *testing.T, f func(t *testing.T, b backend)) {
	for name, start := range backends {
		t.Run(name, func(t *testing.T) { f(t, start(t)) })
	}
}

var backends = map[string]func(tb testing.TB) backend{
	"Redis":         startRedis,
	"Redis/redigo":  startRedigo,
	"PostgreSQL":    startPostgres,
	"PostgreSQL/pq": startPQ,
	"MariaDB":       startMariaDB,
	"SQLite/modernc": func(tb testing.TB) backend {
		return startSQLite(tb, "sqlite", "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	},
	"SQLite/mattn": func(tb testing.TB) backend {
		return startSQLite(tb, "sqlite3", "?_busy_timeout=5000&_journal_mode=WAL")
	},
}

func startRedis(tb testing.TB) backend {
	b := backend{name: "Redis", server: servers.Redis(tb)}
	b.ours = func(tb testing.TB, v via) keepalive.Store { return goredisstore.New(redisClient(tb, b.server, v)) }
	b.theirs = func(tb testing.TB, v via) scs.Store { return scsredis.New(redisClient(tb, b.server, v)) }
	b.floor = func(tb testing.TB, v via) func(context.Context, string) error {
		script := redis.NewScript(`return redis.call('PEXPIREAT', KEYS[1], ARGV[1])`)
		client := redisClient(tb, b.server, v)
		return func(ctx context.Context, token string) error {
			return script.Run(ctx, client, []string{redisPrefix + token}, time.Now().Add(idle).UnixMilli()).Err()
		}
	}
	return b
}

func redisClient(tb testing.TB, s *servers.Server, v via) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: or(v.addr, s.Addr), Dialer: v.dial, ContextTimeoutEnabled: v.contextTimeouts})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func startRedigo(tb testing.TB) backend { return redigoBackend(servers.Redis(tb)) }

func redigoBackend(server *servers.Server) backend {
	b := backend{name: "Redis/redigo", server: server}
	b.ours = func(tb testing.TB, v via) keepalive.Store { return redisstore.New(redigoPool(tb, b.server, v)) }
	b.theirs = func(tb testing.TB, v via) scs.Store { return scsredigo.New(redigoPool(tb, b.server, v)) }
	b.floor = func(tb testing.TB, v via) func(context.Context, string) error {
		script := redigo.NewScript(1, `return redis.call('PEXPIREAT', KEYS[1], ARGV[1])`)
		pool := redigoPool(tb, b.server, v)
		return func(ctx context.Context, token string) error {
			conn := pool.Get()
			defer conn.Close()
			_, err := script.DoContext(ctx, conn, redisPrefix+token, time.Now().Add(idle).UnixMilli())
			return err
		}
	}
	return b
}

func redigoPool(tb testing.TB, s *servers.Server, v via) *redigo.Pool {
	var options []redigo.DialOption
	if v.dial != nil {
		options = append(options, redigo.DialContextFunc(v.dial))
	}
	pool := &redigo.Pool{MaxIdle: 32, DialContext: func(ctx context.Context) (redigo.Conn, error) {
		return redigo.DialContext(ctx, "tcp", or(v.addr, s.Addr), options...)
	}}
	tb.Cleanup(func() { _ = pool.Close() })
	return pool
}

func startPostgres(tb testing.TB) backend {
	b := backend{name: "PostgreSQL", server: servers.Postgres(tb)}
	_, err := pgxPool(tb, b.server, via{}).Exec(context.Background(), `
		CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
		CREATE INDEX sessions_expiry_idx ON sessions (expiry);`)
	require.NoError(tb, err)
	b.ours = func(tb testing.TB, v via) keepalive.Store {
		return pgxstore.NewWithCleanupInterval(pgxPool(tb, b.server, v), 0)
	}
	b.theirs = func(tb testing.TB, v via) scs.Store {
		return scspgx.NewWithCleanupInterval(pgxPool(tb, b.server, v), 0)
	}
	b.floor = func(tb testing.TB, v via) func(context.Context, string) error {
		v.params = "synchronous_commit=off" // as a touch has it
		pool := pgxPool(tb, b.server, v)
		return func(ctx context.Context, token string) error {
			_, err := pool.Exec(ctx, `UPDATE sessions SET expiry = $2 WHERE token = $1`, token, time.Now().Add(idle))
			return err
		}
	}
	return b
}

func startPQ(tb testing.TB) backend {
	return startSQLPostgres(tb, "pq", func(tb testing.TB, dsn string, v via) *sql.DB {
		cfg, err := pq.NewConfig(dsn)
		require.NoError(tb, err)
		connector, err := pq.NewConnectorConfig(cfg)
		require.NoError(tb, err)
		if v.dial != nil {
			connector.Dialer(pqDialer{dial: v.dial})
		}
		return sql.OpenDB(connector)
	})
}

func startStdlib(tb testing.TB) backend {
	return startSQLPostgres(tb, "stdlib", func(tb testing.TB, dsn string, v via) *sql.DB {
		cfg, err := pgx.ParseConfig(dsn)
		require.NoError(tb, err)
		if v.dial != nil {
			cfg.DialFunc = v.dial
		}
		return stdlib.OpenDB(*cfg)
	})
}

// startSQLPostgres is startPostgres with database/sql.
func startSQLPostgres(tb testing.TB, driver string, open func(tb testing.TB, dsn string, v via) *sql.DB) backend {
	b := startPostgres(tb)
	b.name += "/" + driver
	db := func(tb testing.TB, v via) *sql.DB {
		db := open(tb, postgresDSN(b.server, v), v)
		db.SetMaxIdleConns(32)
		tb.Cleanup(func() { _ = db.Close() })
		return db
	}
	b.ours = func(tb testing.TB, v via) keepalive.Store { return postgresstore.NewWithCleanupInterval(db(tb, v), 0) }
	b.theirs = func(tb testing.TB, v via) scs.Store { return scspostgres.NewWithCleanupInterval(db(tb, v), 0) }
	b.floor = func(tb testing.TB, v via) func(context.Context, string) error {
		v.params = "synchronous_commit=off" // as a touch has it
		stmt := prepare(tb, db(tb, v), `UPDATE sessions SET expiry = $2 WHERE token = $1`)
		return func(ctx context.Context, token string) error {
			_, err := stmt.ExecContext(ctx, token, time.Now().Add(idle))
			return err
		}
	}
	return b
}

type pqDialer struct {
	pq.Dialer // has no other method that is called
	dial      func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (d pqDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.dial(ctx, network, addr)
}

func postgresDSN(s *servers.Server, v via) string {
	return "postgres://postgres@" + or(v.addr, s.Addr) + "/postgres?sslmode=disable&" + v.params
}

func pgxPool(tb testing.TB, s *servers.Server, v via) *pgxpool.Pool {
	cfg, err := pgxpool.ParseConfig(postgresDSN(s, v))
	require.NoError(tb, err)
	if v.dial != nil {
		cfg.ConnConfig.DialFunc = v.dial
	}
	p, err := pgxpool.NewWithConfig(context.Background(), cfg)
	require.NoError(tb, err)
	tb.Cleanup(p.Close)
	return p
}

func startMariaDB(tb testing.TB) backend {
	b := backend{name: "MariaDB", server: servers.MariaDB(tb)}
	db := mysqlDB(tb, b.server, via{})
	for _, stmt := range []string{
		`CREATE TABLE sessions (token CHAR(43) COLLATE ascii_bin PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)`,
		`CREATE INDEX sessions_expiry_idx ON sessions (expiry)`,
	} {
		_, err := db.Exec(stmt)
		require.NoError(tb, err)
	}
	b.ours = func(tb testing.TB, v via) keepalive.Store {
		return mysqlstore.NewWithCleanupInterval(mysqlDB(tb, b.server, v), 0)
	}
	b.theirs = func(tb testing.TB, v via) scs.Store {
		return scsmysql.NewWithCleanupInterval(mysqlDB(tb, b.server, v), 0)
	}
	b.floor = func(tb testing.TB, v via) func(context.Context, string) error {
		stmt := prepare(tb, mysqlDB(tb, b.server, v), `UPDATE sessions SET expiry = ? WHERE token = ?`)
		return func(ctx context.Context, token string) error {
			_, err := stmt.ExecContext(ctx, time.Now().Add(idle), token)
			return err
		}
	}
	return b
}

func mysqlDB(tb testing.TB, s *servers.Server, v via) *sql.DB {
	cfg, err := mysql.ParseDSN("root@tcp(" + or(v.addr, s.Addr) + ")/test?" + v.params)
	require.NoError(tb, err)
	if v.dial != nil {
		cfg.DialFunc = v.dial
	}
	connector, err := mysql.NewConnector(cfg)
	require.NoError(tb, err)
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(32)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func startSQLite(tb testing.TB, driver, params string) backend {
	file := filepath.Join(servers.TempDir(tb), "sessions.db")
	open := func(tb testing.TB) *sql.DB {
		db, err := sql.Open(driver, "file:"+file+params)
		require.NoError(tb, err)
		db.SetMaxIdleConns(32)
		tb.Cleanup(func() { _ = db.Close() })
		return db
	}
	_, err := open(tb).Exec(`
		CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL);
		CREATE INDEX sessions_expiry_idx ON sessions(expiry);`)
	require.NoError(tb, err)
	return backend{
		name: "SQLite",
		ours: func(tb testing.TB, _ via) keepalive.Store {
			return sqlite3store.NewWithCleanupInterval(open(tb), 0)
		},
		theirs: func(tb testing.TB, _ via) scs.Store { return scssqlite.NewWithCleanupInterval(open(tb), 0) },
		floor: func(tb testing.TB, _ via) func(context.Context, string) error {
			stmt := prepare(tb, open(tb), `UPDATE sessions SET expiry = julianday(?2) WHERE token = ?1`)
			return func(ctx context.Context, token string) error {
				_, err := stmt.ExecContext(ctx, token, time.Now().Add(idle).UTC().Format("2006-01-02 15:04:05.000"))
				return err
			}
		},
	}
}

func prepare(tb testing.TB, db *sql.DB, query string) *sql.Stmt {
	stmt, err := db.Prepare(query)
	require.NoError(tb, err)
	return stmt
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

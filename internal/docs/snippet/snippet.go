// Package snippet declares what the fragments of Go in the documents take for
// granted. The test copies this file beside each fragment.
package snippet

//lint:file-ignore U1000 The fragments use what is declared here.

import (
	"context"
	"database/sql"
	"net/http"
	"net/url"

	"github.com/alexedwards/scs/v2"
	_ "github.com/coder/websocket"
	redigo "github.com/gomodule/redigo/redis"
	_ "github.com/gorilla/csrf"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/justinas/nosurf"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive"
	_ "github.com/seed4a306b22/keepalive/goredisstore"
	_ "github.com/seed4a306b22/keepalive/mysqlstore"
	_ "github.com/seed4a306b22/keepalive/otel"
	_ "github.com/seed4a306b22/keepalive/pgxstore"
	_ "github.com/seed4a306b22/keepalive/postgresstore"
	"github.com/seed4a306b22/keepalive/presence"
	_ "github.com/seed4a306b22/keepalive/presence/redispresence"
	_ "github.com/seed4a306b22/keepalive/prometheus"
	_ "github.com/seed4a306b22/keepalive/redisstore"
	_ "github.com/seed4a306b22/keepalive/sqlite3store"
	_ "github.com/seed4a306b22/keepalive/storetest"
	"github.com/seed4a306b22/keepalive/warmup"
)

// The app.
var (
	ctx      context.Context
	addr     string
	data     []byte
	key      []byte
	upstream *url.URL
	mux      *http.ServeMux
	router   http.Handler
	home     http.Handler
	sessions *scs.SessionManager
)

// Middleware of the app, and functions that it passes on.
var (
	compress    func(http.Handler) http.Handler
	setsCookies func(http.Handler) http.Handler
	adminsOnly  func(http.Handler) http.Handler
	guard       func(http.Handler) http.Handler
	identify    func(*http.Request) (user string, meta any)
	lock        func(document, session string)
	unlock      func(session string)
)

// Parts of keepalive that an earlier fragment of the page has made.
var (
	km      *keepalive.Manager
	tracker *presence.Tracker
	warm    *warmup.Pinger
)

// Databases, and a store of somebody else's.
var (
	client     *redis.Client
	redigoPool *redigo.Pool
	pool       *pgxpool.Pool
	db         *sql.DB
	mystore    struct{ New func(*sql.DB) keepalive.Store }
)

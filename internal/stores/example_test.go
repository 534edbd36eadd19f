package stores_test

import (
	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"
	"github.com/seed4a306b22/keepalive/goredisstore"
)

const addr = "localhost:6379"

// The README's: github.com/alexedwards/scs/goredisstore was imported before.
func Example() {
	sessions := scs.New()
	sessions.Store = goredisstore.New(redis.NewClient(&redis.Options{Addr: addr}))
}

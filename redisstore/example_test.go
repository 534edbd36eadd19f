package redisstore_test

import (
	"context"
	"log"
	"net/http"

	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/redisstore"
)

var _ keepalive.Store = (*redisstore.RedisStore)(nil)

func ExampleNew() {
	pool := &redis.Pool{
		MaxIdle: 10,
		DialContext: func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", "localhost:6379")
		},
	}
	defer pool.Close()

	sessionManager := scs.New()
	sessionManager.Store = redisstore.New(pool)

	km, err := keepalive.New(sessionManager, keepalive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = http.ListenAndServe("localhost:8080", km.LoadAndSave(http.NewServeMux()))
	log.Print(err)
}

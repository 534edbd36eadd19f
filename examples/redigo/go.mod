module github.com/seed4a306b22/keepalive/examples/redigo

go 1.25.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/gomodule/redigo v1.9.3
	github.com/seed4a306b22/keepalive v0.0.0
	github.com/seed4a306b22/keepalive/redisstore v0.0.0
)

replace (
	github.com/seed4a306b22/keepalive => ../..
	github.com/seed4a306b22/keepalive/redisstore => ../../redisstore
)

// Package frameworks holds keepalive against the routers, compressors and other
// middleware that programs use it with, over real connections.
package frameworks

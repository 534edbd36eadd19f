package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seed4a306b22/keepalive/examples/internal/site/sitetest"
	"github.com/stretchr/testify/require"
)

func TestApp(t *testing.T) {
	handler, err := newHandler(20*time.Second, htmx)
	require.NoError(t, err)
	b := sitetest.Open(t, handler)
	body := b.Post(http.StatusOK, "/sign-in", url.Values{"name": {"Ann"}})
	require.Contains(t, body, `<script src="`+htmx.URL+`" integrity="sha384-`)
	require.Contains(t, body, `<meta name="htmx-config" content='{"historyCacheSize":0}'>`)
	require.Contains(t, body, `<body hx-boost="true">`)
	require.Contains(t, body, `<p id="state" hx-preserve>`)

	sitetest.Run(t, handler)
}

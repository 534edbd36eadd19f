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
	handler, err := newHandler(20*time.Second, turbo)
	require.NoError(t, err)
	sitetest.Run(t, handler)

	b := sitetest.Open(t, handler)
	body := b.Post(http.StatusOK, "/sign-in", url.Values{"name": {"Ann"}})
	require.Contains(t, body, `<script src="`+turbo.URL+`" integrity="sha384-`)
	require.Contains(t, body, `<p id="state" data-turbo-permanent>`)
}

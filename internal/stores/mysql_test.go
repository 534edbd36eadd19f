package stores_test

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/seed4a306b22/keepalive"
	"github.com/seed4a306b22/keepalive/internal/apptest"
	"github.com/stretchr/testify/require"
)

// lockedBuffer is a log that is written to by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// A session has one name. With the table of scs's README its token may be written
// in any case, which is logged once, with the statement that mends it.
func TestMySQLTokens(t *testing.T) {
	server := startMariaDB(t)
	db := mysqlDB(t, server.server, via{})
	const warning = "run ALTER TABLE sessions MODIFY token CHAR(43) COLLATE ascii_bin NOT NULL"
	tests := []struct {
		name, statement string
		loose           bool
	}{
		{name: "documented table"},
		{name: "binary", statement: "MODIFY token BINARY(43)"},
		{name: "scs's table in utf8mb4", statement: "MODIFY token CHAR(43) CHARACTER SET utf8mb4", loose: true},
		{name: "scs's table in latin1", statement: "MODIFY token CHAR(43) CHARACTER SET latin1", loose: true},
		{name: "mended", statement: strings.TrimPrefix(warning, "run ALTER TABLE sessions ")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.statement != "" {
				_, err := db.Exec("ALTER TABLE sessions " + tt.statement)
				require.NoError(t, err)
			}
			store := server.ours(t, via{})
			check := store.(interface{ Check(context.Context) error }).Check(t.Context())
			require.Equal(t, tt.loose, check != nil, "%v", check)
			var log lockedBuffer
			sm := sessions(store)
			km, err := keepalive.New(sm, keepalive.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			require.NoError(t, err)
			srv := httptest.NewServer(km.LoadAndSave(apptest.App(sm)))
			t.Cleanup(srv.Close)
			ping := func(cookie string) int {
				r, err := http.NewRequest(http.MethodPost, srv.URL+"/keepalive/ping", nil)
				require.NoError(t, err)
				r.Header.Set("Cookie", "session="+cookie)
				res, err := http.DefaultClient.Do(r)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				return res.StatusCode
			}
			c := &apptest.Client{Handler: srv.Config.Handler}
			c.Get("/login")
			require.Equal(t, http.StatusOK, ping(c.Token))
			require.Equal(t, http.StatusUnauthorized, ping(`"`+c.Token+` "`), "with a space at the end")
			swapped := strings.Map(func(c rune) rune {
				if unicode.IsUpper(c) {
					return unicode.ToLower(c)
				}
				return unicode.ToUpper(c)
			}, c.Token)
			require.Equal(t, tt.loose, ping(swapped) == http.StatusOK, "in another case")
			if tt.loose {
				require.Eventually(t, func() bool { return strings.Contains(log.String(), warning) }, patience, time.Millisecond)
				require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
			}
			var plan [10]sql.NullString
			var columns []any
			for i := range plan {
				columns = append(columns, &plan[i])
			}
			require.NoError(t, db.QueryRow("EXPLAIN SELECT data FROM sessions WHERE token = ?", c.Token).Scan(columns...))
			require.Equal(t, "const", plan[3].String, "one entry of the primary key is read")
		})
	}
}

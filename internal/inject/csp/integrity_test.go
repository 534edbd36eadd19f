package csp_test

import (
	"net/http"
	"testing"

	"github.com/seed4a306b22/keepalive/internal/inject/csp"
	"github.com/stretchr/testify/require"
)

func TestRequiresIntegrity(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   bool
	}{
		{name: "none"},
		{name: "scripts", values: []string{"blocked-destinations=(script)"}, want: true},
		{name: "scripts among others", values: []string{"blocked-destinations=(style  script), endpoints=(a b)"}, want: true},
		{name: "after other members", values: []string{`x="a, b=(", sources=(inline), blocked-destinations=(script);p=1`}, want: true},
		{name: "in the second line", values: []string{"endpoints=(a)", "blocked-destinations=(script)"}, want: true},
		{name: "styles", values: []string{"blocked-destinations=(style)"}},
		{name: "nothing", values: []string{"blocked-destinations=()"}},
		{name: "another word", values: []string{"blocked-destinations=(scripts worker-script)"}},
		{name: "a string", values: []string{`endpoints="blocked-destinations=(script)"`}},
		{name: "another member", values: []string{"destinations=(script)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			for _, v := range tt.values {
				h.Add("Integrity-Policy", v)
			}
			require.Equal(t, tt.want, csp.RequiresIntegrity(h))
			require.False(t, csp.RequiresIntegrity(http.Header{"Integrity-Policy-Report-Only": tt.values}))
		})
	}
}

package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestTheTableSaysWhoNeedsAKey calls each route of a server that demands keys, as a browser without
// one would.
func TestTheTableSaysWhoNeedsAKey(t *testing.T) {
	keys, err := ParseKeys(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	ts := serve(t, func(o *Options) { o.Keys = keys })
	for _, row := range ts.table() {
		method, path, _ := strings.Cut(row.pattern, " ")
		r := httptest.NewRequest(method, strings.TrimSuffix(path, "{$}"), nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		ts.Handler().ServeHTTP(w, r)
		if refused := w.Code == http.StatusUnauthorized; refused != (row.access == withKey) {
			t.Errorf("%s: %d, and the table says %d", row.pattern, w.Code, row.access)
		}
	}
}

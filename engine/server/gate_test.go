package server

import (
	"net/http"
	"testing"
)

func TestHostsAndOrigins(t *testing.T) {
	ts := serve(t, func(o *Options) {
		o.Hosts = []string{"models.example.org"}
		o.Origins = []string{"https://chat.example.org", "https://*.apps.example.org"}
	})
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"the address", nil, 200},
		{"localhost", []string{"Host", "localhost:11434"}, 200},
		{"IPv6", []string{"Host", "[::1]:80"}, 200},
		{"a name of the operator's", []string{"Host", "Models.example.org"}, 200},
		{"a rebound name", []string{"Host", "attacker.example"}, 403},
		{"a name that ends like ours", []string{"Host", "evil-models.example.org"}, 403},
		{"localhost as a label", []string{"Host", "localhost.attacker.example"}, 403},
		{"a page of this machine", []string{"Origin", "http://localhost:3000"}, 200},
		{"a page of the operator's", []string{"Origin", "https://chat.example.org"}, 200},
		{"a page of a pattern", []string{"Origin", "https://a.apps.example.org"}, 200},
		{"a page of a stranger", []string{"Origin", "https://attacker.example"}, 403},
		{"a page of a stranger that fits in a pattern's middle",
			[]string{"Origin", "https://attacker.example/.apps.example.org"}, 403},
		{"a page of no origin", []string{"Origin", "null"}, 403},
		{"a form of a stranger's page", []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, want := "POST", c.status
			if want == 200 {
				want = http.StatusMethodNotAllowed // past the gate
			}
			if r := ts.do(t, method, "/api/version", "{}", c.headers...); r.status != want {
				t.Errorf("%d %s, want %d", r.status, r.text, want)
			}
		})
	}
}

func TestABrowserLearnsWhatItMayDo(t *testing.T) {
	ts := serve(t)
	r := ts.do(t, "OPTIONS", "/api/chat", "", "Origin", "http://localhost:3000",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if r.status != http.StatusNoContent || r.header.Get("Access-Control-Allow-Origin") !=
		"http://localhost:3000" || r.header.Get("Access-Control-Allow-Headers") != "content-type" {
		t.Errorf("%d %v", r.status, r.header)
	}
	r = ts.do(t, "OPTIONS", "/api/chat", "", "Origin", "https://attacker.example",
		"Access-Control-Request-Method", "POST")
	if r.status != http.StatusForbidden || r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a stranger: %d %v", r.status, r.header)
	}
}

func TestHostsAndOriginsThatAreNone(t *testing.T) {
	for _, o := range []Options{{Hosts: []string{"http://a"}}, {Hosts: []string{""}},
		{Origins: []string{"chat.example.org"}}, {Origins: []string{`https://\a`}}} {
		if _, err := New(nil, nil, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

package server

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"
)

func TestHTTPSStreamsOverHTTP2(t *testing.T) {
	// for its certificate, which is made for tests
	lent := httptest.NewTLSServer(http.NotFoundHandler())
	certificates, roots := lent.TLS.Certificates,
		lent.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	lent.Close()
	ts := serve(t, func(o *Options) {
		o.TLS = &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12}
	})
	ts.url = strings.Replace(ts.url, "http:", "https:", 1)
	ts.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots,
		MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	w, err := ts.http.Get(ts.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.ProtoMajor != 2 {
		t.Errorf("%s", w.Proto)
	}
	text, last, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed",
		Messages: []api.Message{look(picture(t, "shape-4.png"), "What color is the background?")}})
	if err != nil || text != "cyan" || !last.Done {
		t.Errorf("%q %+v %v", text, last, err)
	}
	if r := ts.do(t, "POST", "/api/chat", `{"model":`); r.status != http.StatusBadRequest {
		t.Errorf("%d %s", r.status, r.text)
	}
}

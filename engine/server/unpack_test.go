package server

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// pack packs data as an encoding says.
func pack(t testing.TB, encoding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare":
		w, err = flate.NewWriter(&b, 6)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	}
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPackedBodiesAreUnpackedWithinTheLimit(t *testing.T) {
	peers.WithoutRaceDetector(t)
	ts := serve(t, func(o *Options) { o.Limits.Body = 1 << 20 })
	body := asksJSON("What color is it?")
	large := `{"model":"seed","messages":[{"role":"user","content":"` + strings.Repeat("a", 8<<20) +
		`"}]}`
	for _, encoding := range []string{"gzip", "deflate", "bare", "zstd"} {
		name := strings.ReplaceAll(encoding, "bare", "deflate")
		packed := pack(t, encoding, []byte(body))
		if r := ts.do(t, "POST", "/v1/chat/completions", string(packed), "Content-Encoding",
			strings.ToUpper(name)); r.status != 200 {
			t.Errorf("%s: %d %s", encoding, r.status, r.text)
		}
		if r := ts.do(t, "POST", "/api/chat", string(packed[:len(packed)-6]), "Content-Encoding",
			name); r.status != 400 || !strings.Contains(r.text, "unpacked") {
			t.Errorf("%s cut off: %d %s", encoding, r.status, r.text)
		}
		if r := ts.do(t, "POST", "/api/chat", body, "Content-Encoding", name); r.status != 400 {
			t.Errorf("not %s: %d %s", encoding, r.status, r.text)
		}
		if bomb := pack(t, encoding, []byte(large)); len(bomb) > 1<<18 {
			t.Errorf("%s: %d bytes", encoding, len(bomb))
		} else if r := ts.do(t, "POST", "/v1/messages", string(bomb), "Content-Encoding",
			name); r.status != 413 {
			t.Errorf("%s of too much: %d %s", encoding, r.status, r.text)
		}
	}
	if r := ts.do(t, "POST", "/api/chat", body, "Content-Encoding", "br"); r.status != 415 ||
		r.header.Get("Accept-Encoding") == "" {
		t.Errorf("%d %s", r.status, r.text)
	}
	if r := ts.do(t, "POST", "/api/chat", body, "Content-Encoding", "identity"); r.status != 200 {
		t.Errorf("%d %s", r.status, r.text)
	}
	if !ts.memory.TryAcquire(ts.limits.Memory) {
		t.Error("memory of bodies is still held")
	} else {
		ts.memory.Release(ts.limits.Memory)
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	ts := serve(t)
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	ts.http.Transport = transport
	r, err := ts.http.Post(ts.url+"/v1/chat/completions", "application/json",
		strings.NewReader(asksJSON("What color is it?")))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != 200 ||
		r.ProtoMajor != 2 {
		t.Errorf("%v: %s %s", err, r.Proto, r.Status)
	}
}

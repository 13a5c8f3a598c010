package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

func TestKeysAreBoundAndTakeTurns(t *testing.T) {
	secret, line, err := NewKey("laptop", 2, 60)
	if err != nil || strings.Contains(line, secret) {
		t.Fatalf("%q %v", line, err)
	}
	keys, err := ParseKeys(strings.NewReader("# of the house\n\n" + line + "\n"))
	if err != nil || keys.Len() != 1 || !keys.Has("laptop") || keys.find("x") != nil {
		t.Fatalf("%v %v", keys, err)
	}
	k := keys.find(secret)
	now := time.Unix(1e9, 0)
	for range 2 {
		if err := k.begin(now); err != nil {
			t.Fatalf("two at a time are refused: %v", err)
		}
	}
	if f, ok := k.begin(now).(*failure.Failure); !ok || f.Status != http.StatusTooManyRequests ||
		f.Retry <= 0 {
		t.Errorf("a third: %v", f)
	}
	k.end()
	k.end()
	began := 2
	for k.begin(now) == nil {
		k.end()
		if began++; began > 1000 {
			t.Fatal("no rate")
		}
	}
	if began != 60 {
		t.Errorf("%d in a minute", began)
	}
	if k.begin(now.Add(500*time.Millisecond)) == nil {
		t.Error("half a second later another one may begin")
	}
	if k.begin(now.Add(1100*time.Millisecond)) != nil {
		t.Error("a second later none may begin")
	}
}

func TestFilesOfKeysThatAreNone(t *testing.T) {
	sum := sha256.Sum256([]byte("a"))
	good := "a sha256:" + hex.EncodeToString(sum[:])
	for name, text := range map[string]string{
		"a key in the clear": "laptop ek-SECRETSECRET", "a short hash": "a sha256:abcd",
		"a name of other letters": "<a> " + good[2:],
		"a limit that is none":    good + " rate=fast", "an unknown limit": good + " speed=3",
		"a limit of 0": good + " rate=0", "one name twice": good + "\n" + strings.Replace(good,
			"sha256:", "sha256:", 1),
	} {
		if _, err := ParseKeys(strings.NewReader(text)); err == nil || strings.Contains(err.Error(),
			"SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "-a", strings.Repeat("a", 65)} {
		if _, _, err := NewKey(name, 0, 0); err == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

func TestTooMuchAtOnceIsRefusedWithATime(t *testing.T) {
	block, release := make(chan struct{}), make(chan struct{})
	ts := serveAs(t, func(s *Server) {
		s.handler = s.chain(func(w http.ResponseWriter, _ *http.Request) error {
			block <- struct{}{}
			<-release
			return s.writeText(w, 200, "ok")
		})
	}, func(o *Options) { o.Limits.Requests = 1 })
	done := make(chan struct{})
	go func() { ts.do(t, "GET", "/a", ""); close(done) }()
	<-block
	if r := ts.do(t, "GET", "/b", ""); r.status != http.StatusServiceUnavailable ||
		r.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", r.status, r.header)
	}
	close(release)
	<-done
}

func TestKeysThatStayGoOnCounting(t *testing.T) {
	parse := func(lines ...string) *Keys {
		k, err := ParseKeys(strings.NewReader(strings.Join(lines, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	secret, line, err := NewKey("a", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	other, second, err := NewKey("b", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	k := parse(line)
	if err := k.find(secret).begin(time.Now()); err != nil {
		t.Fatal(err)
	}
	k.Replace(parse(second, line))
	if k.Len() != 2 || k.find(other) == nil || k.find(secret).begin(time.Now()) == nil {
		t.Error("a key with a request under way has forgotten it")
	}
	k.Replace(parse(second))
	if k.find(secret) != nil || !k.Has("b") || k.Has("a") {
		t.Error("a key that was taken away is still there")
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("a sha256:" + strings.Repeat("0", 64) + " rate=1 requests=2\n# b\n")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseKeys(strings.NewReader(text))
		if err == nil && keys.Len() > strings.Count(text, "\n")+1 {
			t.Fatalf("%d keys", keys.Len())
		}
	})
}

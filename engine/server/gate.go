package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// gate knows which hosts and origins are welcome. A name in the Host header that is not ours is the
// mark of DNS rebinding: a page of a stranger whose name has been pointed at this machine. An
// Origin that is not ours is a page of a stranger that calls us openly.
type gate struct {
	hosts   []string // lower case
	origins []string // patterns, lower case
	anyHost bool
	// rebinding would gain a stranger nothing: keys are demanded, or the server listens beyond this
	// machine
	open     atomic.Bool
	hostname string // of this machine
}

// localOrigins are pages of this machine and programs that show pages of their own, as Ollama lets
// them in.
var localOrigins = []string{
	"http://localhost", "https://localhost", "http://localhost:*", "https://localhost:*",
	"http://127.0.0.1", "https://127.0.0.1",
	"http://127.0.0.1:*", "https://127.0.0.1:*", "http://[::1]", "https://[::1]", "http://[::1]:*",
	"https://[::1]:*",
	"app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*",
	"chrome-extension://*", "safari-extension://*", "safari-web-extension://*", "moz-extension://*",
	"ms-browser-extension://*",
}

// localDomains are kept for names of one machine or one site (RFC 6761, RFC 6762, and ICANN's for
// .internal): nobody can point one of them at this machine from outside. host.docker.internal is
// among them.
var localDomains = []string{".localhost", ".local", ".internal"}

// listens tells the gate where the server listens.
func (g *gate) listens(address net.Addr) {
	if a, ok := address.(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		// no browser reaches a socket in the file system; what is open to the network needs no
		// detour by a name
		g.open.Store(true)
	}
}

func newGate(hosts, origins []string) (*gate, error) {
	g := &gate{}
	if name, err := os.Hostname(); err == nil {
		g.hostname = strings.ToLower(name)
	}
	for _, h := range hosts {
		switch h = strings.ToLower(strings.TrimSpace(h)); {
		case h == "*":
			g.anyHost = true
		case h == "" || strings.ContainsAny(h, "/ *"):
			return nil, fmt.Errorf("server: %w: %q is no name of a host; "+
				"give it as chat.example.org, or * for all", engine.ErrRequest, h)
		default:
			g.hosts = append(g.hosts, h)
		}
	}
	for _, o := range origins {
		o = strings.ToLower(strings.TrimRight(strings.TrimSpace(o), "/"))
		if o != "*" {
			if u, err := url.Parse(strings.ReplaceAll(o, "*", "0")); err != nil || u.Scheme == "" ||
				strings.ContainsAny(o, `[]?\`) && !strings.Contains(o, "://[") {
				return nil, fmt.Errorf("server: %w: %q is no origin; "+
					"give it as https://chat.example.org, or * for all", engine.ErrRequest, o)
			}
		}
		g.origins = append(g.origins, o)
	}
	return g, nil
}

// check refuses a request whose Host or Origin is not welcome.
func (g *gate) check(r *http.Request) error {
	if !g.hostAllowed(r.Host) {
		return failure.New(http.StatusForbidden, failure.KindForbidden,
			"the host %.100q is not known here; the operator can allow it", r.Host).By(fmt.Errorf(
			"the host %.100q is not known here; --allow-host and its name let it in", r.Host))
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		// Browsers send no Origin with some requests, but say where they come from.
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead ||
			r.Method == http.MethodOptions
		if !safe && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			return failure.New(http.StatusForbidden, failure.KindForbidden,
				"a web page of another site is not let in")
		}
		return nil
	}
	if !g.originAllowed(origin, r.Host) {
		return failure.New(http.StatusForbidden, failure.KindForbidden,
			"pages of %.100q are not let in; the operator can allow them", origin).By(fmt.Errorf(
			"pages of %.100q are not let in; --allow-origin and that origin let them", origin))
	}
	return nil
}

// hostAllowed reports whether a Host header names this machine. Literal addresses are let in:
// rebinding needs a name.
func (g *gate) hostAllowed(hostport string) bool {
	if g.anyHost || hostport == "" || g.open.Load() {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, local := range localDomains {
		if strings.HasSuffix(host, local) {
			return true
		}
	}
	return host == "localhost" || host == g.hostname && host != "" || slices.Contains(g.hosts, host)
}

// originAllowed reports whether pages of an origin are let in: those of this server itself, of this
// machine, and of the operator's list.
func (g *gate) originAllowed(origin, host string) bool {
	origin = strings.ToLower(origin)
	if u, err := url.Parse(origin); err == nil && u.Host != "" && u.Host == strings.ToLower(host) {
		return true
	}
	for _, pattern := range slices.Concat(localOrigins, g.origins) {
		if pattern == "*" || matches(pattern, origin) {
			return true
		}
	}
	return false
}

// matches compares text with a pattern in which * stands for any text without a slash.
func matches(pattern, text string) bool {
	pattern = strings.NewReplacer("[", `\[`, "]", `\]`).Replace(pattern)
	ok, err := path.Match(pattern, text)
	return err == nil && ok
}

// allow writes the headers by which a browser learns that a page may read the answer. It returns
// true if that was all the browser asked.
func (g *gate) allow(w http.ResponseWriter, r *http.Request) (done bool) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, "+relaxedHeader)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "43200")
	w.WriteHeader(http.StatusNoContent)
	return true
}

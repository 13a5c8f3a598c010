// Package registry moves models between a store and places inside a site: an OCI registry, or a
// store that a web server or a folder offers as it is (a mirror).
//
// Manifests of the store are OCI manifests, so a registry holds them under the same digests. Blobs
// are received by [store.Session.Receive]: checked while they come, and gone on with after an
// interruption where the other side can begin in the middle.
//
// Nothing is contacted but the host that the caller named, and hosts that the caller allowed: what
// a server redirects to, and where it sends for a token, is refused otherwise, and proxies of the
// environment are not used.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/models/store"
)

// ErrHost marks a host that nobody named or allowed.
var ErrHost = errors.New("this host was not named")

// ErrRemote marks what the other side refuses or does wrong.
var ErrRemote = errors.New("the other side failed")

// Options are the options of a connection.
type Options struct {
	CAFile     string   // PEM file of certificates to trust besides the system's
	PlainHTTP  bool     // no TLS, of a registry
	AllowHosts []string // hosts (with ports, where they have one) that the named one may send us to
	UserAgent  string
}

// Remote is a place that models come from.
type Remote interface {
	// Manifest returns the bytes of the manifest that the remote was opened for.
	Manifest(ctx context.Context) ([]byte, error)
	// Blob returns a reader of a blob from an offset.
	Blob(ctx context.Context, d store.Descriptor, offset int64) (io.ReadCloser, error)
}

// Pull brings a model from a remote into a store, under a name. Its files are checked while they
// come; after an interruption, the next attempt goes on from what came. progress, which may be nil,
// is told of bytes as they are there.
func Pull(ctx context.Context, s *store.Store, from Remote, name store.Name, replace bool,
	begin func(total int64), progress func(n int64)) (*store.Model, error) {
	if err := s.AllowUnsigned("models of registries and mirrors"); err != nil {
		return nil, err
	}
	raw, err := from.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	m, err := store.ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	if old, err := s.Find(name.String()); err == nil && old.Source == store.SourceStore &&
		!replace && old.Digest != store.DigestOf(raw) {
		return nil, fmt.Errorf("registry: %w: %s is %s in the store, %s there", store.ErrExists,
			name, old.Digest.Short(), store.DigestOf(raw).Short())
	}
	if begin != nil {
		begin(m.Size())
	}
	t, err := s.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.Room(m.Blobs()); err != nil {
		return nil, errors.Join(err, t.Discard())
	}
	made, err := pull(ctx, t, from, m, raw, name, replace, progress)
	return made, errors.Join(err, t.Close())
}

func pull(ctx context.Context, t *store.Session, from Remote, m *store.Manifest, raw []byte,
	name store.Name, replace bool, progress func(int64)) (*store.Model, error) {
	for _, d := range m.Blobs() {
		err := t.Receive(ctx, d, func(offset int64) (io.ReadCloser, error) {
			return from.Blob(ctx, d, offset)
		}, progress)
		if err != nil {
			return nil, err
		}
	}
	return t.Create(name, raw, replace)
}

// newClient returns an HTTP client that trusts and contacts what the options say, and host by
// scheme, "https" or "http".
func newClient(scheme, host string, o Options) (*http.Client, error) {
	transport := &http.Transport{TLSHandshakeTimeout: 20 * time.Second, ResponseHeaderTimeout: 2 *
		time.Minute, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 4,
		DisableCompression: true} // what is unpacked unasked has no size that could be compared
	if o.CAFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("registry: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("registry: %w: %s holds no certificate (PEM)", ErrRemote,
				o.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: &confined{transport, scheme,
		append([]string{host}, o.AllowHosts...)}}, nil
}

// confined refuses requests to other hosts than those that were named, and such without TLS where
// the named one has it.
type confined struct {
	http.RoundTripper
	scheme string
	hosts  []string // that which was named first
}

func (c *confined) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.scheme == "https" && r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%w: %s sends us to %s://%s, which is not encrypted", ErrHost,
			c.hosts[0], r.URL.Scheme, r.URL.Host)
	}
	named := func(host string) bool {
		return withPort(r.URL.Scheme, host) == withPort(r.URL.Scheme, r.URL.Host)
	}
	if !slices.ContainsFunc(c.hosts, named) {
		return nil, fmt.Errorf("%w: %s sends us to %s; allow that host", ErrHost,
			c.hosts[0], r.URL.Host)
	}
	return c.RoundTripper.RoundTrip(r)
}

// withPort writes a host so that two spellings of one are the same.
func withPort(scheme, host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/eyelet-engine/eyelet/models/store"
)

// Mirror is a store that a web server offers as plain files: manifests/NAME@TAG.json and
// blobs/sha256-HEX below a URL.
type Mirror struct {
	base   *url.URL
	name   store.Name
	client *http.Client
	agent  string
}

// OpenMirror names a model of a mirror. Nothing is contacted yet.
func OpenMirror(base string, name store.Name, o Options) (*Mirror, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("registry: %w: %.200q is no address of a web server", store.ErrName,
			base)
	}
	client, err := newClient(u.Scheme, u.Host, o)
	if err != nil {
		return nil, err
	}
	return &Mirror{base: u, name: name, client: client, agent: o.UserAgent}, nil
}

// Manifest implements [Remote].
func (m *Mirror) Manifest(ctx context.Context) ([]byte, error) {
	body, _, err := m.get(ctx, 0, "manifests", m.name.FileName())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, store.MaxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("registry: %w: %w", ErrRemote, err)
	}
	return data, nil
}

// Blob implements [Remote].
func (m *Mirror) Blob(ctx context.Context, d store.Descriptor,
	offset int64) (io.ReadCloser, error) {
	if offset == d.Size && offset > 0 {
		return http.NoBody, nil // no server answers a range of nothing
	}
	body, begins, err := m.get(ctx, offset, "blobs", d.Digest.FileName())
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, body, offset-begins); err != nil {
		body.Close()
		return nil, fmt.Errorf("registry: %w: %w", ErrRemote, err)
	}
	return body, nil
}

// get requests a file from an offset and tells where the answer begins: at the offset, or at 0
// where the server knows no ranges.
func (m *Mirror) get(ctx context.Context, offset int64,
	path ...string) (body io.ReadCloser, begins int64, err error) {
	u := m.base.JoinPath(path...)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, fmt.Errorf("registry: %w", err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	if m.agent != "" {
		r.Header.Set("User-Agent", m.agent)
	}
	if offset > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := m.client.Do(r)
	if err != nil {
		if errors.Is(err, ErrHost) || ctx.Err() != nil {
			return nil, 0, fmt.Errorf("registry: %w", err)
		}
		return nil, 0, fmt.Errorf("registry: %w: %w", ErrRemote, err)
	}
	switch response.StatusCode {
	case http.StatusOK:
		return response.Body, 0, nil
	case http.StatusPartialContent:
		return response.Body, offset, nil
	}
	response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return nil, 0, fmt.Errorf("registry: %w: %s", store.ErrNotFound, u.Redacted())
	}
	return nil, 0, fmt.Errorf("registry: %w: %s: %s", ErrRemote, u.Redacted(), response.Status)
}

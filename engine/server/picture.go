package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// pictureSource turns the addresses that requests name pictures by into pictures. Data URLs are
// always taken; anything else only where the operator names the host or the folder.
type pictureSource struct {
	hosts   map[string]bool
	folders []string
	client  *http.Client
	most    int64 // bytes of a picture
}

// fetchTime bounds how long a picture may take to come.
const fetchTime = 20 * time.Second

// newPictureSource checks what an operator allows: hosts as "example.org" or "example.org:8080",
// folders as "file:///srv/pictures".
func newPictureSource(allowed []string, most int64) (*pictureSource, error) {
	p := &pictureSource{hosts: map[string]bool{}, most: most}
	for _, a := range allowed {
		if folder, ok := strings.CutPrefix(a, "file://"); ok {
			if !filepath.IsAbs(folder) {
				return nil, fmt.Errorf(
					"server: pictures may come from %q: give the whole path of a folder, as "+
						"file:///srv/pictures",
					a)
			}
			p.folders = append(p.folders, filepath.Clean(folder))
			continue
		}
		if u, err := url.Parse("//" + a); err != nil || u.Host != a || u.Hostname() == "" ||
			strings.Contains(a, "*") {
			return nil, fmt.Errorf(
				"server: pictures may come from %q, which is no host; give one as example.org or "+
					"example.org:8080",
				a)
		}
		p.hosts[strings.ToLower(a)] = true
	}
	p.client = &http.Client{
		Timeout: fetchTime,
		// No proxy: it would be a connection that no flag names. No connection is kept for the next
		// picture.
		Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true,
			ResponseHeaderTimeout: fetchTime, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case len(via) > 3:
				return errors.New("it redirects too often")
			case r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme:
				return fmt.Errorf("it redirects to another host, %s", r.URL.Host)
			}
			return nil
		},
	}
	return p, nil
}

// get returns the picture at an address; name and param are for errors.
func (p *pictureSource) get(ctx context.Context, address, name,
	param string) (*engine.Image, error) {
	if image := recordOf(ctx).pictures[address]; image != nil {
		return image, nil
	}
	if isDataURL(strings.TrimSpace(address)) {
		return p.inline(address, name, param)
	}
	if image := p.bare(address, name, param); image != nil {
		return image, nil
	}
	u, err := url.Parse(address)
	if err != nil || len(address) > 8192 {
		return nil, failure.Field(param, "%s: the address is no URL", name)
	}
	switch u.Scheme {
	case "http", "https":
		return p.fetch(ctx, u, name, param)
	case "file":
		return p.file(ctx, u, name, param)
	}
	return nil, failure.Field(param, `%s: send it as a data URL, "data:image/png;base64,…"`, name)
}

func (p *pictureSource) tooLarge(name, param string) error {
	return failure.New(http.StatusRequestEntityTooLarge, failure.KindTooLarge,
		"%s is larger than %d MiB; send a smaller one", name, p.most>>20).At(param)
}

func (p *pictureSource) fetch(ctx context.Context, u *url.URL, name,
	param string) (*engine.Image, error) {
	if !p.hosts[strings.ToLower(u.Host)] || u.User != nil {
		return nil, failure.Field(param,
			"%s: this server fetches no pictures from %s; send a data URL, or ask the operator "+
				"to allow the host",
			name, u.Host)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, failure.Field(param, "%s: %v", name, err)
	}
	r.Header.Set("Accept", "image/*")
	w, err := p.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		f := failure.Field(param, "%s cannot be fetched from %s", name, u.Host)
		if e, ok := errors.AsType[*url.Error](err); ok && strings.HasPrefix(e.Err.Error(),
			"it redirects") {
			f.Text += ": " + e.Err.Error()
		}
		f.Cause = err
		return nil, f
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusOK {
		return nil, failure.Field(param, "%s cannot be fetched: %s answers %d", name, u.Host,
			w.StatusCode)
	}
	return p.read(ctx, w.Body, w.ContentLength, name, param)
}

// file opens a file below one of the folders, and nothing that leads out of it.
func (p *pictureSource) file(ctx context.Context, u *url.URL, name,
	param string) (*engine.Image, error) {
	refused := failure.Field(param,
		"%s: this server reads no such file; send a data URL, or ask the operator to allow the "+
			"folder",
		name)
	if u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) {
		return nil, refused
	}
	for _, folder := range p.folders {
		rel, err := filepath.Rel(folder, filepath.Clean(u.Path))
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		root, err := os.OpenRoot(folder)
		if err != nil {
			continue
		}
		defer root.Close()
		info, err := root.Stat(rel)
		if err != nil || !info.Mode().IsRegular() {
			continue // a pipe would never end
		}
		f, err := root.Open(rel)
		if err != nil {
			continue
		}
		defer f.Close()
		return p.read(ctx, f, info.Size(), name, param)
	}
	return nil, refused
}

// read reads a picture of a promised size, -1 if unknown, into memory that the request holds.
func (p *pictureSource) read(ctx context.Context, r io.Reader, promised int64, name,
	param string) (*engine.Image, error) {
	data, err := recordOf(ctx).memory.readAll(io.LimitReader(r, p.most+1), promised)
	if _, busy := errors.AsType[*failure.Failure](err); busy {
		return nil, err
	}
	if err != nil {
		return nil, failure.Field(param, "%s breaks off", name).By(err)
	}
	return p.picture(data, name, param)
}

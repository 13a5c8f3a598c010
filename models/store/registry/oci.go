package registry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	orasregistry "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/eyelet-engine/eyelet/models/store"
)

// Repository is a repository of an OCI registry
// (https://github.com/opencontainers/distribution-spec) and a tag or digest in it.
type Repository struct {
	repo *remote.Repository
	ref  orasregistry.Reference
}

// IsReference reports whether ref names a registry: its first part is a host, with a dot or a port,
// or localhost.
func IsReference(ref string) bool {
	host, path, found := strings.Cut(ref, "/")
	return found && path != "" && (strings.ContainsAny(host, ".:") || host == "localhost") &&
		!strings.HasPrefix(host, ".")
}

// OpenRepository names a repository as HOST[:PORT]/PATH[:TAG|@DIGEST]; the tag is "latest" if there
// is none. Users and passwords are those that docker's configuration holds for the host
// (DOCKER_CONFIG, or ~/.docker/config.json, with its credential helpers). Nothing is contacted yet.
func OpenRepository(ref string, o Options) (*Repository, error) {
	if !IsReference(ref) {
		return nil, fmt.Errorf("registry: %w: %.200q names no registry; write HOST/PATH:TAG",
			store.ErrName, ref)
	}
	parsed, err := orasregistry.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("registry: %w: %w", store.ErrName, err)
	}
	if parsed.Reference == "" {
		parsed.Reference = "latest"
	}
	repo, err := remote.NewRepository(parsed.Registry + "/" + parsed.Repository)
	if err != nil {
		return nil, fmt.Errorf("registry: %w: %w", store.ErrName, err)
	}
	scheme := "https"
	if o.PlainHTTP {
		scheme = "http"
	}
	client, err := newClient(scheme, parsed.Host(), o)
	if err != nil {
		return nil, err
	}
	docker, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("registry: docker's configuration: %w", err)
	}
	c := &auth.Client{
		Client: client, Credential: credentials.Credential(docker), Cache: auth.NewCache(),
		// The library would ask a name server where the host of a realm lies, before we can refuse
		// the host. Which hosts may be asked for tokens, loopback or not, is said by name.
		BlockedRealmPrefixes: []netip.Prefix{},
	}
	if o.UserAgent != "" {
		c.SetUserAgent(o.UserAgent)
	}
	repo.Client, repo.PlainHTTP = c, o.PlainHTTP
	return &Repository{repo: repo, ref: parsed}, nil
}

// Name is what a model from here is called in a store: path and tag. Of a digest there is none.
func (r *Repository) Name() (store.Name, error) {
	if r.ref.ValidateReferenceAsDigest() == nil {
		return store.Name{}, fmt.Errorf("registry: %w: a digest is no name; give one",
			store.ErrName)
	}
	return store.ParseName(r.ref.Repository + ":" + r.ref.Reference)
}

// Manifest implements [Remote].
func (r *Repository) Manifest(ctx context.Context) ([]byte, error) {
	desc, body, err := r.repo.FetchReference(ctx, r.ref.Reference)
	if err != nil {
		return nil, r.explain(err)
	}
	defer body.Close()
	if desc.Size > store.MaxManifest {
		return nil, fmt.Errorf("registry: %w: a manifest of %d bytes", store.ErrManifest, desc.Size)
	}
	data, err := io.ReadAll(io.LimitReader(body, store.MaxManifest+1))
	if err != nil {
		return nil, r.explain(err)
	}
	if got := store.DigestOf(data); string(got) != desc.Digest.String() {
		return nil, fmt.Errorf("registry: %w: the manifest %s has the digest %s", store.ErrDigest,
			desc.Digest, got)
	}
	return data, nil
}

// Blob implements [Remote].
func (r *Repository) Blob(ctx context.Context, d store.Descriptor,
	offset int64) (io.ReadCloser, error) {
	body, err := r.repo.Blobs().Fetch(ctx, ociDescriptor(d))
	if err != nil {
		return nil, r.explain(err)
	}
	if offset == 0 {
		return body, nil
	}
	if seeker, ok := body.(io.Seeker); ok {
		_, err = seeker.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, body, offset)
	}
	if err != nil {
		body.Close()
		return nil, r.explain(err)
	}
	return body, nil
}

// Push gives the registry a model: what it lacks of the files, then the manifest under the
// reference. progress, which may be nil, is told of bytes as they are there.
func (r *Repository) Push(ctx context.Context, m *store.Model, progress func(n int64)) error {
	if err := m.Complete(); err != nil {
		return err
	}
	for _, d := range m.Manifest.Blobs() {
		if err := r.pushBlob(ctx, m, d, progress); err != nil {
			return err
		}
	}
	mediaType := cmp.Or(m.Manifest.MediaType, store.MediaManifest)
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(m.Digest),
		Size: int64(len(m.Raw()))}
	if err := r.repo.PushReference(ctx, desc, bytes.NewReader(m.Raw()), r.ref.Reference); err !=
		nil {
		return r.explain(err)
	}
	return nil
}

func (r *Repository) pushBlob(ctx context.Context, m *store.Model, d store.Descriptor,
	progress func(int64)) error {
	desc := ociDescriptor(d)
	there, err := r.repo.Blobs().Exists(ctx, desc)
	if err != nil {
		return r.explain(err)
	}
	if there {
		if progress != nil {
			progress(d.Size)
		}
		return nil
	}
	f, err := m.OpenBlob(d)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := r.repo.Blobs().Push(ctx, desc, &counting{f, progress}); err != nil {
		return r.explain(err)
	}
	return nil
}

func ociDescriptor(d store.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: digest.Digest(d.Digest), Size: d.Size}
}

// explain names the registry in an error.
func (r *Repository) explain(err error) error {
	where := r.ref.String()
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("registry: %w: %s", store.ErrNotFound, where)
	case errors.Is(err, context.Canceled), errors.Is(err, ErrHost):
		return fmt.Errorf("registry: %s: %w", where, err)
	}
	return fmt.Errorf("registry: %w: %s: %w", ErrRemote, where, err)
}

// counting tells of bytes as they are read.
type counting struct {
	io.Reader
	progress func(int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.progress != nil {
		c.progress(int64(n))
	}
	return n, err
}

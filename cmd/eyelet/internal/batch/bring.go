package batch

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/registry"
)

// supplier is a registry or mirror of the site, which models that jobs want come from.
type supplier struct {
	where string // "" for none
	registry.Options
}

func (s *supplier) bind(f *pflag.FlagSet) {
	f.StringVar(&s.where, "pull", "",
		"registry (HOST/PATH) or mirror (http, https) of the site, from which models that jobs want and that are not here are brought")
	f.StringVar(&s.CAFile, "ca-file", "", "with --pull: certificates (PEM) to trust besides the system's")
	f.BoolVar(&s.PlainHTTP, "plain-http", false, "with --pull: talk to the registry without TLS")
	f.StringArrayVar(&s.AllowHosts, "allow-host", nil,
		"with --pull: host that the named one may send us to; may be repeated")
}

func (s *supplier) check() error {
	switch mirror := s.mirror(); {
	case s.where == "" && (s.CAFile != "" || s.PlainHTTP || len(s.AllowHosts) > 0):
		return cli.Usagef("--ca-file, --plain-http and --allow-host go with --pull")
	case s.where != "" && !mirror && !registry.IsReference(s.where+"/model"):
		return cli.Usagef("--pull is %q; give HOST/PATH of a registry, or the address of a mirror",
			s.where)
	}
	return nil
}

// mirror reports whether models come from a mirror.
func (s *supplier) mirror() bool {
	return strings.HasPrefix(s.where, "http://") || strings.HasPrefix(s.where, "https://")
}

// bring brings a model into the store. It has the signature of [batch.WorkerOptions].
func (s *supplier) bring(ctx context.Context, m batch.Model) error {
	name, err := store.ParseName(m.Name)
	if err != nil {
		return err
	}
	options := s.Options
	options.UserAgent = "eyelet/" + cli.ReadVersions().Eyelet
	var from registry.Remote
	if s.mirror() {
		from, err = registry.OpenMirror(s.where, name, options)
	} else {
		from, err = registry.OpenRepository(strings.TrimRight(s.where, "/")+"/"+name.String(),
			options)
	}
	if err != nil {
		return err
	}
	models, err := cli.OpenStore()
	if err != nil {
		return err
	}
	_, err = registry.Pull(ctx, models, exactly{from, m.Digest}, name, false, nil, nil)
	return err
}

// exactly is a remote whose model must have a digest.
type exactly struct {
	registry.Remote
	digest string
}

// Manifest implements [registry.Remote].
func (e exactly) Manifest(ctx context.Context) ([]byte, error) {
	raw, err := e.Remote.Manifest(ctx)
	if err != nil {
		return nil, err
	}
	if has := store.DigestOf(raw).Hex(); has != e.digest {
		return nil, fmt.Errorf("%w: it is %.12s… there, and %.12s… is wanted", store.ErrDigest, has,
			e.digest)
	}
	return raw, nil
}

package models

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/registry"
)

const siteLong = `
Only the host that the command names is contacted: there is no default registry, proxy
settings of the environment are ignored, and a redirection to another host is followed
only if --allow-host names it. User names and passwords for registries come from
docker's configuration (DOCKER_CONFIG, or ~/.docker/config.json).`

// siteOptions are the flags of push and pull.
type siteOptions struct {
	registry.Options
	where   string // a mirror
	name    string
	replace bool
}

// register adds the flags that both have.
func (o *siteOptions) register(cmd *cobra.Command) {
	f := cli.OrderedFlags(cmd)
	f.StringVar(&o.CAFile, "ca-file", "", "certificates (PEM) to trust besides the system's")
	f.BoolVar(&o.PlainHTTP, "plain-http", false, "talk to the registry without TLS")
	f.StringArrayVar(&o.AllowHosts, "allow-host", nil,
		"host that the named one may send us to; may be repeated")
	_ = cmd.MarkFlagFilename("ca-file", "pem", "crt")
}

// NewPullCommand returns the command "eyelet pull".
func NewPullCommand() *cobra.Command {
	var o siteOptions
	cmd := &cobra.Command{
		Use:   "pull [flags] REFERENCE",
		Short: "Bring a model from a registry or mirror of this site",
		Long: `Brings a model into the store from an OCI registry, as HOST/PATH:TAG, or by its name
from a mirror: a store that a web server offers, or a folder, such as that of another
machine's store or of an unpacked bundle (eyelet-bundle/models).

Files are checked as they arrive. After an interruption, the same command continues
where it stopped.
` + siteLong,
		Example: `  eyelet pull registry.site:5000/models/llava:7b
  eyelet pull registry.site/models/llava:7b --ca-file site.pem --name llava:7b
  eyelet pull llava:7b --from https://mirror.site/eyelet
  eyelet pull llava:7b --from /mnt/share/models`,
		Args: cli.ExactArgs("REFERENCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return pullModel(cmd, &o, args[0]) },
	}
	cmd.Flags().StringVar(&o.where, "from", "",
		"mirror: the address of a web server (http, https), or a folder")
	cmd.Flags().StringVar(&o.name, "name", "",
		"name in the store (default: that of the reference, without the host)")
	o.register(cmd)
	cmd.Flags().BoolVar(&o.replace, "replace", false,
		"let the name stand for this model from now on, even if it is taken")
	return cmd
}

func pullModel(cmd *cobra.Command, o *siteOptions, ref string) error {
	o.UserAgent = "eyelet/" + cli.ReadVersions().Eyelet
	s, err := cli.OpenStore()
	if err != nil {
		return err
	}
	if o.where != "" && !isURL(o.where) {
		m, err := pullFolder(cmd, s, o, ref)
		if errors.Is(err, store.ErrNotFound) {
			return &cli.InputError{Err: err,
				Remedy: fmt.Sprintf("\"EYELET_MODELS=%s eyelet list\" shows the models there",
					o.where)}
		}
		return announce(cmd, m, o.replace, err)
	}
	from, name, err := o.remote(ref)
	if err != nil {
		return err
	}
	if o.name != "" {
		if name, err = store.ParseName(o.name); err != nil {
			return err
		}
	}
	progress, done := func(int64) {}, func() {}
	begin := func(total int64) {
		progress, done = cli.TransferProgress(cmd,
			"pulling "+cli.Printable(ref), total)
	}
	m, err := registry.Pull(cmd.Context(), s, from, name, o.replace, begin, func(n int64) {
		progress(n)
	})
	done()
	if errors.Is(err, store.ErrNotFound) {
		return &cli.InputError{Err: err, Remedy: "check name and tag; this is how it was asked for"}
	}
	return announce(cmd, m, o.replace, err)
}

func isURL(where string) bool {
	return strings.HasPrefix(where, "http://") || strings.HasPrefix(where, "https://")
}

// remote opens what a reference means: a registry, or a mirror's model. It returns the name that
// the model has there.
func (o *siteOptions) remote(ref string) (registry.Remote, store.Name, error) {
	if o.where != "" {
		name, err := store.ParseName(ref)
		if err != nil {
			return nil, name, err
		}
		m, err := registry.OpenMirror(o.where, name, o.Options)
		return m, name, err
	}
	if !registry.IsReference(ref) {
		return nil, store.Name{},
			cli.Usagef("%q names no registry; write HOST/PATH:TAG, or say with --from where the model is", ref)
	}
	r, err := registry.OpenRepository(ref, o.Options)
	if err != nil {
		return nil, store.Name{}, err
	}
	name, err := r.Name()
	if o.name != "" {
		err = nil // that of the flag will do
	}
	return r, name, err
}

// pullFolder copies a model from another store's folder.
func pullFolder(cmd *cobra.Command, s *store.Store, o *siteOptions,
	ref string) (*store.Model, error) {
	if err := s.AllowUnsigned("models of mirrors"); err != nil {
		return nil, err
	}
	if _, err := os.Stat(o.where); err != nil {
		return nil, cli.Inputf("%s: %w", o.where, cli.Cause(err))
	}
	from, err := store.Open(store.Options{Root: o.where, NoOllama: true})
	if err != nil {
		return nil, err
	}
	return o.copyBetween(cmd, from, s, ref)
}

// copyBetween copies a model from one store's folder to another's.
func (o *siteOptions) copyBetween(cmd *cobra.Command, from, to *store.Store,
	ref string) (*store.Model, error) {
	m, err := from.Find(ref)
	if err != nil {
		return nil, err
	}
	if m.Err != nil {
		return nil, m.Err
	}
	name := m.Name
	if o.name != "" {
		if name, err = store.ParseName(o.name); err != nil {
			return nil, err
		}
	}
	t, err := to.Begin(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer t.Close()
	progress, done := cli.TransferProgress(cmd, "copying "+cli.Printable(ref), m.Manifest.Size())
	defer done()
	return t.Adopt(cmd.Context(), m, name, o.replace, progress)
}

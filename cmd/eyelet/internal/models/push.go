package models

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/registry"
)

// NewPushCommand returns the command "eyelet push".
func NewPushCommand() *cobra.Command {
	var o siteOptions
	cmd := &cobra.Command{
		Use:   "push [flags] NAME [REFERENCE]",
		Short: "Give a model to a registry or mirror of this site",
		Long: `Sends a model of the store to an OCI registry, as HOST/PATH:TAG, or copies it into a
folder that serves as a mirror. Other machines pull from a mirror with --from, once
the folder is shared or any web server serves it. Files that are there are not sent
again.
` + siteLong,
		Example: `  eyelet push llava:7b registry.site:5000/models/llava:7b
  eyelet push llava:7b --to /srv/www/eyelet`,
		ValidArgsFunction: cli.CompleteModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.where != "" {
				if err := cli.ExactArgs("NAME")(cmd, args); err != nil {
					return err
				}
				return pushFolder(cmd, &o, args[0])
			}
			if err := cli.ExactArgs("NAME", "REFERENCE")(cmd, args); err != nil {
				return err
			}
			return pushModel(cmd, &o, args[0], args[1])
		},
	}
	cmd.Flags().StringVar(&o.where, "to", "", "folder of a mirror")
	o.register(cmd)
	cmd.Flags().BoolVar(&o.replace, "replace", false,
		"in a folder: let the name stand for this model from now on, even if it is taken")
	return cmd
}

func pushModel(cmd *cobra.Command, o *siteOptions, name, ref string) error {
	o.UserAgent = "eyelet/" + cli.ReadVersions().Eyelet
	if !registry.IsReference(ref) {
		return cli.Usagef("%q names no registry; write HOST/PATH:TAG, or name a folder with --to", ref)
	}
	s, err := cli.OpenStore()
	if err != nil {
		return err
	}
	m, err := s.Find(name)
	if err != nil {
		return err
	}
	r, err := registry.OpenRepository(ref, o.Options)
	if err != nil {
		return err
	}
	if m.Err != nil {
		return m.Err
	}
	progress, done := cli.TransferProgress(cmd, "pushing "+cli.Printable(name), m.Manifest.Size())
	err = r.Push(cmd.Context(), m, progress)
	done()
	if err == nil {
		cli.Say(cmd, "%s is at %s (%s).", m.Name, cli.Printable(ref), m.Digest.Short())
	}
	return err
}

// pushFolder copies a model into the folder of a mirror, which is a store.
func pushFolder(cmd *cobra.Command, o *siteOptions, name string) error {
	from, err := cli.OpenStore()
	if err != nil {
		return err
	}
	if isURL(o.where) {
		return cli.Usagef("--to wants a folder; a web server only gives")
	}
	to, err := store.Open(store.Options{Root: o.where, NoOllama: true})
	if err != nil {
		return err
	}
	if err := to.AllowUnsigned("models of other stores"); err != nil {
		return err
	}
	m, err := o.copyBetween(cmd, from, to, name)
	if errors.Is(err, store.ErrExists) {
		return &cli.InputError{Err: err, Remedy: "--replace lets the name stand for the new one"}
	}
	if err == nil {
		cli.Say(cmd, "%s is in %s (%s).", m.Name, cli.Printable(o.where), m.Digest.Short())
	}
	return err
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/registry"
)

func newPushCommand() *cobra.Command {
	var o siteOptions
	cmd := &cobra.Command{
		Use:   "push [flags] NAME [REFERENCE]",
		Short: "Give a model to a registry or mirror of this site",
		Long: `Gives a model of the store to an OCI registry, as HOST/PATH:TAG, or copies it into
a folder that is a mirror: other machines pull from it by --from, when it is shared
or served by any web server. What is there already is not sent again.
` + siteLong,
		Example: `  eyelet push llava:7b registry.site:5000/models/llava:7b
  eyelet push llava:7b --to /srv/www/eyelet`,
		ValidArgsFunction: completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.where != "" {
				if err := wantArgs("NAME")(cmd, args); err != nil {
					return err
				}
				return pushFolder(cmd, &o, args[0])
			}
			if err := wantArgs("NAME", "REFERENCE")(cmd, args); err != nil {
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
	o.UserAgent = "eyelet/" + versions().Eyelet
	if !registry.IsReference(ref) {
		return usagef("%q names no registry; write HOST/PATH:TAG, or name a folder with --to", ref)
	}
	s, err := openStore()
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
	progress, done := transfer(cmd, "pushing "+printable(name), m.Manifest.Size())
	err = r.Push(cmd.Context(), m, progress)
	done()
	if err == nil && !flagSet(cmd, "quiet") {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is at %s (%s).\n", m.Name, printable(ref),
			m.Digest.Short())
	}
	return err
}

// pushFolder copies a model into the folder of a mirror, which is a store.
func pushFolder(cmd *cobra.Command, o *siteOptions, name string) error {
	from, err := openStore()
	if err != nil {
		return err
	}
	if isURL(o.where) {
		return usagef("--to wants a folder; a web server only gives")
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
		return &inputError{err: err, remedy: "--replace lets the name stand for the new one"}
	}
	if err == nil && !flagSet(cmd, "quiet") {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is in %s (%s).\n", m.Name, printable(o.where),
			m.Digest.Short())
	}
	return err
}

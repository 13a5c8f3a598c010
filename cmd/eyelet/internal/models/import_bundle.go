package models

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/bundle"
)

// importBundle brings the models of a bundle into the store.
func importBundle(cmd *cobra.Command, s *store.Store, o *importOptions, path string) error {
	if o.name != "" || o.mmproj != "" || o.system != "" || len(o.licenses) > 0 {
		return cli.Usagef("--name, --mmproj, --system and --license belong to GGUF files; a bundle has its own")
	}
	options := bundle.ImportOptions{Replace: o.replace}
	for _, text := range o.keys {
		key, err := bundle.ParsePublicKey(text)
		if err != nil {
			return err
		}
		options.Keys = append(options.Keys, key)
	}
	src, err := openBundle(cmd, path)
	if err != nil {
		return err
	}
	defer src.Close()
	progress, done := func(int64) {}, func() {}
	options.Begin = func(x *bundle.Index) {
		var total int64
		for _, m := range x.Models {
			total += m.Size
		}
		progress, done = cli.TransferProgress(cmd, "importing "+cli.Printable(path), total)
	}
	options.Progress = func(n int64) { progress(n) }
	r, err := bundle.Import(cmd.Context(), s, src, options)
	done()
	if errors.Is(err, store.ErrExists) {
		return &cli.InputError{Err: err, Remedy: "--replace lets the name stand for the new one"}
	}
	if err != nil && cmd.Context().Err() != nil {
		cli.Say(cmd, "What was read stays; the same command goes on from there.")
	}
	if err == nil {
		announceBundle(cmd, r)
	}
	return err
}

func openBundle(cmd *cobra.Command, path string) (*bundle.Source, error) {
	if path == "-" {
		return bundle.StreamSource(cmd.InOrStdin()), nil
	}
	return bundle.OpenSource(path)
}

// announceBundle says what came in.
func announceBundle(cmd *cobra.Command, r *bundle.Result) {
	var names []string
	for _, m := range r.Models {
		names = append(names, m.Name.String())
	}
	if len(names) > 0 {
		cli.Say(cmd, "%s: there and checked.", strings.Join(names, ", "))
	} else {
		cli.Say(cmd, "The bundle holds no models.")
	}
	if r.Program != nil {
		cli.Say(cmd, "It carries eyelet %s for %s too; \"tar xf\" unpacks that.",
			cli.Printable(r.Program.Version), cli.Printable(r.Program.Platform))
	}
	switch {
	case r.Signer != nil:
		cli.Say(cmd, "Signed by the key %X.", r.Signer.ID())
	case r.Signed:
		cli.Say(cmd, "It is signed; nobody checked by whom (--verify-key).")
	}
}

package models

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store/bundle"
)

func newStoreKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key FILE",
		Short: "Make a pair of keys to sign bundles with",
		Long: `Makes a pair of minisign keys: the secret one in FILE, the public one in FILE.pub.
The secret key is encrypted with a password, which is asked for, or is taken from
EYELET_KEY_PASSWORD; with --no-password anyone who reads the file can sign.`,
		Example: `  eyelet store key site.key
  eyelet export llava:7b --sign site.key -o models.eyb
  eyelet import models.eyb --verify-key site.key.pub`,
		Args: cli.ExactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			password := ""
			if !cli.BoolFlag(cmd, "no-password") {
				var err error
				if password, err = cli.AskPassword(cmd, "New password: "); err != nil {
					return err
				}
				if password == "" {
					return cli.Usagef("the password is empty; --no-password makes a key without")
				}
			}
			public, err := bundle.NewKey(args[0], password)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), public.String())
			return err
		},
	}
	cmd.Flags().Bool("no-password", false, "do not encrypt the secret key")
	return cmd
}

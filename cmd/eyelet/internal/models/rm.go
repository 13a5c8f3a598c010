package models

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
)

// NewRmCommand returns the command "eyelet rm".
func NewRmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME...",
		Short: "Remove models from the store",
		Long: `Removes names from the store, and the files that no other name needs. Programs that
are using the model can go on. Ollama's models are never removed.`,
		Example:           `  eyelet rm llava:7b`,
		Args:              someArgs("NAME"),
		ValidArgsFunction: cli.CompleteModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := cli.OpenStore()
			if err != nil {
				return err
			}
			for _, arg := range args {
				name, err := store.ParseName(arg)
				if err != nil {
					return err
				}
				removed, err := s.Delete(name)
				if err != nil {
					return err
				}
				if removed.Deferred {
					cli.Say(cmd, "%s is removed. Its files stay while others add models; \"eyelet store gc\" frees them.", name)
					continue
				}
				cli.Say(cmd, "%s is removed; %s are free.", name,
					cli.BytesText(uint64(removed.Bytes)))
			}
			return nil
		},
	}
}

// NewCpCommand returns the command "eyelet cp".
func NewCpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cp NAME NEW",
		Short: "Give a model another name",
		Long: `Gives a model another name. Both share the files, so the second takes no space.
A model of Ollama's is copied into the store.`,
		Example: `  eyelet cp llava:7b team/llava
  eyelet cp sha256:0f3a9c21 llava:tested`,
		Args:              cli.ExactArgs("NAME", "NEW"),
		ValidArgsFunction: cli.CompleteModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := cli.OpenStore()
			if err != nil {
				return err
			}
			name, err := store.ParseName(args[1])
			if err != nil {
				return err
			}
			_, err = s.Copy(cmd.Context(), args[0], name, cli.BoolFlag(cmd, "replace"))
			return err
		},
	}
	cmd.Flags().Bool("replace", false,
		"let the name stand for this model from now on, even if it is taken")
	return cmd
}

// someArgs refuses a command line without an argument of the given name.
func someArgs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return &cli.UsageError{Err: fmt.Errorf("%s is missing", name),
				Command: cmd.CommandPath()}
		}
		return nil
	}
}

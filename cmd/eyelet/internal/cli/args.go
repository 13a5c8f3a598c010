// Package cli holds what all commands of the program share: flags and arguments, exit codes and
// error messages, progress and other words for people at a terminal, names of models, small files.
package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// BoolFlag returns the value of a boolean flag, false for a command that does not have it.
func BoolFlag(cmd *cobra.Command, name string) bool {
	set, err := cmd.Flags().GetBool(name)
	return err == nil && set
}

// KnownCommand refuses arguments of the root command, all of which are misspelt commands.
func KnownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("there is no command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w, did you mean %s?", err, strings.Join(near, " or "))
	}
	return &UsageError{Err: err, Command: cmd.CommandPath()}
}

// ExactArgs refuses any number of arguments but that of the given names.
func ExactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		var err error
		switch {
		case len(args) < len(names):
			err = fmt.Errorf("%s is missing", names[len(args)])
		case len(args) > len(names):
			err = fmt.Errorf("unexpected argument %q", args[len(names)])
		default:
			return nil
		}
		return &UsageError{Err: err, Command: cmd.CommandPath()}
	}
}

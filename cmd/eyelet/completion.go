package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

const completionLong = `Prints a script that teaches a shell to complete eyelet's commands and flags.`

const completionExample = `  source <(eyelet completion bash)
      for this session of bash; put the line into ~/.bashrc to keep it
  eyelet completion zsh > "${fpath[1]}/_eyelet"
      for zsh, from the next session on
  eyelet completion fish > ~/.config/fish/completions/eyelet.fish
      for fish
  eyelet completion powershell | Out-String | Invoke-Expression
      for this session of PowerShell`

func newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Print a script for shell completion",
		Long:      completionLong,
		Example:   completionExample,
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cli.ExactArgs("SHELL")(cmd, args); err != nil {
				return err
			}
			if !slices.Contains(shells, args[0]) {
				return &cli.UsageError{
					Err: fmt.Errorf("there is no completion for %q, only for %s", args[0],
						strings.Join(shells, ", ")),
					Command: cmd.CommandPath(),
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			default:
				return root.GenPowerShellCompletionWithDesc(w)
			}
		},
	}
}

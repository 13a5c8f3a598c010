package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// AskPassword returns EYELET_KEY_PASSWORD, or what a person types unseen.
func AskPassword(cmd *cobra.Command, prompt string) (string, error) {
	if word, ok := os.LookupEnv("EYELET_KEY_PASSWORD"); ok {
		return word, nil
	}
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !IsTerminal(f) {
		return "", Usagef("a password is needed, and stdin is no terminal; give it in EYELET_KEY_PASSWORD")
	}
	fmt.Fprint(cmd.ErrOrStderr(), prompt)
	word, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	return string(word), err
}

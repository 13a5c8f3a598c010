package serve

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/server"
)

func newServeKeyCommand() *cobra.Command {
	var path string
	var requests, rate int
	cmd := &cobra.Command{
		Use:   "key NAME --keys FILE",
		Short: "Make an API key for a client of the server",
		Long: `Makes an API key, prints it, and adds a line to the file of keys: the client's name,
the hash of the key, and its limits. The key itself is written nowhere. A client is
shut out by removing its line; the server reads the file when it starts, and again
when it gets SIGHUP.`,
		Example: `  eyelet serve key laptop --keys keys.txt
  eyelet serve key batch --keys keys.txt --requests 2 --rate 60`,
		Args: cli.ExactArgs("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case path == "":
				return cli.Usagef("--keys is missing: the file that the key's line is added to")
			case requests < 0 || rate < 0:
				return cli.Usagef("--requests and --rate are 1 or more, or 0 for no limit")
			}
			secret, line, err := server.NewKey(args[0], requests, rate)
			if err != nil {
				return cli.Usagef("%w", err)
			}
			if err := appendKey(path, args[0], line); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "keys", "", "file of keys, which is made if it is missing")
	f.IntVar(&requests, "requests", 0,
		"most requests of the key that are under way at a time (default: no limit)")
	f.IntVar(&rate, "rate", 0,
		"most requests of the key that begin in a minute (default: no limit)")
	return cmd
}

// appendKey adds a line to a file of keys, which only its owner may read.
func appendKey(path, name, line string) error {
	if _, err := os.Stat(path); err == nil {
		keys, err := server.ReadKeys(path)
		if err != nil {
			return &cli.InputError{Err: err}
		}
		if keys.Has(name) {
			return cli.Inputf("%s has a key of the name %s; choose another, or remove that line", path,
				name)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return cli.Inputf("the file of keys %s: %w", path, cli.Cause(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		last := []byte{'\n'}
		// an editor left the last line open
		if _, err := f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		return fmt.Errorf("the file of keys %s: %w", path, err)
	}
	return f.Sync()
}

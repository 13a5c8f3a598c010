package cli

import (
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether a stream is connected to a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

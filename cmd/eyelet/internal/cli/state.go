package cli

import (
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
)

// StateDirText is where [StateDir] is by default, for help texts.
const StateDirText = "~/.local/state/eyelet"

// StateDir is the folder for what outlives the program: the one that EYELET_STATE names, or else
// eyelet in the user's state folder.
func StateDir() string {
	if dir := os.Getenv("EYELET_STATE"); dir != "" {
		return dir
	}
	return filepath.Join(xdg.StateHome, "eyelet")
}

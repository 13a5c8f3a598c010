package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// SelfCommand returns the words that start this program once more: its file, or the loader that a
// bundle's launcher starts, with that loader's own arguments.
func SelfCommand() ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	line, err := os.ReadFile("/proc/self/cmdline")
	if err != nil || !strings.HasPrefix(filepath.Base(program), "ld-") {
		return []string{program}, nil
	}
	return throughLoader(program, line, len(os.Args)), nil
}

// throughLoader are the words of a command line, with NULs between them, up to the program that a
// loader starts with so many words of its own.
func throughLoader(loader string, line []byte, own int) []string {
	words := strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")
	before := len(words) - (own - 1)
	if before < 2 {
		return []string{loader}
	}
	return append([]string{loader}, words[1:before]...)
}

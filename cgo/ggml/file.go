package ggml

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// CheckFile looks at a GGUF file as far as a C loader would not say what is wrong: the path, that
// it is a regular file (opening a pipe would wait for a writer), and its magic number. It reads
// four bytes. Errors name the file.
func CheckFile(path string) error {
	if strings.ContainsRune(path, 0) {
		return fmt.Errorf("ggml: the path %q contains a NUL", path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("ggml: %w", err)
	case info.IsDir():
		return fmt.Errorf("ggml: %s is a directory, not a GGUF file", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("ggml: %s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("ggml: %w", err)
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "GGUF" {
		return fmt.Errorf("ggml: %s is not a GGUF file", path)
	}
	return nil
}

package builtin

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"
)

const (
	// Name is what the model is called where a model's name is wanted.
	Name = "eyelet-builtin"
	// Description says in one line what the model is.
	Description = "a toy LLaVA of 10 million parameters that knows simple drawings: shapes, writing, sums, charts, page sketches, tables"

	modelFile     = "eyelet-builtin-q8_0.gguf"
	projectorFile = "mmproj-eyelet-builtin-q8_0.gguf"
)

//go:embed eyelet-builtin-q8_0.gguf mmproj-eyelet-builtin-q8_0.gguf
var files embed.FS

// sums is in the format of sha256sum(1): a line for each file. It identifies this edition of the
// model.
//
//go:embed SHA256SUMS
var sums string

// Digest identifies this edition of the model: it changes whenever one of the two files does. It is
// the hexadecimal SHA-256 of their SHA-256 sums.
func Digest() string {
	digest := sha256.Sum256([]byte(sums))
	return hex.EncodeToString(digest[:])
}

// Size returns the bytes of the two files.
func Size() (n int64) {
	for _, name := range []string{modelFile, projectorFile} {
		if info, err := fs.Stat(files, name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// sumOf returns the SHA-256 that SHA256SUMS records for a file, in hexadecimal.
func sumOf(name string) (string, error) {
	for line := range strings.Lines(sums) {
		if sum, file, found := strings.Cut(strings.TrimSpace(line), "  "); found && file == name {
			return sum, nil
		}
	}
	return "", fmt.Errorf("builtin: SHA256SUMS does not list %s", name)
}

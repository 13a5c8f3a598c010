package builtin

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
)

//go:embed testdata/questions.zip
var questions []byte

// Questions are 400 questions of the built-in model's domain about pictures that it never saw:
// questions.jsonl, a question a line with kind, picture, question and answers, and the pictures
// beside it. scripts/builtin/questions.py made them from a seed.
func Questions() (fs.FS, error) {
	archive, err := zip.NewReader(bytes.NewReader(questions), int64(len(questions)))
	if err != nil {
		return nil, fmt.Errorf("builtin: %w", err)
	}
	return archive, nil
}

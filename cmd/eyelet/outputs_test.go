package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// A rename replaces whatever has the name, a device too: each command that writes a file looks
// first, and leaves what is no file as it was.
func TestOutputsReplaceFilesAlone(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	pipe, folder := filepath.Join(dir, "pipe.csv"), filepath.Join(dir, "folder.csv")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	words := writeFile(t, dir+"/words.txt", "some words")
	writeFile(t, folder+"/kept", "")
	picture := filepath.Join(pictures, "shape-4.png")
	m := newMachine(t)
	m.must(t, "import", seedModel, "--name", "toy")
	model := "../../models/convert/testdata/llama3"
	for _, out := range []string{pipe, folder, filepath.Join(dir, "none", "x.csv")} {
		for _, args := range [][]string{
			{"quantize", seedModel, "--type", "q4_0", "--allow-requantize", "--force", "-o"},
			{"quantize", seedProjector, "--type", "q4_0", "--force", "-o"},
			{"imatrix", seedModel, "--text", words, "--force", "-o"},
			{"convert", model, "--force", "-o"},
			{"export", "toy", "-o"},
			{"sbom", "-o"},
			{"encode", picture, "-o"},
		} {
			m.eyelet(t, append(args, out)...).mustFail(t, 3, filepath.Base(out))
		}
	}
	for _, out := range []string{pipe, folder} { // a batch makes the folder that is missing
		m.eyelet(t, "batch", picture, "--prompt", "Q?", "--force", "-o", out).mustFail(t, 3,
			filepath.Base(out))
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Error("the pipe was replaced:", info, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Error("something was left behind:", left, err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

func TestSoundsNeedAModelThatHears(t *testing.T) {
	peers.WithoutRaceDetector(t)
	const sounds = "../../kernels/sound/testdata/"
	text := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(text, []byte("no sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"cannot hear sounds":     {4, []string{"--audio", sounds + "s16.wav"}},
		"no encoder of sounds":   {4, []string{"--image", sounds + "s16.flac"}},
		"notes.txt is no sound":  {3, []string{"--audio", text}},
		"none.wav: no such file": {3, []string{"--audio", "none.wav"}},
		"low.mp3":                {3, []string{"--audio", sounds + "low.mp3"}},
		"no pages":               {2, []string{"--image", sounds + "s16.wav", "--pages", "2"}},
		"--jsonl and --audio cannot": {2, []string{"--audio", sounds + "s16.wav", "--jsonl",
			filepath.Join(t.TempDir(), "a.jsonl")}},
	} {
		code, out, errs := command(t, append([]string{"run", "What is said?"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, %q, %q; want %d with %q", c.args, code, out, errs, c.code, want)
		}
	}
}

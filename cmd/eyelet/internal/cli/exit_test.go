package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/rpc"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

func TestExitCode(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"no error", nil, 0},
		{"an error of no class", errors.New("x"), 1},
		{"failed checks", ErrSilent, 1},
		{"a mistake on the command line", Usagef("--temp is negative"), 2},
		{"a contradictory request", engine.ErrRequest, 2},
		{"a file that the command refuses", Inputf("x.txt is no picture"), 3},
		{"a missing file", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, 3},
		{"a folder that cannot be written", &fs.PathError{Op: "open", Path: "x",
			Err: syscall.EROFS}, 3},
		{"a path through a file", &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOTDIR}, 3},
		{"a name that is too long", &fs.PathError{Op: "open", Path: "x",
			Err: syscall.ENAMETOOLONG}, 3},
		{"a full disk", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, 5},
		{"a configuration of the queue", batch.ErrConfig, 3},
		{"a program that draws no pictures", draw.ErrProgram, 3},
		{"a damaged model", engine.ErrModelFile, 3},
		{"a truncated model", gguf.ErrTruncated, 3},
		{"a picture that is none", imaging.ErrNotImage, 3},
		{"a bad picture in a request", engine.ErrImage, 3},
		{"a projector of another model", engine.ErrMismatch, 4},
		{"a picture for a text model", engine.ErrNoVision, 4},
		{"a prompt that is too long", engine.ErrContextLength, 5},
		{"a full cache", llama.ErrNoRoom, 5},
		{"pictures of a folder that are all too long", &CommonError{errors.New("2 of 2"),
			CommonCode([]int{5, 5})}, 5},
		{"pictures of a folder with different faults", &CommonError{errors.New("2 of 2"),
			CommonCode([]int{5, 3})}, 3},
		{"an interruption", context.Canceled, 130},
		{"an interruption while a model loads", fmt.Errorf("%w: %w", engine.ErrModelFile,
			context.Canceled), 130},
		{"a missing ability of a model that the user named", &InputError{Err: engine.ErrNoVision},
			4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := ExitCode(test.err); got != test.want {
				t.Errorf("exitCode(%v) = %d, want %d", test.err, got, test.want)
			}
			if test.err == nil {
				return
			}
			if got := ExitCode(fmt.Errorf("wrapped: %w", test.err)); got != test.want {
				t.Errorf("wrapped: %d, want %d", got, test.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nothing", nil, ""},
		{"what was reported already", ErrSilent, ""},
		{"an interruption", fmt.Errorf("engine: %w", context.Canceled), "interrupted"},
		{"one line for several", errors.New("first\nsecond"), "first; second"},
		{"no package in front", errors.New("engine: no"), "no"},
		{"the help to read", &UsageError{Err: errors.New("no"), Command: "eyelet run"},
			`no; see "eyelet run --help"`},
		{"a remedy of the command", &InputError{Err: errors.New("no"), Remedy: "do this"},
			"no; do this"},
		{"a remedy by kind", Inputf("m.gguf: %w", gguf.ErrTruncated),
			"m.gguf: truncated; download or copy it again"},
		{"the flags behind advice",
			errors.New("engine: no room; give a shorter context or a smaller type of the cache"), "no room; give a shorter context (--ctx) or a smaller type of the cache (--cache-type)"},
		{"a flag that is named already", errors.New("give its mmproj file (--mmproj)"),
			"give its mmproj file (--mmproj)"},
		{"no calls of the system", fmt.Errorf("eyelet: %w", &fs.PathError{Op: "lstat", Path: "a b",
			Err: fs.ErrNotExist}), "eyelet: a b: file does not exist; check the path"},
		{"no path twice", fmt.Errorf("site.conf: %w", &fs.PathError{Op: "open", Path: "site.conf",
			Err: fs.ErrNotExist}), "site.conf: file does not exist; check the path"},
		{"formats once", fmt.Errorf("%w: a.png: %w; supported: PNG", engine.ErrImage,
			imaging.ErrNotImage), "bad picture: a.png: not an image; supported: PNG"},
		{"what --rpc takes", fmt.Errorf("%w \"a b\"",
			rpc.ErrAddress), `bad address "a b"; --rpc takes HOST or HOST:PORT of each machine once, with commas between them`},
		{"nothing for callers in Go", fmt.Errorf("quantize: a.gguf is quantized already: %w; no",
			quantize.ErrOptions), "a.gguf is quantized already; no"},
		{"nothing for callers in Go, before what they did", fmt.Errorf(
			"quantize: a.weight: %w: rows of 3", quantize.ErrOptions), "a.weight: rows of 3"},
		{"nothing for callers in Go at the start", fmt.Errorf("%w: no", engine.ErrRequest), "no"},
		{"nothing that moves the cursor", errors.New("a\x1b[2Jb"), `a\x1b[2Jb`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Describe(test.err); got != test.want {
				t.Errorf("describe = %q, want %q", got, test.want)
			}
		})
	}
}

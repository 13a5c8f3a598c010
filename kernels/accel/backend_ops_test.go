package accel

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

const backendOps = "test-backend-ops"

// runBackendOps lets ggml's own test of backends compare the library, which takes products from one
// row on by a path, with the CPU backend. It returns how many operations the library took.
func runBackendOps(t *testing.T, p path, op, params string) (taken int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Minute)
	defer stop()
	cmd, err := peers.Command(ctx, backendOps, "test", "-b", "Eyelet", "-o", op, "-p", params)
	if err != nil {
		t.Fatal(err)
	}
	// libggml searches the working directory for CPU libraries, and loads one more that is named.
	library, err := filepath.Abs(ggml.AcceleratorState().Library)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir = filepath.Dir(ggml.CPULibrary())
	cmd.Env = append(cmd.Environ(), "GGML_BACKEND_PATH="+library,
		fmt.Sprintf("EYELET_ACCEL_FORCE=1,%d", p),
		"GOMP_SPINCOUNT=1000") // or two busy processes wait for each other's turns
	out, err := cmd.CombinedOutput()
	text := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(string(out), "")
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case !strings.HasPrefix(line, op+"("):
		case strings.HasSuffix(line, ": OK"):
			taken++
		case !strings.Contains(line, "not supported"):
			t.Error(line)
		}
	}
	if err != nil {
		t.Fatalf("%v: %s", err, text[max(0, len(text)-2000):])
	}
	if !strings.Contains(text, "Backend Eyelet: OK") {
		t.Errorf("the library was not tested: %s", text[max(0, len(text)-2000):])
	}
	return taken
}

// Without EYELET_SLOW, products with few columns only, and in short mode a few of them: ggml
// computes the others, to compare with, for minutes.
func TestBackendOpsOfGGML(t *testing.T) {
	peers.RequireAccelerator(t)
	peers.Require(t, backendOps)
	tests := []struct {
		op, params string
		path       path
		least      int
	}{
		{"MUL_MAT", `m=16,n=(4|8|16),`, anyPath, 300},
		{"MUL_MAT", `m=16,n=16,`, onednnBF16, 0},
		{"MUL_MAT", `m=16,n=16,`, floats, 100},
		{"MUL_MAT", `m=16,n=16,`, onednnF32, 100},
		{"MUL_MAT_ID", `type_a=(f32|f16|q8_0|q4_K|q6_K|iq4_nl),.*n_mats=4,.*m=512,`, anyPath, 50},
		{"FLASH_ATTN_EXT", `hsk=64,.*nh=4,.*kv=113,nb=(3|75),`, anyPath, 50},
	}
	if testing.Short() {
		t.Attr("reduced", "few operations")
		tests = tests[1:2]
		tests[0].path, tests[0].least = anyPath, 50
	}
	if os.Getenv("EYELET_SLOW") != "" {
		for i := range tests {
			tests[i].params = "."
		}
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s by path %d", test.op, test.path), func(t *testing.T) {
			taken := runBackendOps(t, test.path, test.op, test.params)
			if taken < test.least {
				t.Errorf("%d operations were taken, want at least %d", taken, test.least)
			}
			t.Logf("%d operations were taken, and are as ggml's", taken)
		})
	}
}

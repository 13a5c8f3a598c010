package mtmd

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// libmtmd asks its device whether it has flash attention. Where the accelerator declines, the CPU
// computes it, and it must stay on.
func TestFlashAttentionStaysOnWithTheAccelerator(t *testing.T) {
	peers.RequireAccelerator(t)
	for _, takes := range []bool{true, false} {
		ggml.EnableAccelerator(takes)
		defer ggml.EnableAccelerator(true)
		var mu sync.Mutex
		lines := ""
		defer ggml.TapLog(func(_ slog.Level, line string) {
			mu.Lock()
			defer mu.Unlock()
			lines += line + "\n"
		})()
		open(t, Params{Warmup: true})
		mu.Lock()
		if !strings.Contains(lines, "flash attention is enabled") {
			t.Errorf("accelerator takes operations: %v; libmtmd says:\n%s", takes, lines)
		}
		mu.Unlock()
	}
}

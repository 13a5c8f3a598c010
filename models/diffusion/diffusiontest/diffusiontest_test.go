package diffusiontest

import (
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/models/diffusion"
)

// TestSD15HasItsParameters compares with the counts of the published file: 859,520,964 of the
// U-net, 83,653,863 of the VAE and 123,060,480 of CLIP's text encoder, in 686, 248 and 196 tensors.
func TestSD15HasItsParameters(t *testing.T) {
	tensors := SD15()
	n := 0
	for i := range tensors {
		n += tensors[i].elements()
	}
	if want := 859_520_964 + 83_653_863 + 123_060_480; n != want || len(tensors) != 686+248+196 {
		t.Errorf("%d parameters in %d tensors, not %d in %d", n, len(tensors), want, 686+248+196)
	}
}

func TestTinyIsRecognized(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.safetensors")
	if err := WriteTiny(path); err != nil {
		t.Fatal(err)
	}
	f, err := diffusion.Inspect(path, nil)
	if err != nil || f.Family != "sd1" {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestFloat16(t *testing.T) {
	for x, want := range map[float64]uint16{1: 0x3c00, -2: 0xc000, 0.5: 0x3800, 65504: 0x7bff,
		1e-9: 0, 0.1: 0x2e66} {
		if got := float16(x); got != want {
			t.Errorf("%g is %#04x, not %#04x", x, got, want)
		}
	}
}

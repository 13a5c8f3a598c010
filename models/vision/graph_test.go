package vision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
	"github.com/eyelet-engine/eyelet/models/vision/visiontest"
)

// graphDevices are the ways of computing that the tests of graphs go through: ggml's CPU backend,
// and, where EYELET_TEST_DEVICE names a device of ggml's, that device whole and split.
func graphDevices(t testing.TB) map[string]GraphOptions {
	t.Helper()
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	name := os.Getenv("EYELET_TEST_DEVICE")
	if name == "" {
		return map[string]GraphOptions{"CPU": {}}
	}
	for _, d := range ggml.GPUs() {
		if d.Name == name {
			return map[string]GraphOptions{name: {Device: &d}, name + " split": {Device: &d,
				CPUBlocks: 1}}
		}
	}
	t.Fatalf("there is no device %s", name)
	return nil
}

func loadGraph(t testing.TB, f *gguf.File, opt GraphOptions) *Graph {
	t.Helper()
	g, err := LoadGraph(f, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// encodeInSteps advances by different numbers of steps, so that graphs of all lengths occur.
func encodeInSteps(t testing.TB, e Encoder, in *Input) (rows []float32) {
	t.Helper()
	for part := range max(in.Parts, 1) {
		job, err := e.Begin(in, part)
		if err != nil {
			t.Fatal(err)
		}
		defer job.Close()
		for n := 1; ; n++ {
			if done, total := job.Progress(); done == total {
				break
			}
			if err := job.Advance(context.Background(), 1+n%3); err != nil {
				t.Fatal(err)
			}
		}
		more, err := job.Rows()
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, more...)
	}
	return rows
}

// The goldens of [TestImageTokensEqualTransformers].
func TestGraphsEqualTransformers(t *testing.T) {
	for _, golden := range readGoldens(t).Cases {
		for name, opt := range graphDevices(t) {
			t.Run(golden.Tokens+"/"+name, func(t *testing.T) {
				path := seedTower
				if golden.Tower != "" {
					path = filepath.Join("testdata", golden.Tower)
				}
				opt.Precision = nn.F32
				g, err := OpenGraph(path, opt)
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				in := preprocess(t, g, readPicture(t, golden.Picture))
				e := relativeError(encodeInSteps(t, g, in), readFloats(t, golden.Tokens))
				t.Logf("relative error %.1e", e)
				bound := 1e-5
				if opt.Device != nil {
					bound = deviceBound.relative
				}
				if !(e <= bound) {
					t.Errorf("relative error %g, want at most %g", e, bound)
				}
			})
		}
	}
}

// deviceBound is what a device must keep to, whose products may round to float16 whatever they are
// given, as those of ggml's Vulkan backend do.
var deviceBound = struct{ relative, cosine float64 }{5e-3, 0.99999}

// The goldens of [TestFamiliesAreEncodedAsInTransformers]: in float32, and with the file's types,
// which round activations as bfloat16 does at most.
func TestGraphsOfFamiliesAreAsInTransformers(t *testing.T) {
	peers.WithoutRaceDetector(t)
	precisions, most, mostWork := []nn.Precision{nn.F32}, 100_000, 40_000_000
	if os.Getenv("EYELET_SLOW") != "" {
		precisions, most, mostWork = []nn.Precision{nn.F32, nn.BF16}, 1<<20, math.MaxInt
	}
	for _, golden := range described(t) {
		file := projectorOf(t, golden)
		for name, opt := range graphDevices(t) {
			for _, precision := range precisions {
				t.Run(fmt.Sprintf("%s/%s/%v", golden.Name, name, precision), func(t *testing.T) {
					opt.Precision = precision
					g, bound := loadGraph(t, file, opt), bounds[precision]
					if opt.Device != nil {
						bound = deviceBound
					}
					done := 0
					for _, p := range golden.Pictures {
						if p.Refused != "" || p.Embeddings == nil || p.W*p.H > most ||
							done == 1 && mostWork < math.MaxInt {
							continue
						}
						in := preprocess(t, g, layouttest.Scene(p.W, p.H))
						if work := attentionWork(g.d, in); work > mostWork {
							t.Skipf("%d attention scores", work)
						}
						done++
						rows := encodeInSteps(t, g, in)
						relative, cosine := worstRow(rows, g.Info().Width, p)
						t.Logf("%d x %d: relative error %.2g, cosine %.7f", p.W, p.H, relative,
							cosine)
						if !(relative <= bound.relative) || !(cosine >= bound.cosine) {
							t.Errorf("%d x %d: relative error %g, cosine %g; want %+v", p.W, p.H,
								relative, cosine, bound)
						}
					}
					if done == 0 {
						t.Error("no picture was encoded")
					}
				})
			}
		}
	}
}

// Every golden on Mesa's software driver, whole and split, where there is one.
func TestGraphsOnADeviceEqualTransformers(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds of compiled shaders; run without -short")
	}
	if os.Getenv("EYELET_TEST_DEVICE") != "" {
		t.Skip("this is such a device")
	}
	out, err := peers.OnLavapipe(t, "TestGraphsEqualTransformers|TestGraphsOfFamilies")
	if err != nil || bytes.Count(out, []byte("--- PASS: TestGraphs")) < 20 {
		t.Errorf("%v: %s", err, out)
	}
	out, err = peers.OnLavapipe(t, "TestAPictureWithoutRoom",
		fmt.Sprintf("%s=%d", bufferLimit, 1<<20))
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestAPictureWithoutRoom")) {
		t.Errorf("%v: %s", err, out)
	}
}

// A tower whose device is lost in the middle of a picture says so from then on, and can be closed.
func TestATowerOnADeviceThatIsLost(t *testing.T) {
	lost := os.Getenv("EYELET_TEST_LOST")
	if lost == "" {
		if os.Getenv("EYELET_TEST_DEVICE") != "" {
			t.Skip("needs a device that fails on demand")
		}
		slow(t)
		env, _, _ := peers.FaultyVulkan(t)
		out, err := peers.OnLavapipe(t, "TestATowerOnADeviceThatIsLost", env...)
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestATowerOnADeviceThatIsLost")) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	opt := graphDevices(t)[os.Getenv("EYELET_TEST_DEVICE")]
	g, err := OpenGraph(seedTower, opt)
	if err != nil {
		t.Fatal(err)
	}
	in := preprocess(t, g, layouttest.Scene(64, 64))
	job, err := g.Begin(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(job.Advance(t.Context(), 2), g.Lost(),
		os.WriteFile(lost, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := job.Advance(t.Context(), 1); !errors.Is(err, ErrDevice) {
			t.Fatalf("%v on a device that is lost", err)
		}
	}
	if !errors.Is(g.Lost(), ErrDevice) || len(ggml.GPUs()) > 0 {
		t.Errorf("%v; %d devices are offered", g.Lost(), len(ggml.GPUs()))
	}
	if err := errors.Join(job.Close(), g.Close()); err != nil {
		t.Error(err)
	}
}

// bufferLimit is the variable that makes ggml's Vulkan backend refuse larger buffers.
const bufferLimit = "GGML_VK_FORCE_MAX_BUFFER_SIZE"

// A picture for which the device has no memory is an error, again and again, and others are
// encoded as before.
func TestAPictureWithoutRoomOnTheDeviceIsAnError(t *testing.T) {
	if os.Getenv(bufferLimit) == "" || os.Getenv("EYELET_TEST_DEVICE") == "" {
		t.Skip("needs a device that is held to little memory")
	}
	families := described(t)
	golden := families[slices.IndexFunc(families, func(g *layouttest.Golden) bool {
		return g.Name == "qwen2-vl"
	})]
	g := loadGraph(t, projectorOf(t, golden), graphDevices(t)[os.Getenv("EYELET_TEST_DEVICE")])
	side := g.d.PatchSize * g.d.Merge
	input := func(n int) *Input {
		return &Input{Tokens: g.d.tokensOf(n*side, n*side),
			Tiles: []*imaging.RGB{imaging.NewRGB(n*side, n*side)}}
	}
	want := encodeInSteps(t, g, input(2))
	for range 50 {
		job, err := g.Begin(input(32), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := job.Advance(t.Context(), 100); !errors.Is(err, ErrDevice) {
			t.Fatalf("a large picture: %v", err)
		}
		job.Close()
		if got := encodeInSteps(t, g, input(2)); !slices.Equal(got, want) {
			t.Fatal("a small picture has other rows afterwards")
		}
	}
}

// attentionWork is about how many scores of attention the encoding of an Input takes.
func attentionWork(d *description, in *Input) (work int) {
	for _, tile := range in.Tiles {
		rows := d.newShape(tile.W, tile.H).length()
		work += rows * rows * d.Heads * d.depth()
	}
	return work
}

// The goldens of [TestNativeTowersOfRealShapeEqualTransformers], in the type of the file.
func TestGraphsOfRealShapeEqualTransformers(t *testing.T) {
	for _, golden := range readGoldens(t).Real {
		t.Run(golden.Name, func(t *testing.T) {
			if golden.Spec.Blocks > 2 {
				slow(t)
			}
			path := syntheticTower(t, golden.Spec, gguf.F16)
			for name, opt := range graphDevices(t) {
				g, err := OpenGraph(path, opt)
				if err != nil {
					t.Fatal(err)
				}
				tokens := encode(t, g, visiontest.Picture(golden.Spec.ImageSize))
				g.Close()
				e := golden.relativeError(t, tokens, g.Info().Width)
				c := lowestCosine(golden.rows(tokens), readFloats(t, golden.Tokens), g.Info().Width)
				t.Logf("%s: relative error %.1e, lowest cosine %.6f", name, e, c)
				if !(e <= 1e-2) || !(c >= 0.9999) {
					t.Errorf("%s: relative error %g, lowest cosine %g", name, e, c)
				}
			}
		})
	}
}

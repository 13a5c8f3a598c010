package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

const (
	seedModel     = "../../models/builtin/eyelet-builtin-q8_0.gguf"
	seedProjector = "../../models/builtin/mmproj-eyelet-builtin-q8_0.gguf"
)

func small() VisionOptions {
	return VisionOptions{
		Projector: seedProjector, Backends: []string{"native", "mtmd", "plain"}, Tiles: []int{1, 3},
		Rounds: 1, Threads: 1,
		photo: [2]int{400, 300},
	}
}

func TestAVisionReportHasAllContestants(t *testing.T) {
	var shares []float64
	o := small()
	o.Progress = func(done float64, _ string) { shares = append(shares, done) }
	r, err := Vision(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range r.Contestants {
		names = append(names, c.Name)
		checkContestant(t, c)
	}
	if want := []string{"native f32", "native bf16", "native int8", "mtmd",
		"plain"}; !slices.Equal(names, want) {
		t.Errorf("contestants %v, want %v", names, want)
	}
	if want := (TowerShape{"clip", "mlp", 112, 14, 64, 6, 256, 1024, 256}); r.Tower != want {
		t.Errorf("tower %+v, want %+v", r.Tower, want)
	}
	if len(r.Limits) != 3 {
		t.Errorf("%d limits", len(r.Limits))
	}
	for _, l := range r.Limits {
		if len(l.Shapes) != 4 || l.GFLOPS <= 0 || l.Shapes[0].M != 65 || l.Shapes[0].N != 768 ||
			l.Shapes[3].K != 1024 {
			t.Errorf("limit %+v", l)
		}
	}
	p := r.Preprocessing
	if p.Tiles != 1 || p.Width != 400 || p.FileBytes < 1000 || p.DecodeMS.Median <= 0 ||
		p.ResizeMS.Median <= 0 || p.FullMS.Median <= 0 || !(p.Share > 0 && p.Share < 1) {
		t.Errorf("preprocessing %+v", p)
	}
	if !slices.IsSorted(shares) || len(shares) < 20 || shares[len(shares)-1] < 0.99 {
		t.Errorf("progress %v", shares)
	}
	checkJSON(t, r)
}

// bounds are the lowest cosine that a row may have with the reference's, and the largest relative
// error of all.
var bounds = map[string][2]float64{
	"native f32": {0.999999, 1e-5}, "plain": {0.99999, 1e-4}, "native bf16": {0.999, 0.03},
	"native int8": {0.97, 0.15},
}

func checkContestant(t *testing.T, c ContestantReport) {
	t.Helper()
	if len(c.Encodes) != 2 || c.Encodes[0].Tiles != 1 || c.Encodes[1].Tiles != 3 || c.LoadMS <= 0 ||
		c.WeightBytes < 4<<20 || c.Precision == "" {
		t.Errorf("%+v", c)
		return
	}
	for i, e := range c.Encodes {
		if e.MS.Low <= 0 || e.MS.Low > e.MS.Median || e.MS.Median > e.MS.High || e.GFLOPS <= 0 ||
			e.StepMS.Low <= 0 || e.StepMS.High > e.MS.High {
			t.Errorf("%s: %+v", c.Name, e)
		}
		if (e.LimitShare != nil) != (c.Backend == "native") ||
			(e.TimesMtmd != nil) != (c.Backend != "mtmd") || (e.TimesFirst != nil) != (i > 0) {
			t.Errorf("%s: shares and ratios %+v", c.Name, e)
		}
		if e.PeakBytes != nil && *e.PeakBytes > 256<<20 {
			t.Errorf("%s: %d bytes beyond the weights of a small tower", c.Name, *e.PeakBytes)
		}
	}
	if c.Backend == "mtmd" {
		if c.Blocks != 5 || len(c.Agreement) != 2 || c.Agreement[1].LowestCosine < 0.998 ||
			c.Agreement[0].LowestCosine > 0.99 {
			t.Errorf("libmtmd, which leaves out a block and moves the class token: %+v", c)
		}
		return
	}
	b := bounds[c.Name]
	if c.Blocks != 6 || len(c.Agreement) != 1 || c.Agreement[0].LowestCosine < b[0] ||
		c.Agreement[0].Relative > b[1] {
		t.Errorf("%s: %d blocks, %+v", c.Name, c.Blocks, c.Agreement)
	}
}

func checkJSON(t *testing.T, r *VisionReport) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back VisionReport
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*r, back) {
		t.Errorf("%s\nis read as %+v", text, back)
	}
}

func TestVisionOptionsThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(*VisionOptions){
		"an unknown backend": func(o *VisionOptions) { o.Backends = []string{"abacus"} },
		"no tile":            func(o *VisionOptions) { o.Tiles = []int{0} },
		"too many tiles":     func(o *VisionOptions) { o.Tiles = []int{1, MaxTiles + 1} },
		"negative rounds":    func(o *VisionOptions) { o.Rounds = -1 },
	} {
		o := small()
		change(&o)
		if _, err := Vision(t.Context(), o); !errors.Is(err, engine.ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, path := range map[string]string{"a missing file": filepath.Join(t.TempDir(), "none"),
		"a language model": seedModel} {
		o := small()
		o.Projector = path
		if _, err := Vision(t.Context(), o); !errors.Is(err, engine.ErrModelFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVisionStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := small()
	o.Rounds = MaxRounds
	o.Progress = func(done float64, next string) {
		if next != "" && done > 0 {
			cancel()
		}
	}
	if _, err := Vision(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTowersAreOpenedByTheirBackend(t *testing.T) {
	foreign := rename(t)
	for _, c := range []struct {
		path, backend, want string
	}{
		{seedProjector, "", "native"}, {seedProjector, "auto", "native"},
		{seedProjector, "mtmd", "mtmd"}, {seedProjector, "plain", "plain"},
	} {
		tower, err := OpenTower(t.Context(), c.path, TowerOptions{Backend: c.backend, Threads: 1})
		if err != nil {
			t.Errorf("%q: %v", c.backend, err)
			continue
		}
		if got := tower.Info().Backend; got != c.want || tower.Load <= 0 ||
			tower.WeightBytes < 4<<20 {
			t.Errorf("%q: %s, loaded in %v, %d bytes", c.backend, got, tower.Load,
				tower.WeightBytes)
		}
		tower.Close()
	}
	if f, err := gguf.Open(foreign); err != nil {
		t.Fatal(err)
	} else if backend, err := chooseBackend(f, "auto"); err != nil || backend != "mtmd" {
		t.Errorf("of a foreign tower: %q, %v", backend, err)
	}
	if _, err := OpenTower(t.Context(), foreign, TowerOptions{Backend: "native"}); !errors.Is(err,
		engine.ErrModelFile) {
		t.Errorf("native, of a foreign tower: %v", err)
	}
}

// rename copies the built-in projector as one of a family that package vision does not know.
func rename(t *testing.T) string {
	t.Helper()
	f, err := gguf.Open(seedProjector)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := gguf.NewWriter("clip")
	for _, kv := range f.Keys() {
		w.Set(kv.Key, kv.Value)
	}
	w.Set("clip.projector_type", "resampler")
	for _, tensor := range f.Tensors() {
		w.AddTensor(tensor.Name, tensor.Type, tensor.Dims, tensor.Data())
	}
	path := filepath.Join(t.TempDir(), "foreign.gguf")
	if err := w.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEncodeGivesTheRowsAndTheTimeOfEachStage(t *testing.T) {
	err := OnThread(func() error {
		tower, err := OpenTower(t.Context(), seedProjector, TowerOptions{Precision: nn.F32,
			Threads: 1})
		if err != nil {
			return err
		}
		defer tower.Close()
		tiles, err := tilesOf(imaging.NewRGB(64, 48), 112, 9) // more than one batch
		if err != nil {
			return err
		}
		in := &vision.Input{Tokens: 9 * 64, Tiles: tiles}
		rows, s, err := Encode(t.Context(), tower, in)
		if err != nil {
			return err
		}
		want, err := vision.Encode(t.Context(), tower, in)
		if err != nil {
			return err
		}
		if !slices.Equal(rows, want) {
			t.Error("other rows than vision.Encode")
		}
		if parts := s.Embedding + s.Blocks + s.Projector; s.Embedding <= 0 || s.Blocks <= 0 ||
			s.Projector <= 0 || parts > s.Total {
			t.Errorf("%+v", s)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheWorkOfATile(t *testing.T) {
	tower, err := OpenTower(t.Context(), seedProjector, TowerOptions{Backend: "native",
		Precision: nn.F32})
	if err != nil {
		t.Fatal(err)
	}
	defer tower.Close()
	info := tower.Info()
	own, err := tower.Encoder.(*vision.Native).Work(info.ImageSize, info.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	// By hand: 2n(4d² + 2df) + 4n²d FLOP a block.
	n, d, f, patches := float64(info.TileTokens+1), float64(info.Hidden), float64(own.FF),
		float64(info.TileTokens)
	blocks := float64(info.Blocks) * (n*(8*d*d+4*d*f) + 4*n*n*d)
	embedding := 2 * patches * 3 * float64(info.PatchSize*info.PatchSize) * d
	if math.Abs(own.Blocks-blocks) > 1 || own.Rows != int(n) || own.Embedding != embedding ||
		own.Projector < 2*patches*d*float64(info.Width) {
		t.Errorf("%+v", own)
	}
	w := work{Work: own, blocks: info.Blocks, hidden: info.Hidden}
	if got, want := w.tile(info.Blocks-1),
		(blocks*float64(info.Blocks-1)/float64(info.Blocks)+embedding+own.Projector)/1e9; math.Abs(
		got-want) > 1e-9 {
		t.Errorf("%v GFLOP, want %v", got, want)
	}
}

func TestTilesOfAPictureDiffer(t *testing.T) {
	img := imaging.NewRGB(90, 70)
	for i := range img.Pix {
		img.Pix[i] = byte(i * i / 7)
	}
	tiles, err := tilesOf(img, 28, 7)
	if err != nil {
		t.Fatal(err)
	}
	if len(tiles) != 7 {
		t.Fatalf("%d tiles", len(tiles))
	}
	for i, a := range tiles {
		if err := a.Check(); err != nil || a.W != 28 || a.H != 28 {
			t.Errorf("tile %d: %v, %d x %d", i, err, a.W, a.H)
		}
		for _, b := range tiles[:i] {
			if bytes.Equal(a.Pix, b.Pix) {
				t.Errorf("tile %d is seen twice", i)
			}
		}
	}
}

func TestThePhotoIsAPhotoToADecoder(t *testing.T) {
	file, err := photoFile(640, 480)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := jpeg.DecodeConfig(bytes.NewReader(file)); err != nil || c.Width != 640 ||
		c.Height != 480 {
		t.Fatalf("%+v, %v", c, err)
	}
	if bits := float64(8*len(file)) / (640 * 480); bits < 1.5 || bits > 4 {
		t.Errorf("%.2f bits a pixel; photos of quality 90 have about 2", bits)
	}
}

func TestSpreadAndAgreement(t *testing.T) {
	if s := spreadOf([]float64{3, 1, 2}); s != (Spread{2, 1, 3}) {
		t.Errorf("%+v", s)
	}
	if s := spreadOf([]float64{4, 1, 2, 3}); s != (Spread{2.5, 1, 4}) {
		t.Errorf("%+v", s)
	}
	a := compare("itself", []float32{1, 0, 0, 1}, []float32{1, 0, 1, 0}, 2)
	if a.LowestCosine != 0 || a.MeanCosine != 0.5 || a.MaxError != 1 ||
		math.Abs(a.Relative-1) > 1e-12 {
		t.Errorf("%+v", a)
	}
	if milliseconds(1500*time.Microsecond) != 1.5 {
		t.Error("milliseconds")
	}
}

func TestPeakMemoryIsSeen(t *testing.T) {
	if _, err := os.Stat("/proc/self/clear_refs"); err != nil {
		t.Skip("the system does not tell")
	}
	settleMemory()
	before, _, ok := residentMemory()
	if !ok || !forgetPeak() {
		t.Skip("the system does not tell")
	}
	big := make([]byte, 64<<20)
	for i := 0; i < len(big); i += 4096 {
		big[i] = 1
	}
	_, highest, _ := residentMemory()
	// The race detector's shadow of those bytes counts as well, which is several times as large.
	if grown := highest - before; grown < 48<<20 || grown > 1<<30 {
		t.Errorf("64 MiB more make a peak that is %d MiB higher", grown>>20)
	}
}

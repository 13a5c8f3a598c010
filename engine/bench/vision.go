package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// VisionOptions say what [Vision] measures. All but Projector may be left at zero.
type VisionOptions struct {
	Projector  string         // path of an mmproj file with a tower that package vision knows
	Picture    *imaging.RGB   // what is encoded; nil means a made-up photo
	Backends   []string       // of [VisionBackends]; nil means native and mtmd
	Precisions []nn.Precision // of native; nil means f32, bf16 and int8
	// how many tiles are encoded at a time, 1 to MaxTiles; nil means 1 and 5, or 1 where pictures
	// have any size
	Tiles   []int
	Rounds  int // how often all is measured; 0 means 5
	Threads int // 0 means GOMAXPROCS
	// Progress is called with the share of the work that is done, from 0 to 1, and what comes next.
	Progress func(done float64, next string)

	photo [2]int // sides of the photo that is decoded; zero means 12 megapixels
}

// VisionBackends are the contestants that [Vision] knows: "mtmd" is libmtmd as it is,
// "mtmd-accelerated" with this project's accelerator.
func VisionBackends() []string { return []string{"native", "mtmd", accelerated, "plain"} }

// MaxTiles bounds VisionOptions.Tiles; MaxRounds its Rounds.
const (
	MaxTiles  = 64
	MaxRounds = 1000
)

// VisionReport is what [Vision] measured. It is the document of "eyelet bench vision --json", whose
// names stay as they are.
type VisionReport struct {
	Projector     string             `json:"projector"`
	Tower         TowerShape         `json:"tower"`
	Machine       Machine            `json:"machine"`
	Rounds        int                `json:"rounds"`
	WorkFormula   string             `json:"work_formula"`  // how GFLOP are counted
	MemoryMethod  string             `json:"memory_method"` // how memory is measured
	Limits        []Limit            `json:"limits"`
	Contestants   []ContestantReport `json:"contestants"`
	Preprocessing Preprocessing      `json:"preprocessing"`
}

// TowerShape describes the tower as trained.
type TowerShape struct {
	Family     string `json:"family"`
	Projector  string `json:"projector"`
	ImageSize  int    `json:"image_size"` // pixels
	PatchSize  int    `json:"patch_size"`
	TileTokens int    `json:"tile_tokens"`
	Blocks     int    `json:"blocks"`
	Hidden     int    `json:"hidden"`
	FF         int    `json:"feed_forward"`
	Width      int    `json:"width"` // of an image token
}

// ContestantReport is what was measured of one implementation.
type ContestantReport struct {
	Name      string `json:"name"` // "native int8"
	Backend   string `json:"backend"`
	Precision string `json:"precision"`
	// the precision's products are carried out in f32 on this processor
	Emulated bool `json:"emulated"`
	// that it runs; libmtmd leaves one out where the file does not name the last
	Blocks      int            `json:"blocks"`
	LoadMS      float64        `json:"load_ms"` // from files that the system has read before
	WeightBytes int64          `json:"weight_bytes"`
	Encodes     []EncodeReport `json:"encodes"` // one for each number of tiles
	Agreement   []Agreement    `json:"agreement"`
}

// EncodeReport is what was measured of the encoding of some tiles.
type EncodeReport struct {
	Tiles  int     `json:"tiles"`
	MS     Spread  `json:"ms"`
	StepMS Spread  `json:"longest_step_ms"` // between which a scheduler does other things
	GFLOP  float64 `json:"gflop"`
	GFLOPS float64 `json:"gflops"` // GFLOP/s at the median
	// GFLOP/s over the limit of the precision
	LimitShare *float64 `json:"limit_share,omitempty"`
	// libmtmd's time over this one's, of the same round
	TimesMtmd *Spread `json:"times_libmtmd,omitempty"`
	// the same for libmtmd with the accelerator
	TimesAccelerated *Spread `json:"times_libmtmd_accelerated,omitempty"`
	// this time over that of the first number of tiles, of the same round
	TimesFirst *Spread `json:"times_first,omitempty"`
	// memory beyond the weights; see MemoryMethod
	PeakBytes *int64 `json:"peak_bytes,omitempty"`
}

// contestant is an implementation that takes part.
type contestant struct {
	backend   string
	precision nn.Precision
	tower     *Tower
	blocks    int
	times     [][]float64 // by number of tiles and round, in milliseconds
	longest   [][]float64 // steps, likewise
	peaks     []*int64    // by number of tiles
	agreement []Agreement
}

// libmtmd reports whether the contestant is libmtmd, with the accelerator or without.
func (c *contestant) libmtmd() bool { return c.backend == "mtmd" || c.backend == accelerated }

func (c *contestant) name() string {
	if c.backend == "native" {
		return c.backend + " " + c.precision.String()
	}
	return c.backend
}

// visionRun is a measurement under way.
type visionRun struct {
	o           VisionOptions
	w           work
	contestants []*contestant
	inputs      []*vision.Input // by number of tiles
	limits      []*limiter
	report      *VisionReport

	// rows of the input with the most tiles, by native f32 in both layouts; fault only if libmtmd
	// takes part
	trained, fault []float32
	faultBlocks    int
	llava          bool    // libmtmd runs it in a layout of its own
	done, total    float64 // in tiles, about
}

// Vision measures the encoding of pictures. It computes on a thread of its own, and wants nothing
// else to compute meanwhile. When ctx is done it stops within one transformer block, with ctx's
// error.
func Vision(ctx context.Context, o VisionOptions) (*VisionReport, error) {
	r := &visionRun{o: o}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := OnThread(func() error { return r.run(ctx) }); err != nil {
		return nil, err
	}
	return r.report, nil
}

// prepare fills in what the options leave open and checks the rest.
func (r *visionRun) prepare() error {
	o := &r.o
	if len(o.Backends) == 0 {
		o.Backends = []string{"native", "mtmd"}
	}
	if len(o.Precisions) == 0 {
		o.Precisions = []nn.Precision{nn.F32, nn.BF16, nn.Int8}
	}
	if len(o.Tiles) == 0 {
		o.Tiles = []int{1, 5}
		if anySize(o.Projector) {
			o.Tiles = []int{1}
		}
	}
	o.Rounds = cmp.Or(o.Rounds, 5)
	o.Threads = ThisMachine(o.Threads).Threads
	if o.photo == [2]int{} {
		o.photo = [2]int{4000, 3000}
	}
	if o.Rounds < 1 || o.Rounds > MaxRounds {
		return fmt.Errorf("%w: %d rounds", engine.ErrRequest, o.Rounds)
	}
	for _, n := range o.Tiles {
		if n < 1 || n > MaxTiles {
			return fmt.Errorf("%w: %d tiles at a time; 1 to %d can be measured", engine.ErrRequest,
				n, MaxTiles)
		}
	}
	add := func(c contestant) {
		if !slices.ContainsFunc(r.contestants, func(other *contestant) bool {
			return other.name() == c.name()
		}) {
			r.contestants = append(r.contestants, &c)
		}
	}
	for _, backend := range o.Backends {
		switch backend {
		case "native":
			for _, p := range o.Precisions {
				add(contestant{backend: backend, precision: p.Resolve()})
			}
		case "plain", "mtmd", accelerated:
			add(contestant{backend: backend})
		default:
			return fmt.Errorf("%w: unknown backend %q", engine.ErrRequest, backend)
		}
	}
	return nil
}

// anySize reports whether a projector's tower takes pictures of any size.
func anySize(path string) bool {
	f, err := gguf.Open(path)
	if err != nil {
		return false // opening the tower says what is wrong
	}
	defer f.Close()
	rule, err := layout.New(f, layout.Options{})
	return err == nil && rule.Variable()
}

func (r *visionRun) run(ctx context.Context) error {
	defer r.close()
	// Loaded first in any case: it bounds what malloc keeps of freed memory, without which one
	// contestant's memory hides the next one's.
	if err := ggml.Load(); err != nil {
		return err
	}
	perRound := 0
	for _, n := range r.o.Tiles {
		perRound += n
	}
	most := slices.Max(r.o.Tiles)
	r.total = float64(2*(most+1) + len(r.contestants)*(perRound*(r.o.Rounds+1)+1) + 3)
	if err := r.begin(ctx); err != nil {
		return err
	}
	for _, c := range r.contestants {
		if err := r.open(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name(), err)
		}
	}
	if err := r.rounds(ctx); err != nil {
		return err
	}
	r.conclude()
	return r.preprocessing(ctx)
}

// step reports progress: what comes next, after some of the work.
func (r *visionRun) step(after float64, next string) {
	r.done += after
	if r.o.Progress != nil {
		r.o.Progress(min(r.done/r.total, 1), next)
	}
}

// begin describes the tower, makes the inputs, and encodes the largest with the reference.
func (r *visionRun) begin(ctx context.Context) error {
	r.step(0, "the reference")
	trained, err := OpenTower(ctx, r.o.Projector, TowerOptions{Backend: "native", Precision: nn.F32,
		Threads: r.o.Threads})
	if err != nil {
		return err
	}
	defer trained.Close()
	info := trained.Info()
	if err := r.makeInputs(ctx, trained); err != nil {
		return err
	}
	tile := r.inputs[0].Tiles[0]
	r.w = work{blocks: info.Blocks, hidden: info.Hidden}
	if r.w.Work, err = trained.Encoder.(*vision.Native).Work(tile.W, tile.H); err != nil {
		return err
	}
	r.report = &VisionReport{
		Projector: r.o.Projector, Machine: ThisMachine(r.o.Threads), Rounds: r.o.Rounds,
		WorkFormula: workFormula, MemoryMethod: memoryMethod,
		Tower: TowerShape{
			Family: info.Family, Projector: info.Projector, ImageSize: info.ImageSize,
			PatchSize: info.PatchSize, TileTokens: r.inputs[0].Tokens / len(r.inputs[0].Tiles),
			Blocks: info.Blocks, Hidden: info.Hidden, FF: r.w.FF, Width: info.Width,
		},
	}
	largest := slices.MaxFunc(r.inputs, func(a, b *vision.Input) int {
		return cmp.Compare(len(a.Tiles), len(b.Tiles))
	})
	if r.trained, _, err = Encode(ctx, trained, largest); err != nil {
		return err
	}
	r.step(float64(len(largest.Tiles)+1), "the reference in libmtmd's layout")
	if r.llava = slices.Contains([]string{"mlp", "linear", "janus_pro"}, info.Projector); !r.llava {
		r.faultBlocks = info.Blocks
	}
	if r.llava && slices.ContainsFunc(r.contestants, (*contestant).libmtmd) {
		trained.Close()
		fault, err := OpenTower(ctx, r.o.Projector, TowerOptions{Backend: "native",
			Precision: nn.F32, Threads: r.o.Threads, Layout: vision.LibmtmdFault})
		if err != nil {
			return err
		}
		defer fault.Close()
		r.faultBlocks = fault.Info().Blocks
		if r.fault, _, err = Encode(ctx, fault, largest); err != nil {
			return err
		}
	}
	r.step(float64(len(largest.Tiles)+1), "the machine's limits")
	if r.limits, err = limitsOf(r.w, r.contestants, r.o.Threads); err != nil {
		return err
	}
	return r.measureLimits(ctx)
}

// makeInputs cuts tiles out of the picture. Where the tower takes pictures of any size, a tile is
// the whole picture.
func (r *visionRun) makeInputs(ctx context.Context, tower vision.Encoder) error {
	info, picture, most := tower.Info(), r.o.Picture, slices.Max(r.o.Tiles)
	variable := anySize(r.o.Projector)
	if picture == nil && variable {
		picture = Photo(usualW, usualH)
	} else if picture == nil {
		picture = Photo(2*info.ImageSize, 2*info.ImageSize)
	}
	var tiles []*imaging.RGB
	var err error
	tokens := info.TileTokens
	if variable {
		in, err := vision.Preprocess(ctx, tower, picture)
		if err != nil {
			return err
		}
		tokens, tiles = in.Tokens, slices.Repeat(in.Tiles, most)
	} else if tiles, err = tilesOf(picture, info.ImageSize, most); err != nil {
		return err
	}
	for _, n := range r.o.Tiles {
		r.inputs = append(r.inputs, &vision.Input{Tokens: n * tokens, Tiles: tiles[:n]})
	}
	return nil
}

// usualW and usualH are the sides of the made-up photo for towers that take pictures of any size.
const usualW, usualH = 1000, 700

func (r *visionRun) measureLimits(ctx context.Context) error {
	for _, l := range r.limits {
		if err := l.measure(ctx, 3); err != nil {
			return err
		}
	}
	return nil
}

// open loads a contestant and encodes each input once, for memory and agreement.
func (r *visionRun) open(ctx context.Context, c *contestant) (err error) {
	r.step(0, "loading "+c.name())
	settleMemory()
	before, _, canTell := residentMemory()
	if c.tower, err = OpenTower(ctx, r.o.Projector, TowerOptions{Backend: c.backend,
		Precision: c.precision, Threads: r.o.Threads}); err != nil {
		return err
	}
	info := c.tower.Info()
	c.blocks = info.Blocks
	if c.libmtmd() {
		c.blocks = r.faultBlocks
	}
	if size := info.ImageSize; r.llava && info.TileTokens != r.report.Tower.TileTokens {
		return fmt.Errorf("bench: a picture of %d x %d pixels makes %d tokens, not %d: it would do other work; leave it out", size, size, info.TileTokens, r.report.Tower.TileTokens)
	}
	r.step(1, c.name()+", for the first time")
	c.times, c.peaks = make([][]float64, len(r.inputs)), make([]*int64, len(r.inputs))
	c.longest = make([][]float64, len(r.inputs))
	for i, in := range r.inputs {
		settleMemory()
		canTell = canTell && forgetPeak()
		rows, _, err := Encode(ctx, c.tower, in)
		if err != nil {
			return err
		}
		if _, highest, ok := residentMemory(); ok && canTell {
			peak := max(highest-before-c.tower.WeightBytes, 0)
			c.peaks[i] = &peak
		}
		if len(rows) == len(r.trained) && c.agreement == nil {
			c.agreement = r.compare(c, rows)
		}
		r.step(float64(len(in.Tiles)), c.name()+", for the first time")
	}
	return nil
}

// compare compares a contestant's rows with those of the references.
func (r *visionRun) compare(c *contestant, rows []float32) []Agreement {
	width := r.report.Tower.Width
	list := []Agreement{compare("native f32", rows, r.trained, width)}
	if c.libmtmd() && r.fault != nil {
		list = append(list, compare("native f32 in libmtmd's layout", rows, r.fault, width))
	}
	return list
}

// rounds lets the contestants encode in turns. Each round begins with another.
func (r *visionRun) rounds(ctx context.Context) error {
	for round := range r.o.Rounds {
		if err := r.measureLimits(ctx); err != nil {
			return err
		}
		for i, in := range r.inputs {
			for k := range r.contestants {
				c := r.contestants[(round+k)%len(r.contestants)]
				r.step(0, fmt.Sprintf("round %d of %d: %s, %d tiles", round+1, r.o.Rounds, c.name(),
					len(in.Tiles)))
				_, s, err := Encode(ctx, c.tower, in)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name(), err)
				}
				c.times[i] = append(c.times[i], milliseconds(s.Total))
				c.longest[i] = append(c.longest[i], milliseconds(s.Longest))
				r.step(float64(len(in.Tiles)), "")
			}
		}
	}
	return nil
}

// conclude turns times into the report.
func (r *visionRun) conclude() {
	r.report.Limits = []Limit{}
	for _, l := range r.limits {
		r.report.Limits = append(r.report.Limits, l.limit)
	}
	var mtmd, fast *contestant
	for _, c := range r.contestants {
		switch c.backend {
		case "mtmd":
			mtmd = c
		case accelerated:
			fast = c
		}
	}
	for _, c := range r.contestants {
		report := ContestantReport{
			Name: c.name(), Backend: c.backend, Precision: c.tower.Info().Precision,
			Emulated: c.backend == "native" && !c.precision.Native(),
			Blocks:   c.blocks, LoadMS: milliseconds(c.tower.Load),
			WeightBytes: c.tower.WeightBytes,
			Agreement:   c.agreement,
		}
		for i, in := range r.inputs {
			e := EncodeReport{Tiles: len(in.Tiles), MS: spreadOf(c.times[i]),
				StepMS: spreadOf(c.longest[i]), PeakBytes: c.peaks[i]}
			e.GFLOP = r.w.tile(c.blocks) * float64(e.Tiles)
			e.GFLOPS = e.GFLOP / e.MS.Median * 1000
			for _, l := range r.report.Limits {
				if c.backend == "native" && l.Precision == report.Precision && l.GFLOPS > 0 {
					share := e.GFLOPS / l.GFLOPS
					e.LimitShare = &share
				}
			}
			if mtmd != nil && mtmd != c {
				s := spreadOf(ratios(mtmd.times[i], c.times[i]))
				e.TimesMtmd = &s
			}
			if fast != nil && fast != c {
				s := spreadOf(ratios(fast.times[i], c.times[i]))
				e.TimesAccelerated = &s
			}
			if i > 0 {
				s := spreadOf(ratios(c.times[i], c.times[0]))
				e.TimesFirst = &s
			}
			report.Encodes = append(report.Encodes, e)
		}
		r.report.Contestants = append(r.report.Contestants, report)
	}
}

func (r *visionRun) close() {
	var errs []error
	for _, c := range r.contestants {
		if c.tower != nil {
			errs = append(errs, c.tower.Close())
		}
	}
	for _, l := range r.limits {
		l.close()
	}
	_ = errors.Join(errs...) // the measurements stand whatever freeing memory says
}

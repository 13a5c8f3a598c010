package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine/prompt"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// placeholder stands for image tokens in lists of ids.
const placeholder = -1

// truth is how near a prompt with one picture comes to transformers.
type truth struct {
	w, h    int
	skipped bool    // beyond the bench
	refused bool    // as transformers refuses it
	failed  bool    // refused by us alone
	tokens  bool    // the same ids, markers included, and as many for the picture
	pixels  bool    // the views are equal in every byte; false where libmtmd makes them unseen
	rows    float64 // worst relative error of a row of embeddings
	text    bool    // the same tokens said
	detail  string
}

// equal is what [TestFamiliesAreAsInTransformers] asks for.
func (x truth) equal() bool {
	return x.skipped || x.refused || x.tokens && x.text && x.rows <= maxRowError
}

// maxRowError is the relative error of a row that arithmetic explains: libggml looks GELU up in a
// table of float16 numbers, and its fused attention takes keys and values in float16.
const maxRowError = 5e-3

// Each family must read the prompt that transformers reads, get the embeddings that transformers
// computes, and say what it says; the picture with the fewest tokens is in every run of the tests,
// and all are in the slow one. Nothing may depend on what memory held before: the test runs in a
// process in which all memory is full of NaN when it is handed out.
func TestFamiliesAreAsInTransformers(t *testing.T) {
	peers.WithoutRaceDetector(t)
	if os.Getenv(poisonedMark) == "" {
		runPoisoned(t)
		return
	}
	ggml.EnableAccelerator(false) // products in bfloat16 would hide small faults
	defer ggml.EnableAccelerator(true)
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		t.Run(g.Name, func(t *testing.T) {
			m, projector := openBench(t, g)
			if !standing(t, projector).Exact { // which is said when it is loaded, and in the table
				logTruth(t, m, g)
				return
			}
			checkTruth(t, m, g)
		})
		// Pixtral's graph reads memory that it never wrote, and libmtmd alone refuses SmolVLM's
		// vocabulary, which has no token for two newlines.
		if slices.Contains([]string{"pixtral", "mistral3", "smolvlm"}, g.Name) {
			t.Run(g.Name+" through libmtmd", func(t *testing.T) {
				m, _ := openBench(t, g, func(s *ModelSpec) { s.Encoder = EncoderMtmd })
				checkTruth(t, m, g)
			})
		}
	}
}

// standing is that of a projector file.
func standing(t *testing.T, path string) layout.Standing {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return layout.StandingOf(f)
}

// logTruth says how near a family comes that libmtmd lays out, in slow tests of all pictures. One
// picture at least must be right, so that what else is wrong is the layout's; but none of Llama
// 4's, whose tiles lack the tokens between them.
func logTruth(t *testing.T, m *Model, g *layouttest.Golden) {
	t.Helper()
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("laid out by libmtmd")
	}
	right := 0
	for _, p := range g.Pictures {
		x := measureTruth(t, m, g, p)
		t.Logf("%d x %d: tokens %v, rows %.2g, text %v: %s", x.w, x.h, x.tokens, x.rows, x.text,
			x.detail)
		if x.equal() && !x.skipped && !x.refused {
			right++
		}
	}
	if right == 0 != (g.Name == "llama4") {
		t.Errorf("%d pictures are right", right)
	}
}

// checkTruth compares a family with transformers: on the picture with the fewest tokens, on all in
// slow tests.
func checkTruth(t *testing.T, m *Model, g *layouttest.Golden) {
	t.Helper()
	pictures := g.Pictures
	if os.Getenv("EYELET_SLOW") == "" {
		pictures = []layouttest.Picture{leastPicture(pictures)}
	}
	for _, p := range pictures {
		x := measureTruth(t, m, g, p)
		t.Logf("%d x %d: tokens %v, rows %.2g, text %v", x.w, x.h, x.tokens, x.rows, x.text)
		if !x.equal() {
			t.Errorf("%d x %d: %s", x.w, x.h, x.detail)
		}
	}
}

// leastPicture is the picture of the bench with the fewest tokens.
func leastPicture(list []layouttest.Picture) (least layouttest.Picture) {
	for _, p := range list {
		if p.Embeddings != nil && (least.Embeddings == nil || p.Tokens < least.Tokens) {
			least = p
		}
	}
	return least
}

// openBench opens a family of the bench, everything in float32.
func openBench(t testing.TB, g *layouttest.Golden, change ...func(*ModelSpec)) (m *Model,
	projector string) {
	t.Helper()
	model, projector, err := g.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return open(t, func(s *ModelSpec) {
		s.Model, s.Projector, s.Context, s.CacheType, s.VisionPrecision = model, projector, 8192,
			"f32", "f32"
		for _, f := range change {
			f(s)
		}
	}), projector
}

func measureTruth(t *testing.T, m *Model, g *layouttest.Golden, p layouttest.Picture) truth {
	t.Helper()
	x := truth{w: p.W, h: p.H}
	if x.skipped = p.Refused == "" && p.Embeddings == nil; x.skipped {
		return x
	}
	r := Request{Messages: []Message{User(Picture(sceneImage(t, p)), Text(g.Question))},
		MaxTokens: max(len(p.Said), 1), Fresh: true}
	made, err := m.prompt(t.Context(), &r)
	if p.Refused != "" {
		if x.refused = err != nil; err == nil {
			x.detail = "taken; transformers: " + p.Refused
		}
		return x
	}
	if err != nil {
		x.failed, x.detail = true, err.Error()
		return x
	}
	ours, theirs := promptIDs(made), goldenIDs(p.IDs)
	if x.tokens = slices.Equal(ours, theirs); !x.tokens {
		x.detail = fmt.Sprintf("%d tokens, want %d: %s, want %s. ", len(ours), len(theirs),
			compact(ours), compact(theirs))
	}
	if last, sums, hash := promptPlaces(made); p.Positions != nil && hash != p.Positions.SHA256 {
		x.tokens = false
		x.detail += fmt.Sprintf(
			"Other positions: the last is %d and their sums are %d, want %d and %d. ", last, sums,
			p.Positions.Last, p.Positions.Sums)
	}
	x.pixels = samePixels(t, m, made, p)
	x.rows = compareRows(t, m, made, p)
	x.detail += fmt.Sprintf("The embeddings' relative error is %.2g. ", x.rows)
	a, err := collect(t.Context(), m, r)
	if err != nil {
		// libmtmd alone may make more rows of a picture than its family's processor, and than the
		// context was made for.
		x.detail += err.Error()
		return x
	}
	n := len(a.tokens)
	x.text = n > 0 && n <= len(p.Said) && slices.EqualFunc(a.tokens, p.Said[:n],
		func(x llama.Token, y int32) bool { return int32(x) == y })
	if !x.text {
		x.detail += fmt.Sprintf("Says %v, want %v (least margin %.3f).", a.tokens, p.Said, p.Margin)
	}
	return x
}

// samePixels compares what the tower gets of a prompt's picture with what transformers shows it.
// Where libmtmd lays pictures out, nobody sees that.
func samePixels(t *testing.T, m *Model, made *prompt.Prompt, p layouttest.Picture) bool {
	t.Helper()
	if strings.HasPrefix(m.pictureIdentity, "alone") {
		return false
	}
	in := openPicture(t, made)
	defer in.Close()
	return slices.EqualFunc(in.Tiles, p.Tiles, func(v *imaging.RGB, tile layouttest.Tile) bool {
		return fmt.Sprintf("%x", sha256.Sum256(v.Pix)) == tile.SHA256
	})
}

// openPicture decodes and lays out a prompt's first picture.
func openPicture(t *testing.T, made *prompt.Prompt) *vision.Input {
	t.Helper()
	in, err := made.Pictures[0].Source.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// sceneImage is the golden's picture as a file.
func sceneImage(t testing.TB, p layouttest.Picture) *Image {
	t.Helper()
	return &Image{Name: "scene.png", Data: pngOf(t, layouttest.Scene(p.W, p.H))}
}

// pngOf writes a picture as a PNG file.
func pngOf(t testing.TB, rgb *imaging.RGB) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, rgb.W, rgb.H))
	for i := range rgb.W * rgb.H {
		copy(img.Pix[4*i:], rgb.Pix[3*i:3*i+3])
		img.Pix[4*i+3] = 255
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func promptIDs(p *prompt.Prompt) (ids []int32) {
	for _, s := range p.Stretches {
		if s.Image >= 0 {
			ids = append(ids, slices.Repeat([]int32{placeholder}, p.Pictures[s.Image].Tokens)...)
		}
		for _, t := range s.Tokens {
			ids = append(ids, int32(t))
		}
	}
	return ids
}

// promptPlaces returns the M-RoPE position of a prompt's last item, in time, rows and columns, the
// sums over all items, and the golden's hash over all.
func promptPlaces(p *prompt.Prompt) (last, sums [3]int, hash string) {
	next := 0
	var all [3][]byte
	add := func(place [4]int32) {
		for i := range sums {
			last[i] = next + int(place[i])
			sums[i] += last[i]
			all[i] = binary.LittleEndian.AppendUint32(all[i], uint32(last[i]))
		}
	}
	for _, x := range p.Stretches {
		for range x.Tokens {
			add([4]int32{})
			next++
		}
		if x.Image < 0 {
			continue
		}
		picture := p.Pictures[x.Image]
		for k := range picture.Tokens {
			place := [4]int32{int32(k), int32(k), int32(k)}
			if picture.Places != nil {
				place = picture.Places[k]
			}
			add(place)
		}
		next += picture.Advance
	}
	return last, sums, fmt.Sprintf("%x", sha256.Sum256(slices.Concat(all[0], all[1], all[2])))
}

// goldenIDs puts the placeholder in the place of image tokens, which are the most of a prompt, and
// of the ends of Pixtral's rows between them.
func goldenIDs(runs layouttest.Runs) (ids []int32) {
	counts := map[int32]int32{}
	var picture int32
	for _, r := range runs {
		if counts[r[0]] += r[1]; counts[r[0]] > counts[picture] {
			picture = r[0]
		}
	}
	// A token that alone stands between rows of pictures, always the same, is one of the
	// projector's rows; markers of tiles are others each time.
	between := map[int32]bool{}
	for i := 1; i < len(runs)-1; i++ {
		if runs[i][1] == 1 && runs[i-1][0] == picture && runs[i+1][0] == picture {
			between[runs[i][0]] = true
		}
	}
	for _, r := range runs {
		id := r[0]
		if id == picture || len(between) == 1 && between[id] {
			id = placeholder
		}
		ids = append(ids, slices.Repeat([]int32{id}, int(r[1]))...)
	}
	return ids
}

// compact writes runs of the placeholder as their length.
func compact(ids []int32) (s string) {
	for i := 0; i < len(ids); i++ {
		n := 0
		for ; i+n < len(ids) && ids[i+n] == placeholder; n++ {
		}
		if n > 0 {
			s += fmt.Sprintf("(%d) ", n)
			i += n - 1
			continue
		}
		s += fmt.Sprintf("%d ", ids[i])
	}
	return s
}

// compareRows encodes the pictures of a prompt and returns the worst relative error of a row that
// the golden holds, 1 if there are other rows.
func compareRows(t *testing.T, m *Model, made *prompt.Prompt,
	p layouttest.Picture) (worst float64) {
	t.Helper()
	var rows []float32
	in := openPicture(t, made)
	defer in.Close()
	err := m.engine.thread.Do(t.Context(), func() (err error) {
		rows, err = vision.Encode(t.Context(), m.vision, in)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	width := m.lm.NEmbdInp()
	n, shape := len(rows)/width, p.Embeddings.Shape
	cols := math.MaxInt
	if n > shape[0] { // the ends of rows stand between
		cols = shape[0] / (n + 1 - shape[0])
	}
	if n != shape[0] && (cols == 0 || shape[0]/cols*(cols+1)-1 != n) {
		return 1
	}
	for key, want := range p.Embeddings.Rows {
		i, _ := strconv.Atoi(key)
		got := rows[(i+i/cols)*width:][:shape[1]]
		var off, size float64
		for j, x := range want {
			off += float64(got[j]-x) * float64(got[j]-x)
			size += float64(x) * float64(x)
		}
		worst = max(worst, math.Sqrt(off/size))
	}
	return worst
}

package draw

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/diffusion"
)

// Limits of a request.
const (
	MaxPrompt = 32 << 10 // bytes
	MaxSide   = 4096     // pixels
	MaxPixels = 2048 * 2048
	MaxSteps  = 150
	MaxCount  = 10
	minSide   = 64
)

// Defaults of a request.
const (
	DefaultSteps    = 20
	DefaultStrength = 0.75
)

// Model is a file that draws, with its parts.
type Model struct {
	diffusion.File
	Path  string
	Name  string          // that the pictures' settings mention
	Parts diffusion.Parts // in files of their own
}

// Open looks at the file of a model and at those of its parts, which may be none. Errors are those
// of [diffusion.Inspect].
func Open(path, name string, parts diffusion.Parts) (*Model, error) {
	f, err := diffusion.Inspect(path, parts)
	if err != nil {
		return nil, err
	}
	m := &Model{File: *f, Name: name}
	if m.Path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	for _, part := range parts.List() {
		if path, err = filepath.Abs(parts[part]); err != nil {
			return nil, fmt.Errorf("draw: %w", err)
		}
		if m.Parts == nil {
			m.Parts = diffusion.Parts{}
		}
		m.Parts[part] = path
	}
	return m, nil
}

// link puts links to the model's files into a child's folder, and returns the arguments that name
// them.
func (m *Model) link(dir string) (args []string, err error) {
	add := func(flag, name, path string) {
		args = append(args, flag, name)
		err = errors.Join(err, os.Symlink(path, filepath.Join(dir, name)))
	}
	flag := "-m"
	if m.Bare {
		flag = "--diffusion-model"
	}
	add(flag, m.fileName(), m.Path)
	for _, part := range m.Parts.List() { // whose formats the program tells by their contents
		add("--"+string(part), string(part)+".part", m.Parts[part])
	}
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	return args, nil
}

// Request says what to draw. Zero values stand for defaults.
type Request struct {
	Prompt   string
	Negative string // what shall not be seen
	// pixels; with Height 0 too, what the model was trained with, or the shape of Init
	Width  int
	Height int // pixels
	Steps  int // of sampling; DefaultSteps
	// 0 to 2^31-1; nil for one that is drawn by lot. The picture after the first has the next one
	Seed  *int64
	Count int // pictures; 1
	// how closely the text is followed, the classifier-free guidance scale; nil for the program's
	// own
	Guidance *float64
	Init     []byte  // file of a picture to begin with, in any format that is decoded here
	Mask     []byte  // file of a picture that is white where Init shall change; nil for everywhere
	Strength float64 // with Init, how much may change, above 0 to 1; DefaultStrength
	Threads  int     // of the child; 0 for one a core
}

// Check says what no model can draw of a request. Errors wrap ErrRequest.
func (r *Request) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("draw: %w: %s", ErrRequest, fmt.Sprintf(format, args...))
	}
	for _, text := range []struct{ what, text string }{{"text", r.Prompt},
		{"negative text", r.Negative}} {
		switch {
		case len(text.text) > MaxPrompt:
			return bad("the %s has %d bytes; give at most %d", text.what, len(text.text), MaxPrompt)
		case !utf8.ValidString(text.text) || strings.ContainsRune(text.text, 0):
			return bad("the %s is not text in UTF-8", text.what)
		}
	}
	switch {
	case strings.TrimSpace(r.Prompt) == "":
		return bad("there is no text that says what to draw")
	case (r.Width == 0) != (r.Height == 0):
		return bad("give both width and height, or neither")
	case r.Width != 0 && (r.Width < minSide || r.Height < minSide || r.Width > MaxSide ||
		r.Height > MaxSide):
		return bad("a picture of %d x %d pixels; sides go from %d to %d", r.Width, r.Height,
			minSide, MaxSide)
	case r.Width*r.Height > MaxPixels:
		return bad("a picture of %d x %d pixels is too large; give at most 2048 x 2048 in area",
			r.Width, r.Height)
	case r.Steps < 0 || r.Steps > MaxSteps:
		return bad("%d steps; give 1 to %d", r.Steps, MaxSteps)
	case r.Count < 0 || r.Count > MaxCount:
		return bad("%d pictures; give 1 to %d", r.Count, MaxCount)
	case r.Seed != nil && (*r.Seed < 0 || *r.Seed > math.MaxInt32):
		return bad("the seed is %d; give 0 to %d", *r.Seed, math.MaxInt32)
	case r.Guidance != nil && !(*r.Guidance >= 0 && *r.Guidance <= 100): // or NaN
		return bad("a guidance of %g; give 0 to 100", *r.Guidance)
	case r.Strength != 0 && !(r.Strength > 0 && r.Strength <= 1):
		return bad("a strength of %g; give more than 0, and at most 1", r.Strength)
	case r.Strength != 0 && r.Init == nil:
		return bad("a strength belongs to a picture to begin with")
	case r.Mask != nil && r.Init == nil:
		return bad("a mask belongs to a picture to begin with")
	case r.Threads < 0 || r.Threads > 1024:
		return bad("%d threads; give 1 to 1024, or 0 for one a core", r.Threads)
	}
	return nil
}

// settle fills in what depends on the model, and on the sides of the picture to begin with, 0 for
// none. The request is not changed.
func (r *Request) settle(m *Model, initWidth, initHeight int) (Request, error) {
	s := *r
	if s.Steps == 0 {
		s.Steps = DefaultSteps
	}
	if s.Count == 0 {
		s.Count = 1
	}
	if s.Seed == nil {
		seed := int64(rand.Int32N(math.MaxInt32 - MaxCount))
		s.Seed = &seed
	}
	if s.Init != nil && s.Strength == 0 {
		s.Strength = DefaultStrength
	}
	switch {
	case s.Width == 0 && initWidth > 0:
		s.Width, s.Height = shape(initWidth, initHeight, m.Side, m.Multiple)
	case s.Width == 0:
		s.Width, s.Height = m.Side, m.Side
	case s.Width%m.Multiple != 0 || s.Height%m.Multiple != 0:
		w, h := nearest(s.Width, m.Multiple), nearest(s.Height, m.Multiple)
		return s, fmt.Errorf("draw: %w: %s draws sides that are multiples of %d; give %d x %d in the place of %d x %d",
			ErrRequest, m.Name, m.Multiple, w, h, s.Width, s.Height)
	}
	return s, nil
}

// shape returns the sides of about side*side pixels that have the ratio of w to h, as far as
// multiples can.
func shape(w, h, side, multiple int) (int, int) {
	scale := float64(side) / math.Sqrt(float64(w)*float64(h))
	fit := func(n int) int {
		return min(max(nearest(int(float64(n)*scale), multiple), max(multiple, minSide)), 2*side)
	}
	return fit(w), fit(h)
}

// nearest returns the multiple that is nearest to n, at least one.
func nearest(n, multiple int) int {
	return max((n+multiple/2)/multiple, 1) * multiple
}

// Size says how large the pictures of a request would be, with no picture to begin with. Errors
// wrap ErrRequest.
func (r *Request) Size(m *Model) (width, height int, err error) {
	s, err := r.settle(m, 0, 0)
	return s.Width, s.Height, err
}

// arguments are the child's, in a folder that holds the files by the names that stand here.
func (r *Request) arguments(model []string) []string {
	args := append(slices.Clone(model),
		"-p", r.Prompt, "-n", r.Negative, "-W", fmt.Sprint(r.Width), "-H", fmt.Sprint(r.Height),
		"--steps", fmt.Sprint(r.Steps), "-s", fmt.Sprint(*r.Seed), "-b", fmt.Sprint(r.Count), "-o",
		outPattern)
	if r.Guidance != nil {
		args = append(args, "--cfg-scale", fmt.Sprint(*r.Guidance))
	}
	if r.Init != nil {
		args = append(args, "-i", initName, "--strength", fmt.Sprint(r.Strength))
	}
	if r.Mask != nil {
		args = append(args, "--mask", maskName)
	}
	if r.Threads > 0 {
		args = append(args, "-t", fmt.Sprint(r.Threads))
	}
	return args
}

// Names of files in the child's folder.
const (
	outPattern = "out-%d.png"
	initName   = "init.png"
	maskName   = "mask.png"
)

// fileName is a model's name as the name of a file, which the child writes into the pictures'
// settings.
func (m *Model) fileName() string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, m.Name)
	name = strings.Trim(name, ".-")
	if name = name[:min(len(name), 100)]; name == "" {
		name = "model"
	}
	return name + "." + m.Format
}

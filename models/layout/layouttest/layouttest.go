// Package layouttest has the bench of truth of the vision families for tests: what transformers
// makes of six pictures with a tiny random model of each family, and the models' files.
// scripts/golden/families.py writes it.
package layouttest

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// Golden is what transformers makes of a family's pictures.
type Golden struct {
	Name      string            `json:"-"`
	MadeWith  map[string]string `json:"made_with"`
	Processor string            // its class
	Question  string            // what is asked after each picture
	Pictures  []Picture
}

// Picture is one picture and what becomes of it.
type Picture struct {
	W, H     int
	PixelsIn string `json:"pixels_in"` // SHA-256 of the picture's RGB
	Prompt   string // as the template writes it, with the picture's token
	Refused  string // what the processor says, if it takes no such picture; all below is empty then
	// Budget is the most tokens that the processor was set to; 0 for its own bound.
	Budget int
	IDs    Runs
	Tokens int
	Tiles  []Tile
	// What follows is empty for prompts too long for the bench, which have another entry, with a
	// budget.
	Embeddings *struct {
		Shape []int
		Norm  float64
		Rows  map[string][]float32
	}
	// Positions are those of M-RoPE: of the last token, and the sums over all, in time, rows and
	// columns; and a hash over all, those in time first, as 32-bit integers. Nil for other
	// families.
	Positions *struct {
		Last, Sums [3]int
		SHA256     string
	}
	Said   []int32
	Margin float64 // the least between the best two logits
}

// Tile is what the tower sees.
type Tile struct {
	W, H   int
	SHA256 string // of RGB
}

// Runs are token ids, some of which stand for several of the same.
type Runs [][2]int32

// UnmarshalJSON implements [json.Unmarshaler].
func (r *Runs) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	for _, x := range list {
		run := [2]int32{0, 1}
		if err := json.Unmarshal(x, &run[0]); err != nil {
			if err := json.Unmarshal(x, &run); err != nil {
				return err
			}
		}
		*r = append(*r, run)
	}
	return nil
}

// folder returns the folder of the goldens. It is looked for from the folder of the test that
// runs upwards, since paths that a compiler leaves in a program are gone with -trimpath.
func folder() (string, error) {
	top, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("layouttest: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(top, "go.mod")); err == nil {
			return filepath.Join(top, "models", "layout", "testdata"), nil
		}
		above := filepath.Dir(top)
		if above == top {
			return "", fmt.Errorf("layouttest: no go.mod above the test's folder")
		}
		top = above
	}
}

// Families returns the goldens of all families.
func Families() (all []*Golden, err error) {
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("layouttest: no goldens in %s", dir)
	}
	for _, path := range paths {
		g := &Golden{Name: strings.TrimSuffix(filepath.Base(path), ".json")}
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, g)
		}
		if err != nil {
			return nil, fmt.Errorf("layouttest: %s: %w", path, err)
		}
		all = append(all, g)
	}
	return all, err
}

// Files returns the bytes of the family's language model and projector.
func (g *Golden) Files() (model, projector []byte, err error) {
	dir, err := folder()
	if err != nil {
		return nil, nil, err
	}
	z, err := zip.OpenReader(filepath.Join(dir, g.Name+".zip"))
	if err != nil {
		return nil, nil, err
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, nil, err
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return nil, nil, err
		}
		if f.Name == "model.gguf" {
			model = data
		} else {
			projector = data
		}
	}
	return model, projector, nil
}

// Write writes the family's files into a folder and returns their paths.
func (g *Golden) Write(dir string) (model, projector string, err error) {
	m, p, err := g.Files()
	if err != nil {
		return "", "", err
	}
	model, projector = filepath.Join(dir, g.Name+".gguf"),
		filepath.Join(dir, "mmproj-"+g.Name+".gguf")
	if err := os.WriteFile(model, m, 0o600); err != nil {
		return "", "", err
	}
	return model, projector, os.WriteFile(projector, p, 0o600)
}

// Scene makes the bench's picture of w by h pixels: picture of families.py.
func Scene(w, h int) *imaging.RGB {
	img := imaging.NewRGB(w, h)
	seed := crc32.ChecksumIEEE([]byte("families"))
	for y := range h {
		for x := range w {
			disc := ((x-w/3)*(x-w/3)*h*h + (y-h/2)*(y-h/2)*w*w) * 9
			for c := range 3 {
				i := 3*(y*w+x) + c
				v := 200*x*(c+1)/(3*w) + 160*y*(3-c)/(4*h) + noise(uint32(i), seed)
				if disc < w*w*h*h {
					v += 90 + 40*c
				}
				img.Pix[i] = byte(v)
			}
		}
	}
	return img
}

// noise is a number from 0 to 31, hashed in towers.py.
func noise(i, seed uint32) int {
	x := i * 2654435761
	x ^= x >> 15
	x += seed
	x *= 2246822519
	x ^= x >> 13
	x *= 3266489917
	x ^= x >> 16
	return int((float32(x>>8)*(1.0/(1<<23)) - 1 + 1) * 16)
}

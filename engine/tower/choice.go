package tower

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/engine/compute"
	"github.com/eyelet-engine/eyelet/engine/modelspec"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// rounds is how many times CPU and device, in turns, compute about a block of the tower to be
// compared. A tower of hardly more blocks stays on the CPU, as there is little to gain.
const rounds = 5

// deviceWinsBelow is the share of the CPU's time that the device must stay below in the median of
// all rounds. It must also be faster in every round but one. Else the tower stays on the CPU.
const deviceWinsBelow = 0.95

// rowsAgree is the least cosine of a row of the device's to the CPU's. Where both compute rightly,
// they differ by the types that they multiply in, which is a hundredth of this.
const rowsAgree = 0.99

// choice is whether a device computes a tower as the CPU does, and faster.
type choice struct {
	spec    *modelspec.Spec
	device  *ggml.Device
	named   bool // the spec names it
	threads int
	rounds  [][2]float64 // seconds of a picture, on the device and on the CPU
	cosine  float64      // lowest of a row of the device's to the CPU's
}

// key is what the times depend on. The file in the cache is named by its hash.
type key struct {
	Version   int    `json:"version"`
	CPU       string `json:"cpu"`
	ISA       string `json:"isa"`
	Threads   int    `json:"threads"`
	Device    string `json:"device"`
	GGML      string `json:"ggml"`
	Tower     string `json:"tower"`
	Precision string `json:"precision"`
}

// choiceVersion changes with the way of measuring.
const choiceVersion = 3

// times is the document of the file.
type times struct {
	Key    key          `json:"key"`
	Rounds [][2]float64 `json:"rounds"`
	Cosine float64      `json:"lowest_cosine"`
	When   time.Time    `json:"when"`
}

// describe describes the machine and the tower.
func (c *choice) describe() (k key, err error) {
	f, err := gguf.Open(c.spec.Projector)
	if err != nil {
		return k, err
	}
	defer f.Close()
	info, err := vision.Describe(f)
	if err != nil {
		return k, err
	}
	level, err := isa.Chosen()
	if err != nil {
		return k, err
	}
	k = key{Version: choiceVersion, ISA: level.String(), Threads: c.threads,
		Device: c.device.Backend + " " + c.device.Description + " " + c.device.ID,
		GGML:   ggml.Version() + " " + ggml.Commit(), Precision: c.spec.Precision().String()}
	// Towers of one shape and size in bytes have weights of the same types.
	k.Tower = fmt.Sprintf("%s %s %d %d %d %d %d", info.Family, info.Projector, info.Hidden,
		info.Blocks, info.ImageSize, info.PatchSize, f.Size())
	for _, d := range ggml.Devices() {
		if d.Type == ggml.CPU {
			k.CPU = d.Description
		}
	}
	return k, nil
}

func (k *key) file() (string, error) {
	dir, err := builtin.CacheDir()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(k)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return filepath.Join(dir, "tower-"+hex.EncodeToString(sum[:8])+".json"), nil
}

// recall reads what was measured before, and reports whether something was, in a file that is
// whole.
func (c *choice) recall() (known bool) {
	key, err := c.describe()
	if err != nil {
		return false
	}
	path, err := key.file()
	if err != nil {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var t times
	const most = 1 << 16
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(&t); err != nil || t.Key != key ||
		!(t.Cosine >= -1 && t.Cosine <= 1+1e-6) {
		return false
	}
	for _, r := range t.Rounds {
		if !(r[0] > 0 && r[0] < 1e6 && r[1] > 0 && r[1] < 1e6) {
			return false
		}
	}
	c.rounds, c.cosine = t.Rounds, t.Cosine
	return true
}

// right reports whether the device computes the same rows as the CPU.
func (c *choice) right() bool { return c.cosine >= rowsAgree }

// fault returns the error for a device that computes a tower wrongly. That happens: with some
// drivers products of certain shapes come out wrong without an error.
func (c *choice) fault() error {
	return fmt.Errorf("%s computes it wrongly: a row of a test picture has a cosine of %.3f to "+
		"the CPU's", c.device.Name, c.cosine)
}

// unfit tells the user why the device does not run the tower, which is an error if it was named.
func (c *choice) unfit(why error) error {
	if c.named {
		return placement.NoTower(c.device.Name, why)
	}
	c.spec.Notify("the vision tower of %s is computed on the CPU: %v", c.spec.FileName(), why)
	return nil
}

// faster reports whether the device is right and clearly faster.
func (c *choice) faster() bool {
	if !c.right() || len(c.rounds) < rounds {
		return false
	}
	shares := make([]float64, 0, len(c.rounds)) // of the CPU's times
	for _, r := range c.rounds {
		shares = append(shares, r[0]/r[1])
	}
	slices.SortFunc(shares, cmp.Compare[float64])
	return shares[len(shares)/2] < deviceWinsBelow && shares[len(shares)-2] < 1
}

// choose compares a tower on the CPU with the same on the device, closes one and returns the other:
// the device's where it is right, and either faster or named.
func (c *choice) choose(ctx context.Context, thread *compute.Thread, native *vision.Native,
	graph *vision.Graph) (vision.Encoder, error) {
	slog.Info("comparing once where the vision tower is computed", "device", c.device.Name)
	err := thread.Do(ctx, func() error { return c.measure(ctx, native, graph) })
	if err == nil && !c.right() {
		err = c.fault()
	}
	if err == nil && (c.named || c.faster()) {
		native.Close()
		return graph, nil
	}
	graph.Close()
	switch {
	case err == nil:
		return native, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = c.unfit(err)
	}
	if err != nil {
		native.Close()
		return nil, err
	}
	return native, nil
}

// measure encodes a test picture of the tower's usual size on both, compares the rows, and times
// both. It runs on the compute thread.
func (c *choice) measure(ctx context.Context, cpu, device vision.Encoder) error {
	info := cpu.Info()
	tile := imaging.NewRGB(info.ImageSize, info.ImageSize)
	noise := rand.New(rand.NewPCG(0, 0))
	for i := range tile.Pix {
		tile.Pix[i] = uint8(noise.Uint32())
	}
	picture := &vision.Input{Tokens: info.TileTokens, Tiles: []*imaging.RGB{tile}}
	var rows [2][]float32
	for i, e := range []vision.Encoder{device, cpu} {
		var err error
		if rows[i], err = vision.EncodePart(ctx, e, picture, 0); err != nil {
			return err
		}
	}
	if c.cosine = 0; len(rows[0]) == len(rows[1]) {
		// Rows that are no numbers have no cosine.
		c.cosine = max(-1, vision.Compare(rows[0], rows[1], info.Width).LowestCosine)
	}
	if math.IsNaN(c.cosine) {
		c.cosine = 0
	}
	if c.right() && info.Blocks > rounds {
		if err := c.time(ctx, picture, cpu, device); err != nil {
			return err
		}
	}
	return c.keep()
}

// time times blocks of a picture on both, in turns: what a whole one would take, since steps take
// about equally long.
func (c *choice) time(ctx context.Context, picture *vision.Input,
	cpu, device vision.Encoder) error {
	info := cpu.Info()
	var jobs [2]vision.Job
	var steps, totals [2]int // about those of a block, and all
	for i, e := range []vision.Encoder{device, cpu} {
		job, err := e.Begin(picture, 0)
		if err != nil {
			return err
		}
		defer job.Close()
		_, totals[i] = job.Progress()
		jobs[i], steps[i] = job, max(1, (totals[i]-2)/(info.Blocks+2))
		// the embedding, and a block for what is made when it is first used
		if err := job.Advance(ctx, 1+steps[i]); err != nil {
			return err
		}
	}
	for range rounds {
		var round [2]float64
		for i, job := range jobs {
			from := time.Now()
			if err := job.Advance(ctx, steps[i]); err != nil {
				return err
			}
			round[i] = max(time.Since(from), time.Nanosecond).Seconds() *
				float64(totals[i]) / float64(steps[i])
		}
		c.rounds = append(c.rounds, round)
	}
	return nil
}

// keep writes the file; what cannot be kept is measured again the next time.
func (c *choice) keep() error {
	key, err := c.describe()
	if err != nil {
		return nil
	}
	path, err := key.file()
	if err != nil {
		return nil
	}
	text, err := json.Marshal(times{key, c.rounds, c.cosine, time.Now()})
	if err != nil {
		return err
	}
	if os.MkdirAll(filepath.Dir(path), 0o755) == nil {
		_ = atomicfile.Write(path, atomicfile.Options{}, func(w io.Writer) error {
			_, err := w.Write(append(text, '\n'))
			return err
		})
	}
	return nil
}

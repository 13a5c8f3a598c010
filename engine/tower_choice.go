package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// towerRounds is how often each side computes about a block of a tower, in turns, to be compared. A
// tower of hardly more blocks stays on the CPU: there is little to gain.
const towerRounds = 5

// deviceWinsBelow is the share of the CPU's time that the device must stay below, as a rule; in
// every round but one it must be the faster at all. What is unclear stays on the CPU.
const deviceWinsBelow = 0.95

// rowsAgree is the least cosine of a row of the device's to the CPU's. Where both compute rightly,
// they differ by the types that they multiply in, which is a hundredth of this.
const rowsAgree = 0.99

// towerChoice is whether a device computes a tower as the CPU does, and faster.
type towerChoice struct {
	spec    *ModelSpec
	device  *ggml.Device
	threads int
	rounds  [][2]float64 // seconds of a picture, on the device and on the CPU
	cosine  float64      // lowest of a row of the device's to the CPU's
}

// towerKey is what the times depend on. The file in the cache is named by its hash.
type towerKey struct {
	Version   int    `json:"version"`
	CPU       string `json:"cpu"`
	ISA       string `json:"isa"`
	Threads   int    `json:"threads"`
	Device    string `json:"device"`
	GGML      string `json:"ggml"`
	Tower     string `json:"tower"`
	Precision string `json:"precision"`
}

// towerChoiceVersion changes with the way of measuring.
const towerChoiceVersion = 2

// towerTimes is the document of the file.
type towerTimes struct {
	Key    towerKey     `json:"key"`
	Rounds [][2]float64 `json:"rounds"`
	Cosine float64      `json:"lowest_cosine"`
	When   time.Time    `json:"when"`
}

// key describes the machine and the tower.
func (c *towerChoice) key() (k towerKey, err error) {
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
	k = towerKey{Version: towerChoiceVersion, ISA: level.String(), Threads: c.threads,
		Device: c.device.Backend + " " + c.device.Description + " " + c.device.ID,
		GGML:   ggml.Version() + " " + ggml.Commit(), Precision: c.spec.precision().String()}
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

func (k *towerKey) file() (string, error) {
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
func (c *towerChoice) recall() (known bool) {
	key, err := c.key()
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
	var t towerTimes
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

// right tells whether the device computes what the CPU does.
func (c *towerChoice) right() bool { return c.cosine >= rowsAgree }

// fault is what to say of a device that computes a tower wrongly. Drivers do: products of some
// shapes come out wrong on them, without an error.
func (c *towerChoice) fault() error {
	return fmt.Errorf("%s computes it wrongly: a row of a test picture has a cosine of %.3f to the "+
		"CPU's", c.device.Name, c.cosine)
}

// faster tells whether the device is clearly the faster, and right.
func (c *towerChoice) faster() bool {
	if !c.right() || len(c.rounds) < towerRounds {
		return false
	}
	typical, most := ratioOf(c.rounds)
	return typical < deviceWinsBelow && most < 1
}

// measure encodes a test picture of the tower's usual size on both, compares the rows, and times
// both. It runs on the compute thread.
func (c *towerChoice) measure(ctx context.Context, cpu, device vision.Encoder) error {
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
	if c.right() && info.Blocks > towerRounds {
		if err := c.time(ctx, picture, cpu, device); err != nil {
			return err
		}
	}
	return c.keep()
}

// time times blocks of a picture on both, in turns: what a whole one would take, since steps take
// about equally long.
func (c *towerChoice) time(ctx context.Context, picture *vision.Input,
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
	for range towerRounds {
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
func (c *towerChoice) keep() error {
	key, err := c.key()
	if err != nil {
		return nil
	}
	path, err := key.file()
	if err != nil {
		return nil
	}
	text, err := json.Marshal(towerTimes{key, c.rounds, c.cosine, time.Now()})
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

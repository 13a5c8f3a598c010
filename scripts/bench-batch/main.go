// Bench-batch measures what a queue costs, and what a second worker brings, with the built-in model
// and small pictures:
//
//	go run ./scripts/bench-batch                 # queue: 10,000 pictures through the embedded queue and without one, in turns
//	go run ./scripts/bench-batch -mode workers   # two workers pinned to a core each, against one pinned to one core
//
//	go run ./scripts/bench-batch -mode memory -items 20000   # what "eyelet batch" has in memory
//	go run ./scripts/bench-batch -mode sizing -model M.gguf -mmproj P.gguf -items 32   # pictures and tokens a day
//
// "queue" asks the same in portions, by turns through the queue and past it, in one process and
// with the same model, and prints the ratio of the throughputs and how much memory the process took
// after each portion. What is in memory does not depend on speed, and may be measured on a busy
// machine: "memory" measures it of the program itself. "workers" runs build/bin/eyelet, or what
// -eyelet names, as a queue, workers and submitter of their own, on Linux. Submitter and queue have
// the cores of the workers and no others, so that one worker shares its core with them as two do;
// what each of them computed is printed. "sizing" runs "eyelet batch" over photos of -size pixels
// that are new to it. Run all but "memory" on a quiet machine.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/engine"
)

type options struct {
	mode     string
	model    string // of the mode sizing, as are the next three
	mmproj   string
	size     int // pixels of a picture
	tokens   int // of an answer
	items    int
	portions int
	parallel int
	eyelet   string
	// files for profiles of the mode queue, "" for none
	cpuProfile, heapProfile string
}

func main() {
	var o options
	flag.StringVar(&o.mode, "mode", "queue", "queue, workers, memory or sizing")
	flag.StringVar(&o.model, "model", "", "of the mode sizing: GGUF `file` (default: the built-in)")
	flag.StringVar(&o.mmproj, "mmproj", "", "of the mode sizing: its projector's `file`")
	flag.IntVar(&o.size, "size", 1024, "of the mode sizing: pixels of a picture, each way")
	flag.IntVar(&o.tokens, "tokens", 16, "of the mode sizing: tokens of an answer")
	flag.IntVar(&o.items, "items", 10_000, "pictures")
	flag.IntVar(&o.portions, "portions", 10, "of the mode queue: portions, each asked both ways")
	flag.IntVar(&o.parallel, "parallel", engine.DefaultParallel,
		"pictures that are asked about at a time")
	flag.StringVar(&o.eyelet, "eyelet", "build/bin/eyelet", "of the other modes than queue: the program")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "",
		"of the mode queue: `file` for a profile of the portions")
	flag.StringVar(&o.heapProfile, "heapprofile", "",
		"of the mode queue: `file` for profiles of the memory in use, a number behind the name for each portion")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-batch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "bench-batch-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	pictures := filepath.Join(dir, "pictures")
	// Each way has its own, so that none finds one in the cache.
	n, pixels := 2*o.items, smallPicture
	switch o.mode {
	case "memory":
		n = o.items
	case "sizing":
		n, pixels = o.items, o.size
	}
	fmt.Printf("drawing %d pictures\n", n)
	if err := draw(pictures, n, pixels); err != nil {
		return err
	}
	switch o.mode {
	case "sizing":
		return sizing(ctx, o, dir, pictures)
	case "queue":
		return queue(ctx, o, dir, pictures)
	case "memory":
		return memory(ctx, o, dir, pictures)
	case "workers":
		return workers(ctx, o, dir, pictures)
	}
	return fmt.Errorf("there is no mode %q", o.mode)
}

// smallPicture is how many pixels wide and high the pictures of the modes queue and workers are.
const smallPicture = 64

// draw writes square pictures of so many pixels each way, no two the same.
func draw(dir string, n, pixels int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		m := image.NewRGBA(image.Rect(0, 0, pixels, pixels))
		back, front := color.RGBA{uint8(rng.Uint32()), uint8(rng.Uint32()), uint8(i), 255},
			color.RGBA{uint8(rng.Uint32()), uint8(rng.Uint32()), uint8(i >> 8), 255}
		x, y := rng.IntN(pixels*5/8), rng.IntN(pixels*5/8)
		for p := range pixels * pixels {
			c := back
			if p%pixels >= x && p%pixels < x+pixels*3/8 &&
				p/pixels >= y && p/pixels < y+pixels*3/8 {
				c = front
			}
			m.SetRGBA(p%pixels, p/pixels, c)
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			return err
		}
		if err := os.WriteFile(name(dir, i), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func name(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%06d.png", i)) }

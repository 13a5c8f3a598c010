// Bench-resize compares the speed of kernels/imaging with Pillow's, resizing the same pictures to
// the same bytes. Both take turns, so that what else the machine does hits both alike; the figure
// that counts is the ratio. It needs a Python with Pillow below 12.3 (from there on Pillow's bytes
// are others):
//
//	python3 -m venv build/pillow && build/pillow/bin/pip install pillow==11.3.0
//	eval "$(scripts/env)"
//	go run ./scripts/bench-resize -python build/pillow/bin/python
//
// Pillow resizes on one thread. "padded" is the way of LLaVA: the picture centred on a square, then
// resized.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

//go:embed pillow.py
var worker string

// A job is one size pair. Small ones are repeated within a turn.
type job struct {
	w, h, toW, toH int
	padded         bool
	reps           int
}

var jobs = []job{
	{4000, 3000, 336, 336, false, 1},
	{4000, 3000, 336, 336, true, 1},
	{4000, 3000, 1344, 1008, false, 1},
	{640, 480, 336, 336, false, 10},
	{336, 336, 672, 672, false, 10},
}

var background = [3]uint8{122, 116, 104}

// A figure is what was measured of one job on so many threads of ours: medians in milliseconds, and
// the median of the turns' ratios, Pillow's time over ours.
type figure struct {
	Job      string  `json:"job"`
	Threads  int     `json:"threads"`
	OursMS   float64 `json:"ours_ms"`
	PillowMS float64 `json:"pillow_ms"`
	Ratio    float64 `json:"ratio"`
}

type versions struct {
	Go      string `json:"go"`
	Machine string `json:"machine"`
	Pillow  string `json:"pillow"`
	Python  string `json:"python"`
}

func main() {
	python := flag.String("python", "python3", "a Python that has Pillow")
	rounds := flag.Int("rounds", 15, "turns of each side")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, "usage: bench-resize [flags]\n\nCompares the resampler with Pillow's, bicubic. Pillow is wanted in a version below 12.3:\n"+
			"  python3 -m venv build/pillow && build/pillow/bin/pip install pillow==11.3.0\n"+
			"  bench-resize -python build/pillow/bin/python\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*python, *rounds, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "bench-resize:", err)
		os.Exit(1)
	}
}

func run(python string, rounds int, asJSON bool) error {
	dir, err := os.MkdirTemp("", "bench-resize")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	peer, err := startPillow(python)
	if err != nil {
		return err
	}
	defer peer.stop()
	v := versions{Go: runtime.Version(), Machine: runtime.GOOS + "/" + runtime.GOARCH}
	if err := peer.read(&v); err != nil {
		return fmt.Errorf("%s has no Pillow that answers (see -help): %w", python, err)
	}
	var figures []figure
	for _, j := range jobs {
		found, err := j.measure(peer, filepath.Join(dir, "picture"), rounds)
		if err != nil {
			return fmt.Errorf("%v: %w", j, err)
		}
		figures = append(figures, found...)
	}
	if asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"versions": v, "figures": figures})
	}
	fmt.Printf("%s on %s, Pillow %s on Python %s, bicubic, medians of %d turns\n", v.Go, v.Machine,
		v.Pillow, v.Python, rounds)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "threads\tours ms\tPillow ms\tPillow/ours\t  job")
	for _, f := range figures {
		fmt.Fprintf(table, "%d\t%.2f\t%.2f\t%.1f\t  %s\n", f.Threads, f.OursMS, f.PillowMS, f.Ratio,
			f.Job)
	}
	return table.Flush()
}

func (j job) String() string {
	s := fmt.Sprintf("%dx%d to %dx%d", j.w, j.h, j.toW, j.toH)
	if j.padded {
		s += " padded"
	}
	return s
}

// measure lets both sides take turns at one job, ours on one thread and on all.
func (j job) measure(peer *pillow, path string, rounds int) ([]figure, error) {
	src := imaging.NewRGB(j.w, j.h)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range src.Pix {
		src.Pix[i] = uint8(rng.Uint32())
	}
	if err := os.WriteFile(path, src.Pix, 0o600); err != nil {
		return nil, err
	}
	if err := peer.ask(map[string]any{"load": path, "w": j.w, "h": j.h}, &struct{}{}); err != nil {
		return nil, err
	}
	request := map[string]any{"to_w": j.toW, "to_h": j.toH, "bg": nil, "reps": j.reps}
	if j.padded {
		request["bg"] = []int{int(background[0]), int(background[1]), int(background[2])}
	}
	counts := []int{1}
	if all := runtime.GOMAXPROCS(0); all > 1 {
		counts = append(counts, all)
	}
	ours := make([][]float64, len(counts))
	ratios := make([][]float64, len(counts))
	var theirs []float64
	for range rounds {
		var answer struct {
			MS    float64
			CRC32 uint32
		}
		if err := peer.ask(request, &answer); err != nil {
			return nil, err
		}
		theirs = append(theirs, answer.MS)
		for i, threads := range counts {
			ms, crc, err := j.ours(src, threads)
			if err != nil {
				return nil, err
			}
			if crc != answer.CRC32 {
				return nil, fmt.Errorf("the results differ: checksum %08x, Pillow's %08x", crc,
					answer.CRC32)
			}
			ours[i] = append(ours[i], ms)
			ratios[i] = append(ratios[i], answer.MS/ms)
		}
	}
	var figures []figure
	for i, threads := range counts {
		figures = append(figures, figure{j.String(), threads, stats.Median(ours[i]),
			stats.Median(theirs), stats.Median(ratios[i])})
	}
	return figures, nil
}

// ours is one turn of ours on so many threads: milliseconds a resize and the checksum of the
// result.
func (j job) ours(src *imaging.RGB, threads int) (float64, uint32, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	var out *imaging.RGB
	start := time.Now()
	for range j.reps {
		var err error
		if j.padded {
			out, err = imaging.ResizePadded(context.Background(), src, background, j.toW, j.toH,
				imaging.Bicubic)
		} else {
			out, err = imaging.Resize(src, j.toW, j.toH, imaging.Bicubic)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	ms := time.Since(start).Seconds() * 1e3 / float64(j.reps)
	return ms, crc32.ChecksumIEEE(out.Pix), nil
}

// pillow is the running pillow.py.
type pillow struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	said    strings.Builder
}

func startPillow(python string) (*pillow, error) {
	p := &pillow{cmd: exec.Command(python, "-c", worker)}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = &p.said
	p.in, p.answers = in, bufio.NewScanner(out)
	return p, p.cmd.Start()
}

func (p *pillow) ask(request, answer any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return err
	}
	return p.read(answer)
}

func (p *pillow) read(answer any) error {
	if !p.answers.Scan() {
		p.stop()
		return fmt.Errorf("it ended: %s", strings.TrimSpace(p.said.String()))
	}
	return json.Unmarshal(p.answers.Bytes(), answer)
}

// stop ends the worker by closing its input.
func (p *pillow) stop() {
	p.in.Close()
	p.cmd.Wait()
}

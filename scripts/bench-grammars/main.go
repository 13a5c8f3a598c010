// Bench-grammars compares how long JSON schemas take to become grammars with llguidance and
// xgrammar, on the same schemas, one after another in one run, so that what else the machine does
// hits all alike; the figures that count are the ratios. It needs a folder of schemas, such as
// maskbench/data of github.com/guidance-ai/jsonschemabench, and a Python with both packages:
//
//	python3 -m venv build/peers && build/peers/bin/pip install llguidance==1.9.1 xgrammar==0.2.9
//	eval "$(scripts/env)"
//	go run ./scripts/bench-grammars -python build/peers/bin/python -schemas FOLDER
//
// A file is a schema, or an object with one under "schema". Times are the best of -reps builds.
// Schemas that one of the three refuses count for its acceptance and not for times.
package main

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/models/grammar"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

//go:embed peers.py
var peersScript string

type options struct {
	python, schemas, only string
	n, reps               int
	slowest               int
}

func main() {
	var o options
	flag.StringVar(&o.python, "python", "python3",
		"a Python with llguidance and xgrammar; empty measures this project alone")
	flag.StringVar(&o.schemas, "schemas", "", "folder of schemas")
	flag.StringVar(&o.only, "only", "",
		"take only files whose names begin with one of these, separated by commas")
	flag.IntVar(&o.n, "n", 700, "how many schemas to draw, always the same ones")
	flag.IntVar(&o.reps, "reps", 3, "builds of each schema, of which the best counts")
	flag.IntVar(&o.slowest, "slowest", 0, "list so many of the slowest schemas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-grammars:", err)
		os.Exit(1)
	}
}

// names of the engines, in the order of the report.
var names = []string{"eyelet", "llguidance", "xgrammar"}

// measured is one schema: milliseconds of each engine, nil where it refuses.
type measured struct {
	file  string
	bytes int
	made  int // bytes of our grammar
	ms    map[string]*float64
}

func run(ctx context.Context, o options) error {
	files, err := draw(o)
	if err != nil {
		return err
	}
	var peers *exec.Cmd
	var in io.WriteCloser
	var out *bufio.Reader
	if o.python != "" {
		peers = exec.CommandContext(ctx, o.python, "-c", peersScript, strconv.Itoa(o.reps))
		peers.Stderr = nil // xgrammar warns of each keyword that it passes over
		if in, err = peers.StdinPipe(); err != nil {
			return err
		}
		pipe, err := peers.StdoutPipe()
		if err != nil {
			return err
		}
		if err := peers.Start(); err != nil {
			return err
		}
		out = bufio.NewReader(pipe)
		versions, err := out.ReadString('\n')
		if err != nil {
			return fmt.Errorf("the peers did not start: %w", err)
		}
		fmt.Print("peers: ", versions)
	}
	var list []measured
	for i, file := range files {
		schema, err := read(file)
		if err != nil {
			return err
		}
		if schema == nil {
			continue
		}
		m := measured{file: filepath.Base(file), bytes: len(schema), ms: map[string]*float64{}}
		if in != nil {
			if _, err := in.Write(append(schema, '\n')); err != nil {
				return err
			}
			line, err := out.ReadBytes('\n')
			if err != nil {
				return fmt.Errorf("%s: the peers ended: %w", file, err)
			}
			if err := json.Unmarshal(line, &m.ms); err != nil {
				return err
			}
		}
		for range o.reps {
			begin := time.Now()
			s, err := grammar.Compile(ctx, schema,
				grammar.Options{Limits: grammar.Limits{MaxBytes: 4 << 20}})
			ms := float64(time.Since(begin).Nanoseconds()) / 1e6
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				break
			}
			m.made = len(s.Grammar)
			if best := m.ms["eyelet"]; best == nil || ms < *best {
				m.ms["eyelet"] = &ms
			}
		}
		list = append(list, m)
		if i%50 == 49 {
			fmt.Fprintf(os.Stderr, "\r%d of %d", i+1, len(files))
		}
	}
	fmt.Fprint(os.Stderr, "\r")
	report(list, o)
	if peers != nil {
		in.Close()
		return peers.Wait()
	}
	return nil
}

// draw picks the files.
func draw(o options) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(o.schemas, "*.json"))
	if err != nil {
		return nil, err
	}
	if o.only != "" {
		files = slices.DeleteFunc(files, func(f string) bool {
			return !slices.ContainsFunc(strings.Split(o.only, ","), func(p string) bool {
				return strings.HasPrefix(filepath.Base(f), p)
			})
		})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no schemas; -schemas names a folder of JSON files",
			o.schemas)
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	return files[:min(o.n, len(files))], nil
}

// read returns the schema of a file on one line, nil if there is none.
func read(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var in struct{ Schema json.RawMessage }
	if json.Unmarshal(data, &in) == nil && in.Schema != nil {
		data = in.Schema
	}
	var b strings.Builder
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	if w.Encode(json.RawMessage(data)) != nil {
		return nil, nil // no JSON
	}
	return []byte(strings.TrimSpace(b.String())), nil
}

func report(list []measured, o options) {
	both := slices.DeleteFunc(slices.Clone(list), func(m measured) bool {
		return m.ms["eyelet"] == nil || o.python != "" && (m.ms["llguidance"] == nil ||
			m.ms["xgrammar"] == nil)
	})
	fmt.Printf("%d schemas, %d that all take\n", len(list), len(both))
	for _, name := range names {
		accepted := 0
		for _, m := range list {
			if m.ms[name] != nil {
				accepted++
			}
		}
		var ms []float64
		for _, m := range both {
			if m.ms[name] != nil {
				ms = append(ms, *m.ms[name])
			}
		}
		if len(ms) == 0 {
			continue
		}
		fmt.Printf("%-10s accepts %d; median %.2f ms, 95 %% %.2f, 99 %% %.2f, longest %.2f\n", name,
			accepted, stats.Median(ms), stats.Percentile(ms, 95), stats.Percentile(ms, 99),
			slices.Max(ms))
	}
	var sizes []float64
	for _, m := range list {
		if m.made > 0 {
			sizes = append(sizes, float64(m.made))
		}
	}
	if len(sizes) > 0 {
		fmt.Printf("grammars of eyelet: median %.0f bytes, 95 %% %.0f, longest %.0f\n",
			stats.Median(sizes), stats.Percentile(sizes, 95), slices.Max(sizes))
	}
	slices.SortFunc(both, func(a, b measured) int {
		return cmp.Compare(*b.ms["eyelet"], *a.ms["eyelet"])
	})
	for _, m := range both[:min(o.slowest, len(both))] {
		fmt.Printf("%8.2f ms, %7d bytes of %6d: %s\n", *m.ms["eyelet"], m.made, m.bytes, m.file)
	}
}

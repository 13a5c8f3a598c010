// Compare-server runs the same conversations through llama.cpp's llama-server and through "eyelet
// serve", both over HTTP on the loopback interface and in turns, and says how long each takes. With
// -engine, package engine in this process takes our server's place. With -cost, it says instead
// what HTTP adds to the time that the engine itself takes.
//
//	make build && eval "$(scripts/env)"
//	go run ./scripts/compare-server -scenarios new-picture,follow-up
//	go run ./scripts/compare-server -rounds 3 -json > table.json
//	go run ./scripts/compare-server -slots 6 -scenarios gap-four
//	go run ./scripts/compare-server -rounds 3 -before ../before/build/bin/eyelet
//	go run ./scripts/compare-server -cost
//
// Both sides load the same files, compute with the same number of threads and write answers of 16
// tokens at temperature 0. A bias holds both to the same whole words (see [words]), so that no
// answer ends early, every token has text to see, and an answer that comes back in a conversation
// is made of the tokens that it was written with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
)

// options are the flags.
type options struct {
	model, projector string
	threads, rounds  int
	context          int
	slots            int
	scenarios        []scenario
	oursOnly, json   bool
	engine, cost     bool
	dir, eyelet      string
	before, title    string // of served, where it is not the usual one
	device           string // empty for the CPU
}

func main() {
	var o options
	flag.StringVar(&o.model, "model", "build/synth/llama-1b-q4_k_m.gguf",
		"GGUF `file` of the language model")
	flag.StringVar(&o.projector, "mmproj", "build/synth/mmproj-1b-f16.gguf",
		"GGUF `file` of the vision tower")
	flag.IntVar(&o.threads, "threads", 2, "compute threads of both sides")
	flag.IntVar(&o.rounds, "rounds", 1, "turns of each side")
	flag.IntVar(&o.context, "ctx", 8192,
		"cells of the KV cache of both sides; llama-server gives each slot its share")
	flag.IntVar(&o.slots, "slots", 4, "requests that each side computes at a time")
	names := flag.String("scenarios", "all",
		"`names`, separated by commas, of: "+strings.Join(scenarioNames(), ", "))
	flag.BoolVar(&o.oursOnly, "ours-only", false, "leave llama-server out")
	flag.BoolVar(&o.json, "json", false, "write JSON instead of a table")
	flag.BoolVar(&o.engine, "engine", false,
		"compare package engine, without HTTP, instead of eyelet serve")
	flag.BoolVar(&o.cost, "cost", false,
		"compare our server with the engine under it, and nothing else")
	flag.StringVar(&o.eyelet, "eyelet", filepath.Join("build", "bin", "eyelet"),
		"the `program` eyelet")
	flag.StringVar(&o.before, "before", "",
		"another `program` eyelet, of another commit, in the place of llama-server")
	flag.StringVar(&o.device, "device", "",
		"`device` that both sides compute on, by ggml's name, as Vulkan0 (default: the CPU)")
	flag.StringVar(&o.dir, "dir", filepath.Join("build", "compare-server"),
		"`folder` for logs and llama-server's template")
	flag.Parse()
	err := o.check(*names, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare-server:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = compare(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare-server:", err)
		os.Exit(1)
	}
}

// check finds mistakes in the flags and chooses the scenarios.
func (o *options) check(names string, rest []string) error {
	if err := o.choose(names, rest); err != nil {
		return err
	}
	if o.before == "" {
		o.onDevice()
		return nil
	}
	// What is no faster than before is no news; what is slower is.
	for i := range o.scenarios {
		rows := slices.Clone(o.scenarios[i].rows)
		for k := range rows {
			switch b := rows[k].bar; {
			case b.text != "" && !b.relative:
			case rows[k].unit == "s":
				rows[k].bar = atMost(1.03)
			case rows[k].unit == "tok/s":
				rows[k].bar = atLeast(0.97)
			}
		}
		o.scenarios[i].rows = rows
	}
	return nil
}

// onDevice sets the bars that differ where both sides compute on a GPU, which leaves less to win.
func (o *options) onDevice() {
	if o.device == "" {
		return
	}
	for i := range o.scenarios {
		rows := slices.Clone(o.scenarios[i].rows)
		switch o.scenarios[i].name {
		case "new-picture":
			rows[0].bar = atMost(0.7)
		case "one-picture":
			rows[0].bar = timesFaster(4)
		}
		o.scenarios[i].rows = rows
	}
}

// choose finds mistakes in the flags and chooses the scenarios.
func (o *options) choose(names string, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case o.threads < 1 || o.rounds < 1 || o.slots < 1 || o.context < 512:
		return errors.New("-threads, -rounds and -slots are 1 at least, -ctx is 512 at least")
	case o.oursOnly && o.before != "":
		return errors.New("-before compares two builds: leave -ours-only out")
	}
	if names == "all" { // with the slots that there are
		o.scenarios = slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool {
			return s.slots > o.slots
		})
		return nil
	}
	for _, name := range strings.Split(names, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool {
			return s.name == strings.TrimSpace(name)
		})
		if i < 0 {
			return fmt.Errorf("unknown scenario %q; there are %s", name,
				strings.Join(scenarioNames(), ", "))
		}
		if n := scenarios[i].slots; n > o.slots {
			return fmt.Errorf("scenario %s needs -slots %d", name, n)
		}
		o.scenarios = append(o.scenarios, scenarios[i])
	}
	return nil
}

// openSide opens ours.
func openSide(ctx context.Context, o options, words []llama.Token) (ourSide, error) {
	if o.engine {
		return openOurs(ctx, o, words)
	}
	return openServed(ctx, o, words, engine.EncoderAuto)
}

// peer is what ours is compared with.
type peer interface {
	side
	close() error
}

// openPeer starts llama-server, or another commit of our own.
func openPeer(ctx context.Context, o options,
	chosen []llama.Token) (them peer, version string, err error) {
	if o.before != "" {
		o.eyelet, o.title = o.before, "eyelet before"
		them, err = openServed(ctx, o, chosen, engine.EncoderAuto)
		return them, o.before, err
	}
	if version, err = serverVersion(ctx); err != nil {
		return nil, "", err
	}
	them, err = startServer(ctx, o, llamaServer(o, chosen))
	return them, "llama-server " + version, err
}

// compare opens both sides, runs the scenarios and prints the table. Whatever ends it, llama-server
// ends with it.
func compare(ctx context.Context, o options) (err error) {
	chosen, err := words(ctx, o.model)
	if err != nil {
		return err
	}
	if o.cost {
		return compareCost(ctx, o, chosen, os.Stdout)
	}
	us, err := openSide(ctx, o, chosen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, us.close()) }()
	r := &runner{o: o, us: us}
	version := ""
	if !o.oursOnly {
		var them peer
		if them, version, err = openPeer(ctx, o, chosen); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, them.close()) }()
		r.them = them
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	report := r.report(describe(o, us, version, len(chosen)))
	if o.json {
		return report.writeJSON(os.Stdout)
	}
	return report.writeTable(os.Stdout)
}

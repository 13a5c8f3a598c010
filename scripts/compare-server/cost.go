package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"text/tabwriter"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/pool"
	httpserver "github.com/eyelet-engine/eyelet/engine/server"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// costFirsts is how often each side's time to the first token is taken in a round.
const costFirsts = 25

// compareCost asks one loaded model through the engine's own API and over HTTP, in turns, and
// writes what HTTP adds.
func compareCost(ctx context.Context, o options, words []llama.Token, w io.Writer) (err error) {
	direct, over, end, err := openBoth(ctx, o, words)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	sides := [2]side{direct, over}
	for _, s := range sides {
		if _, err := s.ask(ctx, ask(nil, firstQuestion), nil); err != nil {
			return err
		}
	}
	var firsts, rates [2][]float64
	for round := range o.rounds {
		for i := range costFirsts {
			for k := range sides {
				which := (i + k) % 2
				r, err := sides[which].ask(ctx, ask(nil, firstQuestion), nil)
				if err != nil {
					return err
				}
				firsts[which] = append(firsts[which], 1000*r.first())
			}
		}
		for k := range sides {
			which := (round + k) % 2
			// Other questions for each side: both share one cache, which would know the second
			// side's from the first's.
			t := &turnOf{side: sides[which], round: 2*round + which}
			rate, err := textOnly(ctx, t)
			if err != nil {
				return err
			}
			rates[which] = append(rates[which], rate[0]...)
		}
	}
	return writeCost(w, o, firsts, rates)
}

// writeCost writes the table, with the bars that the server has to keep.
func writeCost(w io.Writer, o options, firsts, rates [2][]float64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	added := stats.Median(firsts[1]) - stats.Median(firsts[0])
	lost := 100 * (1 - stats.Ratio(rates[1], rates[0]))
	fmt.Fprintf(t, "%s, %s, %d threads, %d rounds\n\n", processor(), o.model, o.threads, o.rounds)
	fmt.Fprint(t, "medians\tthe engine's API\tover HTTP\tadded\tbar\tmet\t\n")
	fmt.Fprintf(t, "the same question again, TTFT\t%.2f ms\t%.2f ms\t%.2f ms\tless than 2 ms\t%s\t\n", stats.Median(firsts[0]), stats.Median(firsts[1]), added, verdict(new(added < 2)))
	fmt.Fprintf(t, "text, 8 clients\t%.1f tok/s\t%.1f tok/s\t%.1f %%\tless than 3 %%\t%s\t\n",
		stats.Median(rates[0]), stats.Median(rates[1]), lost, verdict(new(lost < 3)))
	return t.Flush()
}

// openBoth loads one model and opens it twice: as the engine has it, and behind a server on the
// loopback interface.
func openBoth(ctx context.Context, o options,
	words []llama.Token) (direct *ours, over *server, end func() error, err error) {
	var ends []func() error
	end = func() error {
		var errs []error
		for i := len(ends) - 1; i >= 0; i-- {
			errs = append(errs, ends[i]())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	e, err := engine.New(engine.Options{Threads: o.threads})
	if err != nil {
		return nil, nil, end, err
	}
	ends = append(ends, e.Close)
	pool := pool.New(e, pool.Options{KeepAlive: -1})
	ends = append(ends, pool.Close)
	direct = &ours{o: o, engine: e, bias: map[engine.Token]float32{}}
	for _, t := range words {
		direct.bias[t] = wordBias
	}
	spec := direct.spec(engine.EncoderAuto)
	s, err := httpserver.New(pool, nil, httpserver.Options{
		Models: []httpserver.NamedModel{{Name: servedName, Spec: spec}},
		Spec: engine.ModelSpec{Parallel: spec.Parallel, GPULayers: spec.GPULayers,
			Encoder: spec.Encoder},
		NoBuiltin: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return nil, nil, end, err
	}
	address, stop, err := listen(s)
	if err != nil {
		return nil, nil, end, err
	}
	ends = append(ends, stop)
	over = &server{o: o, program: eyeletServe(o, words, engine.EncoderAuto, os.TempDir()),
		url: address, http: http.Client{Transport: &http.Transport{DisableCompression: true}}}
	if _, err := over.ask(ctx, ask(nil, firstQuestion), nil); err != nil { // which loads the model
		return nil, nil, end, err
	}
	loaded := pool.List()
	if len(loaded) != 1 {
		return nil, nil, end, fmt.Errorf("the server has loaded %d models, want one", len(loaded))
	}
	lease, err := pool.Use(ctx, loaded[0].Name, spec)
	if err != nil {
		return nil, nil, end, err
	}
	ends = append(ends, func() error { lease.Release(); return nil })
	direct.model = lease.Model
	return direct, over, end, nil
}

// listen lets a server answer on the loopback interface until stop.
func listen(s *httpserver.Server) (address string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = s.Serve(ctx, l) })
	return "http://" + l.Addr().String(), func() error {
		cancel()
		wg.Wait()
		return failed
	}, nil
}

package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

// quantizedTower writes the built-in projector in another type.
func quantizedTower(t *testing.T, typ gguf.Type) string {
	t.Helper()
	f, err := gguf.Open(seedProjector)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plan, err := quantize.PlanProjector(f, quantize.Options{Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "mmproj-"+strings.ToLower(typ.String())+".gguf")
	if _, err := plan.Write(t.Context(), out, quantize.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAMatrixIsMeasuredAndGoneOnWith(t *testing.T) {
	if testing.Short() {
		t.Skip("measures speed")
	}
	model, projector := quantized(t, "Q4_0"), quantizedTower(t, gguf.Q4_0)
	var seen []Progress
	o := QuantsOptions{
		Models: []string{seedModel, model}, Projectors: []string{seedProjector},
		KV: []string{"f16", "q8_0"}, Threads: []int{1}, Reps: 2, Windows: 2, Count: 12,
		Seed: 5, Out: filepath.Join(t.TempDir(), "out"), Command: "first",
		Progress: func(p Progress) { seen = append(seen, p) },
	}
	// Interrupted after the base and one measurement of speed, which goes before so that the time
	// left is known.
	ctx, cancel := context.WithCancel(t.Context())
	o.Run = func(ctx context.Context, j *Job, progress func(string)) (*JobResult, error) {
		if j.Kind == JobQuality && !j.Base {
			cancel()
			return nil, ctx.Err()
		}
		return RunJob(ctx, j, progress)
	}
	if _, err := Quants(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	early, err := ReadResults(o.Out)
	if err != nil || early.Complete || len(early.Qualities) != 1 || len(early.Towers) != 1 ||
		early.Cells[0].Speed == nil {
		t.Fatalf("%+v, %v", early, err)
	}
	// Gone on with, with another projector beside.
	var ran []string
	o.Projectors, o.Command = append(o.Projectors, projector), "second"
	o.Run = func(ctx context.Context, j *Job, progress func(string)) (*JobResult, error) {
		ran = append(ran, j.Kind)
		return RunJob(ctx, j, progress)
	}
	r, err := Quants(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("tower ", 1) + strings.Repeat("quality ", 7) +
		strings.Repeat("speed ", 7); strings.Join(ran, " ")+" " != want {
		t.Errorf("ran %v", ran)
	}
	checkMatrix(t, r)
	if a := r.Host.Accelerator; a != "on" && a != "off" {
		t.Errorf("accelerator %q", a)
	}
	if last := seen[len(seen)-1]; last.Total != 15 || last.Done != 14 || last.Left < 0 {
		t.Errorf("%+v", last)
	}
	if !slices.ContainsFunc(seen, func(p Progress) bool { return p.Done == 14 && p.Left > 0 }) {
		t.Error("nobody was told how long the last job takes")
	}
	back, err := ReadResults(filepath.Join(o.Out, ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, r) {
		t.Error("what was written is not what is read")
	}
	if _, err := os.Stat(filepath.Join(o.Out, workDir)); err == nil {
		t.Error("the work is still there")
	}
	// Nothing is left to do.
	ran = nil
	if _, err := Quants(t.Context(), o); err != nil || len(ran) != 0 {
		t.Errorf("ran %v, %v", ran, err)
	}
	// Another projector, when the work of the run before is gone.
	o.Models, o.KV, o.NoSpeed = o.Models[:1], o.KV[:1], true
	o.Projectors = append(o.Projectors, quantizedTower(t, gguf.Q5_1))
	if r, err := Quants(t.Context(), o); err != nil ||
		strings.Join(ran, " ") != "tower quality tower quality" || len(r.Qualities) != 9 ||
		len(r.Cells) != 9 {
		t.Errorf("ran %v, %v", ran, err)
	}
	back.Host.Accelerator = map[string]string{"on": "off", "off": "on"}[back.Host.Accelerator]
	if c := Compare(r, back); len(c.Notes) != 1 || len(c.Changes) != 0 {
		t.Errorf("with and without an accelerator: %+v", c)
	}
	if err := back.write(o.Out); err != nil {
		t.Fatal(err)
	}
	if _, err := Quants(t.Context(), o); !errors.Is(err, ErrResults) ||
		!strings.Contains(err.Error(), "accelerator") {
		t.Errorf("with and without an accelerator: %v", err)
	}
	if err := r.write(o.Out); err != nil {
		t.Fatal(err)
	}
	o.Seed++
	if _, err := Quants(t.Context(), o); !errors.Is(err, ErrResults) ||
		!strings.Contains(err.Error(), "or forget these") {
		t.Errorf("other settings: %v", err)
	}
}

func checkMatrix(t *testing.T, r *Results) {
	t.Helper()
	if !r.Complete || len(r.Cells) != 8 || len(r.Qualities) != 8 || len(r.Towers) != 2 ||
		len(r.Failures) != 0 || strings.Join(r.Commands, ",") != "first,second" {
		t.Fatalf("%d cells, %d qualities, %d towers, failures %v, commands %v", len(r.Cells),
			len(r.Qualities), len(r.Towers), r.Failures, r.Commands)
	}
	for i := range r.Cells {
		c := &r.Cells[i]
		s, q := c.Speed, r.Quality(c)
		if s.PP512.Mean <= 0 || s.TG128.Median <= 0 || len(s.TG128.Values) != 2 ||
			s.TTFTMS.Mean < s.EncodeMS.Mean || s.PeakBytes < 10<<20 || s.KVBytes <= 0 ||
			s.TowerBytes <= 0 || s.WeightBytes <= 0 || s.PromptTokens < 64 {
			t.Errorf("%s: %+v", c.Name(), s)
		}
		base := c.Model == r.Setup.BaseModel && c.Projector == r.Setup.BaseProjector &&
			c.KV == r.Setup.BaseKV
		if (q.Text.Against == nil) != base || (q.AfterImage.Against == nil) != base ||
			(q.Answers.DeltaANLS == nil) != base || q.Answers.Exact.N != 12 ||
			q.AfterImage.Tokens < 24 {
			t.Errorf("%s: %+v", c.Name(), q)
		}
		if a := q.AfterImage.Against; a != nil && (a.KLMean <= 0 || a.KLMean > 1 ||
			a.SameTop < 0.5) {
			t.Errorf("%s: %+v", c.Name(), a)
		}
	}
	for name, tower := range r.Towers {
		if (tower.Against == nil) != (name == r.Setup.BaseProjector) || tower.Pictures < 10 ||
			tower.Tokens != 64*tower.Pictures {
			t.Errorf("%s: %+v", name, tower)
		}
		if tower.Against != nil && (tower.Against.MeanCosine < 0.9 || tower.Against.Relative <= 0 ||
			tower.TokenError.P99 < tower.TokenError.Median) {
			t.Errorf("%s: %+v, %+v", name, tower.Against, tower.TokenError)
		}
	}
}

func TestAFailureLeavesTheRest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	o := QuantsOptions{Models: []string{seedModel}, KV: []string{"f16", "q8_0", "q4_0"},
		Threads: []int{1}, Out: dir}
	o.Run = func(_ context.Context, j *Job, _ func(string)) (*JobResult, error) {
		switch {
		case j.KV == "q8_0":
			return nil, errors.New("no luck")
		case j.Kind == JobQuality:
			return &JobResult{Quality: &Quality{Text: &Distribution{Perplexity: 2}}}, nil
		}
		return &JobResult{Speed: &Speed{PP512: sampleOf([]float64{1}),
			TG128: sampleOf([]float64{1})}}, nil
	}
	r, err := Quants(t.Context(), o)
	if err != nil || r.Complete || len(r.Failures) != 2 || len(r.Qualities) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	o.Run = func(_ context.Context, j *Job, _ func(string)) (*JobResult, error) {
		if j.Kind == JobSpeed {
			return nil, fmt.Errorf("full: %w", syscall.ENOSPC)
		}
		return &JobResult{Quality: &Quality{Text: &Distribution{Perplexity: 2}}}, nil
	}
	if _, err := Quants(t.Context(), o); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	if r, err := ReadResults(dir); err != nil || len(r.Qualities) != 3 || r.Complete {
		t.Errorf("after a full disk: %+v, %v", r, err)
	}
	o.Restart = true
	o.Run = func(_ context.Context, j *Job, _ func(string)) (*JobResult, error) {
		return nil,
			errors.New("no base")
	}
	if _, err := Quants(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no base") {
		t.Errorf("without a base: %v", err)
	}
}

// Two models of three wait for each other in Run: that ends only where both run at once.
func TestQualitiesOfSmallModelsRunSideBySide(t *testing.T) {
	o := QuantsOptions{Models: []string{seedModel, quantized(t, "Q4_0"), quantized(t, "Q5_0")},
		Base: seedModel, KV: []string{"f16", "q8_0"}, Threads: []int{2}, Lanes: 8,
		Out: filepath.Join(t.TempDir(), "out")}
	var mu sync.Mutex
	running, met := map[string]bool{}, make(chan struct{})
	o.Run = func(ctx context.Context, j *Job, _ func(string)) (*JobResult, error) {
		mu.Lock()
		alone := j.Base || j.Kind != JobQuality
		if running[j.Model] || alone && len(running) > 0 || len(running) > 1 {
			t.Errorf("%s of %s runs beside %v", j.Kind, j.Model, running)
		}
		if j.Kind == JobQuality && j.Threads != 1 {
			t.Errorf("%d threads", j.Threads)
		}
		running[j.Model] = true
		if len(running) == 2 {
			select {
			case <-met:
			default:
				close(met)
			}
		}
		mu.Unlock()
		if !alone {
			select {
			case <-met:
			case <-ctx.Done():
			}
		}
		mu.Lock()
		delete(running, j.Model)
		mu.Unlock()
		if j.Kind == JobQuality {
			return &JobResult{Quality: &Quality{Text: &Distribution{Perplexity: 2}}}, nil
		}
		return &JobResult{Speed: &Speed{PP512: sampleOf([]float64{1}),
			TG128: sampleOf([]float64{1})}}, nil
	}
	r, err := Quants(t.Context(), o)
	if err != nil || !r.Complete || len(r.Qualities) != 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	var most int
	o.Restart = true
	o.Run = func(ctx context.Context, j *Job, _ func(string)) (*JobResult, error) {
		mu.Lock()
		most++
		mu.Unlock()
		if j.Base {
			return &JobResult{Quality: &Quality{Text: &Distribution{Perplexity: 2}}}, nil
		}
		return nil, fmt.Errorf("full: %w", syscall.ENOSPC)
	}
	if _, err := Quants(t.Context(), o); !errors.Is(err, syscall.ENOSPC) || most > 4 {
		t.Errorf("a full disk: %v after %d jobs", err, most)
	}
}

func TestMatricesThatMakeNoSense(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*QuantsOptions)
		want   error
	}{
		"no model": {func(o *QuantsOptions) { o.Models = nil }, engine.ErrRequest},
		"a missing model": {func(o *QuantsOptions) {
			o.Models = []string{"none.gguf"}
		}, engine.ErrModelFile},
		"a missing base": {func(o *QuantsOptions) {
			o.Base = "none.gguf"
		}, engine.ErrModelFile},
		"a projector as model": {func(o *QuantsOptions) {
			o.Models = []string{seedProjector}
		}, engine.ErrModelFile},
		"a model as projector": {func(o *QuantsOptions) {
			o.Projectors = []string{seedModel}
		}, engine.ErrModelFile},
		"an unknown cache": {func(o *QuantsOptions) {
			o.KV = []string{"q9"}
		}, engine.ErrRequest},
		"no thread": {func(o *QuantsOptions) {
			o.Threads = []int{0}
		}, engine.ErrRequest},
		"no batch":          {func(o *QuantsOptions) { o.Batch = []int{0} }, engine.ErrRequest},
		"missing questions": {func(o *QuantsOptions) { o.Questions = "none" }, os.ErrNotExist},
		"a missing text":    {func(o *QuantsOptions) { o.Text = "none" }, os.ErrNotExist},
	} {
		o := QuantsOptions{Models: []string{seedModel}, Out: t.TempDir()}
		c.change(&o)
		if _, err := Quants(t.Context(), o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnergyIsReadFromPowercap(t *testing.T) {
	root := t.TempDir()
	zone := func(name, label, energy string) string {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		writeTo(t, dir, "name", label+"\n")
		writeTo(t, dir, "energy_uj", energy+"\n")
		writeTo(t, dir, "max_energy_range_uj", "5000000\n")
		return dir
	}
	if newEnergyMeter(root) != nil {
		t.Error("a meter of nothing")
	}
	first := zone("intel-rapl:0", "package-0", "4000000")
	zone("intel-rapl:0:0", "core", "1")
	m := newEnergyMeter(root)
	before := m.read()
	writeTo(t, first, "energy_uj", "1500000")
	if j, ok := m.joules(before, m.read()); !ok || j != 2.5 { // the counter began anew
		t.Errorf("%v J, %v", j, ok)
	}
	var none *energyMeter
	if _, ok := none.joules(none.read(), none.read()); ok {
		t.Error("energy from nowhere")
	}
}

func TestLlamaBenchIsRead(t *testing.T) {
	p, err := parsePeer(
		[]byte(`[{"build_commit": "abc", "build_number": 7, "n_prompt": 512, "n_gen": 0, "samples_ts": [10, 12]}, {"n_prompt": 0, "n_gen": 128, "samples_ts": [3]}]`))
	if err != nil || p.PP512.Mean != 11 || p.TG128.Mean != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, text := range []string{"", "[]", `[{"n_prompt": 512, "samples_ts": [1]}]`} {
		if _, err := parsePeer([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestOutliersAreCounted(t *testing.T) {
	if s := sampleOf([]float64{10, 11, 10, 11, 10, 30}); s.Outliers != 1 || s.Median != 10.5 ||
		s.High != 30 {
		t.Errorf("%+v", s)
	}
}

func FuzzResults(f *testing.F) {
	f.Add([]byte(`{"format": 1, "cells": [{"model": "a", "speed": null}], "qualities": {"a | f16": {"text": {"perplexity": 3}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := parseResults(data); err == nil {
			for i := range r.Cells {
				_, _ = r.Quality(&r.Cells[i]), r.Bytes(&r.Cells[i])
			}
			if _, err := json.Marshal(Compare(r, r)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestResultsThatMakeNoSenseAreRefused(t *testing.T) {
	one := func() *Sample { return sampleOf([]float64{1, 2}) }
	for name, spoil := range map[string]func(*Cell){
		"nothing":                   nil,
		"a stage alone":             func(c *Cell) { c.Speed.TTFTMS = one() },
		"a speed without values":    func(c *Cell) { c.Speed.TG128 = &Sample{Mean: 1, Median: 1} },
		"a speed of 0":              func(c *Cell) { c.Speed.PP512.Median = 0 },
		"a speed beyond all bounds": func(c *Cell) { c.Speed.PP512.Values[1] = 1e300 },
		"half a peer":               func(c *Cell) { c.Peer = &Peer{PP512: one()} },
	} {
		r := twoCells()
		if spoil != nil {
			spoil(&r.Cells[1])
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseResults(data); spoil != nil && !errors.Is(err, ErrResults) ||
			spoil == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTinySpreadsAreCompared(t *testing.T) {
	a, b := twoCells(), twoCells()
	a.Cells[0].Speed.TG128.StdDev, b.Cells[0].Speed.TG128.StdDev = 1e-160, 0
	b.Cells[0].Speed.TG128.Mean *= 2
	if c := Compare(a, b); len(c.Changes) != 1 || c.Changes[0].P != 0 {
		t.Errorf("%+v", c.Changes)
	}
}

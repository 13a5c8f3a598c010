package main

import (
	"path/filepath"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine/bench"
)

const advisedResults = "../../docs/bench-quants/results.json"

func TestAdviseNamesACombination(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	o := eyelet(t, "advise", advisedResults, "--memory", "4GB", "--wish", "small", "--json")
	var a bench.Advice
	strictly(t, o.stdout, &a)
	if o.code != 0 || a.Model == "" || a.Projector == "" || a.KL > 0.1 || len(a.Reasons) < 3 {
		t.Errorf("%+v: %+v", o, a)
	}
	dir := t.TempDir()
	mustRefuse(t, "advise", []refusal{
		{nil, 2, []string{"RESULTS is missing"}},
		{[]string{seedModel}, 2, []string{"eyelet bench quants"}},
		{[]string{"builtin"}, 2, []string{"builtin is a model", "eyelet bench quants"}},
		{[]string{advisedResults, "--wish", "cheap"}, 2, []string{"faithful, fast or small"}},
		{[]string{advisedResults, "--memory", "lots"}, 2, []string{"4GB or 6GiB"}},
		{[]string{advisedResults, "--memory", "1MB"}, 2, []string{"the least takes"}},
		{[]string{filepath.Join(dir, "none")}, 3, []string{"check the path"}},
	})
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A prompt is bound by reading the weights once, and by the rate of products.
func TestTheLimitHasACorner(t *testing.T) {
	l := limits{read: 40, most: 300}
	for tokens, want := range map[float64]float64{1: 40, 4: 160, 7.5: 300, 8: 300, 512: 300} {
		if got := l.at(tokens); got != want {
			t.Errorf("%v tokens: %v, want %v", tokens, got, want)
		}
	}
}

func TestAChartHasAPlotOfEachModel(t *testing.T) {
	tests, err := parseTests("pp1,pp8,pp512,tg16")
	if err != nil {
		t.Fatal(err)
	}
	found := results{}
	for i := range tests {
		found = append(found, &result{ours: []float64{float64(30 * (i + 1))},
			theirs: []float64{float64(20 * (i + 1))}})
	}
	c := newChart("two threads")
	for _, name := range []string{"a-q4_k_m", "b-q8_0", "c-f16"} {
		if err := c.add("x/"+name+".gguf", tests, found, limits{40, 300}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "rows.svg")
	if err := c.save(path); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"a-q4_k_m, two threads", "b-q8_0", "c-f16", "llama-bench",
		">512<", ">200<"} {
		if !strings.Contains(string(svg), word) {
			t.Errorf("%q is not in the chart", word)
		}
	}
	if err := c.save(filepath.Join(t.TempDir(), "rows.txt")); err == nil {
		t.Error("a chart in a format of text")
	}
	if err := newChart("").add("m", tests[3:], found[3:], limits{1, 1}); err == nil {
		t.Error("a chart without prompts")
	}
}

package server

import (
	"strings"
	"testing"

	"github.com/ollama/ollama/api"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	prom "github.com/prometheus/common/model"
)

func TestMetrics(t *testing.T) {
	ts := serve(t)
	if _, _, err := chat(t, ts.client(t), &api.ChatRequest{Model: "seed",
		Messages: []api.Message{look(picture(t, "shape-4.png"),
			"What color is the background?")}}); err != nil {
		t.Fatal(err)
	}
	ts.do(t, "GET", "/api/nothing/at/all", "")
	r := ts.do(t, "GET", "/metrics", "")
	parser := expfmt.NewTextParser(prom.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(r.text))
	if err != nil || r.status != 200 {
		t.Fatalf("%d %v", r.status, err)
	}
	for name, least := range map[string]float64{
		"eyelet_completed_total": 1, "eyelet_tokens_total": 1, "eyelet_prompt_tokens_total": 70,
		"eyelet_cells": 256, "eyelet_cells_cached": 70,
		"eyelet_pictures_encoded_total": 1, "eyelet_encoding_seconds_total": 1e-6,
		"eyelet_model_memory_bytes": 1 << 20, "go_goroutines": 1,
	} {
		f := families[name]
		if f == nil || len(f.Metric) != 1 {
			t.Errorf("%s: %v", name, f)
			continue
		}
		if v := f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue(); v < least {
			t.Errorf("%s is %v", name, v)
		}
	}
	if f := families["eyelet_ttft_seconds"]; f == nil ||
		f.Metric[0].Histogram.GetSampleCount() != 1 ||
		f.Metric[0].Label[2].GetValue() != "seed:latest" {
		t.Errorf("%v", f)
	}
	if strings.Contains(r.text, "nothing/at/all") || !strings.Contains(r.text,
		`eyelet_http_requests_total{route="POST /api/chat",status="200"} 1`) ||
		!strings.Contains(r.text, `{route="none",status="404"} 1`) {
		t.Errorf("routes:\n%s", r.text)
	}
	if problems, err := testutil.CollectAndLint(&modelCollector{ts.Server}); err != nil ||
		len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestAModelMadeAnewWhileItIsLoadedHasMetricsOfItsOwn(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	files := map[string]string{"model.gguf": upload(t, c, seedModel)}
	for _, system := range []string{"Be brief.", "Be kind."} {
		if err := c.Create(t.Context(), &api.CreateRequest{Model: "toy:v1", Files: files,
			System: system}, func(api.ProgressResponse) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if _, _, err := chat(t, c, &api.ChatRequest{Model: "toy:v1",
			Messages: []api.Message{{Role: "user", Content: "x"}},
			Options:  map[string]any{"num_predict": 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if r := ts.do(t, "GET", "/metrics", ""); r.status != 200 ||
		strings.Count(r.text, "\neyelet_completed_total{") != 2 {
		t.Errorf("%d %s", r.status, r.text)
	}
}

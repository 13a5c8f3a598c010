package server

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/store"
)

// metrics are what GET /metrics tells, in Prometheus' format. Counters of a model begin anew when
// it is loaded again.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	times    *prometheus.HistogramVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "eyelet_http_requests_total",
				Help: "Requests that have been answered."}, []string{"route", "status"}),
		times: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "eyelet_http_request_seconds",
			Help:    "Time from a request's header to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}, []string{"route"}),
	}
	m.registry.MustRegister(m.requests, m.times, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &modelCollector{s},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "eyelet_http_requests_running",
			Help: "Requests under way."}, func() float64 { return float64(s.busy.Load()) }))
	return m
}

// observe counts an answered request. The route is a pattern of the mux, so that paths of clients
// make no series of their own.
func (m *metrics) observe(route string, status int, d time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.times.WithLabelValues(route).Observe(d.Seconds())
}

// serveMetrics answers GET /metrics.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	s.limitWrite(w)
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

// modelCollector reads the counters of loaded models when somebody asks. Which series there are
// depends on what is loaded, so it describes none beforehand.
type modelCollector struct{ s *Server }

// modelFigure is a figure of a model.
type modelFigure struct {
	kind       prometheus.ValueType
	name, help string
	value      float64
}

// figuresOf returns the figures of a model whose scheduler has counted stats and which is counted
// with so many bytes of memory.
func figuresOf(s *sched.Stats, bytes int64) []modelFigure {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	return []modelFigure{
		{counter, "submitted_total", "Requests that the scheduler was given.", float64(s.Submitted)},
		{counter, "completed_total", "Requests whose answer is complete.", float64(s.Completed)},
		{counter, "cancelled_total", "Requests whose client gave up.", float64(s.Cancelled)},
		{counter, "failed_total", "Requests that failed.", float64(s.Failed)},
		{gauge, "waiting", "Requests in the queue.", float64(s.Waiting)},
		{gauge, "reading", "Requests whose prompt is being computed.", float64(s.Reading)},
		{gauge, "writing", "Answers that are being written.", float64(s.Writing)},
		{counter, "decodes_total", "Decodes of tokens.", float64(s.Turns)},
		{counter, "tokens_total", "Tokens of answers.", float64(s.Tokens)},
		{counter, "prompt_tokens_total", "Tokens of prompts, those of pictures included.",
			float64(s.PromptItems)},
		{counter, "cached_prompt_tokens_total", "Tokens of prompts that were computed before.",
			float64(s.CachedItems)},
		{counter, "preempted_total",
			"Times that a request gave its cells to others and was resumed later.",
			float64(s.Preempted)},
		{counter, "guessed_tokens_total", "Tokens that were computed ahead.", float64(s.Guessed)},
		{counter, "guessed_right_tokens_total", "Tokens that were computed ahead and came to be.",
			float64(s.Right)},
		{gauge, "cells", "Cells of the KV cache.", float64(s.Cells.Cells)},
		{gauge, "cells_running", "Cells of running requests.", float64(s.Cells.Running)},
		{gauge, "cells_cached", "Cells of finished requests that are kept for others.",
			float64(s.Cells.Cached)},
		{counter, "pictures_encoded_total", "Pictures that the vision tower has encoded.",
			float64(s.Media.Finished)},
		{counter, "tower_steps_beside_total",
			"Steps of the vision tower that ended while tokens were computed on devices.",
			float64(s.EncodedBeside)},
		{counter, "pictures_saved_total",
			"Pictures that need not be encoded, for their embeddings were there.",
			float64(s.Media.SavedMemory + s.Media.SavedDisk + s.Media.SavedInFlight)},
		{counter, "encoding_seconds_total", "Time of the vision tower.",
			s.Media.Encoding.Seconds()},
		{gauge, "model_memory_bytes",
			"Memory of this machine that a loaded model is counted with.", float64(bytes)},
	}
}

// Describe implements [prometheus.Collector].
func (c *modelCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector]. A name alone would not tell a model apart: while it is
// made anew under its name, both can be loaded.
func (c *modelCollector) Collect(out chan<- prometheus.Metric) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("eyelet_"+name, help, append([]string{"model"}, labels...), nil)
	}
	for _, l := range c.s.models.loaded() {
		if l.State != pool.Ready {
			continue
		}
		stats, ok := c.s.pool.Stats(l.Status.Name)
		if !ok {
			continue // unloaded meanwhile
		}
		names := []string{"digest", "context"}
		labels := []string{l.name, store.Digest(l.digest).Short(),
			strconv.Itoa(l.Status.Info.Context)}
		if l.layers != nil {
			names, labels = append(names, "num_gpu"), append(labels, strconv.Itoa(*l.layers))
		}
		device := describe("model_device_bytes", "What of a loaded model lies on a device, about.",
			append(slices.Clone(names), "device", "server")...)
		for _, d := range l.Status.Info.Devices {
			out <- prometheus.MustNewConstMetric(device, prometheus.GaugeValue, float64(d.Bytes),
				append(slices.Clone(labels), d.Device, d.Server)...)
		}
		for _, f := range figuresOf(&stats, l.Bytes) {
			out <- prometheus.MustNewConstMetric(describe(f.name, f.help, names...), f.kind,
				f.value, labels...)
		}
		for _, h := range []struct {
			name, help string
			times      *sched.Histogram
		}{
			{"queue_seconds", "Time in the queue.", &stats.Queue},
			{"ttft_seconds", "Time to the first token, from the end of the preparations on.",
				&stats.TTFT},
			{"itl_seconds", "Time between two tokens of an answer.", &stats.ITL},
		} {
			out <- prometheus.MustNewConstHistogram(describe(h.name, h.help, names...),
				h.times.Count, h.times.Sum.Seconds(), buckets(h.times), labels...)
		}
	}
}

// buckets makes cumulative counts by upper bound, in seconds, of a histogram. The last bucket has
// no bound.
func buckets(h *sched.Histogram) map[float64]uint64 {
	out := map[float64]uint64{}
	n := uint64(0)
	for i, count := range h.Buckets[:len(h.Buckets)-1] {
		n += count
		out[h.Bound(i).Seconds()] = n
	}
	return out
}

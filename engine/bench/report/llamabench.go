package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

// LlamaBenchFormats are the forms of [LlamaBench].
var LlamaBenchFormats = []string{"csv", "json", "jsonl", "md", "sql"}

// benchField is a field of llama-bench 0.7 (tools/llama-bench/llama-bench.cpp).
type benchField struct {
	name, kind string // kind is its type in SQL
	boolean    bool   // written as 0 or 1, in JSON as false or true
	value      any
}

// benchTest is a row: one test of one cell.
type benchTest struct {
	fields []benchField
	sample *bench.Sample
	name   string // "pp512"
	tokens int
}

// LlamaBench writes the speeds as llama-bench writes its own, field by field, so that programs that
// read its output read ours. A test that cells with other projectors share is one row.
func LlamaBench(w io.Writer, r *bench.Results, format string) error {
	var tests []benchTest
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Speed == nil || c.Speed.TokensOf != "" {
			continue
		}
		tests = append(tests, testOf(r, c, c.Speed.PP512, "pp", bench.PromptTokens),
			testOf(r, c, c.Speed.TG128, "tg", bench.GenerateTokens))
	}
	b := bufio.NewWriter(w)
	var err error
	switch format {
	case "csv":
		err = benchCSV(b, tests)
	case "json":
		err = benchJSON(b, tests)
	case "jsonl":
		err = benchJSONLines(b, tests)
	case "md":
		benchMarkdown(b, r, tests)
	case "sql":
		benchSQL(b, tests)
	default:
		err = fmt.Errorf("report: unknown format %q", format)
	}
	if err != nil {
		return err
	}
	return b.Flush()
}

// testOf makes a row. Options that eyelet has not are given as llama-bench's defaults.
func testOf(r *bench.Results, c *bench.Cell, s *bench.Sample, kind string, tokens int) benchTest {
	var file bench.ModelFile
	for _, f := range r.Models {
		if f.Name == c.Model {
			file = f
		}
	}
	backends := "CPU"
	if r.Host.Accelerator == "on" {
		backends = "Eyelet,CPU"
	}
	prompt, generate := tokens, 0
	if kind == "tg" {
		prompt, generate = 0, tokens
	}
	ns := float64(tokens) * 1e9
	times := make([]float64, len(s.Values))
	for i, x := range s.Values {
		times[i] = ns / x
	}
	mean, deviation := meanDeviation(times)
	text := func(name, value string) benchField {
		return benchField{name: name, kind: "TEXT", value: value}
	}
	whole := func(name string, value int64) benchField {
		return benchField{name: name, kind: "INTEGER", value: value}
	}
	yes := func(name string, value bool) benchField {
		n := int64(0)
		if value {
			n = 1
		}
		return benchField{name: name, kind: "INTEGER", boolean: true, value: n}
	}
	real := func(name string, value float64) benchField {
		return benchField{name: name, kind: "REAL", value: value}
	}
	return benchTest{name: kind + strconv.Itoa(tokens), tokens: tokens, sample: s,
		fields: []benchField{
			text("build_commit", "eyelet "+r.Host.Eyelet), whole("build_number", 0),
			text("cpu_info", r.Host.CPU), text("gpu_info", ""), text("backends", backends),
			text("model_filename", file.Path), text("model_type", c.Speed.ModelType),
			whole("model_size", file.TensorBytes), whole("model_n_params", file.Parameters),
			whole("n_batch", 2048), whole("n_ubatch", int64(c.Batch)),
			whole("n_threads", int64(c.Threads)), text("cpu_mask", "0x0"), yes("cpu_strict", false),
			whole("poll", 50),
			text("type_k", c.KV), text("type_v", c.KV), whole("n_gpu_layers", 0),
			whole("n_cpu_moe", 0),
			text("split_mode", "layer"), whole("main_gpu", 0), yes("no_kv_offload", false),
			whole("flash_attn", -1), text("devices", "auto"), text("tensor_split", "0.00"),
			text("tensor_buft_overrides", "none"), text("load_mode", "auto"),
			text("lazy_mode", "auto"),
			yes("embeddings", false), whole("no_op_offload", 0), yes("no_host", false),
			yes("repack", true), whole("fit_target", 0), whole("fit_min_ctx", 0),
			whole("n_prompt", int64(prompt)), whole("n_gen", int64(generate)), whole("n_depth", 0),
			text("test_time", r.Updated.UTC().Format("2006-01-02T15:04:05Z")),
			whole("avg_ns", int64(mean)), whole("stddev_ns", int64(deviation)),
			real("avg_ts", s.Mean),
			real("stddev_ts", s.StdDev),
		}}
}

// meanDeviation returns the mean and the standard deviation, of samples as llama-bench has it.
func meanDeviation(values []float64) (mean, deviation float64) {
	for _, x := range values {
		mean += x / float64(len(values))
	}
	if len(values) < 2 {
		return mean, 0
	}
	for _, x := range values {
		deviation += (x - mean) * (x - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(deviation)
}

// plain is a field as CSV and SQL have it.
func (f *benchField) plain() string {
	if x, ok := f.value.(float64); ok {
		return strconv.FormatFloat(x, 'f', 6, 64)
	}
	return fmt.Sprint(f.value)
}

func benchCSV(w io.Writer, tests []benchTest) error {
	if len(tests) == 0 {
		return nil
	}
	names := make([]string, len(tests[0].fields))
	for i, f := range tests[0].fields {
		names[i] = f.name
	}
	if _, err := fmt.Fprintln(w, strings.Join(names, ",")); err != nil {
		return err
	}
	for _, t := range tests {
		row := make([]string, len(t.fields))
		for i, f := range t.fields {
			row[i] = `"` + strings.ReplaceAll(f.plain(), `"`, `""`) + `"`
		}
		if _, err := fmt.Fprintln(w, strings.Join(row, ",")); err != nil {
			return err
		}
	}
	return nil
}

// object writes a row as a JSON object, each field after a separator and the whole before an end.
func (t *benchTest) object(begin, separator, end string) (string, error) {
	var b strings.Builder
	b.WriteString(begin)
	entry := func(name string, value any) error {
		data, err := json.Marshal(value)
		fmt.Fprintf(&b, "%q: %s", name, data)
		return err
	}
	for _, f := range t.fields {
		value := f.value
		if f.boolean {
			value = f.value == int64(1)
		}
		if err := entry(f.name, value); err != nil {
			return "", err
		}
		b.WriteString(separator)
	}
	ns := make([]int64, len(t.sample.Values))
	for i, x := range t.sample.Values {
		ns[i] = int64(float64(t.tokens) * 1e9 / x)
	}
	if err := entry("samples_ns", ns); err != nil {
		return "", err
	}
	b.WriteString(separator)
	err := entry("samples_ts", t.sample.Values)
	b.WriteString(end)
	return b.String(), err
}

func benchJSON(w io.Writer, tests []benchTest) error {
	objects := make([]string, len(tests))
	for i := range tests {
		var err error
		if objects[i], err = tests[i].object("  {\n    ", ",\n    ", "\n  }"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "[\n%s\n]\n", strings.Join(objects, ",\n"))
	return err
}

func benchJSONLines(w io.Writer, tests []benchTest) error {
	for i := range tests {
		line, err := tests[i].object("{", ", ", "}\n")
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return nil
}

// benchSize is a size as llama-bench's table has it.
func benchSize(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}

func benchParameters(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.2f M", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f B", float64(n)/1e9)
}

// benchCell keeps a name from ending its cell. Else it stands as llama-bench prints it, which
// escapes nothing.
var benchCell = strings.NewReplacer("|", `\|`, "\n", " ")

func benchMarkdown(w io.Writer, r *bench.Results, tests []benchTest) {
	fmt.Fprintln(w, "| model                          |       size |     params | backend    | threads | type_k | n_ubatch |            test |                  t/s |")
	fmt.Fprintln(w, "| ------------------------------ | ---------: | ---------: | ---------- | ------: | -----: | -------: | --------------: | -------------------: |")
	for _, t := range tests {
		f := map[string]benchField{}
		for _, field := range t.fields {
			f[field.name] = field
		}
		fmt.Fprintf(w, "| %-30s | %10s | %10s | %-10s | %7v | %6v | %8v | %15s | %20s |\n",
			benchCell.Replace(t.label(f)), benchSize(f["model_size"].value.(int64)),
			benchParameters(f["model_n_params"].value.(int64)),
			f["backends"].value, f["n_threads"].value, f["type_k"].value, f["n_ubatch"].value,
			t.name, fmt.Sprintf("%.2f ± %.2f", t.sample.Mean, t.sample.StdDev))
	}
	fmt.Fprintf(w, "\nbuild: eyelet %s (libllama %s)\n", r.Host.Eyelet, r.Host.Llama)
}

// label is what libllama calls the model, or the file's name in results that do not say.
func (t *benchTest) label(f map[string]benchField) string {
	if s := f["model_type"].value.(string); s != "" {
		return s
	}
	return filepath.Base(f["model_filename"].value.(string))
}

func benchSQL(w io.Writer, tests []benchTest) {
	if len(tests) == 0 {
		return
	}
	var columns, names []string
	for _, f := range tests[0].fields {
		columns, names = append(columns, "  "+f.name+" "+f.kind), append(names, f.name)
	}
	fmt.Fprintf(w, "CREATE TABLE IF NOT EXISTS llama_bench (\n%s\n);\n\n",
		strings.Join(columns, ",\n"))
	for _, t := range tests {
		values := make([]string, len(t.fields))
		for i, f := range t.fields {
			values[i] = "'" + strings.ReplaceAll(f.plain(), "'", "''") + "'"
		}
		fmt.Fprintf(w, "INSERT INTO llama_bench (%s) VALUES (%s);\n", strings.Join(names, ", "),
			strings.Join(values, ", "))
	}
}

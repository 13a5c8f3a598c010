package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

const builtinModel = "../../../models/builtin/eyelet-builtin-q8_0.gguf"

// theirs runs llama-bench on the built-in model.
func theirs(t *testing.T, format string) string {
	t.Helper()
	cmd, err := peers.Command(t.Context(), "llama-bench", "-m", builtinModel, "-p", "4", "-n", "2",
		"-r", "2", "-t", "1", "-o", format)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func ours(t *testing.T, format string) string {
	t.Helper()
	r := results(2)
	r.Cells[0].Speed.ModelType = "llama 1B Q4_K - Medium"
	r.Cells[1].Speed.TokensOf = r.Cells[0].Name()
	var b bytes.Buffer
	if err := LlamaBench(&b, r, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSpeedsAreWrittenAsLlamaBenchWritesThem(t *testing.T) {
	peers.Require(t, "llama-bench")
	head := func(s string) []string {
		rows, err := csv.NewReader(strings.NewReader(s)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows[0]
	}
	if a, b := head(ours(t, "csv")), head(theirs(t, "csv")); !slices.Equal(a, b) {
		t.Errorf("fields\n%q, llama-bench has\n%q", a, b)
	}
	// Kinds of values, and their order, in lines of JSON.
	kinds := func(s string) (list []string) {
		d := json.NewDecoder(strings.NewReader(s))
		for depth := 0; ; {
			token, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			switch x := token.(type) {
			case json.Delim:
				if x == '{' || x == '[' {
					depth++
				} else if depth--; depth == 0 {
					return list
				}
			case string:
				if depth == 1 && regexp.MustCompile(`^[a-z_0-9]+$`).MatchString(x) {
					list = append(list, x)
				}
			case bool:
				list = append(list, "bool")
			case float64:
				if depth == 1 {
					list = append(list, "number")
				}
			}
		}
	}
	strip := regexp.MustCompile(`"(f16|layer|auto|none)"|"0x0"`)
	a, b := kinds(strip.ReplaceAllString(ours(t, "jsonl"), `"-"`)),
		kinds(strip.ReplaceAllString(theirs(t, "jsonl"), `"-"`))
	if !slices.Equal(a, b) {
		t.Errorf("JSON\n%v, llama-bench has\n%v", a, b)
	}
	table := func(s string) string { return s[:strings.Index(s, ");")] }
	if a, b := table(ours(t, "sql")), table(theirs(t, "sql")); a != b {
		t.Errorf("SQL\n%s\nllama-bench has\n%s", a, b)
	}
}

func TestSpeedsThatCellsShareAreWrittenOnce(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(ours(t, "csv"))).ReadAll()
	if err != nil || len(rows) != 1+2*5 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(ours(t, "json")), &list); err != nil || len(list) != 10 {
		t.Fatalf("%d objects, %v", len(list), err)
	}
	// 0.9, 1 and 1.1 times 100 tokens a second of 512.
	if x := list[0]; x["n_prompt"] != 512.0 || x["avg_ts"] != 100.0 ||
		x["samples_ns"].([]any)[1] != 5.12e9 || x["avg_ns"].(float64) < 5.15e9 ||
		x["avg_ns"].(float64) > 5.16e9 {
		t.Errorf("%v", x)
	}
	if md := ours(t, "md"); strings.Count(md, "\n") != 2+10+2 ||
		!strings.Contains(md, "100.00 ± 10.00") ||
		!strings.Contains(md, "\n| llama 1B Q4_K - Medium ") {
		t.Error(md)
	}
	if LlamaBench(&bytes.Buffer{}, results(0), "xml") == nil {
		t.Error("an unknown form is taken")
	}
}

func TestSQLIsSQL(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3, whose sqlite3 reads it")
	}
	cmd := exec.CommandContext(t.Context(), python,
		"-c", "import sqlite3, sys; d = sqlite3.connect(':memory:'); d.executescript(sys.stdin.read()); print(d.execute('select count(*), max(avg_ts) from llama_bench').fetchone())")
	cmd.Stdin = strings.NewReader(ours(t, "sql"))
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "(10, 102.0)\n" {
		t.Errorf("%s, %v", out, err)
	}
}

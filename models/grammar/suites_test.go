package grammar

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// suiteCase is a schema with instances, as both suites have them.
type suiteCase struct {
	name   string
	schema json.RawMessage
	tests  []suiteTest
}

type suiteTest struct {
	Description string          `json:"description"`
	Data        json.RawMessage `json:"data"`
	Valid       bool            `json:"valid"`
}

// verdicts counts what becomes of the cases of a suite.
type verdicts struct {
	schemas, accepted, exact int
	valid, held, closed      int // instances that are valid; that are held; that closed objects leave out
	invalid                  int
	refusals                 map[string][]string // reason to schemas
	admitted, lost           []string            // invalid ones that pass, valid ones that do not
	unchecked                []string            // invalid ones that the grammar derives although Loose is empty
	times                    []time.Duration
	sizes                    []int
}

var quotedPart = regexp.MustCompile(`#[^ ]*: |"[^"]*"|\d+`)

func (v *verdicts) judge(t *testing.T, c suiteCase) {
	t.Helper()
	if v.refusals == nil {
		v.refusals = map[string][]string{}
	}
	v.schemas++
	begin := time.Now()
	s, err := Compile(context.Background(), c.schema, Options{Limits: Limits{MaxBytes: 4 << 20}})
	v.times = append(v.times, time.Since(begin))
	if err != nil {
		valid := slices.ContainsFunc(c.tests, func(x suiteTest) bool { return x.Valid })
		if !valid && strings.Contains(err.Error(), "unsatisfiable") { // no instance is, so it is right
			v.accepted++
			v.exact++
			return
		}
		reason := quotedPart.ReplaceAllString(err.Error(), "_")
		v.refusals[reason] = append(v.refusals[reason], c.name)
		return
	}
	v.accepted++
	v.sizes = append(v.sizes, len(s.Grammar))
	if len(s.Loose) == 0 {
		v.exact++
	}
	g, err := parseGBNF(s.Grammar)
	if err != nil {
		t.Fatal(err)
	}
	orders := keyOrders(c.schema)
	for _, x := range c.tests {
		n, err := parseNode(x.Data, 64<<20, 1000)
		if err != nil {
			continue
		}
		n = inOrder(n, orders, x.Valid)
		text := n.json()
		derived := member(g, text)
		for order := range permutations(len(n.keys)) { // properties have one order in a grammar, and the suites have any
			if derived || !x.Valid {
				break
			}
			if other := permuted(n, order).json(); member(g, other) {
				text, derived = other, true
			}
		}
		passes := derived && s.Check([]byte(text)) == nil
		at := c.name + ": " + x.Description
		switch {
		case x.Valid:
			v.valid++
			if passes {
				v.held++
				continue
			}
			o, err := Compile(context.Background(), c.schema, Options{Limits: Limits{MaxBytes: 4 << 20}, open: true})
			if err == nil {
				if og, err := parseGBNF(o.Grammar); err == nil && member(og, text) && o.Check([]byte(text)) == nil {
					v.closed++
					continue
				}
			}
			why := "grammar"
			if derived {
				why = s.Check([]byte(text)).Error()
			}
			v.lost = append(v.lost, fmt.Sprintf("%s: %.200s (%s)", at, text, why))
		case strings.HasPrefix(c.name, "duration.json") && strings.HasPrefix(x.Description, "fractional duration"):
			// ISO 8601 has fractions, RFC 3339's appendix has none: docs/json-schema.md says which is followed.
		default:
			v.invalid++
			if passes {
				v.admitted = append(v.admitted, fmt.Sprintf("%s: %.200s", at, text))
			}
			if derived && len(s.Loose) == 0 {
				v.unchecked = append(v.unchecked, fmt.Sprintf("%s: %.200s", at, text))
			}
		}
	}
}

func (v *verdicts) report(t *testing.T) {
	t.Helper()
	slices.Sort(v.times)
	slices.Sort(v.sizes)
	q := func(p int) time.Duration { return v.times[min(len(v.times)-1, len(v.times)*p/100)] }
	t.Logf("%d schemas, %d accepted (%.1f %%), %d by the grammar alone; of %d valid instances %d held, %d left out by closed objects, %d lost; of %d invalid %d admitted",
		v.schemas, v.accepted, 100*float64(v.accepted)/float64(v.schemas), v.exact, v.valid, v.held, v.closed, len(v.lost), v.invalid, len(v.admitted))
	t.Logf("built in %v (median), %v (95 %%), %v (99 %%), %v; grammars of %d bytes (median), %d (95 %%), %d", q(50), q(95), q(99), q(100),
		v.sizes[len(v.sizes)/2], v.sizes[len(v.sizes)*95/100], v.sizes[len(v.sizes)-1])
	reasons := slices.SortedFunc(maps.Keys(v.refusals), func(a, b string) int { return cmp.Compare(len(v.refusals[b]), len(v.refusals[a])) })
	for _, r := range reasons {
		t.Logf("refused %d: %s %.200q", len(v.refusals[r]), r, v.refusals[r][:min(4, len(v.refusals[r]))])
	}
	for _, x := range v.lost {
		t.Log("lost ", x)
	}
	for _, x := range v.unchecked {
		t.Errorf("the grammar derives what is invalid, and says it is exact: %s", x)
	}
	for _, x := range v.admitted {
		t.Errorf("admitted: %s", x)
	}
}

// keyOrders are the orders in which the parts of a schema name properties.
func keyOrders(schema []byte) [][]string {
	root, err := parseNode(schema, 64<<20, 1000)
	if err != nil {
		return nil
	}
	var orders [][]string
	var walk func(n *node)
	walk = func(n *node) {
		var names []string
		for _, key := range []string{"properties", "required", "dependentRequired", "dependencies"} {
			p := n.get(key)
			if p == nil {
				continue
			}
			if key == "properties" {
				names = append(names, p.keys...)
			}
			for i, v := range p.vals {
				if v.kind == kindString {
					names = append(names, v.text)
				}
				if (key == "dependencies" || key == "dependentRequired") && v.kind == kindArray { // what is asked for comes first
					for _, w := range v.vals {
						names = append(names, w.text)
					}
					names = append(names, p.keys[i])
				}
			}
		}
		if names != nil {
			orders = append(orders, names)
		}
		for _, v := range n.vals {
			walk(v)
		}
	}
	walk(root)
	return orders
}

// inOrder is n with the keys of objects in an order and, with respell set, numbers in their plainest spelling. What draft-04 says
// is no integer, 5.0, is one in that.
func inOrder(n *node, orders [][]string, respell bool) *node {
	m := *n
	m.vals = make([]*node, len(n.vals))
	for i, v := range n.vals {
		m.vals[i] = inOrder(v, orders, respell)
	}
	if n.kind == kindNumber && respell {
		if r, ok := new(big.Rat).SetString(n.text); ok && r.IsInt() && len(r.Num().String()) < 20 {
			m.text = r.Num().String()
		} else if ok && strings.ContainsAny(n.text, "eE") {
			if text := strings.TrimRight(r.FloatString(30), "0"); len(text) < 20 {
				m.text = text
			}
		}
	}
	if n.kind == kindObject {
		// The order of the part of the schema that names most of the keys, and the fewest others, then of the next.
		best := slices.SortedStableFunc(slices.Values(orders), func(a, b []string) int {
			overlap := func(names []string) int {
				count := 0
				for i, name := range names {
					if n.byKey[name] != nil && !slices.Contains(names[:i], name) {
						count++
					}
				}
				return count
			}
			return cmp.Or(cmp.Compare(overlap(b), overlap(a)), cmp.Compare(len(a), len(b)))
		})
		places := map[string]int{}
		for _, names := range best[:min(3, len(best))] {
			for _, name := range names {
				if _, seen := places[name]; !seen {
					places[name] = len(places)
				}
			}
		}
		place := func(i int) int {
			if p, ok := places[n.keys[i]]; ok {
				return p
			}
			return len(places) + i
		}
		perm := make([]int, len(n.keys))
		for i := range perm {
			perm[i] = i
		}
		slices.SortStableFunc(perm, func(a, b int) int { return cmp.Compare(place(a), place(b)) })
		m.keys = make([]string, len(perm))
		vals := make([]*node, len(perm))
		for i, p := range perm {
			m.keys[i], vals[i] = n.keys[p], m.vals[p]
		}
		m.vals = vals
	}
	return &m
}

// permutations yields the orders of up to five things.
func permutations(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		if n < 2 || n > 5 {
			return
		}
		var more func(done []int) bool
		more = func(done []int) bool {
			if len(done) == n {
				return yield(done)
			}
			for i := range n {
				if !slices.Contains(done, i) && !more(append(slices.Clone(done), i)) {
					return false
				}
			}
			return true
		}
		more(nil)
	}
}

func permuted(n *node, order []int) *node {
	m := *n
	m.keys, m.vals = nil, nil
	for _, i := range order {
		m.keys, m.vals = append(m.keys, n.keys[i]), append(m.vals, n.vals[i])
	}
	return &m
}

// member reports whether g derives text.
func member(g *gbnf, text string) bool {
	m := &matcher{g: g, text: text, memo: map[memoKey]map[int]bool{}}
	return m.rule("root", 0)[len(text)]
}

// suiteFolder is the folder that a variable names; without one the test is skipped.
func suiteFolder(t *testing.T, variable string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("%s names no folder", variable)
	}
	return dir
}

// TestJSONSchemaTestSuite runs github.com/json-schema-org/JSON-Schema-Test-Suite, whose folder EYELET_JSON_SCHEMA_TEST_SUITE names.
func TestJSONSchemaTestSuite(t *testing.T) {
	dir := suiteFolder(t, "EYELET_JSON_SCHEMA_TEST_SUITE")
	dialects := map[string]string{"draft4": "http://json-schema.org/draft-04/schema#", "draft6": "http://json-schema.org/draft-06/schema#",
		"draft7": "http://json-schema.org/draft-07/schema#", "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
		"draft2020-12": "https://json-schema.org/draft/2020-12/schema"}
	for _, folder := range []string{"*.json", "optional/format/*.json"} {
		for _, d := range slices.Sorted(maps.Keys(dialects)) {
			t.Run(d+"/"+filepath.Dir(folder), func(t *testing.T) {
				files, err := filepath.Glob(filepath.Join(dir, "tests", d, folder))
				if err != nil || len(files) == 0 {
					t.Fatalf("no tests in %s: %v", dir, err)
				}
				var v verdicts
				for _, file := range files {
					if base := filepath.Base(file); base == "refRemote.json" || base == "vocabulary.json" || base == "format.json" {
						continue // documents that stand elsewhere; formats that are annotations
					}
					text, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					var groups []struct {
						Description string
						Schema      json.RawMessage
						Tests       []suiteTest
					}
					if err := json.Unmarshal(text, &groups); err != nil {
						t.Fatal(err)
					}
					for _, g := range groups {
						if text := strings.TrimSpace(string(g.Schema)); strings.HasPrefix(text, "{") && !strings.Contains(text, `"$schema"`) {
							rest := strings.TrimPrefix(text, "{")
							if strings.TrimSpace(rest) != "}" {
								rest = "," + rest
							}
							g.Schema = json.RawMessage(fmt.Sprintf(`{"$schema":%q%s`, dialects[d], rest))
						}
						v.judge(t, suiteCase{filepath.Base(file) + ": " + g.Description, g.Schema, g.Tests})
					}
				}
				v.report(t)
			})
		}
	}
}

// TestSchemaBench runs the real schemas and their instances of github.com/guidance-ai/jsonschemabench, whose folder maskbench/data
// EYELET_JSONSCHEMABENCH names; EYELET_JSONSCHEMABENCH_STEP takes each nth of them.
func TestSchemaBench(t *testing.T) {
	dir := suiteFolder(t, "EYELET_JSONSCHEMABENCH")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas in %s: %v", dir, err)
	}
	step := 1
	fmt.Sscan(os.Getenv("EYELET_JSONSCHEMABENCH_STEP"), &step)
	var v verdicts
	for i := 0; i < len(files); i += step {
		if base := filepath.Base(files[i]); strings.HasPrefix(base, "Handwritten") || strings.HasPrefix(base, "MCPspec") {
			continue // written to try engines
		}
		text, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Schema json.RawMessage
			Tests  []suiteTest
		}
		if err := json.Unmarshal(text, &c); err != nil || c.Schema == nil {
			continue
		}
		v.judge(t, suiteCase{filepath.Base(files[i]), c.Schema, c.Tests})
	}
	v.report(t)
	if 100*v.accepted < 97*v.schemas {
		t.Errorf("%d of %d accepted: less than 97 %%", v.accepted, v.schemas)
	}
}

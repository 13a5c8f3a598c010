package grammar

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
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
	// instances that are valid; that are held; that closed objects leave out
	valid, held, closed int
	narrower            int // those of narrower
	invalid             int
	refusals            map[string][]string // reason to schemas
	admitted, lost      []string            // invalid ones that pass, valid ones that do not
	// invalid ones that the grammar derives although Loose is empty
	unchecked []string
	times     []time.Duration
	sizes     []int
}

// narrower are valid instances of the test suite that no grammar writes, for the other reasons that
// docs/json-schema.md gives: objects in const have one order, and leap seconds stand in UTC alone.
var narrower = map[string]bool{
	"same object with different property order is valid":      true,
	"a valid date-time with a leap second, with minus offset": true,
	"valid leap second, positive time-offset":                 true,
	"valid leap second, large positive time-offset":           true,
	"valid leap second, negative time-offset":                 true,
	"valid leap second, large negative time-offset":           true,
}

var quotedPart = regexp.MustCompile(`#[^ ]*: |"[^"]*"|\d+`)

func (v *verdicts) judge(t *testing.T, c suiteCase) {
	t.Helper()
	if v.refusals == nil {
		v.refusals = map[string][]string{}
	}
	v.schemas++
	begin := time.Now()
	var orders [][]string
	s, err := Compile(context.Background(), c.schema, Options{Limits: Limits{MaxBytes: 4 << 20},
		orders: func(names []string) { orders = append(orders, names) }})
	v.times = append(v.times, time.Since(begin))
	if err != nil {
		valid := slices.ContainsFunc(c.tests, func(x suiteTest) bool { return x.Valid })
		// no instance is, so it is right
		if !valid && strings.Contains(err.Error(), "unsatisfiable") {
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
	for _, x := range c.tests {
		n, err := parseNode(x.Data, 64<<20, 1000)
		if err != nil {
			continue
		}
		if x.Valid {
			n = respelled(n)
		}
		text, derived := derive(g, n, orders)
		passes := derived && s.Check([]byte(text)) == nil
		at := c.name + ": " + x.Description
		switch {
		case x.Valid:
			v.valid++
			if passes {
				v.held++
				continue
			}
			if narrower[x.Description] {
				v.narrower++
				continue
			}
			o, err := Compile(context.Background(), c.schema,
				Options{Limits: Limits{MaxBytes: 4 << 20}, open: true})
			if err == nil {
				if og, err := parseGBNF(o.Grammar); err == nil {
					if text, ok := derive(og, n, orders); ok && o.Check([]byte(text)) == nil {
						v.closed++
						continue
					}
				}
			}
			why := "grammar"
			if derived {
				why = s.Check([]byte(text)).Error()
			}
			v.lost = append(v.lost, fmt.Sprintf("%s: %.200s (%s)", at, text, why))
		case strings.HasPrefix(c.name, "duration.json") && strings.HasPrefix(x.Description,
			"fractional duration"):
			// ISO 8601 has fractions, RFC 3339's appendix has none: docs/json-schema.md says which
			// is followed.
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
	t.Logf("%d schemas, %d accepted (%.1f %%), %d by the grammar alone; of %d valid instances %d held, %d left out by closed objects, %d otherwise as documented, %d lost; of %d invalid %d admitted",
		v.schemas, v.accepted, 100*float64(v.accepted)/float64(v.schemas), v.exact, v.valid, v.held,
		v.closed, v.narrower, len(v.lost), v.invalid, len(v.admitted))
	t.Logf("built in %v (median), %v (95 %%), %v (99 %%), %v; grammars of %d bytes (median), %d (95 %%), %d", q(50), q(95), q(99), q(100),
		v.sizes[len(v.sizes)/2], v.sizes[len(v.sizes)*95/100], v.sizes[len(v.sizes)-1])
	reasons := slices.SortedFunc(maps.Keys(v.refusals), func(a, b string) int {
		return cmp.Compare(len(v.refusals[b]), len(v.refusals[a]))
	})
	for _, r := range reasons {
		t.Logf("refused %d: %s %.200q", len(v.refusals[r]), r,
			v.refusals[r][:min(4, len(v.refusals[r]))])
	}
	for _, x := range v.lost {
		t.Errorf("valid, and not derived in any order of properties: %s", x)
	}
	for _, x := range v.unchecked {
		t.Errorf("the grammar derives what is invalid, and says it is exact: %s", x)
	}
	for _, x := range v.admitted {
		t.Errorf("admitted: %s", x)
	}
}

// respelled is n with numbers in their plainest spelling. What draft-04 says is no integer, 5.0, is
// one in that.
func respelled(n *node) *node {
	m := *n
	m.vals = make([]*node, len(n.vals))
	for i, v := range n.vals {
		m.vals[i] = respelled(v)
	}
	if n.kind != kindNumber {
		return &m
	}
	if r, ok := new(big.Rat).SetString(n.text); ok && r.IsInt() && len(r.Num().String()) < 20 {
		m.text = r.Num().String()
	} else if ok && strings.ContainsAny(n.text, "eE") {
		if text := strings.TrimRight(r.FloatString(30), "0"); len(text) < 20 {
			m.text = text
		}
	}
	return &m
}

// place is an object within a text.
type place struct {
	object   *node
	from, to int
}

// places returns the objects of n, the inner ones behind the outer ones, and where n ends whose
// text begins at from.
func places(n *node, from int) (list []place, to int) {
	if n.kind != kindObject && n.kind != kindArray {
		return nil, from + len(n.json())
	}
	if n.kind == kindObject {
		list = []place{{object: n, from: from}}
	}
	to = from + 1
	for i, v := range n.vals {
		if n.kind == kindObject {
			to += len(quoteJSON(n.keys[i])) + 1
		}
		var inner []place
		inner, to = places(v, to)
		list = append(list, inner...)
		to++ // a comma, or the end of n
	}
	to = max(to, from+2)
	if n.kind == kindObject {
		list[0].to = to
	}
	return list, to
}

// sortKeys puts the properties of an object in the order of names, and those that names does not
// have behind them as they stand.
func sortKeys(n *node, names []string) {
	perm := make([]int, len(n.keys))
	for i := range perm {
		perm[i] = i
	}
	slices.SortStableFunc(perm, func(a, b int) int {
		return cmp.Compare(uint(slices.Index(names, n.keys[a])),
			uint(slices.Index(names, n.keys[b])))
	})
	keys, vals := n.keys, n.vals
	n.keys, n.vals = make([]string, len(perm)), make([]*node, len(perm))
	for i, p := range perm {
		n.keys[i], n.vals[i] = keys[p], vals[p]
	}
}

// derive looks for a spelling of n that g derives: properties have one order in a grammar, and the
// suites have any. orders are those of the grammar's objects; which of them an object needs is
// found by how far into the text the grammar gets.
func derive(g *gbnf, n *node, orders [][]string) (text string, derived bool) {
	list, _ := places(n, 0)
	// the first guess is the order that names the most of an object's keys, and the fewest others
	for _, p := range list {
		common := func(names []string) (count int) {
			for _, name := range names {
				if slices.Contains(p.object.keys, name) {
					count++
				}
			}
			return count
		}
		if len(orders) > 0 {
			sortKeys(p.object, slices.MinFunc(orders, func(a, b []string) int {
				return cmp.Or(cmp.Compare(common(b), common(a)), cmp.Compare(len(a), len(b)))
			}))
		}
	}
	derived, reached := reach(g, n.json())
	for better := true; better && !derived; {
		better = false
		list, _ = places(n, 0)
		slices.Reverse(list)
		for _, p := range list {
			if reached < p.from || reached >= p.to || len(p.object.keys) < 2 {
				continue
			}
			keys, vals := p.object.keys, p.object.vals
			tried := map[string]bool{strings.Join(keys, "\x00"): true}
			for _, names := range orders {
				p.object.keys, p.object.vals = keys, vals
				sortKeys(p.object, names)
				if spelled := strings.Join(p.object.keys, "\x00"); tried[spelled] {
					continue
				} else {
					tried[spelled] = true
				}
				ok, far := reach(g, n.json())
				if ok || far > reached {
					derived, reached, better = ok, far, true
					break
				}
			}
			if better {
				break
			}
			p.object.keys, p.object.vals = keys, vals
		}
	}
	return n.json(), derived
}

// reach reports whether g derives text, and else up to where it gets.
func reach(g *gbnf, text string) (derived bool, far int) {
	m := &matcher{g: g, text: text, memo: map[memoKey]map[int]bool{}}
	derived = m.rule("root", 0)[len(text)]
	return derived, m.far
}

// suiteFolder is the folder that a variable names; without one the test is skipped.
func suiteFolder(t *testing.T, variable string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("%s names no folder", variable)
	}
	return dir
}

// TestJSONSchemaTestSuite runs github.com/json-schema-org/JSON-Schema-Test-Suite, whose folder
// EYELET_JSON_SCHEMA_TEST_SUITE names.
func TestJSONSchemaTestSuite(t *testing.T) {
	dir := suiteFolder(t, "EYELET_JSON_SCHEMA_TEST_SUITE")
	dialects := map[string]string{"draft4": "http://json-schema.org/draft-04/schema#",
		"draft6":       "http://json-schema.org/draft-06/schema#",
		"draft7":       "http://json-schema.org/draft-07/schema#",
		"draft2019-09": "https://json-schema.org/draft/2019-09/schema",
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
					if base := filepath.Base(file); base == "refRemote.json" ||
						base == "vocabulary.json" || base == "format.json" {
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
						if text := strings.TrimSpace(string(g.Schema)); strings.HasPrefix(text,
							"{") && !strings.Contains(text, `"$schema"`) {
							rest := strings.TrimPrefix(text, "{")
							if strings.TrimSpace(rest) != "}" {
								rest = "," + rest
							}
							g.Schema = json.RawMessage(fmt.Sprintf(`{"$schema":%q%s`, dialects[d],
								rest))
						}
						v.judge(t, suiteCase{filepath.Base(file) + ": " + g.Description, g.Schema,
							g.Tests})
					}
				}
				v.report(t)
			})
		}
	}
}

// TestSchemaBench runs the real schemas and their instances of
// github.com/guidance-ai/jsonschemabench, whose folder maskbench/data EYELET_JSONSCHEMABENCH names;
// EYELET_JSONSCHEMABENCH_STEP takes each nth of them.
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
		if base := filepath.Base(files[i]); strings.HasPrefix(base, "Handwritten") ||
			strings.HasPrefix(base, "MCPspec") {
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

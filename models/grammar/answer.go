package grammar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

// Check validates a finished answer against the schema where the grammar does
// not carry all of it. An error says where the answer is wrong, or that to find
// out takes too long. Check may be called by several goroutines.
func (s *Schema) Check(answer []byte) error {
	if s.check == nil {
		return nil
	}
	return s.check.validate(answer)
}

const (
	// maxCheckNodes bounds the schemas that are compiled for a check, which takes the square of
	// their number.
	maxCheckNodes = 20000
	// maxCheckSteps bounds the evaluations of schemas in one check: where schemas refer to
	// themselves in several ways, their number is exponential in the depth of an answer.
	maxCheckSteps = 1 << 18
)

var errCheckSteps = errors.New(
	"checking it takes too long: its schema leads in too many ways to the same place")

// checker validates answers by the library jsonschema, whose formats and regular expressions are
// those of this package.
type checker struct {
	mu     sync.Mutex
	schema *jsonschema.Schema
	steps  int
}

var printer = message.NewPrinter(language.English)

// outside refuses to load schemas from elsewhere. Metaschemas are not asked for: the library has
// them.
type outside struct{}

func (outside) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside of the schema, and nothing is fetched", url)
}

type step struct{ c *checker }

func (s step) Validate(*jsonschema.ValidatorContext, any) {
	if s.c.steps++; s.c.steps > maxCheckSteps {
		panic(fault.Of(errCheckSteps))
	}
}

// expression is a pattern as the library wants it.
type expression struct {
	source string
	n      *nfa
}

func (e expression) String() string { return e.source }

func (e expression) MatchString(s string) bool {
	if e.n == nil {
		panic(fault.Of(errBackreference))
	}
	ok, err := e.n.search(s)
	fault.Check(err)
	return ok
}

// document returns the JSON value at n as encoding/json has it, and how many values it holds.
func (n *node) document(ctx context.Context) (value any, count int) {
	var of func(n *node) any
	of = func(n *node) any {
		if count++; count&1023 == 0 {
			fault.Check(ctx.Err())
		}
		switch n.kind {
		case kindBool:
			return n.yes
		case kindString:
			return n.text
		case kindNumber:
			v, err := n.number()
			fault.Check(err)
			return v
		case kindArray:
			list := make([]any, len(n.vals))
			for i, v := range n.vals {
				list[i] = of(v)
			}
			return list
		case kindObject:
			m := make(map[string]any, len(n.vals))
			for i, v := range n.vals {
				m[n.keys[i]] = of(v)
			}
			return m
		}
		return nil
	}
	return of(n), count
}

func newChecker(ctx context.Context, d *document) (c *checker, err error) {
	defer fault.Catch(&err)
	c = &checker{}
	doc, nodes := d.root.document(ctx)
	if nodes > maxCheckNodes {
		return nil, fmt.Errorf("the schema has more than %d parts", maxCheckNodes)
	}
	if m, ok := doc.(map[string]any); ok && !d.said {
		delete(m, "$schema") // one that is not known; without it the draft is told below
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(map[draft]*jsonschema.Draft{draft3: jsonschema.Draft4,
		draft4: jsonschema.Draft4, draft6: jsonschema.Draft6,
		draft7: jsonschema.Draft7, draft2019: jsonschema.Draft2019,
		draft2020: jsonschema.Draft2020}[d.draft])
	compiler.AssertFormat()
	compiler.UseLoader(outside{})
	parsed := map[string]*nfa{}
	compiler.UseRegexpEngine(func(source string) (jsonschema.Regexp, error) {
		if n := parsed[source]; n != nil {
			return expression{source, n}, nil
		}
		n, err := parseRegex(source, exact)
		if errors.Is(err, errBackreference) { // a regular expression, though not one to match here
			err = nil
		} else if err == nil {
			parsed[source] = n
		}
		return expression{source, n}, err
	})
	for name := range formats {
		compiler.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if text, ok := v.(string); ok && !hasFormat(name, text) {
				return fmt.Errorf("is no %s", name)
			}
			return nil
		}})
	}
	for _, name := range []string{"period", "semver"} { // of the library alone
		compiler.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(any) error {
			return nil
		}})
	}
	compiler.AssertVocabs()
	compiler.RegisterVocabulary(&jsonschema.Vocabulary{URL: "urn:eyelet:steps",
		Compile: func(*jsonschema.CompilerContext, map[string]any) (jsonschema.SchemaExt, error) {
			return step{c}, nil
		}})
	const address = "urn:eyelet:schema"
	if err := compiler.AddResource(address, doc); err != nil {
		return nil, err
	}
	if c.schema, err = compiler.Compile(address); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *checker) validate(answer []byte) (err error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer))
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	if !moderate(v) {
		return errors.New("a number in it is out of the range of 1e±400")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = 0
	defer fault.Catch(&err)
	err = c.schema.Validate(v)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		for len(invalid.Causes) > 0 { // the innermost says most
			invalid = invalid.Causes[0]
		}
		return fmt.Errorf("at /%s: %s", strings.Join(invalid.InstanceLocation, "/"),
			strings.TrimSpace(invalid.ErrorKind.LocalizedString(printer)))
	}
	return err
}

// moderate reports whether the numbers in v have exact values that fit into memory.
func moderate(v any) bool {
	switch v := v.(type) {
	case json.Number:
		_, err := (&node{kind: kindNumber, text: v.String()}).number()
		return err == nil
	case []any:
		for _, e := range v {
			if !moderate(e) {
				return false
			}
		}
	case map[string]any:
		for _, e := range v {
			if !moderate(e) {
				return false
			}
		}
	}
	return true
}

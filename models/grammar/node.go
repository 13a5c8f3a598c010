package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/eyelet-engine/eyelet/models/internal/fault"
)

type nodeKind uint8

const (
	kindNull nodeKind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// node is a JSON value that remembers the order of its keys and its place.
type node struct {
	kind   nodeKind
	yes    bool   // value of a kindBool
	text   string // of a kindString, or the digits of a kindNumber
	keys   []string
	vals   []*node // elements, or values in the order of keys
	byKey  map[string]*node
	parent *node
	key    string // within parent
	id     int    // order of appearance in the document
}

func (n *node) get(key string) *node {
	if n == nil || n.byKey == nil {
		return nil
	}
	return n.byKey[key]
}

// pointer is the JSON pointer (RFC 6901) of n as a URI fragment.
func (n *node) pointer() string {
	if n.parent == nil {
		return "#"
	}
	return n.parent.pointer() + "/" + pointerEscapes.Replace(n.key)
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// errorf is an error about the schema at n.
func (n *node) errorf(format string, args ...any) fault.Fault {
	return fault.New("grammar: schema %s: %s", n.pointer(), fmt.Sprintf(format, args...))
}

type nodeParser struct {
	dec      *jsontext.Decoder
	maxDepth int
	count    int
	nodes    slab[node]
}

func parseNode(text []byte, maxBytes, maxDepth int) (_ *node, err error) {
	defer fault.Catch(&err)
	if len(text) > maxBytes {
		return nil, fmt.Errorf("grammar: schema of %d bytes, more than %d", len(text), maxBytes)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("grammar: schema is not UTF-8")
	}
	// Names that stand twice are told here, with their place; halves of surrogate pairs become
	// U+FFFD.
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true))
	p := &nodeParser{dec: dec, maxDepth: maxDepth}
	n := p.value(nil, "", 0)
	if _, err := p.dec.ReadToken(); err != io.EOF {
		return nil, errors.New("grammar: schema is followed by more text")
	}
	return n, nil
}

func (p *nodeParser) value(parent *node, key string, depth int) *node {
	tok := p.token()
	n := p.nodes.alloc()
	n.parent, n.key, n.id = parent, key, p.count
	p.count++
	if depth > p.maxDepth {
		panic(fault.New("grammar: schema nests deeper than %d", p.maxDepth))
	}
	switch tok.Kind() {
	case 'n':
	case 't', 'f':
		n.kind, n.yes = kindBool, tok.Bool()
	case '"':
		n.kind, n.text = kindString, tok.String()
	case '0':
		n.kind, n.text = kindNumber, tok.String()
	case '[':
		n.kind = kindArray
		p.members(n, ']', depth)
	case '{':
		n.kind, n.byKey = kindObject, map[string]*node{}
		p.members(n, '}', depth)
	}
	return n
}

// members reads what an array or an object holds, up to its end.
func (p *nodeParser) members(n *node, end jsontext.Kind, depth int) {
	for p.dec.PeekKind() != end {
		k := ""
		if n.kind == kindObject {
			if k = p.token().String(); n.byKey[k] != nil {
				panic(n.errorf("key %q appears twice", k))
			}
		} else {
			k = strconv.Itoa(len(n.vals))
		}
		v := p.value(n, k, depth+1)
		n.vals = append(n.vals, v)
		if n.kind == kindObject {
			n.keys = append(n.keys, k)
			n.byKey[k] = v
		}
	}
	p.token()
}

func (p *nodeParser) token() jsontext.Token {
	tok, err := p.dec.ReadToken()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		panic(fault.New("grammar: schema is not JSON: %w", err))
	}
	return tok
}

// maxNumberText and maxExponent bound numbers in a schema: exact arithmetic on
// 1e999999999 would never end.
const (
	maxNumberText = 40
	maxExponent   = 30
)

// rational is the exact value of a number.
func (n *node) rational() (*big.Rat, error) {
	if n.kind != kindNumber {
		return nil, n.errorf("must be a number")
	}
	if i := strings.IndexAny(n.text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(n.text[i+1:]); err != nil || e > maxExponent || e < -maxExponent {
			return nil, n.errorf("number out of the supported range 1e±%d", maxExponent)
		}
	}
	r, ok := new(big.Rat).SetString(n.text)
	if !ok || len(n.text) > maxNumberText {
		return nil, n.errorf("number is too long")
	}
	return r, nil
}

// number is n as json.Number. One whose exact value takes too much memory is an error.
func (n *node) number() (json.Number, error) {
	if i := strings.IndexAny(n.text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(n.text[i+1:]); err != nil || e > 400 || e < -400 {
			return "", n.errorf("number out of the range of 1e±400")
		}
	}
	if len(n.text) > 4096 {
		return "", n.errorf("number is too long")
	}
	return json.Number(n.text), nil
}

// natural is a non-negative integer such as a length.
func (n *node) natural() int {
	r, err := n.rational()
	fault.Check(err)
	if !r.IsInt() || r.Sign() < 0 {
		panic(n.errorf("must be an integer and not negative"))
	}
	if !r.Num().IsInt64() || r.Num().Int64() > 1<<30 {
		return 1 << 30
	}
	return int(r.Num().Int64())
}

// canonical is a spelling that two nodes share exactly when they are equal as
// JSON Schema compares them: numbers by value, objects without order.
func (n *node) canonical() string {
	switch n.kind {
	case kindNumber:
		if r, err := n.rational(); err == nil {
			return r.RatString()
		}
		return n.text
	case kindObject:
		pairs := make([]string, len(n.keys))
		for i, k := range n.keys {
			pairs[i] = quoteJSON(k) + ":" + n.vals[i].canonical()
		}
		slices.Sort(pairs)
		return "{" + strings.Join(pairs, ",") + "}"
	case kindArray:
		parts := make([]string, len(n.vals))
		for i, v := range n.vals {
			parts[i] = v.canonical()
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return n.json()
}

// json spells n compactly with the shortest escapes.
func (n *node) json() string {
	switch n.kind {
	case kindNull:
		return "null"
	case kindBool:
		return strconv.FormatBool(n.yes)
	case kindNumber:
		return n.text
	case kindString:
		return quoteJSON(n.text)
	}
	parts := make([]string, len(n.vals))
	for i, v := range n.vals {
		parts[i] = v.json()
		if n.kind == kindObject {
			parts[i] = quoteJSON(n.keys[i]) + ":" + parts[i]
		}
	}
	if n.kind == kindObject {
		return "{" + strings.Join(parts, ",") + "}"
	}
	return "[" + strings.Join(parts, ",") + "]"
}

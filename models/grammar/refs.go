package grammar

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// draft is a version of the specification, by its year or number.
type draft int

const (
	draft3    draft = 3
	draft4    draft = 4
	draft6    draft = 6
	draft7    draft = 7
	draft2019 draft = 2019
	draft2020 draft = 2020
)

var drafts = map[string]draft{
	"json-schema.org/draft-03/schema": draft3, "json-schema.org/draft-04/schema": draft4,
	"json-schema.org/draft-06/schema": draft6,
	"json-schema.org/draft-07/schema": draft7, "json-schema.org/draft/2019-09/schema": draft2019,
	"json-schema.org/draft/2020-12/schema": draft2020, "json-schema.org/schema": draft2020,
}

// bare returns an address without its scheme and without an empty fragment.
func bare(address string) string {
	address = strings.TrimSuffix(address, "#")
	return strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://")
}

// declaredDraft returns the draft that "$schema" names; zero if that is none we know.
func declaredDraft(root *node) draft {
	if s := root.get("$schema"); s != nil && s.kind == kindString {
		return drafts[bare(s.text)]
	}
	return 0
}

// document is a schema with the addresses of its parts.
type document struct {
	root        *node
	draft       draft
	said        bool             // the schema names its draft
	bases       map[*node]string // base addresses of the parts that set one
	places      map[string]*node // address, with an anchor as fragment, to part
	dynamic     map[string]int   // $dynamicAnchor to its number of appearances
	anchors     int              // appearances of $recursiveAnchor: true
	tuples      bool             // "items" is a list somewhere
	unevaluated bool             // a keyword speaks of what others have not
}

// subschemas says in which keywords schemas stand: alone, in a list, or under names.
var subschemas = map[string]string{
	"not": "one", "if": "one", "then": "one", "else": "one", "contains": "one",
	"propertyNames": "one", "additionalProperties": "one",
	"unevaluatedProperties": "one", "unevaluatedItems": "one", "additionalItems": "one",
	"items": "one or list", "contentSchema": "one",
	"allOf": "list", "anyOf": "list", "oneOf": "list", "prefixItems": "list",
	"properties": "names", "patternProperties": "names", "$defs": "names", "definitions": "names",
	"dependentSchemas": "names",
	"dependencies":     "names", "extends": "one or list",
}

// children calls visit with each schema that stands in a keyword of n.
func children(n *node, visit func(*node)) {
	for i, key := range n.keys {
		v := n.vals[i]
		switch shape := subschemas[key]; {
		case shape == "":
		case v.kind == kindArray && strings.HasSuffix(shape, "list"), v.kind == kindObject &&
			shape == "names":
			for _, part := range v.vals {
				visit(part)
			}
		case strings.HasPrefix(shape, "one"):
			visit(v)
		}
	}
}

func newDocument(root *node) *document {
	d := &document{root: root, bases: map[*node]string{}, places: map[string]*node{},
		dynamic: map[string]int{}}
	d.draft = declaredDraft(root)
	d.said = d.draft != 0
	booleans := false
	var walk func(n *node, base string)
	walk = func(n *node, base string) {
		if n.kind != kindObject {
			return
		}
		base = d.address(n, base)
		for _, key := range []string{"$anchor", "$dynamicAnchor"} {
			if a := n.get(key); a != nil && a.kind == kindString {
				d.note(base+"#"+a.text, n)
				if key == "$dynamicAnchor" {
					d.dynamic[a.text]++
				}
			}
		}
		if a := n.get("$recursiveAnchor"); a != nil && a.yes {
			d.anchors++
		}
		d.unevaluated = d.unevaluated || n.get("unevaluatedProperties") != nil ||
			n.get("unevaluatedItems") != nil
		if v := n.get("items"); v != nil && v.kind == kindArray {
			d.tuples = true
		}
		for _, key := range []string{"exclusiveMinimum", "exclusiveMaximum"} {
			if v := n.get(key); v != nil && v.kind == kindBool {
				booleans = true
			}
		}
		children(n, func(part *node) { walk(part, base) })
	}
	d.note("", root)
	walk(root, "")
	switch {
	case d.said:
	case booleans:
		d.draft = draft4
	case d.tuples:
		d.draft = draft2019
	default:
		d.draft = draft2020
	}
	return d
}

func (d *document) note(address string, n *node) {
	if d.places[address] == nil {
		d.places[address] = n
	}
}

// address works out the base of n from its $id, or draft-04's id, and notes it.
func (d *document) address(n *node, base string) string {
	id := n.get("$id")
	if id == nil && d.draft != 0 && d.draft <= draft4 {
		id = n.get("id")
	}
	if id == nil || id.kind != kindString || n.get("$ref") != nil && d.draft != 0 &&
		d.draft <= draft7 {
		return base
	}
	at, anchor, ok := join(base, id.text)
	if !ok {
		return base
	}
	if anchor != "" {
		d.note(at+"#"+anchor, n) // an anchor in the spelling of draft-06
	}
	if strings.HasPrefix(id.text, "#") {
		return base
	}
	d.note(at, n)
	d.bases[n] = at
	return at
}

// join resolves a reference against a base; fragment has its escapes undone.
func join(base, reference string) (address, fragment string, ok bool) {
	r, err := url.Parse(reference)
	if err != nil {
		return "", "", false
	}
	if base != "" {
		b, err := url.Parse(base)
		if err != nil {
			return "", "", false
		}
		if b.Opaque == "" || r.Scheme != "" {
			r = b.ResolveReference(r)
		} else if r.Path == "" && r.Host == "" { // a fragment of a URN
			fragment := r.Fragment
			r = b
			r.Fragment = fragment
		}
	}
	fragment = r.Fragment
	r.Fragment, r.RawFragment = "", ""
	return r.String(), fragment, true
}

// base returns the address against which references in n are resolved.
func (d *document) base(n *node) string {
	for ; n != nil; n = n.parent {
		if b, ok := d.bases[n]; ok {
			return b
		}
	}
	return ""
}

// resolve follows a reference within the document. The outcome is nil for a
// metaschema, which stands outside but is known to all.
func (d *document) resolve(ref *node) *node {
	if ref.kind != kindString {
		panic(ref.errorf("must be a string"))
	}
	address, fragment, ok := join(d.base(ref.parent), ref.text)
	if !ok {
		panic(ref.errorf("%q is no reference", ref.text))
	}
	if fragment != "" && fragment[0] != '/' {
		if n := d.places[address+"#"+fragment]; n != nil {
			return n
		}
	}
	at := d.places[address]
	switch {
	case at == nil && (drafts[bare(address)] != 0 || strings.HasPrefix(bare(address),
		"json-schema.org/draft/")):
		return nil
	case at == nil:
		panic(ref.errorf(
			"%q is outside of this document, and nothing is fetched: put it under $defs", ref.text))
	case fragment != "" && fragment[0] != '/':
		panic(ref.errorf("%q leads nowhere: no $anchor has this name", ref.text))
	}
	for _, part := range strings.Split(fragment, "/")[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		next := at.get(part)
		if i, err := strconv.Atoi(part); err == nil && at.kind == kindArray && 0 <= i &&
			i < len(at.vals) {
			next = at.vals[i]
		}
		if next == nil {
			panic(ref.errorf("%q leads nowhere", ref.text))
		}
		at = next
	}
	return at
}

// references are the keywords that refer to schemas, with their targets. The
// target is nil where only the evaluation of an answer can tell it.
func (c *converter) references(n *node) []*node {
	var out []*node
	for _, key := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
		ref := n.get(key)
		if ref == nil {
			continue
		}
		target := c.doc.resolve(ref)
		name := ref.text[strings.IndexByte(ref.text, '#')+1:]
		switch {
		case target == nil:
			c.loosen(ref, "a metaschema")
		case key == "$dynamicRef" && c.doc.dynamic[name] > 1, key == "$recursiveRef" &&
			c.doc.anchors > 1:
			c.loosen(ref, "its target depends on the way that led here")
			target = nil
		}
		if target = cmp.Or(target, anyNode); !slices.Contains(out, target) {
			out = append(out, target)
		}
	}
	return out
}

// anyNode is the schema true where none is written.
var anyNode = &node{kind: kindBool, yes: true, id: -1}

// cases reports whether the draft knows if, then and else.
func (d *document) cases() bool { return !d.said || d.draft >= draft7 }

package boxes

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// read finds the places that an answer names, in all notations.
func read(answer string, f Frame) []place {
	places, rest := locations(answer)
	more, rest := tags(rest)
	places = append(places, more...)
	more, rest = points(rest)
	places = append(places, more...)
	return append(places, objects(rest, f)...)
}

// without is a text with blanks where the matches of an expression stand, which others are not to
// read again.
func without(text string, matches [][]int) string {
	b := []byte(text)
	for _, m := range matches {
		for i := m[0]; i < m[1]; i++ {
			b[i] = ' '
		}
	}
	return string(b)
}

// trim takes away blanks and line ends.
func trim(text string) string { return strings.Trim(text, " \t\r\n") }

// group is the text of a group of a match, "" if it took no part.
func group(text string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return text[m[2*n]:m[2*n+1]]
}

var (
	locationTags = regexp.MustCompile(`((?:<loc\d{4}>){4})[ \n]*([^;<\n]*)`)
	fourDigits   = regexp.MustCompile(`\d{4}`)
)

// locations reads PaliGemma's notation: four <locNNNN> of 1024 steps, in the order top, left,
// bottom, right, then the name (https://github.com/google-research/big_vision,
// big_vision/configs/proj/paligemma/README.md).
func locations(text string) (places []place, rest string) {
	matches := locationTags.FindAllStringSubmatchIndex(text, -1)
	for _, m := range matches {
		p := place{units: [2]float64{1024, 1024}, label: trim(group(text, m, 2))}
		for i, digits := range fourDigits.FindAllString(group(text, m, 1), 4) {
			p.at[[4]int{1, 0, 3, 2}[i]], _ = strconv.ParseFloat(digits, 64)
		}
		places = append(places, p)
	}
	return places, without(text, matches)
}

var (
	placeTags   = regexp.MustCompile(`(?:<\|?(?:object_)?ref(?:_start)?\|?>([^<]*)<[^<>]*>[ \n]*)?<\|?(begin_of_)?(box|quad|point|det)(?:_start)?\|?>([^<]*)(?:<|$)`)
	number      = regexp.MustCompile(`-?\d+(?:\.\d+)?`)
	plainNumber = regexp.MustCompile(`^-?\d+(?:\.\d+)?$`)
)

// tags reads places between tags: Qwen-VL's and Qwen2-VL's
// <ref>name</ref><box>(x1,y1),(x2,y2)</box> with bars or without, MiniCPM-V's <box>x1 y1 x2
// y2</box>, InternVL's <box>[[x1,y1,x2,y2],…]</box>, GLM-4V's
// <|begin_of_box|>[x1,y1,x2,y2]<|end_of_box|>, DeepSeek-VL2's <|det|>[[x1,y1,x2,y2]]<|/det|> (of
// 999 steps), <point>x y</point>, <quad> of four corners.
func tags(text string) (places []place, rest string) {
	matches := placeTags.FindAllStringSubmatchIndex(text, -1)
	for _, m := range matches {
		kind, inside := group(text, m, 3), group(text, m, 4)
		if group(text, m, 2) != "" && !strings.Contains(inside, "[") {
			continue // GLM's answers, of whatever kind
		}
		var all []float64
		for _, digits := range number.FindAllString(inside, -1) {
			v, _ := strconv.ParseFloat(digits, 64)
			all = append(all, v)
		}
		size := map[string]int{"box": 4, "det": 4, "quad": 8, "point": 2}[kind]
		for ; len(all) >= size; all = all[size:] {
			p := place{at: around(all[:size]), label: trim(group(text, m, 1)), point: size == 2,
				inText: true}
			if kind == "det" {
				p.units = [2]float64{999, 999}
			}
			places = append(places, p)
		}
	}
	return places, without(text, matches)
}

// around is the box around corners, x and y of each. Of two, it keeps their order.
func around(corners []float64) [4]float64 {
	at := [4]float64{corners[0], corners[1], corners[len(corners)-2], corners[len(corners)-1]}
	if len(corners) > 4 {
		for i, v := range corners {
			at[i%2], at[2+i%2] = math.Min(at[i%2], v), math.Max(at[2+i%2], v)
		}
	}
	return at
}

var (
	pointTags  = regexp.MustCompile(`<points?((?: +[a-z]+\d*="[^"<>]*")+) *>([^<]*)(?:<|$)`)
	attributes = regexp.MustCompile(`([a-z]+)(\d*)="([^"]*)"`)
)

// points reads Molmo's notation, in hundredths: <point x="12.5" y="40.0" alt="name">name</point>
// and <points x1="…" y1="…" x2="…" …>.
func points(text string) (places []place, rest string) {
	matches := pointTags.FindAllStringSubmatchIndex(text, -1)
	for _, m := range matches {
		label := trim(group(text, m, 2))
		x, y := map[string]float64{}, map[string]float64{}
		var order []string
		for _, a := range attributes.FindAllStringSubmatch(group(text, m, 1), -1) {
			v, err := strconv.ParseFloat(a[3], 64)
			switch {
			case a[1] == "alt" && label == "":
				label = trim(a[3])
			case err != nil || !plainNumber.MatchString(a[3]):
			case a[1] == "x":
				x[a[2]] = v
				order = append(order, a[2])
			case a[1] == "y":
				y[a[2]] = v
			}
		}
		for _, n := range order {
			if v, ok := y[n]; ok {
				places = append(places, place{at: [4]float64{x[n], v, x[n], v},
					units: [2]float64{100, 100}, label: label, point: true})
			}
		}
	}
	return places, without(text, matches)
}

// maxHeight is how deeply the values of an answer may be nested.
const maxHeight = 16

// span is a stretch of text between a bracket and the one that ends it.
type span struct{ from, to, height int }

// spans finds what may be JSON values in a text, in the order of their beginnings, outer ones
// before inner ones. In an answer that was cut off, those that are whole are left.
func spans(text string) (found []span) {
	type open struct{ at, height int }
	var stack []open
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case quoted && c == '\n': // no string of JSON's
			quoted, stack = false, stack[:0]
		case c == '"' && len(stack) > 0:
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			stack = append(stack, open{at: i})
		case c == ']' || c == '}':
			if len(stack) == 0 {
				continue
			}
			top := stack[len(stack)-1]
			if stack = stack[:len(stack)-1]; text[top.at] != c-2 {
				stack = stack[:0]
				continue
			}
			found = append(found, span{top.at, i + 1, top.height})
			if n := len(stack); n > 0 {
				stack[n-1].height = max(stack[n-1].height, top.height+1)
			}
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].from < found[j].from })
	return found
}

// objects reads places out of JSON values in a text, wherever they stand.
func objects(text string, f Frame) (places []place) {
	end := 0
	for _, s := range spans(text) {
		if s.from < end || s.height > maxHeight {
			continue // inside of one that was read
		}
		d := json.NewDecoder(strings.NewReader(text[s.from:s.to]))
		d.UseNumber()
		var value any
		if d.Decode(&value) != nil {
			continue
		}
		end = s.to
		places = append(places, walk(value, f, true)...)
	}
	return places
}

// walk reads the places of a value and of those in it. Lists of four fractions that stand outside
// of objects are LLaVA's boxes.
func walk(value any, f Frame, bare bool) (places []place) {
	switch v := value.(type) {
	case []any:
		if at, ok := numbers(v, 4); ok && bare && slices.Max(at) <= 1 && slices.Min(at) >= 0 &&
			slices.ContainsFunc(at, func(x float64) bool { return x != math.Trunc(x) }) {
			return []place{{at: [4]float64(at)}}
		}
		for _, inner := range v {
			places = append(places, walk(inner, f, bare)...)
		}
	case map[string]any:
		places = object(v, f)
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			places = append(places, walk(v[name], f, false)...)
		}
	}
	return places
}

// The names that objects have for what places are called, and for their places.
var (
	labelNames = []string{"label", "name", "text", "text_content", "class", "object"}
	boxNames   = []string{"bbox_2d", "bbox", "box"}
	pointNames = []string{"point_2d", "point"}
	cornerSets = [][4]string{{"x1", "y1", "x2", "y2"}, {"xmin", "ymin", "xmax", "ymax"},
		{"x_min", "y_min", "x_max", "y_max"}, {"left", "top", "right", "bottom"}}
	sizeSets = [][4]string{{"x", "y", "w", "h"}, {"x", "y", "width", "height"},
		{"left", "top", "width", "height"}}
)

// object reads the places that one object names: Qwen's bbox_2d and point_2d, box_2d of Gemma and
// Gemini, which is [top, left, bottom, right] in thousandths
// (https://ai.google.dev/gemini-api/docs/image-understanding), and corners or sizes by name.
func object(o map[string]any, f Frame) (places []place) {
	label := ""
	for _, name := range labelNames {
		if text, ok := o[name].(string); ok {
			label = text
			break
		}
	}
	for _, at := range lists(first(o, boxNames), 4) {
		places = append(places, place{at: [4]float64(at), label: label})
	}
	for _, at := range lists(o["box_2d"], 4) {
		places = append(places, place{at: [4]float64{at[1], at[0], at[3], at[2]},
			units: [2]float64{1000, 1000}, label: label})
	}
	for _, at := range lists(first(o, pointNames), 2) {
		if f.Upright {
			at[0], at[1] = at[1], at[0]
		}
		places = append(places, place{at: [4]float64{at[0], at[1], at[0], at[1]}, label: label,
			point: true})
	}
	for _, set := range cornerSets {
		if at, ok := numbers([]any{o[set[0]], o[set[1]], o[set[2]], o[set[3]]}, 4); ok {
			return append(places, place{at: [4]float64(at), label: label})
		}
	}
	for _, set := range sizeSets {
		if at, ok := numbers([]any{o[set[0]], o[set[1]], o[set[2]], o[set[3]]}, 4); ok {
			return append(places, place{at: [4]float64{at[0], at[1], at[0] + at[2], at[1] + at[3]},
				label: label})
		}
	}
	return places
}

// first is the value of the first of some names that an object has.
func first(o map[string]any, names []string) any {
	for _, name := range names {
		if v, ok := o[name]; ok && v != nil {
			return v
		}
	}
	return nil
}

// lists are the lists of n numbers that a value is, or is a list of.
func lists(value any, n int) (all [][]float64) {
	list, ok := value.([]any)
	if !ok {
		return nil
	}
	if at, ok := numbers(list, n); ok {
		return [][]float64{at}
	}
	for _, inner := range list {
		if l, ok := inner.([]any); ok {
			if at, ok := numbers(l, n); ok {
				all = append(all, at)
			}
		}
	}
	return all
}

// numbers are the numbers of a list of n, if it is that.
func numbers(list []any, n int) (at []float64, ok bool) {
	if len(list) != n {
		return nil, false
	}
	for _, v := range list {
		digits, ok := v.(json.Number)
		if !ok {
			return nil, false
		}
		x, err := digits.Float64()
		if err != nil { // beyond a float64
			return nil, false
		}
		at = append(at, x)
	}
	return at, true
}

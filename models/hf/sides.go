package hf

import "slices"

// sides is a size in any of the forms that image processors write. A field that is not given is 0.
type sides struct{ Shortest, Longest, Height, Width int }

// size reads a size: an object of edges or sides, a list of height and width, or one number, which
// is a square's side or the shorter edge (get_size_dict of transformers).
func (o object) size(key string, square bool) (s sides) {
	switch v := o.values[key].(type) {
	case nil:
	case map[string]any:
		inner := object{where: o.where + ": " + key, values: v, err: o.err}
		s = sides{inner.integer("shortest_edge", 0, 1, maxSide), inner.integer("longest_edge", 0, 1,
			maxSide), inner.integer("height", 0, 1, maxSide), inner.integer("width", 0, 1, maxSide)}
		for name := range v {
			if !slices.Contains([]string{"shortest_edge", "longest_edge", "height", "width"},
				name) && inner.has(name) {
				inner.fail(name, "%w: it is no side that is known", ErrUnsupported)
			}
		}
		if (s.Height == 0) != (s.Width == 0) {
			o.fail(key, "%w: %s has one side of two", ErrInvalid, brief(v))
		}
	case []any:
		height, ok := 0, len(v) == 2
		if ok {
			height, ok = wholeNumber(v[0])
		}
		width, widthOK := 0, false
		if ok {
			width, widthOK = wholeNumber(v[1])
		}
		if !ok || !widthOK || height < 1 || width < 1 || height > maxSide || width > maxSide {
			o.fail(key, "%w: %s is no height and width", ErrInvalid, brief(v))
			return s
		}
		s.Height, s.Width = height, width
	default:
		n := o.integer(key, 0, 1, maxSide)
		if square {
			return sides{Height: n, Width: n}
		}
		s.Shortest = n
	}
	return s
}

package imaging

// This file holds the resampler at its plainest: what the fast one is measured against.

// resizePlain is Resize without goroutines, bands and C, on sizes that Resize accepts.
func resizePlain(src *RGB, w, h int, f Filter) (*RGB, error) {
	if w != src.W {
		cols, err := spans(src.W, w, f)
		if err != nil {
			return nil, err
		}
		src = resizeRows(src, cols)
	}
	if h != src.H {
		rows, err := spans(src.H, h, f)
		if err != nil {
			return nil, err
		}
		src = resizeColumns(src, rows)
	}
	return src, nil
}

// resizeRows applies one span to each output column, row by row.
func resizeRows(src *RGB, cols []span) *RGB {
	out := NewRGB(len(cols), src.H)
	for y := range out.H {
		in, dst := src.row(y), out.row(y)
		for x, s := range cols {
			r, g, b := int32(roundHalf), int32(roundHalf), int32(roundHalf)
			p := in[3*s.first:]
			for j, w := range s.weights {
				r += int32(p[3*j]) * w
				g += int32(p[3*j+1]) * w
				b += int32(p[3*j+2]) * w
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = toSample(r), toSample(g), toSample(b)
		}
	}
	return out
}

// resizeColumns applies one span to each output row, byte column by byte column.
func resizeColumns(src *RGB, rows []span) *RGB {
	out := NewRGB(src.W, len(rows))
	sums := make([]int32, 3*src.W)
	for y, s := range rows {
		for i := range sums {
			sums[i] = roundHalf
		}
		for j, w := range s.weights {
			for i, v := range src.row(s.first + j) {
				sums[i] += int32(v) * w
			}
		}
		dst := out.row(y)
		for i, v := range sums {
			dst[i] = toSample(v)
		}
	}
	return out
}

package vision

import "github.com/eyelet-engine/eyelet/models/gguf"

// source says where the weights of a layer lie in the file, for an executor that keeps them in
// their type. It is zero where they were rearranged in ways that blocks of a type do not allow.
type source struct {
	stored *gguf.Tensor
	rows   []int     // the rows of it, in this order; nil for all
	scale  []float32 // what the outputs without bias are to be multiplied by; nil for nothing
}

// source is that of a tensor as it lies in the file.
func (l *loader) source(name string) source {
	t, _ := l.file.Tensor(name)
	return source{stored: t}
}

// reordered is a source of n of its rows: the i-th is that which was from(i).
func (s source) reordered(n int, from func(i int) int) source {
	if s.stored == nil {
		return source{}
	}
	rows := make([]int, n)
	for i := range rows {
		if rows[i] = from(i); s.rows != nil {
			rows[i] = s.rows[rows[i]]
		}
	}
	s.rows = rows
	return s
}

// data are the weights' bytes, rows of cols numbers. The file must be open.
func (s source) data(cols int) []byte {
	all := s.stored.Data()
	if s.rows == nil {
		return all
	}
	size := cols / s.stored.Type.BlockSize() * s.stored.Type.TypeSize()
	data := make([]byte, 0, size*len(s.rows))
	for _, row := range s.rows {
		data = append(data, all[row*size:][:size]...)
	}
	return data
}

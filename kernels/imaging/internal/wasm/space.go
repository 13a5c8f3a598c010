package wasm

// Space is the memory of a machine: addresses for all that it may take, of which those cost memory
// that it has written to.
type Space struct {
	bytes []byte
	full  bool // more was asked for
}

// NewSpace returns a space of at most limit bytes, and false where there are not so many addresses.
func NewSpace(limit uint64) (s *Space, ok bool) {
	s = &Space{bytes: reserve(limit)}
	return s, s.bytes != nil
}

// Reallocate makes the memory larger. It stays where it is.
func (s *Space) Reallocate(size uint64) []byte {
	if size > uint64(len(s.bytes)) {
		s.full = true
		return nil
	}
	return s.bytes[:size:size]
}

// Free leaves the memory to Release.
func (s *Space) Free() {}

// Release gives the memory back. Nothing may run in it any more, or look at it.
func (s *Space) Release() {
	if s.bytes != nil {
		release(s.bytes)
		s.bytes = nil
	}
}

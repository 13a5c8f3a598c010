package jinja

// scope holds variables; an inner one hides the outer. Most have few, so that a search beats a map.
type scope struct {
	names  []string
	vals   []Value
	parent *scope
	room   struct { // for the first few
		names [4]string
		vals  [4]Value
	}
}

func (s *scope) get(name string) (Value, bool) {
	for ; s != nil; s = s.parent {
		for i := len(s.names) - 1; i >= 0; i-- {
			if s.names[i] == name {
				return s.vals[i], true
			}
		}
	}
	return nil, false
}

func (s *scope) set(name string, v Value) {
	for i, n := range s.names {
		if n == name {
			s.vals[i] = v
			return
		}
	}
	if s.names == nil {
		s.names, s.vals = s.room.names[:0], s.room.vals[:0]
	}
	s.names = append(s.names, name)
	s.vals = append(s.vals, v)
}

func (s *scope) inner() *scope { return &scope{parent: s} }

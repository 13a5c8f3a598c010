package engine

import "strings"

// stopper holds back the end of an answer while it could still become a stop text.
type stopper struct {
	stops   []string
	pending string
	hit     string // the stop text that came
}

// push adds text and returns what can be shown. Once a stop text is complete it returns true, and
// what stood before it.
func (s *stopper) push(text string) (show string, stopped bool) {
	if len(s.stops) == 0 {
		return text, false
	}
	s.pending += text
	first := -1
	for _, stop := range s.stops {
		if i := strings.Index(s.pending, stop); i >= 0 && (first < 0 || i < first) {
			first, s.hit = i, stop
		}
	}
	if first >= 0 {
		show, s.pending = s.pending[:first], ""
		return show, true
	}
	keep := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.pending)); n > keep; n-- {
			if strings.HasSuffix(s.pending, stop[:n]) {
				keep = n
				break
			}
		}
	}
	show, s.pending = s.pending[:len(s.pending)-keep], s.pending[len(s.pending)-keep:]
	return show, false
}

// flush returns what was held back.
func (s *stopper) flush() string {
	text := s.pending
	s.pending = ""
	return text
}

package llama

import "sync"

// callback is a function that is told of tokens. It can be changed while a prediction runs.
type callback struct {
	mu sync.Mutex
	f  func(string) bool
}

func (c *callback) set(f func(string) bool) {
	c.mu.Lock()
	c.f = f
	c.mu.Unlock()
}

// call returns whether the prediction goes on.
func (c *callback) call(token string) bool {
	c.mu.Lock()
	f := c.f
	c.mu.Unlock()
	return f == nil || f(token)
}

// SetTokenCallback sets a function that predictions call with the text of each token, those
// included that are running; nil sets none. The option of the same name sets one for a single
// prediction, in the place of this one.
func (l *LLama) SetTokenCallback(callback func(token string) bool) {
	if l == nil || l.handle == nil {
		return
	}
	h := l.handle
	h.mu.Lock()
	defer h.mu.Unlock()
	h.registered = callback
	for c := range h.running {
		c.set(callback)
	}
}

// listen returns the callback of a prediction, and what ends it.
func (h *handle) listen(own func(string) bool) (*callback, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &callback{f: own}
	if own == nil {
		c.f = h.registered
	}
	h.running[c] = struct{}{}
	return c, func() {
		h.mu.Lock()
		delete(h.running, c)
		h.mu.Unlock()
	}
}

package media

// arrive hands something over to Collect, and counts it. It is called from other goroutines.
func (e *Encoder) arrive(a arrival, count func(*EncoderStats)) {
	e.mu.Lock()
	e.arrivals = append(e.arrivals, a)
	if count != nil {
		count(&e.stats)
	}
	e.mu.Unlock()
	e.opts.Wake()
}

// Collect takes what decoders and the disk have brought, which completes tickets or lets Advance go
// on. It does not wait.
func (e *Encoder) Collect() {
	e.mu.Lock()
	arrivals := e.arrivals
	e.arrivals = nil
	e.mu.Unlock()
	for _, a := range arrivals {
		if a.opening != nil {
			e.collectDecoded(a)
		} else {
			e.collectRead(a)
		}
	}
	if len(arrivals) > 0 {
		e.open()
	}
}

func (e *Encoder) collectRead(a arrival) {
	j := a.job
	switch {
	case len(j.tickets) == 0: // dropped
		if a.read != nil {
			a.read.Release()
		}
	// somebody else put them there in the meantime
	case a.read != nil && len(a.read.Rows()) != e.values(j.picture):
		n := len(a.read.Rows())
		a.read.Release()
		e.finish(j, nil, lengthError(n, e.values(j.picture)))
	case a.read != nil:
		e.count(func(s *EncoderStats) { s.SavedDisk++ })
		e.finish(j, a.read, nil)
	case j.picture.Source == nil:
		e.finish(j, nil, ErrUnknown)
	default:
		e.enqueue(j)
	}
}

package kv

import "sync"

// Pictures numbers the pictures of a cache's items, so that items stay small. Numbers count from 1 and are never given again: a
// picture costs some 40 bytes for the life of the model. Its methods may be called from several goroutines.
type Pictures struct {
	mu      sync.Mutex
	numbers map[Key]uint32
	keys    []Key
}

// Number returns the number of a picture, a new one if it was never seen.
func (p *Pictures) Number(k Key) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.numbers[k]; ok {
		return n
	}
	if p.numbers == nil {
		p.numbers = map[Key]uint32{}
	}
	p.keys = append(p.keys, k)
	n := uint32(len(p.keys))
	p.numbers[k] = n
	return n
}

// Key returns the key of a number that Number returned; ok is false for any other.
func (p *Pictures) Key(n uint32) (k Key, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n == 0 || int(n) > len(p.keys) {
		return Key{}, false
	}
	return p.keys[n-1], true
}

package kv

import "sync"

// Pictures numbers the pictures of a cache's items, so that items stay small. Numbers count from 1
// and are never given again; [Pictures.Forget] bounds how many are known. Its methods may be called
// from several goroutines.
type Pictures struct {
	mu      sync.Mutex
	numbers map[Key]uint32
	keys    map[uint32]Key
	last    uint32
}

// Number returns the number of a picture, a new one if it is not known.
func (p *Pictures) Number(k Key) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, ok := p.numbers[k]; ok {
		return n
	}
	if p.numbers == nil {
		p.numbers, p.keys = map[Key]uint32{}, map[uint32]Key{}
	}
	p.last++
	p.numbers[k], p.keys[p.last] = p.last, k
	return p.last
}

// Key returns the key of a number that Number returned; ok is false for any other, and for one that
// was forgotten.
func (p *Pictures) Key(n uint32) (k Key, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok = p.keys[n]
	return k, ok
}

// recentPictures is how many pictures Forget keeps whether they are used or not: prompts that are
// being made have numbers which nobody else knows of yet.
const recentPictures = 4096

// Forget forgets pictures that are not among those in use, once there are more than twice as many
// as it keeps. A picture that is seen again gets another number: what stands of it under the old
// one is not found any more, which costs time and nothing else.
func (p *Pictures) Forget(used func(yield func(number uint32))) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.keys) <= 2*recentPictures {
		return
	}
	keep := map[uint32]bool{}
	used(func(n uint32) { keep[n] = true })
	for n, k := range p.keys {
		if !keep[n] && n+recentPictures <= p.last {
			delete(p.keys, n)
			delete(p.numbers, k)
		}
	}
}

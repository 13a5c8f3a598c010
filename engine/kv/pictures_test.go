package kv

import (
	"encoding/binary"
	"testing"
)

func TestPicturesThatNobodyUsesAreForgotten(t *testing.T) {
	var p Pictures
	key := func(i int) (k Key) { binary.LittleEndian.PutUint32(k[:], uint32(i)); return k }
	first := p.Number(key(0))
	for i := range 10 * recentPictures {
		n := p.Number(key(i))
		p.Forget(func(yield func(uint32)) { yield(first) })
		if k, ok := p.Key(n); !ok || k != key(i) {
			t.Fatalf("picture %d was forgotten at once", i)
		}
	}
	if n := len(p.keys); n > 2*recentPictures+1 || n != len(p.numbers) {
		t.Errorf("%d and %d pictures are known", n, len(p.numbers))
	}
	if p.Number(key(0)) != first {
		t.Error("a picture in use was forgotten")
	}
	old := p.Number(key(1)) // which was forgotten
	if k, ok := p.Key(2); ok {
		t.Errorf("number 2 is %x", k[:4])
	}
	if old <= 10*recentPictures {
		t.Errorf("number %d was given again", old)
	}
}

package disk

import (
	"encoding/binary"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

func TestNumbersOfPicturesGoWithTheirRecords(t *testing.T) {
	var x index
	key := func(i int) (k kv.Key) { binary.LittleEndian.PutUint32(k[:], uint32(i)+1); return k }
	shown, most := 0, 0
	var records []*record
	for i := range 10 * recentNumbers {
		p := &kv.Prompt{}
		for k := range 4 { // a picture that all show, and one of its own
			p.Items = append(p.Items, kv.Item{Picture: uint32(1 + (k+1)/4*(i+1)), Value: int32(k)})
			p.Pos = append(p.Pos, p.Next)
			p.Next++
		}
		r := &record{prompt: x.prompt(p, func(n uint32) (kv.Key, bool) {
			return key(int(n)), true
		}, true)}
		if i%2 == 0 {
			continue // it could not be written
		}
		x.add(r)
		records = append(records, r)
		if len(records) > 5 {
			x.remove(records[0])
			x.remove(records[0]) // the second time it is not there
			records = records[1:]
		}
		most = max(most, len(x.numbers))
		if len(x.numbers) != len(x.used) {
			t.Fatalf("%d pictures have numbers, of which %d are known", len(x.numbers), len(x.used))
		}
	}
	for _, r := range records {
		for _, it := range r.items {
			if x.used[it.Picture] == nil {
				t.Fatalf("picture %d of a record lost its number", it.Picture)
			}
		}
		shown = x.used[r.items[0].Picture].records
	}
	if shown != len(records) || most > 3*recentNumbers {
		t.Errorf("%d of %d records show the first picture; up to %d numbers were known", shown,
			len(records), most)
	}
}

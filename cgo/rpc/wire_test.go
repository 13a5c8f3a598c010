package rpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

// body is the body of a small request, in which number n stands at an offset.
func body(c command, numbers ...uint64) []byte {
	b := make([]byte, c.bodySize())
	for i := 0; i+1 < len(numbers); i += 2 {
		binary.LittleEndian.PutUint64(b[numbers[i]:], numbers[i+1])
	}
	return b
}

func wire(c command, body []byte) []byte {
	q := request{command: c, size: uint64(len(body))}
	return append(q.header(), body...)
}

func TestAnswersHaveTheLengthThatTheRequestAsksFor(t *testing.T) {
	for _, test := range []struct {
		body []byte
		c    command
		want uint64
		some bool
	}{
		{body(getTensor, tensorSize+8, 4096), getTensor, 4096, true},
		{body(getTensor2D, tensorSize+8, 128, tensorSize+16, 3), getTensor2D, 384, true},
		{body(getTensor2D, tensorSize+8, math.MaxUint64, tensorSize+16, 3), getTensor2D,
			math.MaxInt64, true},
		{body(allocBuffer), allocBuffer, 16, true},
		{body(deviceCount), deviceCount, 4, true},
		{[]byte(`{"plain": true}`), advise, 1, true},
		{body(freeBuffer), freeBuffer, 0, false},
	} {
		q, err := readRequest(bytes.NewReader(wire(test.c, test.body)))
		if err != nil || q.command != test.c || !bytes.Equal(q.body, test.body) {
			t.Fatalf("%d: %v, %+v", test.c, err, q)
		}
		if size, some := q.answer(); size != test.want || some != test.some {
			t.Errorf("%d: %d, %v", test.c, size, some)
		}
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(wire(hello, make([]byte, helloSize)))
	f.Add(wire(getAllocSize, body(getAllocSize)))
	f.Add(wire(advise, []byte("{}")))
	f.Add(append(wire(setTensor, nil)[:1], bytes.Repeat([]byte{255}, 20)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := readRequest(bytes.NewReader(data))
		if err != nil {
			return
		}
		if len(q.body) > mostSmall || q.body == nil && !q.command.bulky() ||
			q.body != nil && uint64(len(q.body)) != q.size {
			t.Fatalf("%+v", q)
		}
		q.answer()
		if q.command == getAllocSize {
			tensorBytes(q.body[4:])
		}
		if again := append(q.header(), q.body...); !slices.Equal(again, data[:len(again)]) {
			t.Errorf("%x became %x", data, again)
		}
	})
}

func TestAddressesAreReadAsPeopleWriteThem(t *testing.T) {
	got, err := Addresses("localhost, 10.0.0.2:99,[::1]:5,fe80::1")
	if want := []string{"localhost:50052", "10.0.0.2:99", "[::1]:5", "[fe80::1]:50052"}; err !=
		nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, list := range []string{"", ",", "a:b", "a:0", "a:65536", ":5", "a,a:50052", "http://a:5",
		"a b:5", "a:b:c", "::x"} {
		if got, err := Addresses(list); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %q, %v", list, got, err)
		}
	}
}

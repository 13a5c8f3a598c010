package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// fakeServer answers as a server does that has one device, whose tensors are all sevens.
type fakeServer struct {
	version byte
	devices uint32
	cut     command // the connection ends in the middle of the answer to this; commands for none
	mute    bool    // nothing is answered

	mu    sync.Mutex
	asked []command
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// start serves connections until the test ends, and returns the address.
func (f *fakeServer) start(t *testing.T) string {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
	return l.Addr().String()
}

func (f *fakeServer) serve(conn net.Conn) {
	defer conn.Close()
	for {
		q, err := readRequest(conn)
		if err != nil {
			return
		}
		if q.body == nil {
			if _, err := io.CopyN(io.Discard, conn, int64(q.size)); err != nil {
				return
			}
		}
		f.mu.Lock()
		f.asked = append(f.asked, q.command)
		f.mu.Unlock()
		size, some := q.answer()
		if f.mute || !some {
			continue
		}
		answer := bytes.Repeat([]byte{7}, int(size))
		switch q.command {
		case hello:
			copy(answer, []byte{f.version, 0, 0, 0})
		case deviceCount:
			binary.LittleEndian.PutUint32(answer, f.devices)
		case getDeviceMemory:
			binary.LittleEndian.PutUint64(answer, 1<<30)
			binary.LittleEndian.PutUint64(answer[8:], 2<<30)
		case allocBuffer:
			binary.LittleEndian.PutUint64(answer, 77)
			copy(answer[8:], q.body[4:])
		}
		if q.command == f.cut {
			_, _ = conn.Write(binary.LittleEndian.AppendUint64(nil, size))
			_, _ = conn.Write(answer[:len(answer)/2])
			return
		}
		if writeAnswer(conn, answer) != nil {
			return
		}
	}
}

// guarded returns a guard of an address, and a connection to it.
func guarded(t *testing.T, address string) (*guard, net.Conn) {
	t.Helper()
	g, err := newGuard(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.listener.Close() })
	if err := g.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", g.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return g, conn
}

func TestAGuardPassesOnWhatTheServerSays(t *testing.T) {
	f := &fakeServer{version: Protocol, devices: 1, cut: commands}
	g, conn := guarded(t, f.start(t))
	if seen := g.seen.Load(); len(seen.devices) != 1 ||
		seen.devices[0] != (memory{1 << 30, 2 << 30}) {
		t.Errorf("%+v", seen)
	}
	for _, c := range []command{hello, deviceCount, allocBuffer} {
		if _, err := call(conn, c, body(c)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Write(wire(setTensor, make([]byte, 3*bufferSize))); err != nil {
		t.Fatal(err)
	}
	rows, err := call(conn, getTensor, body(getTensor, tensorSize+8, 2*bufferSize))
	if err != nil || !bytes.Equal(rows, bytes.Repeat([]byte{7}, 2*bufferSize)) || g.Err() != nil {
		t.Errorf("%d bytes, %v, %v", len(rows), err, g.Err())
	}
}

func TestAGuardOutlivesItsServer(t *testing.T) {
	f := &fakeServer{version: Protocol, devices: 1, cut: getTensor}
	g, conn := guarded(t, f.start(t))
	if _, err := call(conn, hello, body(hello)); err != nil || g.Err() != nil {
		t.Fatal(err, g.Err())
	}
	const size = 3 * bufferSize
	rows, err := call(conn, getTensor, body(getTensor, tensorSize+8, size))
	if err != nil || !bytes.Equal(rows, append(bytes.Repeat([]byte{7}, size/2),
		make([]byte, size/2)...)) {
		t.Fatalf("%d bytes, %v", len(rows), err)
	}
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), g.address+" is lost") {
		t.Fatalf("%v", err)
	}
	// All that libggml-rpc may still ask has an answer of the right length.
	for c := allocBuffer; c < commands; c++ {
		if c.bulky() {
			if _, err := conn.Write(wire(c, make([]byte, 2*bufferSize))); err != nil {
				t.Fatal(err)
			}
			continue
		}
		q := request{command: c, body: body(c)}
		if _, some := q.answer(); !some {
			if _, err := conn.Write(wire(c, q.body)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		answer, err := call(conn, c, q.body)
		if err != nil {
			t.Fatalf("%d: %v", c, err)
		}
		if c == allocBuffer && number(answer, 0) != 0 || c == bufferGetBase && number(answer,
			0) == 0 {
			t.Errorf("%d: %x", c, answer)
		}
	}
}

func TestAGuardFindsTheServerAgain(t *testing.T) {
	f := &fakeServer{version: Protocol, devices: 1, cut: getAlignment}
	g, conn := guarded(t, f.start(t))
	if _, err := call(conn, getAlignment, body(getAlignment)); err != nil || g.Err() == nil {
		t.Fatal(err, g.Err())
	}
	f.mu.Lock()
	f.cut = commands
	f.mu.Unlock()
	again, err := net.Dial("tcp", g.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := call(again, getAlignment, body(getAlignment)); err != nil || g.Err() != nil {
		t.Error(err, g.Err())
	}
}

func TestWhatIsNoServerIsSaidInWords(t *testing.T) {
	before := helloTime
	helloTime = 100 * time.Millisecond
	defer func() { helloTime = before }()
	other := listen(t)
	go func() {
		for {
			conn, err := other.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			conn.Close()
		}
	}()
	gone := listen(t)
	gone.Close()
	for _, test := range []struct{ address, want string }{
		{gone.Addr().String(), "cannot be reached: connection refused"},
		{other.Addr().String(), "is no RPC server of ggml"},
		{(&fakeServer{version: Protocol, mute: true}).start(t), "does not answer"},
		{(&fakeServer{version: Protocol - 1, cut: commands}).start(t),
			"install the same version on both"},
		{(&fakeServer{version: Protocol, devices: 0, cut: commands}).start(t), "0 devices"},
		{(&fakeServer{version: Protocol, devices: 1, cut: getDeviceMemory}).start(t),
			"does not say what memory"},
	} {
		g := &guard{address: test.address}
		if err := g.look(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) ||
			!strings.Contains(err.Error(), test.address) {
			t.Errorf("%v; want %q of %s", err, test.want, test.address)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := &guard{address: (&fakeServer{version: Protocol, mute: true}).start(t)}
	if err := g.look(ctx); !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(),
		"canceled") {
		t.Errorf("%v", err)
	}
}

// front starts a Front over a worker, and returns its address.
func front(t *testing.T, f *Front, worker *fakeServer) string {
	at, l := worker.start(t), listen(t)
	f.Dial = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", at)
	}
	if f.Event == nil {
		f.Event = func(net.Addr, Event, error) {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestAFrontLendsNoMoreThanItMay(t *testing.T) {
	worker := &fakeServer{version: Protocol, devices: 1, cut: commands}
	address := front(t, &Front{Memory: 1000}, worker)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lent := func(size uint64) bool {
		answer, err := call(conn, allocBuffer, body(allocBuffer, 4, size))
		if err != nil {
			t.Fatal(err)
		}
		return number(answer, 0) != 0
	}
	memory := func() (free, total uint64) {
		answer, err := call(conn, getDeviceMemory, body(getDeviceMemory))
		if err != nil {
			t.Fatal(err)
		}
		return number(answer, 0), number(answer, 8)
	}
	if !lent(600) || lent(600) || lent(1<<63) {
		t.Error("buffers of 600 bytes, again 600 and 2^63, of 1000")
	}
	if free, total := memory(); free != 400 || total != 1000 {
		t.Errorf("%d of %d are free", free, total)
	}
	if _, err := conn.Write(wire(freeBuffer, body(freeBuffer, 0, 77))); err != nil {
		t.Fatal(err)
	}
	if free, _ := memory(); free != 1000 || !lent(1000) {
		t.Errorf("%d are free", free)
	}
	if answer, err := call(conn, commInit, body(commInit)); err != nil || answer[0] != 0 {
		t.Errorf("%v, %v", answer, err)
	}
	worker.mu.Lock()
	defer worker.mu.Unlock()
	for _, c := range worker.asked {
		if c == commInit {
			t.Error("the worker is asked to connect elsewhere")
		}
	}
}

func TestAFrontServesOneAtATime(t *testing.T) {
	events := make(chan Event, 100)
	address := front(t, &Front{Event: func(_ net.Addr, e Event, _ error) {
		events <- e
	}}, &fakeServer{version: Protocol, devices: 1, cut: commands})
	first, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call(first, hello, body(hello)); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := call(second, hello, body(hello))
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("the second is answered beside the first: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if a, b, c := <-events, <-events, <-events; a != ClientCame || b != ClientWent ||
		c != ClientCame {
		t.Errorf("%v, %v, %v", a, b, c)
	}
	if _, err := second.Write([]byte{255, 1, 2, 3, 4, 5, 6, 7, 8}); err != nil { // no command
		t.Fatal(err)
	}
	if e := <-events; e != ClientFailed {
		t.Errorf("%v", e)
	}
}

// What a process chooses reaches an Eyelet's worker before the next request, once, and after all
// that was sent before. A server of ggml never hears of it.
func TestChoicesReachTheWorker(t *testing.T) {
	worker := &fakeServer{version: Protocol, devices: 1, cut: commands}
	asked := func() (list []command) {
		worker.mu.Lock()
		defer worker.mu.Unlock()
		return slices.Clone(worker.asked)
	}
	told := make(chan []command, 9)
	var last ggml.Choices
	g, conn := guarded(t, front(t, &Front{Advise: func(choices []byte) error {
		told <- asked()
		return json.Unmarshal(choices, &last)
	}}, worker))
	request := func(c command) {
		t.Helper()
		if _, err := call(conn, c, body(c)); err != nil {
			t.Fatal(err)
		}
	}
	request(hello)
	request(allocBuffer)
	choices := ggml.Choices{Machine: "this one", Plain: true}
	g.Advise(choices)
	if len(told) != 0 {
		t.Fatal("choices went between requests")
	}
	request(getDeviceMemory)
	request(getDeviceMemory)
	if len(told) != 1 || last.Machine != choices.Machine || !last.Plain {
		t.Fatalf("told %d times: %+v", len(told), last)
	}
	if before := <-told; !slices.Contains(before, allocBuffer) || before[len(before)-1] !=
		deviceCount {
		t.Errorf("the worker was not done: %v", before)
	}
	if err := g.Err(); err != nil {
		t.Error(err)
	}

	stock := &fakeServer{version: Protocol, devices: 1, cut: commands}
	g, conn = guarded(t, stock.start(t))
	g.Advise(choices)
	request(hello)
	request(deviceCount)
	stock.mu.Lock()
	defer stock.mu.Unlock()
	if slices.Contains(stock.asked, advise) || g.Err() != nil {
		t.Errorf("%v, %v", stock.asked, g.Err())
	}
}

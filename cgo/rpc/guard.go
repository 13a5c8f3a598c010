package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// helloTime is how long a server may take to say what it is.
var helloTime = 10 * time.Second // less in tests

const (
	dialTime = 5 * time.Second
	// patience is how long a server may compute before it answers: a large batch on a slow machine
	// takes minutes. A machine that is gone is found sooner, by TCP's own probes.
	patience = 10 * time.Minute
)

// guard stands between libggml-rpc and a server: a listener on the loopback whose connections never
// break.
type guard struct {
	address  string // of the server
	listener net.Listener
	seen     atomic.Pointer[survey] // what the server said of itself when it was last asked
	fault    atomic.Pointer[error]  // why the server of the latest connection is lost
	sessions atomic.Int64           // open ones
	choices  atomic.Pointer[[]byte] // that this process has made last, as JSON; nil for none

	mu    sync.Mutex
	conns map[net.Conn]struct{} // to the server; a test breaks them
}

// survey is what a server says of itself.
type survey struct {
	greeting
	devices []memory
}

// greeting is how a server answers to hello.
type greeting struct {
	version [3]byte
	eyelet  bool // it knows Eyelet's own commands
}

// memory is that of a device, in bytes.
type memory struct{ free, total uint64 }

// newGuard starts a guard. It lives as long as the process, as libggml's devices do.
func newGuard(address string) (*guard, error) {
	// libggml-rpc knows no other addresses than IPv4's
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	g := &guard{address: address, listener: listener, conns: map[net.Conn]struct{}{}}
	go g.accept()
	return g, nil
}

// Address implements [ggml.Remote].
func (g *guard) Address() string { return g.address }

// Err implements [ggml.Remote].
func (g *guard) Err() error {
	if err := g.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Advise implements [ggml.Remote].
func (g *guard) Advise(c ggml.Choices) {
	if data, err := json.Marshal(c); err == nil {
		g.choices.Store(&data)
	}
}

// lose notes why the server is lost.
func (g *guard) lose(err error) {
	err = fmt.Errorf("the RPC server %s is lost: %w", g.address, reason(err))
	g.fault.Store(&err)
}

// reason is an error of a connection without the addresses of its ends.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE):
		return errors.New("it closed the connection")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("it does not answer")
	}
	return err
}

// dial connects to the server and greets it.
func (g *guard) dial(ctx context.Context) (conn net.Conn, said greeting, err error) {
	dialer := net.Dialer{Timeout: dialTime, KeepAliveConfig: net.KeepAliveConfig{Enable: true,
		Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}}
	if conn, err = dialer.DialContext(ctx, "tcp", g.address); err != nil {
		return nil, said, fmt.Errorf("the RPC server %s cannot be reached: %w", g.address,
			reason(err))
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(helloTime))
	answer, err := call(conn, hello, append(make([]byte, helloSize-len(ours)), ours...))
	if err != nil {
		conn.Close()
		switch {
		case ctx.Err() != nil:
			return nil, said, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, said,
				fmt.Errorf("what listens at %s does not answer: it serves another program at the moment, of which an RPC server takes one at a time, or it is no RPC server", g.address)
		}
		return nil, said,
			fmt.Errorf("what listens at %s is no RPC server of ggml, or one of another version: %w",
				g.address, reason(err))
	}
	copy(said.version[:], answer)
	said.eyelet = bytes.HasSuffix(answer, ours)
	if version := said.version; version[0] != Protocol {
		conn.Close()
		return nil, said,
			fmt.Errorf("the RPC server %s speaks version %d.%d.%d of the protocol, and this machine's libggml %d; install the same version on both", g.address, version[0], version[1], version[2], Protocol)
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, said, nil
}

// look asks the server what it has, over a connection of its own.
func (g *guard) look(ctx context.Context) error {
	conn, said, err := g.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(helloTime))
	s := &survey{greeting: said}
	answer, err := call(conn, deviceCount, nil)
	if err != nil {
		return fmt.Errorf("the RPC server %s does not say what it has: %w", g.address, reason(err))
	}
	n := binary.LittleEndian.Uint32(answer)
	if n == 0 || n > mostDevices {
		return fmt.Errorf("the RPC server %s says that it has %d devices; 1 to %d are possible",
			g.address, n, mostDevices)
	}
	for i := range n {
		answer, err := call(conn, getDeviceMemory, binary.LittleEndian.AppendUint32(nil, i))
		if err != nil {
			return fmt.Errorf("the RPC server %s does not say what memory it has: %w", g.address,
				reason(err))
		}
		s.devices = append(s.devices, memory{number(answer, 0), number(answer, 8)})
	}
	g.seen.Store(s)
	return nil
}

// mostDevices bounds the devices of a server.
const mostDevices = 64

func (g *guard) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.sessions.Add(1)
		go g.serve(conn)
	}
}

// serve passes on the requests of one connection of libggml-rpc.
func (g *guard) serve(client net.Conn) {
	defer g.sessions.Add(-1)
	defer client.Close()
	s := &session{g: g, client: client, requests: bufio.NewReaderSize(client, bufferSize)}
	server, said, err := g.dial(context.Background())
	if err != nil {
		g.fault.Store(&err)
		s.lost = true
	} else {
		s.server, s.answers = server, bufio.NewReaderSize(server, bufferSize)
		s.eyelet = said.eyelet
		g.fault.Store(nil)
		g.mu.Lock()
		g.conns[server] = struct{}{}
		g.mu.Unlock()
		defer func() {
			g.mu.Lock()
			delete(g.conns, server)
			g.mu.Unlock()
			server.Close()
		}()
	}
	for s.next() == nil {
	}
}

// session is one connection of libggml-rpc and, unless that is lost, one to the server.
type session struct {
	g              *guard
	client, server net.Conn
	requests       *bufio.Reader // of client
	answers        *bufio.Reader // of server
	lost           bool
	eyelet         bool    // the server knows Eyelet's own commands
	advised        *[]byte // what it was told last
	buffer         [bufferSize]byte
}

// bufferSize is how much is passed on at a time.
const bufferSize = 1 << 18

// next passes on a request and its answer. Its error is one of libggml-rpc's end: the session is
// over.
func (s *session) next() error {
	q, err := readRequest(s.requests)
	if err != nil {
		return err
	}
	if q.command == hello { // the server has been greeted already
		seen := s.g.seen.Load()
		return writeAnswer(s.client,
			append([]byte{seen.version[0], seen.version[1], seen.version[2], 0},
				make([]byte, helloSize)...))
	}
	s.advise()
	s.toServer(append(q.header(), q.body...))
	if q.body == nil {
		for left := q.size; left > 0; {
			n, err := s.requests.Read(s.buffer[:min(left, uint64(len(s.buffer)))])
			s.toServer(s.buffer[:n])
			if left -= uint64(n); err != nil && left > 0 {
				return err
			}
		}
	}
	size, some := q.answer()
	if !some {
		return nil
	}
	if !s.lost {
		s.await()
		if err := readLength(s.answers, size); err != nil {
			s.lose(err)
		}
	}
	if s.lost {
		return s.invent(&q, size)
	}
	return s.fromServer(size)
}

// advise tells a server what this process has chosen, unless it has been told.
func (s *session) advise() {
	c := s.g.choices.Load()
	if c == nil || c == s.advised || !s.eyelet || s.lost {
		return
	}
	s.advised = c
	q := request{command: advise, size: uint64(len(*c))}
	s.toServer(append(q.header(), *c...))
	if s.lost {
		return
	}
	s.await()
	err := readLength(s.answers, 1)
	if err == nil {
		_, err = s.answers.ReadByte()
	}
	if err != nil {
		s.lose(noEOF(err))
	}
}

// await gives the server its time to compute.
func (s *session) await() { _ = s.server.SetReadDeadline(time.Now().Add(patience)) }

func (s *session) lose(err error) {
	s.lost = true
	s.g.lose(err)
}

// toServer sends bytes unless the server is lost.
func (s *session) toServer(b []byte) {
	if s.lost || len(b) == 0 {
		return
	}
	_ = s.server.SetWriteDeadline(time.Now().Add(patience))
	if _, err := s.server.Write(b); err != nil {
		s.lose(err)
	}
}

// fromServer passes on the body of an answer, and zeros for what the server fails to send.
func (s *session) fromServer(size uint64) error {
	if _, err := s.client.Write(binary.LittleEndian.AppendUint64(nil, size)); err != nil {
		return err
	}
	for left := size; left > 0; {
		part := s.buffer[:min(left, uint64(len(s.buffer)))]
		if s.lost {
			clear(part)
		} else {
			s.await()
			n, err := s.answers.Read(part)
			if n == 0 && err != nil {
				s.lose(noEOF(err))
				continue
			}
			part = part[:n]
		}
		if _, err := s.client.Write(part); err != nil {
			return err
		}
		left -= uint64(len(part))
	}
	return nil
}

// invent answers in the place of a server that is lost, so that libggml-rpc goes on and nothing is
// allocated any more.
func (s *session) invent(q *request, size uint64) error {
	word := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	switch q.command {
	case getAlignment:
		return writeAnswer(s.client, word(64))
	case getMaxSize:
		return writeAnswer(s.client, word(1<<62))
	case bufferGetBase:
		return writeAnswer(s.client, word(1<<32)) // libggml refuses a base of 0
	case deviceCount:
		return writeAnswer(s.client, binary.LittleEndian.AppendUint32(nil,
			uint32(len(s.g.seen.Load().devices))))
	case getAllocSize:
		return writeAnswer(s.client, word(tensorBytes(q.body[4:])))
	case setTensorHash, copyTensor:
		return writeAnswer(s.client, []byte{1})
	}
	return s.fromServer(size) // zeros
}

// tensorBytes is an upper bound of the size of a tensor: the largest of its extents times their
// strides.
func tensorBytes(tensor []byte) (bytes uint64) {
	const ne, nb = 20, 36 // id 8, type 4, buffer 8, then four extents, and four strides
	for i := range 4 {
		n, stride := binary.LittleEndian.Uint32(tensor[ne+4*i:]),
			binary.LittleEndian.Uint32(tensor[nb+4*i:])
		bytes = max(bytes, uint64(n)*uint64(stride))
	}
	return bytes + 4096
}

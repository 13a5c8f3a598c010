package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// mostWaiting is how many clients may wait for the one that is served. Each connection of more is
// closed at once.
const mostWaiting = 16

// Front lets clients use a worker, one at a time: what listens in the place of libggml's server,
// which would end the process for a client that sends what it should not, and give out more memory
// than there is.
type Front struct {
	// Dial connects to a worker that is ready for the next client.
	Dial func(ctx context.Context) (net.Conn, error)
	// Memory is the most bytes that a client may allocate; 0 means no limit but the device's.
	Memory uint64
	// Advise has the worker compute as a client has chosen, [ggml.Choices] as JSON; nil for a
	// worker that knows no such thing.
	Advise func(choices []byte) error
	// Event is called with what happens to a client, on the goroutine that serves it. The error is
	// why a connection ended, nil if the client ended it.
	Event func(client net.Addr, event Event, err error)
}

// Event is what happens to a client.
type Event string

// The events of a client.
const (
	ClientCame   Event = "connected"
	ClientWent   Event = "disconnected"
	ClientFailed Event = "failed"  // its request, or the worker
	ClientTurned Event = "refused" // since too many wait
)

// Serve answers clients until ctx is done, and returns when all connections are closed.
func (f *Front) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	turn := make(chan struct{}, 1)
	places := make(chan struct{}, 1+mostWaiting)
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case places <- struct{}{}:
		default:
			f.Event(conn.RemoteAddr(), ClientTurned, nil)
			conn.Close()
			continue
		}
		clients.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			closes := context.AfterFunc(ctx, func() { conn.Close() })
			defer closes()
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				return
			}
			defer func() { <-turn }()
			f.client(ctx, conn)
		})
	}
}

// client serves one client to its end.
func (f *Front) client(ctx context.Context, conn net.Conn) {
	f.Event(conn.RemoteAddr(), ClientCame, nil)
	err := f.relay(ctx, conn)
	switch {
	case ctx.Err() != nil || errors.Is(err, io.EOF):
		f.Event(conn.RemoteAddr(), ClientWent, nil)
	default:
		f.Event(conn.RemoteAddr(), ClientFailed, reason(err))
	}
}

// relay passes requests and answers on. At the end of the client's connection the error is io.EOF.
func (f *Front) relay(ctx context.Context, client net.Conn) error {
	worker, err := f.Dial(ctx)
	if err != nil {
		return err
	}
	defer worker.Close()
	stop := context.AfterFunc(ctx, func() { worker.Close() })
	defer stop()
	r := relay{front: f, client: client, worker: worker, requests: bufio.NewReaderSize(client,
		bufferSize), answers: bufio.NewReaderSize(worker, bufferSize), buffers: map[uint64]uint64{}}
	for {
		q, err := readRequest(r.requests)
		if err != nil {
			return err
		}
		if err := r.pass(&q); err != nil {
			return noEOF(err)
		}
	}
}

// relay is a client's use of the worker.
type relay struct {
	front             *Front
	client, worker    net.Conn
	requests, answers *bufio.Reader
	buffers           map[uint64]uint64 // bytes by what the worker calls them
	used              uint64            // their sum
	copied            [bufferSize]byte
}

// pass passes on a request and its answer, where the front does not answer itself.
func (r *relay) pass(q *request) error {
	limit := r.front.Memory
	switch q.command {
	case hello:
		return r.greet(q)
	case advise:
		return r.advise(q)
	case allocBuffer:
		if size := number(q.body, 4); limit > 0 && (size > limit || r.used > limit-size) {
			return writeAnswer(r.client, make([]byte, 16)) // no memory
		}
	case setTensor, setTensor2D:
		if limit > 0 && q.size > limit+mostSmall { // more than any buffer holds
			return errors.New("rpc: a tensor is larger than the memory that is served")
		}
	case freeBuffer:
		name := number(q.body, 0)
		r.used -= r.buffers[name]
		delete(r.buffers, name)
	case commInit: // which has the worker open connections to where the client says
		return writeAnswer(r.client, []byte{0})
	}
	if _, err := r.worker.Write(append(q.header(), q.body...)); err != nil {
		return err
	}
	if q.body == nil {
		if err := r.copy(r.worker, r.requests, q.size); err != nil {
			return err
		}
	}
	size, some := q.answer()
	if !some {
		return nil
	}
	if err := readLength(r.answers, size); err != nil {
		return err
	}
	if q.command == allocBuffer || q.command == getDeviceMemory {
		return r.amend(q)
	}
	if _, err := r.client.Write(binary.LittleEndian.AppendUint64(nil, size)); err != nil {
		return err
	}
	return r.copy(r.client, r.answers, size)
}

// greet passes on a greeting without what the client can do beyond TCP, and answers one of Eyelet
// in its way.
func (r *relay) greet(q *request) error {
	eyelet := bytes.HasSuffix(q.body, ours)
	clear(q.body)
	answer, err := call(r.both(), hello, q.body)
	if err != nil {
		return err
	}
	if eyelet && r.front.Advise != nil {
		copy(answer[len(answer)-len(ours):], ours)
	}
	return writeAnswer(r.client, answer)
}

// advise has the worker compute as the client has chosen, once it has done all that came before.
func (r *relay) advise(q *request) error {
	if _, err := call(r.both(), deviceCount, nil); err != nil {
		return err
	}
	if r.front.Advise == nil || r.front.Advise(q.body) != nil {
		return writeAnswer(r.client, []byte{0})
	}
	return writeAnswer(r.client, []byte{1})
}

// both is the worker, read by way of the buffer.
func (r *relay) both() io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{r.answers, r.worker}
}

// copy passes n bytes on.
func (r *relay) copy(to io.Writer, from io.Reader, n uint64) error {
	for n > 0 {
		read, err := from.Read(r.copied[:min(n, bufferSize)])
		if read > 0 {
			if _, err := to.Write(r.copied[:read]); err != nil {
				return err
			}
			n -= uint64(read)
		}
		if err != nil && n > 0 {
			return noEOF(err)
		}
	}
	return nil
}

// amend passes on an answer of two numbers about memory, within the limit, and keeps count.
func (r *relay) amend(q *request) error {
	var answer [16]byte
	if _, err := io.ReadFull(r.answers, answer[:]); err != nil {
		return noEOF(err)
	}
	first, second := number(answer[:], 0), number(answer[:], 8)
	if q.command == allocBuffer {
		if first != 0 {
			r.buffers[first] = second
			r.used += second
		}
		return writeAnswer(r.client, answer[:])
	}
	if limit := r.front.Memory; limit > 0 {
		second = min(second, limit)
		first = min(first, limit-min(limit, r.used))
	}
	return writeAnswer(r.client,
		binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, first), second))
}

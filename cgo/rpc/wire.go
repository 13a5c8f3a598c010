package rpc

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Protocol is the major version of the protocol that this package knows the framing of.
const Protocol = 8

// command is the first byte of a request, as enum rpc_cmd of ggml-rpc.cpp counts them.
type command byte

const (
	allocBuffer command = iota
	getAlignment
	getMaxSize
	bufferGetBase
	freeBuffer
	bufferClear
	setTensor
	setTensorHash
	getTensor
	copyTensor
	graphCompute
	getDeviceMemory
	initTensor
	getAllocSize
	hello
	deviceCount
	graphRecompute
	memsetTensor
	setTensor2D
	getTensor2D
	commInit
	commAllreduce
	commFree
	commands // how many there are
)

// advise is a command of Eyelet's own, for a [Front] that has said in its answer to hello that it
// knows it: [ggml.Choices] as JSON. The answer is a byte, 1 if what is computed from then on is
// computed so.
const advise command = 0xe0

// ours stands at the end of hello's bodies, where ggml knows what a side can do beyond TCP: that
// the side is Eyelet.
var ours = []byte("eyelet 1")

const (
	headerSize = 9  // command and length
	lengthSize = 8  // before an answer
	helloSize  = 24 // what a client can do beyond TCP: nothing, here
	tensorSize = 296
	// bodies that are read at once; the largest is that of getAllocSize, of 11 tensors
	mostSmall = 1 << 16
	mostGraph = 1 << 28 // bytes of a graph
)

// request is one request of a client. Its body is whole, or else streams after it.
type request struct {
	command command
	size    uint64
	body    []byte // nil if the request is bulky
}

// bulky tells whether the body of a request may be of any size.
func (c command) bulky() bool { return c == setTensor || c == setTensor2D || c == graphCompute }

// readRequest reads a request up to its body, and a small body with it. At the end of a connection
// between two requests the error is io.EOF.
func readRequest(r io.Reader) (request, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return request{}, err
	}
	q := request{command: command(header[0]), size: binary.LittleEndian.Uint64(header[1:])}
	switch {
	case q.command == advise && q.size <= mostSmall:
	case q.command >= commands:
		return q, fmt.Errorf("rpc: unknown command %d", q.command)
	case q.command == graphCompute && q.size > mostGraph, q.size > math.MaxInt64:
		return q, fmt.Errorf("rpc: a request %d of %d bytes", q.command, q.size)
	case q.command.bulky():
		return q, nil
	case q.size != q.command.bodySize():
		return q, fmt.Errorf("rpc: a request %d of %d bytes instead of %d", q.command, q.size,
			q.command.bodySize())
	}
	q.body = make([]byte, q.size)
	if _, err := io.ReadFull(r, q.body); err != nil {
		return q, noEOF(err)
	}
	return q, nil
}

// bodySize is the length of the body of a command that is not bulky.
func (c command) bodySize() uint64 {
	switch c {
	case hello:
		return helloSize
	case deviceCount:
		return 0
	case getAlignment, getMaxSize, getDeviceMemory, commFree:
		return 4
	case bufferGetBase, freeBuffer:
		return 8
	case bufferClear:
		return 9
	case allocBuffer, graphRecompute:
		return 12
	case initTensor:
		return tensorSize
	case commAllreduce:
		return 4 + tensorSize
	case setTensorHash, getTensor:
		return tensorSize + 16
	case memsetTensor:
		return tensorSize + 17
	case getTensor2D:
		return tensorSize + 32
	case copyTensor:
		return 2 * tensorSize
	case commInit:
		return 16 + 64
	case getAllocSize:
		return 4 + 11*tensorSize
	}
	return 0
}

// header is a request's command and length.
func (q *request) header() []byte {
	return binary.LittleEndian.AppendUint64([]byte{byte(q.command)}, q.size)
}

// answer is the length of the answer to a request; none if it has no answer.
func (q *request) answer() (size uint64, some bool) {
	switch q.command {
	case hello:
		return 4 + helloSize, true
	case deviceCount:
		return 4, true
	case allocBuffer, getDeviceMemory:
		return 16, true
	case getAlignment, getMaxSize, bufferGetBase, getAllocSize:
		return 8, true
	case setTensorHash, copyTensor, commInit, advise:
		return 1, true
	case getTensor:
		return number(q.body, tensorSize+8), true
	case getTensor2D:
		return saturated(number(q.body, tensorSize+8), number(q.body, tensorSize+16)), true
	}
	return 0, false
}

// number is the uint64 at an offset.
func number(body []byte, at int) uint64 { return binary.LittleEndian.Uint64(body[at:]) }

// saturated is a product, or the most there is.
func saturated(a, b uint64) uint64 {
	if a != 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// writeAnswer writes an answer that is whole.
func writeAnswer(w io.Writer, body []byte) error {
	_, err := w.Write(append(binary.LittleEndian.AppendUint64(make([]byte, 0, lengthSize+len(body)),
		uint64(len(body))), body...))
	return err
}

// readLength reads the length of an answer, which must be as expected.
func readLength(r io.Reader, want uint64) error {
	var length [lengthSize]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return noEOF(err)
	}
	if got := binary.LittleEndian.Uint64(length[:]); got != want {
		return fmt.Errorf("it answers with %d bytes instead of %d", got, want)
	}
	return nil
}

// call makes a small request and returns the answer.
func call(rw io.ReadWriter, c command, body []byte) ([]byte, error) {
	q := request{command: c, size: uint64(len(body)), body: body}
	if _, err := rw.Write(append(q.header(), body...)); err != nil {
		return nil, err
	}
	size, _ := q.answer()
	if err := readLength(rw, size); err != nil {
		return nil, err
	}
	answer := make([]byte, size)
	if _, err := io.ReadFull(rw, answer); err != nil {
		return nil, noEOF(err)
	}
	return answer, nil
}

// noEOF is an error of reading where more was expected.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

package wasm

import (
	"context"

	"github.com/tetratelabs/wazero/api"
)

// machine calls functions of a program, and reads and writes its memory.
type machine struct {
	ctx    context.Context
	module api.Module
}

// call returns what a function returns, 0 if it fails.
func (m *machine) call(name string, args ...uint64) uint64 {
	f := m.module.ExportedFunction(name)
	if f == nil {
		return 0
	}
	result, err := f.Call(m.ctx, args...)
	if err != nil || len(result) == 0 {
		return 0
	}
	return uint64(uint32(result[0]))
}

// allocate returns the place of so many bytes, 0 if there is none.
func (m *machine) allocate(n uint64) uint64 {
	if n == 0 || n > most {
		return 0
	}
	return m.call("malloc", n)
}

// put returns the place of a copy of data, 0 if there is none.
func (m *machine) put(data []byte) uint64 {
	at := m.allocate(uint64(len(data)))
	if at == 0 || !m.write(at, data) {
		return 0
	}
	return at
}

func (m *machine) write(at uint64, data []byte) bool {
	return m.module.Memory().Write(uint32(at), data)
}

// lend returns n bytes of the machine's memory, nil where there are not as many. They are those of
// the program's allocations as long as it does not free them.
func (m *machine) lend(at, n uint64) []byte {
	data, ok := m.module.Memory().Read(uint32(at), uint32(n))
	if !ok || n > most {
		return nil
	}
	return data
}

// numbers returns what lies in memory, four bytes each.
func (m *machine) numbers(at uint64, n int) []uint32 {
	list := make([]uint32, n)
	for i := range list {
		list[i], _ = m.module.Memory().ReadUint32Le(uint32(at) + 4*uint32(i))
	}
	return list
}

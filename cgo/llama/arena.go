package llama

// #include <stdlib.h>
import "C"

import "unsafe"

// cArena holds C allocations that live for one call: parameters that contain pointers may not point
// into Go memory.
type cArena struct{ blocks []unsafe.Pointer }

// alloc returns n zeroed bytes. Like make it panics when there is no memory.
func (a *cArena) alloc(n uintptr) unsafe.Pointer {
	p := C.calloc(C.size_t(max(n, 1)), 1)
	if p == nil {
		panic("llama: out of memory")
	}
	a.blocks = append(a.blocks, p)
	return p
}

func (a *cArena) str(s string) *C.char {
	p := C.CString(s)
	a.blocks = append(a.blocks, unsafe.Pointer(p))
	return p
}

// pointers returns n null pointers.
func (a *cArena) pointers(n int) []unsafe.Pointer {
	return unsafe.Slice((*unsafe.Pointer)(a.alloc(uintptr(n)*unsafe.Sizeof(uintptr(0)))), n)
}

// strings returns a C array of C strings, nil for none.
func (a *cArena) strings(list []string) **C.char {
	if len(list) == 0 {
		return nil
	}
	p := a.pointers(len(list))
	for i, s := range list {
		p[i] = unsafe.Pointer(a.str(s))
	}
	return (**C.char)(unsafe.Pointer(&p[0]))
}

func (a *cArena) free() {
	for _, p := range a.blocks {
		C.free(p)
	}
	a.blocks = nil
}

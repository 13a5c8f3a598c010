package rpc

import (
	"testing"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// What is lent reaches into structures of libggml: of versions alone that are known.
func TestOnlyTheCPUOfAKnownLibraryIsLentWithHelp(t *testing.T) {
	for version, want := range map[int]bool{-1: false, 2: false, 3: true, 6: true, 7: false} {
		if knows(version) != want {
			t.Errorf("version %d: %v", version, !want)
		}
	}
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	for _, d := range ggml.Devices() {
		if got := unsafe.Pointer(lend(d)); d.Type == ggml.CPU && got == d.Pointer() {
			t.Errorf("%s is lent as it is: is the interface of this libggml another one?", d.Name)
		}
	}
}

package llama

import (
	"errors"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// A device can be lost in any call that touches it: while a state is copied, too.
func TestALossIsNotedBesideDecodes(t *testing.T) {
	m := &Model{gpus: []ggml.Device{{Name: "GPU0"}}}
	other := errors.New("other")
	if err := m.orLost(other, "std::bad_alloc"); err != other || m.Lost() != nil {
		t.Errorf("%v, %v", err, m.Lost())
	}
	err := m.orLost(other, "vk::Device::waitForFences: ErrorDeviceLost")
	if !errors.Is(err, ErrDeviceLost) || !errors.Is(m.Lost(), ErrDeviceLost) ||
		!ggml.LostHere(m.gpus) {
		t.Errorf("%v, %v", err, m.Lost())
	}
}

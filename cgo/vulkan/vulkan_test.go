package vulkan

import (
	"errors"
	"testing"
)

// What there is depends on the machine; whatever is listed is described.
func TestDevicesAreDescribedOrTheirAbsenceIs(t *testing.T) {
	devices, err := Devices()
	switch {
	case errors.Is(err, ErrNoLoader), errors.Is(err, ErrNoDriver):
		t.Logf("no device: %v", err)
	case err != nil:
		t.Fatal(err)
	case len(devices) == 0:
		t.Error("neither a device nor an error")
	}
	for _, d := range devices {
		if d.Name == "" || d.Kind > Software || d.API == "0.0.0" {
			t.Errorf("%+v", d)
		}
	}
}

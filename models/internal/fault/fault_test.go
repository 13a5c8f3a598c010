package fault

import (
	"errors"
	"testing"
)

func TestFaultsBecomeErrorsAndOtherPanicsPass(t *testing.T) {
	cause := errors.New("cause")
	err := Try(func() {
		defer Within(func() string { return "element 3" })
		Check(nil)
		Check(cause)
	})
	if !errors.Is(err, cause) || err.Error() != "element 3: cause" {
		t.Errorf("got %v", err)
	}
	if err := Try(func() { panic(New("%d: %w", 1, cause)) }); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if err := Try(func() {}); err != nil {
		t.Errorf("got %v", err)
	}
	defer func() {
		if r := recover(); r != "else" {
			t.Errorf("the panic that passed is %v", r)
		}
	}()
	_ = Try(func() { defer Within(func() string { return "" }); panic("else") })
}

package cli

import (
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
)

func TestBudgetsAreRead(t *testing.T) {
	for text, want := range map[string]engine.Budget{"": {}, "256": {Max: 256},
		"64-512": {Min: 64, Max: 512}, "64-": {Min: 64}} {
		if got, err := ParseBudget(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-", "0", "-5", "-512", "x", "5-4", "1-2-3", "99999999999",
		"1.5"} {
		if got, err := ParseBudget(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if _, err := ParseBudget("100000000"); err == nil || !strings.Contains(err.Error(),
		"up to 1048576") {
		t.Error(err)
	}
}

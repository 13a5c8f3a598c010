package cli

import (
	"strings"
	"testing"
)

func TestSizesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"300MB": 300e6, "280 MiB": 280 << 20, "1.5G": 15e8,
		"12": 12} {
		if n, err := ParseSize(text); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "0", "3XB", "1e30GB",
		strings.Repeat("9", 400)} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}

package cli

import (
	"strings"
	"testing"
)

func TestSizesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"300MB": 300e6, "280 MiB": 280 << 20, "1.5G": 3 << 29,
		"12": 12, "12B": 12, "2k": 2 << 10, "2kB": 2000, "3TiB": 3 << 40, "1tb": 1e12,
		"650M": 650 << 20} {
		if n, err := ParseSize(text); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "0", "3XB", "3KMB", "3IB", "3 M x", "1e30GB",
		strings.Repeat("9", 400)} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}

func TestSizesOfMemoryHaveALeast(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"": 0, "64K": 1 << 16, "4GB": 4e9, "4G": 4 << 30} {
		if n, err := ParseMemory(text, "--memory"); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"1K", "0", "-4G", "4X", "2000T"} {
		if n, err := ParseMemory(text, "--memory"); ExitCode(err) != ExitUsage {
			t.Errorf("%q is %d, %v", text, n, err)
		}
	}
}

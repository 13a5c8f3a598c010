package cli

import (
	"slices"
	"testing"
)

func TestABundleStartsItselfThroughItsLoader(t *testing.T) {
	line := []byte("/opt/e/lib/ld-linux.so.2\x00--library-path\x00/opt/e/lib\x00--argv0\x00eyelet\x00/opt/e/bin/eyelet.bin\x00bench\x00quants\x00")
	want := []string{"/opt/e/lib/ld-linux.so.2", "--library-path", "/opt/e/lib", "--argv0",
		"eyelet", "/opt/e/bin/eyelet.bin"}
	if got := throughLoader("/opt/e/lib/ld-linux.so.2", line, 3); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got, err := SelfCommand(); err != nil || len(got) != 1 {
		t.Errorf("%q, %v", got, err) // a test is started as it is
	}
}

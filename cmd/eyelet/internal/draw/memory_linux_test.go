package draw

import (
	"crypto/sha256"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDroppedPagesReadAsBefore reads all that is dropped before and after: the bytes are the same,
// and less was in memory meanwhile. How much less, the system says by how many pages it brings back
// with one.
func TestDroppedPagesReadAsBefore(t *testing.T) {
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer smaps.Close()
	mappings := ownPages(smaps, reflect.ValueOf(dropPages).Pointer())
	if len(mappings) < 2 { // code and constants
		t.Fatalf("%d mappings can be dropped", len(mappings))
	}
	read := func() (sum [sha256.Size]byte) {
		memory, err := os.Open("/proc/self/mem")
		if err != nil {
			t.Fatal(err)
		}
		defer memory.Close()
		h := sha256.New()
		for _, m := range mappings {
			part := io.NewSectionReader(memory, int64(m.start), int64(m.end-m.start)) //nolint:gosec // below 2^47
			_, err := io.Copy(h, part)
			if err != nil {
				t.Fatal(err)
			}
		}
		return [sha256.Size]byte(h.Sum(nil))
	}
	want := read()
	before := filePages(t)
	dropPages()
	after := filePages(t)
	if read() != want {
		t.Error("the program reads as another one")
	}
	if after >= before {
		t.Errorf("of %d bytes of files in memory %d are left", before, after)
	}
}

// filePages is how many bytes of files the process has in memory.
func filePages(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssFile:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return 1024 * kilobytes
		}
	}
	t.Skip("this system does not count the pages of files")
	return 0
}

// TestPagesThatWereChangedStay: they would be lost.
func TestPagesThatWereChangedStay(t *testing.T) {
	const smaps = `00400000-00500000 r-xp 00000000 08:02 17 /opt/my programs/eyelet
Rss:                1024 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
00500000-00600000 r--p 00100000 08:02 17 /opt/my programs/eyelet
Anonymous:             4 kB
00600000-00700000 r--p 00200000 08:02 17 /opt/my programs/eyelet
Anonymous:             0 kB
Swap:                  4 kB
00700000-00800000 rw-p 00300000 08:02 17 /opt/my programs/eyelet
Anonymous:             0 kB
00800000-00900000 r--p 00400000 08:02 17 /opt/my programs/eyelet
Anonymous:             0 kB
00900000-00a00000 r--p 00000000 08:02 18 /usr/lib/libx.so
Anonymous:             0 kB
00a00000-00b00000 r--p 00000000 00:00 0
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x500000, "/opt/my programs/eyelet", true},
		{0x800000, 0x900000, "/opt/my programs/eyelet", true}}
	if got := ownPages(strings.NewReader(smaps), 0x412345); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for pc, where := range map[uintptr]string{0xa00000: "no file", 0xb00000: "no mapping"} {
		if got := ownPages(strings.NewReader(smaps), pc); len(got) > 0 {
			t.Errorf("code in %s: %+v", where, got)
		}
	}
}

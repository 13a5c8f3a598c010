package cli

import "testing"

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB",
		5393056: "5.1 MiB",
		1 << 30: "1.0 GiB", 1<<64 - 1: "16.0 EiB",
	} {
		if got := BytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCountText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 3328: "3.33 K", 5049600: "5.05 M",
		6738415616: "6.74 B", 671e9: "671 B", 1e12: "1 T"} {
		if got := CountText(n); got != want {
			t.Errorf("countText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAbbreviate(t *testing.T) {
	for _, test := range []struct {
		in    string
		limit int
		want  string
	}{{"short", 5, "short"}, {"longer", 5, "long…"}, {"äöüäöü", 4, "äöü…"}, {"", 0, ""},
		{"x", 0, "…"}} {
		if got := Abbreviate(test.in, test.limit); got != test.want {
			t.Errorf("abbreviate(%q, %d) = %q, want %q", test.in, test.limit, got, test.want)
		}
	}
}

func TestPrintableShowsWhatATerminalWouldObey(t *testing.T) {
	for in, want := range map[string]string{
		"plain äö 図":    "plain äö 図",
		"a\nb\tc":       `a\nb\tc`,
		"\x1b[31mred":   `\x1b[31mred`,
		"right\u202eto": `right\u202eto`,
		"bad\xffutf8":   `bad�utf8`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

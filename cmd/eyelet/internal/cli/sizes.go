package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseSize reads a number of bytes with an optional unit, as GNU coreutils have them: K, M, G and
// T alone or as KiB, MiB, GiB and TiB are powers of 1024; KB, MB, GB and TB are powers of 1000.
// Small letters are taken too.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	unit := strings.ToUpper(strings.TrimSpace(s[len(digits):]))
	base, factor := 1024.0, 1.0
	switch prefix := strings.TrimSuffix(unit, "IB"); {
	case unit == "" || unit == "B":
		unit = ""
	case prefix != unit && prefix != "":
		unit = prefix
	case strings.HasSuffix(unit, "B"):
		base, unit = 1000, strings.TrimSuffix(unit, "B")
	}
	if unit != "" {
		power := strings.Index("KMGT", unit)
		if power < 0 || len(unit) != 1 {
			return 0, fmt.Errorf("no size: %q", s)
		}
		for range power + 1 {
			factor *= base
		}
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !(x > 0 && x*factor < 1<<60) {
		return 0, fmt.Errorf("no size: %q", s)
	}
	return int64(x * factor), nil
}

// ParseMemory reads a size that a flag gives to a buffer, a volume or a cache: 64K or more, 0 for
// no text. A mistake is one of the command line.
func ParseMemory(s, flag string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := ParseSize(s)
	if err != nil || n < 1<<16 || n > 1<<50 {
		return 0, Usagef("%s is %q; give 64K or more, as 650M or 4G", flag, s)
	}
	return n, nil
}

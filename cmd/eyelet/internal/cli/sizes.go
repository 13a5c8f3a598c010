package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseBytes reads a size like "650M". "" is 0.
func ParseBytes(s, flag string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits, shift := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s), "IB"), "B"), 0
	if i := strings.IndexAny("KMGT", digits[max(len(digits)-1, 0):]); i >= 0 && digits != "" {
		digits, shift = digits[:len(digits)-1], 10*(i+1)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > 1<<50>>shift || n<<shift < 1<<16 {
		return 0, Usagef("%s is %q; give 64K or more, as 650M or 4G", flag, s)
	}
	return n << shift, nil
}

// ParseSize reads a number of bytes with an optional unit.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	unit, ok := map[string]float64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 1 << 10,
		"MIB": 1 << 20, "GIB": 1 << 30, "M": 1e6,
		"G": 1e9}[strings.ToUpper(strings.TrimSpace(s[len(digits):]))]
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !ok || !(x > 0 && x*unit < 1<<60) {
		return 0, fmt.Errorf("no size: %q", s)
	}
	return int64(x * unit), nil
}

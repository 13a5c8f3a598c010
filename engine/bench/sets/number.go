package sets

import (
	"math"
	"strconv"
	"strings"
)

// pythonFloat reads a number as Python's float() does, which the metrics' own scripts use: spaces
// around it, underscores between digits, inf and nan, but no hexadecimal.
func pythonFloat(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "xXpP") {
		return 0, false
	}
	if strings.Contains(s, "_") {
		for i := range len(s) {
			if s[i] == '_' && (i == 0 || i == len(s)-1 || !digit(s[i-1]) || !digit(s[i+1])) {
				return 0, false
			}
		}
		s = strings.ReplaceAll(s, "_", "")
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(x, 0) {
		return 0, false
	}
	return x, true
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

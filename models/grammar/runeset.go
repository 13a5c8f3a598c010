package grammar

import (
	"cmp"
	"slices"
)

// runeSet is a sorted list of ranges that neither overlap nor touch.
type runeSet []runeRange

// anyRune holds every Unicode scalar value: code points without surrogates.
var anyRune = runeSet{{0, 0xd7ff}, {0xe000, 0x10ffff}}

func newRuneSet(ranges ...runeRange) runeSet {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b runeRange) int { return cmp.Compare(a.lo, b.lo) })
	var s runeSet
	for _, r := range sorted {
		if n := len(s); n > 0 && r.lo <= s[n-1].hi+1 {
			s[n-1].hi = max(s[n-1].hi, r.hi)
		} else {
			s = append(s, r)
		}
	}
	return s
}

func (s runeSet) intersect(t runeSet) runeSet {
	var out runeSet
	for i, j := 0, 0; i < len(s) && j < len(t); {
		if lo, hi := max(s[i].lo, t[j].lo), min(s[i].hi, t[j].hi); lo <= hi {
			out = append(out, runeRange{lo, hi})
		}
		if s[i].hi < t[j].hi {
			i++
		} else {
			j++
		}
	}
	return out
}

// complement is relative to all scalar values.
func (s runeSet) complement() runeSet {
	var out runeSet
	next := rune(0)
	for _, r := range s {
		if r.lo > next {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= 0x10ffff {
		out = append(out, runeRange{next, 0x10ffff})
	}
	return out.intersect(anyRune)
}

func (s runeSet) contains(r rune) bool {
	_, found := slices.BinarySearchFunc(s, r, func(x runeRange, r rune) int {
		switch {
		case x.hi < r:
			return -1
		case x.lo > r:
			return 1
		}
		return 0
	})
	return found
}

// single reports whether s holds exactly one rune.
func (s runeSet) single() bool { return len(s) == 1 && s[0].lo == s[0].hi }

package jinja

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// strip removes whitespace, or the characters of a set, from the ends.
func strip(t Text, set string, left, right bool) Text {
	drop := isSpace
	if set != "" {
		in := map[rune]bool{}
		for _, r := range set {
			in[r] = true
		}
		drop = func(r rune) bool { return in[r] }
	}
	s := t.String()
	lo, hi := 0, len(s)
	if left {
		lo = len(s) - len(strings.TrimLeftFunc(s, drop))
	}
	if right {
		hi = max(lo, len(strings.TrimRightFunc(s, drop)))
	}
	return t.slice(lo, hi)
}

// mapRunes rewrites characters one by one; f sees the character before, 0 at the start.
func mapRunes(t Text, f func(prev, r rune) string) Text {
	return rewrite(t, func(b *builder, prev rune, s Span) rune {
		for _, r := range s.Text {
			b.span(f(prev, r), s.Source)
			prev = r
		}
		return prev
	})
}

// rewrite makes a text of the spans of another. f adds what comes of one; it is given the character
// before, 0 at the start, and returns the last one. Pictures stay as they are.
func rewrite(t Text, f func(b *builder, prev rune, s Span) rune) Text {
	var b builder
	var prev rune
	for _, s := range t.spans {
		if s.Source.Kind == Image {
			b.span(s.Text, s.Source)
			prev = 'x'
			continue
		}
		prev = f(&b, prev, s)
	}
	out := b.done()
	out.markup = t.markup
	return out
}

func capitalize(t Text) Text {
	return byWords(t, func(prev, _ rune) bool { return prev == 0 }, titleRune)
}

// title is Python's str.title: a letter after anything but a letter is a capital.
func title(t Text) Text {
	return byWords(t, func(prev, _ rune) bool { return !isCased(prev) }, titleRune)
}

// titleFilter is Jinja's title filter, which starts words after spaces, dashes and opening brackets
// only.
func titleFilter(t Text) Text {
	starts := func(prev, _ rune) bool {
		return prev == 0 || isSpace(prev) || strings.ContainsRune("-({[<", prev)
	}
	return byWords(t, starts, func(r rune) string { return upper(string(r)) }).plain()
}

// byWords rewrites the first character of each word with first, and makes the rest lower case as a
// whole, as the end of a word has a form of its own in Greek.
func byWords(t Text, starts func(prev, r rune) bool, first func(rune) string) Text {
	return rewrite(t, func(b *builder, prev rune, s Span) rune {
		rest := 0 // where the rest of the word begins
		for i, r := range s.Text {
			if starts(prev, r) {
				b.span(lower(s.Text[rest:i]), s.Source)
				b.span(first(r), s.Source)
				rest = i + utf8.RuneLen(r)
			}
			prev = r
		}
		b.span(lower(s.Text[rest:]), s.Source)
		return prev
	})
}

func swapCase(t Text) Text {
	return mapRunes(t, func(_, r rune) string {
		switch {
		case isUpperRune(r):
			return lower(string(r))
		case isLowerRune(r):
			return upper(string(r))
		}
		return string(r)
	})
}

func (in *interp) replace(t, old, repl Text, count int) Text {
	s, o := t.String(), old.String()
	if count < 0 || count > len(s)+1 {
		count = len(s) + 1
	}
	var b builder
	at := 0
	for n := 0; n < count; n++ {
		in.workOnSpans(t)
		i := strings.Index(s[at:], o)
		if o == "" { // between all characters, and at both ends
			i = 0
			if n > 0 {
				if at >= len(s) {
					break
				}
				_, i = utf8.DecodeRuneInString(s[at:])
			}
		}
		if i < 0 {
			break
		}
		b.text(t.slice(at, at+i))
		b.text(repl)
		in.fits(b.size)
		at += i + len(o)
	}
	b.text(t.slice(at, len(s)))
	return b.done()
}

// split is str.split (right: str.rsplit). sep "" splits at runs of whitespace and drops empty
// pieces.
func (in *interp) split(t Text, sep string, limit int, right bool) *List {
	s := t.String()
	var cuts [][2]int // the separators' places
	if sep != "" {
		cuts = in.separators(s, sep, right)
	} else {
		trimmed := strip(t, "", true, true)
		if trimmed.Len() == 0 {
			return in.list(nil)
		}
		if limit < 0 {
			t = trimmed
		} else {
			t = strip(t, "", !right, right)
		}
		s = t.String()
		for i := 0; i < len(s); {
			in.step()
			r, w := utf8.DecodeRuneInString(s[i:])
			if !isSpace(r) {
				i += w
				continue
			}
			j := len(s) - len(strings.TrimLeftFunc(s[i:], isSpace))
			cuts = append(cuts, [2]int{i, j})
			i = j
		}
		if limit >= len(cuts) { // the far end's whitespace is reached too
			return in.split(trimmed, "", -1, right)
		}
	}
	if limit >= 0 && len(cuts) > limit {
		if right {
			cuts = cuts[len(cuts)-limit:]
		} else {
			cuts = cuts[:limit]
		}
	}
	items := make([]Value, 0, len(cuts)+1)
	at := 0
	for _, c := range cuts {
		in.workOnSpans(t)
		items = append(items, t.slice(at, c[0]))
		at = c[1]
	}
	return in.list(append(items, t.slice(at, len(s))))
}

// separators finds a separator from the left, or from the right, where it overlaps itself in other
// places.
func (in *interp) separators(s, sep string, right bool) (cuts [][2]int) {
	if !right {
		for at := 0; ; {
			in.step()
			i := strings.Index(s[at:], sep)
			if i < 0 {
				return cuts
			}
			cuts = append(cuts, [2]int{at + i, at + i + len(sep)})
			at += i + len(sep)
		}
	}
	for end := len(s); ; {
		in.step()
		i := strings.LastIndex(s[:end], sep)
		if i < 0 {
			break
		}
		cuts = append(cuts, [2]int{i, i + len(sep)})
		end = i
	}
	slices.Reverse(cuts)
	return cuts
}

// lines is splitLines, with its work counted.
func (in *interp) lines(t Text, keep bool) []Text {
	out := splitLines(t, keep)
	in.steps += len(out) * (1 + len(t.spans)/16)
	in.look()
	return out
}

func splitLines(t Text, keep bool) []Text {
	var out []Text
	s := t.String()
	for at := 0; at < len(s); {
		i := strings.IndexAny(s[at:], "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			return append(out, t.slice(at, len(s)))
		}
		_, w := utf8.DecodeRuneInString(s[at+i:])
		if strings.HasPrefix(s[at+i:], "\r\n") {
			w = 2
		}
		end := at + i
		if keep {
			end += w
		}
		out = append(out, t.slice(at, end))
		at += i + w
	}
	return out
}

// escape is markupsafe's: HTML's special characters become entities, unless the value is markup
// already.
func (in *interp) escape(v Value) Text {
	t := in.soft(v)
	if !t.markup {
		t = t.mapSpans(htmlEntities.Replace)
	}
	return in.own(t.marked())
}

var htmlEntities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`,
	"&#34;")

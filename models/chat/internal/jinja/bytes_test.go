package jinja

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Python's strings are characters; what Go hands in may be bytes that are none. No filter or method
// may stumble over them.
func TestBytesThatAreNoCharacters(t *testing.T) {
	for _, text := range []string{"\x80", " \x80\n a", "a\xff\xfeb", "\xe2\x82", "ß\xc3 (\xf0\x9f",
		"\xed\xa0\x80-x"} {
		vars := NewDict()
		vars.Set("x", NewText(text, Source{Kind: Data}))
		for _, name := range slices.Concat(slices.Collect(maps.Keys(filters)),
			slices.Collect(maps.Keys(textMethods))) {
			for _, form := range []string{"{{ x|NAME }}", "{{ x|NAME|indent }}", "{{ x.NAME() }}",
				"{{ x.NAME(x) }}", "{{ (x ~ 'b')|NAME|title }}"} {
				source := strings.ReplaceAll(form, "NAME", name)
				out, err := run(t, source, vars)
				if err != nil && strings.Contains(err.Error(), Fault) {
					t.Errorf("%s of %q: %v", source, text, err)
				}
				if !utf8.ValidString(out) {
					t.Errorf("%s of %q: %q", source, text, out)
				}
			}
		}
	}
}

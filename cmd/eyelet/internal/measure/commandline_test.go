package measure

import "testing"

func TestCommandLinesAreQuotedForAShell(t *testing.T) {
	t.Parallel()
	if got := commandLine([]string{"/usr/bin/eyelet", "bench", "a b", "it's", "", "x"}); got !=
		`eyelet bench 'a b' 'it'\''s' '' x` {
		t.Error(got)
	}
}

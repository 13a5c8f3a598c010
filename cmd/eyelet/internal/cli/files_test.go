package cli

import "testing"

func TestTheFilesOfSeveralResultsAreNumbered(t *testing.T) {
	for i, c := range []struct {
		path string
		n    int
		want string
	}{{"x.npy", 1, "x.npy"}, {"x.npy", 2, "x-2.npy"}, {"d.e/x", 2, "d.e/x-2"}} {
		if got := NumberedName(c.path, 1, c.n); got != c.want {
			t.Errorf("%d: %q, want %q", i, got, c.want)
		}
	}
}

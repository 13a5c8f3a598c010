package busy

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// Children run until they are stopped, and none stays.
func TestProcessesEndWhenTheyAreStopped(t *testing.T) {
	before := children(t)
	stop, err := Start(2)
	if err != nil {
		t.Fatal(err)
	}
	if got := children(t) - before; got != 2 {
		t.Errorf("%d processes run", got)
	}
	stop()
	if got := children(t) - before; got != 0 {
		t.Errorf("%d processes are left", got)
	}
	stop() // may be called again
}

func children(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(os.Getpid())).Output()
	if err != nil {
		t.Skip("ps: ", err)
	}
	n := 0
	for _, c := range out {
		if c == '\n' {
			n++
		}
	}
	return n - 1 // ps itself
}

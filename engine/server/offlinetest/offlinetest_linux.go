// Package offlinetest runs the tests of a package again where there is no network but loopback.
package offlinetest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// variable tells a test process that it runs in a network namespace of its own, and has to make its
// loopback interface work.
const variable = "EYELET_TEST_OFFLINE"

// Run runs the tests of the calling package again, those that the arguments of the test binary
// select, in a network namespace with loopback alone. It fails the test if one of them fails, or if
// fewer than least pass. It skips the test where no namespace can be made. Within such a run it
// checks that there is no network, and returns.
func Run(t *testing.T, least int, args ...string) {
	t.Helper()
	if os.Getenv(variable) != "" {
		c, err := net.DialTimeout("tcp", "192.0.2.1:80", time.Second)
		if err == nil {
			c.Close()
			t.Fatal("there is a network")
		}
		return
	}
	if err := command(t, "/bin/true").Run(); err != nil {
		t.Skipf("namespaces cannot be made here: %v", err)
	}
	cmd := command(t, os.Args[0], append([]string{"-test.count=1", "-test.v"}, args...)...)
	// the slow ones are slow enough once
	cmd.Env = append(os.Environ(), variable+"=1", "EYELET_SLOW=")
	out, err := cmd.CombinedOutput()
	passed := bytes.Count(out, []byte("\n--- PASS:"))
	if err != nil || passed < least {
		t.Errorf("%v, %d tests passed, want %d at least\n%s", err, passed, least, out)
	}
	t.Logf("%d tests passed with loopback alone", passed)
}

// command is a command that starts in a network namespace of its own.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	self := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{HostID: id, Size: 1}}
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: self(os.Getuid()), GidMappings: self(os.Getgid())}
	return cmd
}

// loopbackUp makes the loopback interface of a new namespace work.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

func init() {
	if os.Getenv(variable) == "" {
		return
	}
	if err := loopbackUp(); err != nil {
		fmt.Fprintln(os.Stderr, "the loopback interface:", err)
		os.Exit(1)
	}
}

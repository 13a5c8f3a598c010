package server

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

// offlineVariable tells a test process that it runs in a network namespace of its own, and has to make its loopback interface work.
const offlineVariable = "EYELET_TEST_OFFLINE"

// TestTheSuiteRunsWithLoopbackAlone runs the tests of the package again where there is no network but loopback, with -short some of them.
func TestTheSuiteRunsWithLoopbackAlone(t *testing.T) {
	if os.Getenv(offlineVariable) != "" {
		c, err := net.DialTimeout("tcp", "192.0.2.1:80", time.Second)
		if err == nil {
			c.Close()
			t.Fatal("there is a network")
		}
		return
	}
	self := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, UidMappings: self(os.Getuid()), GidMappings: self(os.Getgid())}
		return cmd
	}
	if err := command("/bin/true").Run(); err != nil {
		t.Skipf("namespaces cannot be made here: %v", err)
	}
	cmd, least := command(os.Args[0], "-test.count=1", "-test.v"), 50
	if testing.Short() {
		cmd.Args, least = append(cmd.Args, "-test.short", "-test.run=TheSuite|ChatAbout|GenerateAbout|AModelIsMade|Embeddings|BadChanges"), 5
	}
	cmd.Env = append(os.Environ(), offlineVariable+"=1", "EYELET_SLOW=") // the slow ones are slow enough once
	out, err := cmd.CombinedOutput()
	passed := bytes.Count(out, []byte("\n--- PASS:"))
	if err != nil || passed < least {
		t.Errorf("%v, %d tests passed, want %d at least\n%s", err, passed, least, out)
	}
	t.Logf("%d tests passed with loopback alone", passed)
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
	if os.Getenv(offlineVariable) == "" {
		return
	}
	if err := loopbackUp(); err != nil {
		fmt.Fprintln(os.Stderr, "the loopback interface:", err)
		os.Exit(1)
	}
}

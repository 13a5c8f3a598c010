package server

import (
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

// TestTheSuiteRunsWithLoopbackAlone runs tests of the package again where there is no network but loopback: with EYELET_SLOW=1 all.
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
	cmd := command(os.Args[0], "-test.count=1")
	if os.Getenv("EYELET_SLOW") == "" {
		cmd.Args = append(cmd.Args, "-test.run=TheSuite|ChatAbout|GenerateAbout|AModelIsMade|Embeddings|BadChanges")
	}
	cmd.Env = append(os.Environ(), offlineVariable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
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

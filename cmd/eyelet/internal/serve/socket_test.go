package serve

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestAStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := &serveOptions{listen: "unix:" + filepath.Join(dir, "s")}
	first, err := o.listener(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if second, err := o.listener(t.Context()); err == nil {
		second.Close()
		t.Error("a second server has taken the socket of the first")
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as after a crash
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "s")); err != nil ||
		info.Mode()&os.ModeSocket == 0 {
		t.Fatal(info, err)
	}
	again, err := o.listener(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if c, err := again.Accept(); err == nil {
			c.Close()
		}
	}()
	c, err := net.Dial("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := (&serveOptions{listen: "unix:" + file}).listener(t.Context()); err == nil {
		l.Close()
		t.Error("a file has become a socket")
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "kept" {
		t.Error("the file is gone")
	}
}

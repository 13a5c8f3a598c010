package bench

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// thisHost describes the machine and the versions; eyelet is the program's own.
func thisHost(eyelet string) Host {
	h := Host{Machine: ThisMachine(0), Eyelet: eyelet, Llama: llama.Version(), GGML: ggml.Version(),
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU()}
	h.Accelerator = "off"
	if llama.Init() == nil && ggml.AcceleratorState().Loaded {
		h.Accelerator = "on"
	}
	h.CPU = lineOf("/proc/cpuinfo", "model name")
	if kib, _, ok := strings.Cut(lineOf("/proc/meminfo", "MemTotal"), " "); ok {
		n, _ := strconv.ParseInt(kib, 10, 52)
		h.Memory = n << 10
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		h.System += ", kernel " + strings.TrimSpace(string(text))
	}
	return h
}

// lineOf returns what follows a key and a colon in a file of the kernel's, "" if it is not there.
func lineOf(path, key string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// identify tells files apart by their size and by samples, since reading all of a large model would
// take longer than measuring it.
func identify(path string) (size int64, identity string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, info.Size())
	const samples, sample = 64, 64 << 10
	for i := range int64(samples) {
		if _, err := io.Copy(h, io.NewSectionReader(f, info.Size()/samples*i, sample)); err != nil {
			return 0, "", err
		}
	}
	return info.Size(), hex.EncodeToString(h.Sum(nil)), nil
}

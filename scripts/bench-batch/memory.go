package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// taken is what a process has in memory, in bytes.
type taken struct {
	resident, files, most int64 // files of it are pages of files; most is the highest so far
}

// memoryOf reads what a process has in memory, named as /proc names it; nothing where there is no
// /proc.
func memoryOf(process string) (t taken) {
	data, _ := os.ReadFile(filepath.Join("/proc", process, "status"))
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value),
			"kB")), 10, 64)
		switch key {
		case "VmRSS":
			t.resident = n << 10
		case "RssFile":
			t.files = n << 10
		case "VmHWM":
			t.most = n << 10
		}
	}
	return t
}

// ownMemory says what this process has in memory.
func ownMemory() string {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	objects, held := samples[0].Value.Uint64(), samples[1].Value.Uint64()-samples[2].Value.Uint64()
	t := memoryOf("self")
	return fmt.Sprintf("resident %d MiB: %d of files, %d of Go (%d in objects), %d of C",
		t.resident>>20, t.files>>20, held>>20, objects>>20,
		(t.resident-t.files-int64(held))>>20)
}

// memory runs "eyelet batch" over pictures, and prints what it has in memory as it goes.
func memory(ctx context.Context, o options, dir, pictures string) error {
	list := filepath.Join(dir, "all.txt")
	if err := listed(list, pictures, o.items); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, o.eyelet, "batch", "--list", list, "-o",
		filepath.Join(dir, "out.jsonl"), "--prompt", question, "--parallel",
		strconv.Itoa(o.parallel))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	began := time.Now()
	tick := time.NewTicker(memoryTime)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			t := memoryOf(strconv.Itoa(cmd.Process.Pid))
			fmt.Printf("%4.0f s: resident %d MiB, %d of them of files, at most %d so far\n",
				time.Since(began).Seconds(), t.resident>>20, t.files>>20, t.most>>20)
		}
	}
}

// memoryTime is how often the memory of a program is looked at.
const memoryTime = 10 * time.Second

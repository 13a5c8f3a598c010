package draw

import (
	"bufio"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// giveBackEvery is how often memory is given back: what comes of the child, and the runtime now and
// then, brings some of it in again.
const giveBackEvery = 2 * time.Second

// giveBack gives memory back, until the returned function is called, that this process does not
// need while its child computes: what the garbage collector can free, and the pages of the
// program's own file, which come back from the file when they are used again. The program has large
// tables, and has touched some 50 MB of its file when it starts a child; they count as its memory
// until the system is short of it.
func giveBack() (stop func()) {
	debug.FreeOSMemory()
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		ticks := time.NewTicker(giveBackEvery)
		defer ticks.Stop()
		for {
			dropPages()
			select {
			case <-ticks.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}

// dropPages takes the pages of the program's file out of memory. A page that is touched again
// brings others with it, on some systems 2 MiB of them.
func dropPages() {
	for _, m := range clean() {
		// An error leaves the pages where they are, which harms nothing.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// clean are the mappings that can be dropped.
var clean = sync.OnceValue(func() []mapping {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer f.Close()
	pc, _, _, _ := runtime.Caller(0)
	return ownPages(f, pc)
})

// mapping is a range of addresses, end excluded, and what lies there.
type mapping struct {
	start, end uintptr
	file       string // "" for none
	clean      bool   // nobody can write there, and it holds what the file holds
}

// mapsLine is the first line of a mapping in /proc/PID/smaps: addresses, permissions and the file.
var mapsLine = regexp.MustCompile(
	`^([0-9a-f]{1,16})-([0-9a-f]{1,16}) (\S{4}) \S+ \S+ \d+ *(.*)$`)

// ownPages lists the clean mappings of the file that the code at pc is from, which is the program's
// own however it was started. A page that was written to, as relocations do and debuggers, is this
// process's alone and counts as anonymous or swapped out. The program's mappings stay for as long
// as the process and nobody can write there, so what is listed is still true when it is used.
func ownPages(smaps io.Reader, pc uintptr) (clean []mapping) {
	var all []mapping
	own := ""
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		if m := mapsLine.FindStringSubmatch(lines.Text()); m != nil {
			start, _ := strconv.ParseUint(m[1], 16, 64) // 16 digits at most
			end, _ := strconv.ParseUint(m[2], 16, 64)
			all = append(all, mapping{uintptr(start), uintptr(end), m[4],
				!strings.Contains(m[3], "w")})
			if uintptr(start) <= pc && pc < uintptr(end) {
				own = m[4]
			}
			continue
		}
		name, value, _ := strings.Cut(lines.Text(), ":")
		if len(all) > 0 && (name == "Anonymous" || name == "Swap") &&
			strings.TrimSpace(value) != "0 kB" {
			all[len(all)-1].clean = false
		}
	}
	if lines.Err() != nil || own == "" {
		return nil
	}
	for _, m := range all {
		if m.file == own && m.clean {
			clean = append(clean, m)
		}
	}
	return clean
}

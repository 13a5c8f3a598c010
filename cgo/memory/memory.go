// Package memory tells how much memory this machine has.
package memory

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// State is the memory of this machine in bytes.
type State struct {
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`       // without swapping, within the limit
	Limit     uint64 `json:"limit,omitempty"` // of the container or control group, 0 for none
}

// Read returns the memory that Linux reports; ok is false on other systems.
func Read() (m State, ok bool) { return read(os.DirFS("/")) }

// read is [Read] of what is reported under root, the file system's root.
func read(root fs.FS) (m State, ok bool) {
	info, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return State{}, false
	}
	m.Total, m.Available = meminfoField(info, "MemTotal"), meminfoField(info, "MemAvailable")
	limit, used := cgroupMemory(root)
	if limit > 0 && limit < m.Total {
		m.Limit = limit
		m.Available = min(m.Available, limit-min(used, limit))
	}
	return m, m.Total > 0
}

// meminfoField returns a field of /proc/meminfo (proc_meminfo(5)), which is in kibibytes, in bytes.
func meminfoField(info []byte, name string) uint64 {
	lines := bufio.NewScanner(bytes.NewReader(info))
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) >= 2 && fields[0] == name+":" {
			n, err := strconv.ParseUint(fields[1], 10, 54) // 54 bits, so that the bytes fit into 64
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// cgroupMemory returns the tightest memory limit of the control groups that this process is in,
// with what is used of it; 0 for none. See cgroups(7): version 2 has one hierarchy, whose limits
// apply to all groups below; version 1 has one for each controller, of which the group's own limit
// is read.
func cgroupMemory(root fs.FS) (limit, used uint64) {
	membership, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, 0
	}
	consider := func(dir, limitFile, usedFile string) {
		n, ok := readNumber(root, path.Join(dir, limitFile))
		// version 1 says "none" by a huge number
		if ok && n > 0 && n < 1<<60 && (limit == 0 || n < limit) {
			limit = n
			used, _ = readNumber(root, path.Join(dir, usedFile))
		}
	}
	for line := range strings.Lines(string(membership)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		// In a container the path may be that of the host while only the group itself is mounted:
		// then the top is ours.
		group := path.Clean("/" + parts[2])
		switch {
		case parts[0] == "0" && parts[1] == "":
			for ; ; group = path.Dir(group) {
				consider(path.Join("sys/fs/cgroup", group), "memory.max", "memory.current")
				if group == "/" {
					break
				}
			}
		case parts[1] == "memory":
			for _, dir := range []string{path.Join("sys/fs/cgroup/memory", group),
				"sys/fs/cgroup/memory"} {
				consider(dir, "memory.limit_in_bytes", "memory.usage_in_bytes")
			}
		}
	}
	return limit, used
}

// readNumber reads a file that holds one number; ok is false for anything else, such as "max".
func readNumber(root fs.FS, name string) (n uint64, ok bool) {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
	return n, err == nil
}

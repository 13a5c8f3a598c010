package memory

import (
	"testing"
	"testing/fstest"
)

func TestReadsWhatLinuxReports(t *testing.T) {
	const meminfo = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000000 kB\n"
	const kib = 1024
	files := func(pairs ...string) fstest.MapFS {
		root := fstest.MapFS{"proc/meminfo": {Data: []byte(meminfo)}}
		for i := 0; i < len(pairs); i += 2 {
			root[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		return root
	}
	tests := []struct {
		name string
		root fstest.MapFS
		want State
	}{
		{"no control groups", files(), State{16000000 * kib, 8000000 * kib, 0}},
		{"version 2 without a limit", files("proc/self/cgroup", "0::/user.slice\n",
			"sys/fs/cgroup/user.slice/memory.max", "max\n"),
			State{16000000 * kib, 8000000 * kib, 0}},
		{"version 2 in a container", files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max",
			"4096000000\n", "sys/fs/cgroup/memory.current", "96000000\n"),
			State{16000000 * kib, 4000000000, 4096000000}},
		{"version 2 with a tighter limit above", files("proc/self/cgroup", "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max", "3000000000\n", "sys/fs/cgroup/a/memory.max",
			"2000000000\n", "sys/fs/cgroup/a/memory.current", "500000000\n"),
			State{16000000 * kib, 1500000000, 2000000000}},
		{"version 1", files("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/1234\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000000\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes", "400000000\n"),
			State{16000000 * kib, 600000000, 1000000000}},
		{"version 1 without a limit", files("proc/self/cgroup", "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
			State{16000000 * kib, 8000000 * kib, 0}},
		{"more used than the limit", files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max",
			"1000\n", "sys/fs/cgroup/memory.current", "2000\n"),
			State{16000000 * kib, 0, 1000}},
		{"a path that climbs out", files("proc/self/cgroup", "0::/../..\nrubbish\n",
			"sys/fs/cgroup/memory.max", "5000\n"),
			State{16000000 * kib, 5000, 5000}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := read(test.root)
			if !ok || got != test.want {
				t.Errorf("read = %+v, %v; want %+v", got, ok, test.want)
			}
		})
	}
	if _, ok := read(fstest.MapFS{}); ok {
		t.Error("read knows the memory of a system without /proc")
	}
}

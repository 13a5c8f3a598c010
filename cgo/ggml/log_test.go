package ggml

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestLogFragmentsBecomeWholeLines(t *testing.T) {
	const debug, info, warn, cont = 1, 2, 3, 5
	type fragment struct {
		level  int
		text   string
		thread uintptr
	}
	tests := []struct {
		name      string
		fragments []fragment
		want      []string
	}{
		{"a whole line", []fragment{{info, "one\n", 1}}, []string{"INFO one"}},
		{"two lines at once", []fragment{{warn, "one\ntwo\n", 1}},
			[]string{"WARN one", "WARN two"}},
		{"a continued line keeps its first level", []fragment{{info, "load: ", 1}, {cont, "..", 1},
			{cont, ".\n", 1}}, []string{"INFO load: ..."}},
		{"a line without end waits", []fragment{{info, "load: ", 1}}, nil},
		{"a new line ends an unfinished one", []fragment{{info, "load: ", 1}, {warn, "oops\n", 1}},
			[]string{"INFO load: ", "WARN oops"}},
		{"threads do not mix", []fragment{{info, "a1 ", 1}, {warn, "b1 ", 2}, {cont, "a2\n", 1},
			{cont, "b2\n", 2}}, []string{"INFO a1 a2", "WARN b1 b2"}},
		{"empty lines are dropped", []fragment{{debug, "\n\n", 1}, {debug, "x\n\n", 1}},
			[]string{"DEBUG x"}},
		{"a line that never ends is cut", []fragment{{info, strings.Repeat("x", maxLogLine+1), 1}},
			[]string{"INFO " + strings.Repeat("x", maxLogLine+1)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := lineAssembler{partial: map[uintptr]*partialLine{}}
			var got []string
			for _, f := range test.fragments {
				a.add(f.level, f.text, f.thread, func(level slog.Level, line string) {
					got = append(got, level.String()+" "+line)
				})
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestLibraryLogReachesLoggerAndTaps(t *testing.T) {
	mustLoad(t)
	var buf bytes.Buffer
	SetLogger(slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer SetLogger(nil)
	var tapped []string
	stop := TapLog(func(level slog.Level, line string) { tapped = append(tapped, line) })
	loadLibrary("/nonexistent/libggml-nothing.so")
	stop()
	if !strings.Contains(buf.String(), "libggml-nothing.so") || !strings.Contains(buf.String(),
		"level=ERROR") {
		t.Errorf("logger got %q", buf.String())
	}
	if !strings.Contains(strings.Join(tapped, "\n"), "libggml-nothing.so") {
		t.Errorf("tap got %q", tapped)
	}
	n := len(tapped)
	loadLibrary("/nonexistent/libggml-nothing.so")
	if len(tapped) != n {
		t.Error("the tap is called after stop")
	}
}

func TestLogIsSafeForConcurrentUse(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	stop := TapLog(func(_ slog.Level, line string) {
		mu.Lock()
		defer mu.Unlock()
		seen[line]++
	})
	defer stop()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for range 100 {
				lines.add(2, "left ", uintptr(g), emit)
				lines.add(5, fmt.Sprintf("right %d\n", g), uintptr(g), emit)
				TapLog(func(slog.Level, string) {})()
			}
		})
	}
	wg.Wait()
	for g := range 8 {
		if line := fmt.Sprintf("left right %d", g); seen[line] != 100 {
			t.Errorf("%q was seen %d times, want 100", line, seen[line])
		}
	}
}

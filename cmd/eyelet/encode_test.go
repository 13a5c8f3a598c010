package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/vision"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/encode"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// readNpy reads what formatNpy writes, and checks the parts of the header that NumPy relies on.
func readNpy(t *testing.T, path, shape string) []float32 {
	t.Helper()
	data := []byte(readFile(t, path))
	if len(data) < 128 || string(data[:8]) != "\x93NUMPY\x01\x00" {
		t.Fatalf("%s is no NumPy file of version 1.0: %q", path, data[:min(len(data), 16)])
	}
	n := int(binary.LittleEndian.Uint16(data[8:]))
	header := string(data[10 : 10+n])
	if (10+n)%64 != 0 || !strings.HasSuffix(header, "\n") {
		t.Errorf("a header of %d bytes, ending in %q", n, header[len(header)-2:])
	}
	if want := "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape +
		"), }"; strings.TrimRight(header, " \n") != want {
		t.Errorf("header %q, want %q", header, want)
	}
	values := make([]float32, len(data[10+n:])/4)
	if err := binary.Read(bytes.NewReader(data[10+n:]), binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestEncodeWritesTheRowsOfTheTower(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	out := filepath.Join(t.TempDir(), "rows.npy")
	picture := filepath.Join(demo, "orange-circle.png")
	o := eyelet(t, "encode", "--mmproj", seedProjector, "--precision", "f32", "--out", out, picture)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	for _, want := range []string{"clip: 112 x 112 pixels", "native, f32",
		"112 x 112 pixels, 1 tile, 64 image tokens", "blocks", "projector", out} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q is not in %s", want, o.stdout)
		}
	}
	got := readNpy(t, out, "64, 256")
	plain, err := vision.OpenPlain(seedProjector, vision.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	img, err := imaging.Decode([]byte(readFile(t, picture)), imaging.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := vision.Preprocess(t.Context(), plain, img)
	if err != nil {
		t.Fatal(err)
	}
	want, err := vision.Encode(t.Context(), plain, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	var largest float64
	for i := range want {
		largest = max(largest, math.Abs(float64(got[i]-want[i])))
	}
	if largest > 0.01 { // the numbers themselves go up to some hundreds
		t.Errorf("a number is %v away from the plain tower's", largest)
	}
}

func TestEncodeOfSeveralPicturesNumbersTheFiles(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	in := invocation{
		args: []string{"encode", "--mmproj", seedProjector, "--backend", "mtmd", "--json", "-i",
			"-", "-i", filepath.Join(demo, "black-star.png"), "-o", filepath.Join(dir, "x.npy")},
		stdin: strings.NewReader(readFile(t, filepath.Join(demo, "black-star.png"))),
	}
	o := in.run(t)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	var e encode.Encoding
	strictly(t, o.stdout, &e)
	if e.Tower.Backend != "mtmd" || e.Tower.Precision != "q8_0" || e.Tower.Width != 256 ||
		e.Machine.ISA == "" || len(e.Pictures) != 2 {
		t.Errorf("%+v", e)
	}
	first, second := filepath.Join(dir, "x-1.npy"), filepath.Join(dir, "x-2.npy")
	for i, p := range e.Pictures {
		if p.Width != 112 || p.Tokens != 64 || p.Timings.Encode <= 0 ||
			p.Timings.Total < p.Timings.Encode || p.Out != []string{first, second}[i] {
			t.Errorf("picture %d: %+v", i, p)
		}
	}
	if !slices.Equal(readNpy(t, first, "64, 256"), readNpy(t, second, "64, 256")) {
		t.Error("the same picture has other embeddings from stdin")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestEncodeRunsTheBuiltInTowerByDefault(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	o := eyelet(t, "encode", "--backend", "plain", "--json",
		filepath.Join(demo, "orange-circle.png"))
	var e encode.Encoding
	strictly(t, o.stdout, &e)
	if o.code != 0 || e.Tower.Backend != "plain" || e.Tower.Blocks != 6 || !strings.Contains(e.File,
		"mmproj-eyelet-builtin") {
		t.Errorf("%+v", o)
	}
}

func TestMistakesWithEncodeAndBenchAreExplained(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	picture := filepath.Join(demo, "black-star.png")
	damaged := writeFile(t, filepath.Join(dir, "damaged.png"), readFile(t, picture)[:300])
	cut := writeFile(t, filepath.Join(dir, "cut.gguf"), readFile(t, seedProjector)[:1000000])
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "picture is missing", []string{"encode"}},
		{2, "--backend", []string{"encode", "--backend", "abacus", picture}},
		{2, "precision", []string{"encode", "--precision", "f8", picture}},
		{2, "native", []string{"encode", "--precision", "int8", "--backend", "mtmd", picture}},
		{2, "once", []string{"encode", "-", "-"}},
		{2, "--threads", []string{"encode", "-t", "-1", picture}},
		{3, "none.png", []string{"encode", filepath.Join(dir, "none.png")}},
		{3, "damaged.png", []string{"encode", damaged}},
		{3, "is a directory", []string{"encode", dir}},
		{3, "cut.gguf", []string{"encode", "--mmproj", cut, picture}},
		{3, "cut.gguf", []string{"encode", "--mmproj", cut, "--backend", "mtmd", picture}},
		{3, "no regular file", []string{"encode", "--out", dir, picture}},
		{3, "no folder", []string{"encode", "--out", filepath.Join(dir, "a", "b.npy"), picture}},
		{3, "not a vision projector", []string{"encode", "--mmproj", seedModel, "--backend", "mtmd",
			picture}},
		{2, "eyelet bench --help", []string{"bench", "text"}},
		{2, "--tiles", []string{"bench", "vision", "--tiles", "0"}},
		{2, "--rounds", []string{"bench", "vision", "--rounds", "0"}},
		{2, "abacus", []string{"bench", "vision", "--backend", "native,abacus"}},
		{2, "f8", []string{"bench", "vision", "--precision", "f8"}},
		{2, "take part", []string{"bench", "vision", "--backend", "mtmd", "--precision", "f32"}},
		{3, "cut.gguf", []string{"bench", "vision", "--mmproj", cut}},
		{3, "damaged.png", []string{"bench", "vision", "--image", damaged}},
	} {
		t.Run(strings.Join(c.args[:min(len(c.args), 3)], " "), func(t *testing.T) {
			eyelet(t, c.args...).mustFail(t, c.code, c.want)
		})
	}
}

// awaitWork waits until a process has computed for that long, as Linux counts it; elsewhere, for as
// long as that takes on a quiet machine.
func awaitWork(t *testing.T, pid int, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			time.Sleep(d)
			return
		}
		// utime and stime of proc(5), in ticks of 10 ms, behind the name in parentheses
		_, fields, _ := strings.Cut(string(data), ") ")
		var ticks time.Duration
		for _, field := range strings.Fields(fields)[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			ticks += time.Duration(n)
		}
		if ticks*10*time.Millisecond >= d {
			return
		}
	}
	t.Fatal("it computes nothing")
}

func TestAnInterruptedBenchEndsWithItsCode(t *testing.T) {
	t.Parallel()
	cmd := invocation{args: []string{"bench", "vision", "--mmproj", seedProjector, "--rounds",
		"1000", "--json"}}.command(t.Context())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitWork(t, cmd.Process.Pid, 500*time.Millisecond) // wherever it is by then
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := exitStatus(t, cmd.Wait()); code != cli.ExitInterrupted || stdout.Len() > 0 ||
		stderr.String() != "eyelet: interrupted\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
}

func TestAnInterruptedEncodeWritesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "x.npy")
	root := newRootCommand()
	root.SetArgs([]string{"encode", "--mmproj", seedProjector, "-o", out,
		filepath.Join(demo, "black-star.png")})
	root.SetOut(&bytes.Buffer{})
	if err := root.ExecuteContext(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is there: %v", err)
	}
}

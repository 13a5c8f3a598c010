package film

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// colours are those of the test film, one a second.
var colours = []string{"red", "lime", "blue", "yellow"}

// makeFilm writes a film of four seconds, each of one colour.
func makeFilm(t *testing.T, name string, codec ...string) string {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed")
	}
	path := filepath.Join(t.TempDir(), name)
	args := []string{"-v", "error", "-y"}
	for _, c := range colours {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("color=c=%s:s=128x96:r=10:d=1", c))
	}
	args = append(append(args, "-filter_complex", "concat=n=4:v=1:a=0"), codec...)
	if out, err := exec.Command(ffmpeg, append(args, path)...).CombinedOutput(); err != nil {
		t.Skipf("this ffmpeg makes no %s: %s", name, out)
	}
	return path
}

func colourOf(t *testing.T, data []byte) string {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := color.RGBAModel.Convert(m.At(m.Bounds().Dx()/2, m.Bounds().Dy()/2)).(color.RGBA)
	bit := func(v uint8) int {
		if v > 128 {
			return 1
		}
		return 0
	}
	return map[[3]int]string{{1, 0, 0}: "red", {0, 1, 0}: "lime", {0, 0, 1}: "blue",
		{1, 1, 0}: "yellow"}[[3]int{bit(c.R), bit(c.G), bit(c.B)}]
}

func TestFramesAreThoseOfTheirTimes(t *testing.T) {
	for name, codec := range map[string][]string{
		"film.mp4": {"-c:v", "mpeg4"}, "film.mkv": {"-c:v", "mpeg4"}, "film.avi": {"-c:v", "mjpeg"},
		"film.mov":  {"-c:v", "mjpeg", "-pix_fmt", "yuvj420p"},
		"film.webm": {"-c:v", "libvpx"}, "film.mpg": {"-c:v", "mpeg1video", "-r", "25"},
		"film.flv": {"-c:v", "flv"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			path := makeFilm(t, name, codec...)
			f, err := Open(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			times, err := f.Times(ctx, Options{Frames: 4})
			if err != nil || len(times) != 4 {
				t.Fatal(times, err)
			}
			for i, at := range times {
				if name == "film.mpg" { // whose length is guessed from the size of a part
					at = time.Duration(i)*time.Second + 500*time.Millisecond
				}
				frame, err := f.Frame(ctx, at)
				if err != nil {
					t.Fatal(err)
				}
				if got := colourOf(t, frame.PNG); got != colours[i] {
					t.Errorf("at %v it is %s, want %s", at, got, colours[i])
				}
				if i > 0 {
					continue
				}
				again, err := f.Frame(ctx, at)
				if err != nil || !bytes.Equal(again.PNG, frame.PNG) {
					t.Errorf("the same frame has other bytes (%v)", err)
				}
			}
		})
	}
}

func TestTimes(t *testing.T) {
	f := &Film{length: 10 * time.Second, rate: 25}
	s := func(v ...float64) (times []time.Duration) {
		for _, x := range v {
			times = append(times, time.Duration(x*float64(time.Second)))
		}
		return times
	}
	for _, c := range []struct {
		o    Options
		want []time.Duration
	}{
		{Options{Frames: 2}, s(2.5, 7.5)},
		{Options{Frames: 1, From: 4 * time.Second, To: 6 * time.Second}, s(5)},
		{Options{FPS: 0.5}, s(0, 2, 4, 6, 8)},
		{Options{FPS: 1, From: 8 * time.Second}, s(8, 9)},
		{Options{FPS: 10, Frames: 2}, s(0, 0.1)},
		{Options{Frames: 4, To: 40 * time.Second}, s(1.25, 3.75, 6.25, 8.75)},
	} {
		got, err := f.Times(context.Background(), c.o)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%+v: got %v, %v, want %v", c.o, got, err, c.want)
		}
	}
	if got, err := f.Times(context.Background(), Options{}); err != nil ||
		len(got) != DefaultFrames {
		t.Error(got, err)
	}
	if got, err := (&Film{length: 100 * time.Millisecond, rate: 25}).Times(context.Background(),
		Options{Frames: 30}); err != nil || len(got) != 2 {
		t.Errorf("two frames are all there is: %v, %v", got, err)
	}
	for want, o := range map[string]Options{
		"nothing is left": {From: 10 * time.Second}, "is empty": {From: 3 * time.Second,
			To: 2 * time.Second}, "too many": {Frames: 257},
		"over 256": {FPS: 100}, "negative": {FPS: -1},
	} {
		if _, err := f.Times(context.Background(), o); err == nil || !strings.Contains(err.Error(),
			want) {
			t.Errorf("%+v: got error %v, want %q", o, err, want)
		}
	}
}

func TestScenesBeginWhereTheColourChanges(t *testing.T) {
	ctx := context.Background()
	f, err := Open(ctx, makeFilm(t, "film.mp4", "-c:v", "mpeg4"))
	if err != nil {
		t.Fatal(err)
	}
	times, err := f.Times(ctx, Options{Scenes: true, Frames: 3})
	if err != nil || len(times) != 3 {
		t.Fatal(times, err)
	}
	for i, at := range times {
		frame, err := f.Frame(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := colourOf(t, frame.PNG); got != colours[i] {
			t.Errorf("scene %d at %v is %s, want %s", i, at, got, colours[i])
		}
	}
}

func TestDamagedFilmsAreRefused(t *testing.T) {
	ctx := context.Background()
	whole := makeFilm(t, "film.mp4", "-c:v", "mpeg4")
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	var still bytes.Buffer
	if err := png.Encode(&still, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"cut.mp4":     {data[:len(data)/2], "damaged"},
		"empty.mp4":   {nil, "empty"},
		"picture.mp4": {still.Bytes(), "no video that is known"},
		"playlist.mp4": {[]byte(
			"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1/x.ts\n"),
			"no video that is known"},
		"-v.mp4":        {data[:40], "damaged"},
		"http:--x.webm": {append([]byte("\x1a\x45\xdf\xa3"), make([]byte, 100)...), "damaged"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(ctx, path)
		if err == nil {
			_, err = f.Frame(ctx, 0)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q", name, err, c.want)
		}
	}
	f, err := Open(ctx, whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Frame(ctx, time.Hour); err == nil || !strings.Contains(err.Error(), "no frame") {
		t.Error(err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Frame(stopped, 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Films of phones say how they were held.
func TestFramesAreUpright(t *testing.T) {
	ctx := context.Background()
	whole := makeFilm(t, "film.mp4", "-c:v", "mpeg4")
	turned := filepath.Join(t.TempDir(), "turned.mp4")
	if exec.Command("ffmpeg", "-v", "error", "-display_rotation", "90", "-i", whole, "-c", "copy",
		turned).Run() != nil {
		if out, err := exec.Command("ffmpeg", "-v", "error", "-i", whole, "-c", "copy",
			"-metadata:s:v:0", "rotate=90", turned).CombinedOutput(); err != nil {
			t.Skipf("this ffmpeg turns no films: %s", out)
		}
	}
	f, err := Open(ctx, turned)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := f.Frame(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := png.DecodeConfig(bytes.NewReader(frame.PNG))
	if err != nil || c.Width != 96 || c.Height != 128 {
		t.Errorf("%d x %d pixels of a film that was held upright, %v", c.Width, c.Height, err)
	}
}

// A program that never ends, writes for ever, or takes all memory is stopped, and its file named in
// the error.
func TestFFmpegIsBounded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("programs in /bin/sh, and a bound that Linux has")
	}
	defer func(d time.Duration, m uint64) { frameTime, programMemory = d, m }(frameTime,
		programMemory)
	programMemory = 128 << 20
	for want, script := range map[string]string{
		"takes longer than":     "exec sleep 60",
		"writes more than":      "exec cat /dev/zero",
		"damaged, or of a kind": "sleep 0.1; exec tail /dev/zero",
	} {
		if frameTime = time.Minute; script == "exec sleep 60" {
			frameTime = 100 * time.Millisecond
		}
		bin := t.TempDir()
		for _, name := range []string{"ffmpeg", "ffprobe"} {
			if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script),
				0o700); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", bin+":/usr/bin:/bin")
		f := &Film{path: "film.mp4", format: "mov"}
		if _, err := f.Frame(context.Background(), 0); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", script, err, want)
		}
	}
}

func TestWithoutFFmpegTheErrorSaysWhatToInstall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.webm")
	if err := os.WriteFile(path, []byte("\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00"),
		0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(context.Background(), path); !errors.Is(err, ErrNoProgram) ||
		!strings.Contains(err.Error(), "apt install ffmpeg") {
		t.Error(err)
	}
}

func TestComplaintsAreShownWithoutTheirSpeaker(t *testing.T) {
	for text, want := range map[string]string{
		"[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55d0c8e3a2c0] moov atom not found\nfile:a.mp4: Invalid data": "moov atom not found",
		"[in#0 @ 0x1f] [mov @ 0x2e] file:a.mp4: odd":                                               "odd",
		"[a.mp4] is odd": "[a.mp4] is odd",
		"":               "it gives no reason",
	} {
		if got := firstLine(text, "a.mp4"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

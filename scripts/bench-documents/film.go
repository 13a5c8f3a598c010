package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	filmQuestion   = "What happens?"
	secondQuestion = "And then?"
)

// benchFilm asks twice about the frames of a film. The second question must find the frames in the
// kept conversation: nothing is encoded, and nothing read again but the question.
func benchFilm(ctx context.Context, o *options) error {
	film := filepath.Join(o.folder, "film.mp4")
	seconds := strconv.Itoa(o.frames)
	make := exec.CommandContext(ctx, o.ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i",
		"testsrc=duration="+seconds+":size=320x240:rate=4", "-c:v", "mpeg4", "-q:v", "3", film)
	make.Stderr = os.Stderr
	if err := make.Run(); err != nil {
		return fmt.Errorf("%s: %w", o.ffmpeg, err)
	}
	kept := []string{"--session", "film", "--state-dir", filepath.Join(o.folder, "state")}
	first, err := o.ask(ctx, append(kept, "--image", film, "--frames", seconds, filmQuestion)...)
	if err != nil {
		return err
	}
	second, err := o.ask(ctx, append(kept, secondQuestion)...)
	if err != nil {
		return err
	}
	read := second.Usage.Prompt - second.Usage.Cached
	fmt.Printf("eyelet, %d frames, %d image tokens: first token after %.2f s; the second question, in a new process, after %.3f s: %d of %d tokens read, %.1f ms encoding (no frame encoded or read: %s)\n",
		o.frames, first.Usage.Image, first.Timings.First/1000, second.Timings.First/1000, read,
		second.Usage.Prompt, second.Timings.Encode,
		met(second.Timings.Encode == 0 && second.Usage.Image == first.Usage.Image &&
			second.Usage.Cached >= second.Usage.Image))
	if o.oursOnly {
		return nil
	}
	frames, err := o.framesOf(ctx, film)
	if err != nil {
		return err
	}
	p, err := startPeer(ctx, o)
	if err != nil {
		return err
	}
	defer p.stop()
	question := turn(filmQuestion, frames...)
	one, err := p.ask(ctx, question)
	if err != nil {
		return err
	}
	two, err := p.ask(ctx, question, object{"role": "assistant", "content": one.text},
		object{"role": "user", "content": secondQuestion})
	if err != nil {
		return err
	}
	fmt.Printf("llama-server, which runs on: first token after %.2f s; the second question after %.3f s\n", one.first, two.first)
	fmt.Printf("ratios: first %.2f, second %.2f\n", one.first/(first.Timings.First/1000),
		two.first/(second.Timings.First/1000))
	return nil
}

// framesOf are the frames of a film in the middle of each second, as eyelet run takes them.
func (o *options) framesOf(ctx context.Context, film string) (list [][]byte, err error) {
	pattern := filepath.Join(o.folder, "frame-%04d.png")
	if out, err := exec.CommandContext(ctx, o.ffmpeg, "-loglevel", "error", "-ss", "0.5", "-i",
		film, "-r", "1", "-frames:v", strconv.Itoa(o.frames), pattern).CombinedOutput(); err !=
		nil {
		return nil, fmt.Errorf("%s: %w: %s", o.ffmpeg, err, strings.TrimSpace(string(out)))
	}
	for i := range o.frames {
		data, err := os.ReadFile(fmt.Sprintf(pattern, i+1))
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

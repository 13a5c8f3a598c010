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

// benchFilm asks twice about the frames of a film: in two processes of eyelet run, of servers that
// run on, and of servers that were ended between the questions. The second question must find the
// frames in what was kept: none is encoded, and none read again.
func benchFilm(ctx context.Context, o *options) error {
	film := filepath.Join(o.folder, "film.mp4")
	seconds := strconv.Itoa(o.frames)
	make := exec.CommandContext(ctx, o.ffmpeg, "-loglevel", "error", "-f", "lavfi", "-i",
		"testsrc=duration="+seconds+":size=320x240:rate=4", "-c:v", "mpeg4", "-q:v", "3", film)
	make.Stderr = os.Stderr
	if err := make.Run(); err != nil {
		return fmt.Errorf("%s: %w", o.ffmpeg, err)
	}
	if err := o.filmRun(ctx, film); err != nil {
		return err
	}
	frames, err := o.framesOf(ctx, film)
	if err != nil {
		return err
	}
	ours, err := o.filmServed(ctx, startServe, frames)
	if err != nil || o.oursOnly {
		return err
	}
	theirs, err := o.filmServed(ctx, startPeer, frames)
	if err != nil {
		return err
	}
	for i, what := range []string{"first question", "second question", "second after a restart"} {
		fmt.Printf("%s: llama-server takes %.2f times as long\n", what, theirs[i]/ours[i])
	}
	return nil
}

// filmRun asks by eyelet run --session, each time in a process of its own.
func (o *options) filmRun(ctx context.Context, film string) error {
	kept := []string{"--session", "film", "--state-dir", filepath.Join(o.folder, "state")}
	first, err := o.ask(ctx, append(kept, "--image", film, "--frames", strconv.Itoa(o.frames),
		filmQuestion)...)
	if err != nil {
		return err
	}
	second, err := o.ask(ctx, append(kept, secondQuestion)...)
	if err != nil {
		return err
	}
	fmt.Printf("eyelet run --session, %d frames, %d image tokens: first token after %.2f s; the second question, in another process, after %.3f s: %d of %d tokens read, %.1f ms encoding (no frame encoded or read: %s)\n",
		o.frames, first.Usage.Image, first.Timings.First/1000, second.Timings.First/1000,
		second.Usage.Prompt-second.Usage.Cached, second.Usage.Prompt, second.Timings.Encode,
		met(second.Timings.Encode == 0 && second.Usage.Image == first.Usage.Image &&
			second.Usage.Cached >= second.Usage.Image))
	return nil
}

// filmServed asks a server twice, and the second question once more after it was ended and started
// again. It returns the seconds to the three first tokens.
func (o *options) filmServed(ctx context.Context,
	start func(context.Context, *options) (*peer, error), frames [][]byte) (first [3]float64,
	err error) {
	p, err := start(ctx, o)
	if err != nil {
		return first, err
	}
	defer func() { p.stop() }()
	messages := []object{turn(filmQuestion, frames...)}
	for i := range first {
		if i == 2 {
			p.stop()
			if p, err = start(ctx, o); err != nil {
				return first, err
			}
		}
		before, err := p.encoded()
		if err != nil {
			return first, err
		}
		r, err := p.ask(ctx, messages...)
		if err != nil {
			return first, err
		}
		after, err := p.encoded()
		if err != nil {
			return first, err
		}
		first[i] = r.first
		fmt.Printf("%s, %s: first token after %.3f s; %d of %d tokens read", p.name,
			[]string{"first question", "second", "second, after a restart"}[i], r.first,
			r.prompt-r.cached, r.prompt)
		if p.name == "eyelet" {
			fmt.Printf(", %d frames encoded", after-before)
			if i > 0 { // of the frames, nothing; the question itself is shorter than one of them
				fmt.Printf(" (no frame encoded or read: %s)", met(after == before &&
					r.prompt-r.cached <= r.prompt/o.frames))
			}
		}
		fmt.Println()
		if i == 0 {
			messages = append(messages, object{"role": "assistant", "content": r.text},
				object{"role": "user", "content": secondQuestion})
		}
	}
	return first, nil
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

// Picture-memory measures how the memory of "eyelet serve" grows with the number of requests that
// bring pictures at once: it starts a server for 4 requests and another one for 64, each with a
// JPEG file of 12 megapixels of its own, and compares the highest resident memory of both.
//
//	go run ./scripts/picture-memory -eyelet build/bin/eyelet
//
// It fails if an answer is lost (neither an answer nor a 503), or if the larger run took more than
// -most times the memory of the smaller one.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	program := flag.String("eyelet", "build/bin/eyelet", "program to measure")
	few := flag.Int("few", 4, "requests at once of the smaller run")
	many := flag.Int("many", 64, "requests at once of the larger run")
	most := flag.Float64("most", 1.3, "most times the memory of the smaller run")
	quality := flag.Int("quality",
		85, "quality of the JPEG files, which decides their size: a server has to keep the files of those who wait")
	api := flag.String("api", "ollama", "ollama, openai or anthropic: how the questions are asked")
	flag.Parse()
	if apis[*api] == nil {
		fmt.Fprintln(os.Stderr, "picture-memory: -api is ollama, openai or anthropic")
		os.Exit(2)
	}
	if err := run(*program, apis[*api], *few, *many, *most, *quality); err != nil {
		fmt.Fprintln(os.Stderr, "picture-memory:", err)
		os.Exit(1)
	}
}

func run(program string, q question, few, many int, most float64, quality int) error {
	photo, err := photo(4000, 3000, quality)
	if err != nil {
		return err
	}
	fmt.Printf("pictures of 4000 x 3000 pixels, %.1f MiB each\n", float64(len(photo))/(1<<20))
	var peaks []float64
	for _, n := range []int{few, many} {
		o, err := measure(program, q, photo, n)
		if err != nil {
			return err
		}
		fmt.Printf("%3d at once: %7.1f MiB at the highest, %7.1f before; %d answered, %d refused (503), %d lost; %.1f s\n",
			n, o.peak, o.idle, o.answered, o.refused, o.lost, o.took.Seconds())
		if o.lost > 0 {
			return fmt.Errorf("%d of %d requests were lost", o.lost, n)
		}
		peaks = append(peaks, o.peak)
	}
	ratio := peaks[1] / peaks[0]
	fmt.Printf("%.2f times the memory\n", ratio)
	if ratio > most {
		return fmt.Errorf("more than %.2f times", most)
	}
	return nil
}

// outcome is what a run came to; memory is in MiB.
type outcome struct {
	idle, peak              float64
	answered, refused, lost int
	took                    time.Duration
}

// measure starts a server and sends n requests at once.
func measure(program string, q question, photo []byte, n int) (o outcome, err error) {
	address, err := freeAddress()
	if err != nil {
		return o, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	server := exec.CommandContext(ctx, program, "serve", "--listen", address)
	if err := server.Start(); err != nil {
		return o, err
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	}()
	if err := warm(ctx, q, address); err != nil {
		return o, err
	}
	if o.idle, err = highest(server.Process.Pid); err != nil {
		return o, err
	}
	start := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			status, err := ask(ctx, q, address, own(photo, i))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && status == http.StatusOK:
				o.answered++
			case err == nil && status == http.StatusServiceUnavailable:
				o.refused++
			default:
				fmt.Fprintf(os.Stderr, "request %d: status %d, %v\n", i, status, err)
				o.lost++
			}
		})
	}
	wg.Wait()
	o.took = time.Since(start)
	o.peak, err = highest(server.Process.Pid)
	return o, err
}

// freeAddress is an address of this machine that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// warm waits for the server and has the built-in model loaded.
func warm(ctx context.Context, q question, address string) (err error) {
	for range 600 {
		var status int
		if status, err = ask(ctx, q, address, nil); err == nil && status == http.StatusOK {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the server does not answer: %w", err)
}

// question makes the path and the body of a request about a picture in base64, or about none if
// that is empty.
type question func(picture string) (path string, body map[string]any)

// what is asked, in few tokens.
const (
	what  = "What color is the background?"
	short = 4
)

var apis = map[string]question{
	"ollama": func(picture string) (string, map[string]any) {
		message := map[string]any{"role": "user", "content": what}
		if picture != "" {
			message["images"] = []string{picture}
		}
		return "/api/chat", map[string]any{"model": "builtin", "stream": false,
			"messages": []any{message}, "options": map[string]any{"num_predict": short}}
	},
	"openai": func(picture string) (string, map[string]any) {
		content := []any{map[string]any{"type": "text", "text": what}}
		if picture != "" {
			content = append(content, map[string]any{"type": "image_url",
				"image_url": map[string]any{"url": "data:image/jpeg;base64," + picture}})
		}
		return "/v1/chat/completions", map[string]any{"model": "builtin", "max_tokens": short,
			"messages": []any{map[string]any{"role": "user", "content": content}}}
	},
	"anthropic": func(picture string) (string, map[string]any) {
		content := []any{map[string]any{"type": "text", "text": what}}
		if picture != "" {
			source := map[string]any{"type": "base64", "media_type": "image/jpeg", "data": picture}
			content = append(content, map[string]any{"type": "image", "source": source})
		}
		return "/v1/messages", map[string]any{"model": "builtin", "max_tokens": short,
			"messages": []any{map[string]any{"role": "user", "content": content}}}
	},
}

// ask asks the built-in model a question, about a picture unless that is nil.
func ask(ctx context.Context, q question, address string, picture []byte) (status int, err error) {
	path, about := q(base64.StdEncoding.EncodeToString(picture))
	body, err := json.Marshal(about)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path,
		bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// own is the picture as a file of its own: with a comment behind its first marker.
func own(photo []byte, n int) []byte {
	text := fmt.Sprintf("picture %d", n)
	comment := append([]byte{0xff, 0xfe, 0, byte(2 + len(text))}, text...)
	return append(append(bytes.Clone(photo[:2]), comment...), photo[2:]...)
}

// photo draws a JPEG file with noise like that of a camera.
func photo(w, h, quality int) ([]byte, error) {
	m := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	seed := uint32(1)
	for i := range m.Y {
		seed = seed*1664525 + 1013904223
		m.Y[i] = uint8(i%w/40+i/w/30) + uint8(seed>>29)
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = uint8(100+i/w), uint8(150-i/w)
	}
	var file bytes.Buffer
	err := jpeg.Encode(&file, m, &jpeg.Options{Quality: quality})
	return file.Bytes(), err
}

// highest is the most resident memory that a process ever had, in MiB.
func highest(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 64)
			return n / 1024, err
		}
	}
	return 0, errors.New("the system does not tell the highest memory of a process")
}

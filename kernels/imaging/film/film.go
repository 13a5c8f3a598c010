// Package film takes single frames out of videos with ffmpeg, if that is installed. Only the frames
// that are asked for are decoded, each by a process of its own that is bounded in time and output,
// knows the file's format beforehand and may open nothing but the file.
package film

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// Options say which frames are taken. The zero value takes DefaultFrames, evenly spread.
type Options struct {
	// Frames is the most frames; 0 means DefaultFrames, or with FPS no limit but MaxFrames.
	Frames int
	// FPS takes so many frames a second, from From on, in the place of frames that are evenly
	// spread.
	FPS float64
	// Scenes takes the frames with which a new scene begins, and the first one.
	Scenes bool
	// From and To bound the part of the film that frames are taken from; To 0 is its end.
	From, To time.Duration
}

const (
	// DefaultFrames is how many frames are taken where nothing else is asked for.
	DefaultFrames = 8
	// MaxFrames is the most frames.
	MaxFrames = 256
	// maxSide bounds the sides of frames; larger ones are scaled down.
	maxSide = 2048
	// maxPixels bounds the frames of the film itself.
	maxPixels = 100_000_000
	// maxFrameBytes bounds a frame as a PNG file.
	maxFrameBytes = 4 * maxSide * maxSide
	// sceneTime bounds the time to look for scenes, which takes the whole film.
	sceneTime = 10 * time.Minute
)

var (
	// frameTime bounds the time to find and decode a frame.
	frameTime = 60 * time.Second
	// programMemory bounds the address space of ffmpeg, on systems that can.
	programMemory uint64 = 4 << 30
)

// ErrNoProgram says that ffmpeg is not installed.
var ErrNoProgram = errors.New("frames of a video are taken by ffmpeg, which is not installed (Debian, Ubuntu: apt install ffmpeg; macOS: brew install ffmpeg)")

// Frame is one frame.
type Frame struct {
	Time time.Duration // in the film
	PNG  []byte
}

// Film is an opened video file.
type Film struct {
	path   string
	format string        // ffmpeg's name
	length time.Duration // 0 if the file does not say
	rate   float64       // frames a second
}

// Open reads what a video file says of itself. Errors do not name the file.
func Open(ctx context.Context, path string) (*Film, error) {
	format, err := formatOf(path)
	if err != nil {
		return nil, err
	}
	f := &Film{path: path, format: format}
	out, err := f.run(ctx, "ffprobe", frameTime, 1<<20, []string{"-select_streams", "v:0",
		"-show_entries", "stream=duration,avg_frame_rate:format=duration", "-of", "json"}, nil)
	if err != nil {
		return nil, err
	}
	var says struct {
		Streams []struct {
			Duration string
			Rate     string `json:"avg_frame_rate"`
		}
		Format struct{ Duration string }
	}
	if err := json.Unmarshal(out, &says); err != nil {
		return nil, fmt.Errorf("ffprobe says nothing that can be read: %w", err)
	}
	if len(says.Streams) == 0 {
		return nil, errors.New("there are no pictures in this video")
	}
	if f.length = seconds(says.Streams[0].Duration); f.length == 0 {
		f.length = seconds(says.Format.Duration)
	}
	over, under, _ := strings.Cut(says.Streams[0].Rate, "/")
	a, _ := strconv.ParseFloat(over, 64)
	if b, _ := strconv.ParseFloat(under, 64); a > 0 && b > 0 {
		f.rate = a / b
	}
	return f, nil
}

// seconds reads a number of seconds, 0 for anything that is none.
func seconds(text string) time.Duration {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0 && v < 1e8) {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}

// Is reports whether a file is a film: by its first bytes, and of a row of JPEG pictures by its
// name too, as it begins like a single one. Files that cannot be read are none.
func Is(path string) bool {
	_, err := formatOf(path)
	return err == nil
}

// formatOf tells ffmpeg's name for the format of a file, by its first bytes: a playlist, which
// could name other files, has none.
func formatOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		if errors.Is(err, io.EOF) {
			return "", errors.New("the file is empty")
		}
		return "", err
	}
	head = head[:n]
	suffix := strings.ToLower(filepath.Ext(path))
	switch format := imaging.VideoFormat(head); {
	case format != "":
		return format, nil
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")) && (suffix == ".mjpeg" || suffix == ".mjpg"):
		return "mjpeg", nil
	}
	return "", errors.New("no video that is known: MP4, MOV, WebM, Matroska, AVI, MPEG, FLV, MJPEG (in a file named .mjpeg)")
}

// Times are those of the frames that o asks for.
func (f *Film) Times(ctx context.Context, o Options) ([]time.Duration, error) {
	end := o.To
	if end == 0 || f.length > 0 && end > f.length {
		end = f.length
	}
	switch {
	case o.FPS < 0 || math.IsNaN(o.FPS) || o.Frames < 0 || o.From < 0 || o.To < 0:
		return nil, errors.New("frames, frames a second and times must not be negative")
	case f.length > 0 && o.From >= f.length:
		return nil, fmt.Errorf("the video is %v long; nothing is left from %v on",
			f.length.Round(time.Millisecond), o.From)
	case o.To > 0 && o.To <= o.From:
		return nil, fmt.Errorf("the part from %v to %v is empty", o.From, o.To)
	case o.Frames > MaxFrames:
		return nil, fmt.Errorf("%d frames are too many; at most %d can be taken", o.Frames,
			MaxFrames)
	}
	if end == 0 { // of unknown length, as of a stream that was recorded
		return []time.Duration{o.From}, nil
	}
	if o.Scenes {
		return f.scenes(ctx, o, end)
	}
	span := end - o.From
	if o.FPS > 0 {
		return f.steady(o, span)
	}
	n := o.Frames
	if n == 0 {
		n = DefaultFrames
	}
	if all := int(f.rate * span.Seconds()); f.rate > 0 && n > all { // there are no more
		n = max(1, all)
	}
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = o.From + span*time.Duration(2*i+1)/time.Duration(2*n)
	}
	return times, nil
}

// steady are times so many a second.
func (f *Film) steady(o Options, span time.Duration) ([]time.Duration, error) {
	most := MaxFrames
	if o.Frames > 0 {
		most = o.Frames
	}
	var times []time.Duration
	for i := 0; ; i++ {
		t := time.Duration(float64(i) / o.FPS * float64(time.Second))
		if t >= span || o.Frames > 0 && i == most {
			return times, nil
		}
		if i == most {
			return nil, fmt.Errorf(
				"%v frames a second are over %d in %v; take fewer, or a part", o.FPS,
				most, span.Round(time.Millisecond))
		}
		times = append(times, o.From+t)
	}
}

// scenes finds where scenes begin: where a frame differs much from the one before. The first frame
// counts.
func (f *Film) scenes(ctx context.Context, o Options, end time.Duration) ([]time.Duration, error) {
	// ffmpeg's measure, from 0 to 1; 0.3 to 0.5 is what its documentation calls sane
	const differs = 0.3
	out, err := f.run(ctx, "ffmpeg", sceneTime, 1<<20, []string{"-ss", decimal(o.From), "-t",
		decimal(end - o.From)},
		[]string{"-an", "-vf",
			fmt.Sprintf("scale=320:-2,select='gt(scene,%v)',metadata=print:file=-", differs), "-f",
			"null", "-"})
	if err != nil {
		return nil, err
	}
	most := MaxFrames
	if o.Frames > 0 {
		most = o.Frames
	}
	times := []time.Duration{o.From}
	for line := range strings.Lines(string(out)) {
		_, text, ok := strings.Cut(line, "pts_time:")
		if t := seconds(strings.TrimSpace(text)); ok && t > 0 && len(times) < most {
			times = append(times, o.From+t)
		}
	}
	return times, nil
}

func decimal(t time.Duration) string { return strconv.FormatFloat(t.Seconds(), 'f', 6, 64) }

// Frame takes the frame that is seen at a time.
func (f *Film) Frame(ctx context.Context, at time.Duration) (Frame, error) {
	size := fmt.Sprintf("scale='if(gte(iw,ih),min(%[1]d,iw),-2)':'if(gte(iw,ih),-2,min(%[1]d,ih))'",
		maxSide)
	before, behind := []string{"-ss", decimal(at)}, []string(nil)
	if slices.Contains([]string{"mpeg", "mpegvideo", "mjpeg"}, f.format) {
		// there is no index to find a frame by: all before it are decoded
		before, behind = nil, before
	}
	out, err := f.run(ctx, "ffmpeg", frameTime, maxFrameBytes, before, append(behind,
		"-map", "0:v:0", "-frames:v", "1", "-vf", size, "-pix_fmt", "rgb24", "-c:v", "png", "-f",
		"image2pipe", "-"))
	if err != nil {
		return Frame{}, err
	}
	if len(out) == 0 {
		return Frame{}, fmt.Errorf("there is no frame at %v; the video may be cut off",
			at.Round(time.Millisecond))
	}
	return Frame{Time: at, PNG: out}, nil
}

// run runs a program of ffmpeg's over the film: options for its input come before it, those for the
// output behind it.
func (f *Film) run(ctx context.Context, program string, limit time.Duration, most int64, before,
	behind []string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, ErrNoProgram
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// The name goes as a file's, so that none that begins as an option or an address is taken for
	// one.
	args := append([]string{"-v", "error", "-protocol_whitelist", "file,pipe", "-f", f.format,
		"-max_pixels", strconv.Itoa(maxPixels)}, before...)
	if program == "ffmpeg" {
		args = append([]string{"-nostdin"}, args...)
	}
	args = append(append(args, "-i", "file:"+f.path), behind...)
	cmd := exec.CommandContext(limited, path, args...)
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &limitedWriter{w: &complaint, left: 16 << 10}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", program, err)
	}
	limitMemory(cmd.Process.Pid, programMemory)
	out, readErr := io.ReadAll(io.LimitReader(stdout, most+1))
	if int64(len(out)) > most {
		cancel()
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case int64(len(out)) > most:
		return nil, fmt.Errorf("%s writes more than %d bytes", program, most)
	case limited.Err() != nil:
		return nil, fmt.Errorf("%s takes longer than %v", program, limit)
	case err != nil:
		return nil, fmt.Errorf(
			"the video is damaged, or of a kind that this ffmpeg does not read: %s", firstLine(
				complaint.String(), f.path))
	}
	return out, readErr
}

// speaker is the part of ffmpeg that complains, as "[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55d0c8e3a2c0] ".
var speaker = regexp.MustCompile(`^(?:\[[^\]]* @ 0x[0-9a-f]+\] *)+`)

// firstLine is the first line of a complaint, without the file's name, which errors have already,
// and without the part of ffmpeg that complains.
func firstLine(text, path string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = speaker.ReplaceAllString(line, "")
	line = strings.TrimPrefix(strings.ReplaceAll(line, "file:"+path, ""), ": ")
	if line == "" {
		return "it gives no reason"
	}
	return line
}

// limitedWriter keeps the first bytes that are written to it.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	if _, err := l.w.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

package sound

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/x448/float16"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// files are the flavours that scripts/golden/sound.py writes.
func files(t testing.TB) (names []string) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.f16")
	if err != nil || len(paths) < 10 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".f16"))
	}
	return names
}

// The samples must be those that ffmpeg makes, to the float16 in which they are kept; of MP3, of
// which decoders need not agree in how many silent samples they put before the sound, at the best
// place.
func TestDecodeIsAsFFmpeg(t *testing.T) {
	for _, name := range files(t) {
		got, err := Decode(t.Context(), read(t, name), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want []float32
		for raw := read(t, name+".f16"); len(raw) >= 2; raw = raw[2:] {
			want = append(want, float16.Frombits(binary.LittleEndian.Uint16(raw)).Float32())
		}
		shifts, bound := 1, 1.0/1024
		if strings.HasSuffix(name, ".mp3") {
			shifts, bound = 3000, 4.0/1024
		} else if len(got) != len(want) {
			t.Errorf("%s: %d samples, want %d", name, len(got), len(want))
			continue
		}
		best := math.Inf(1)
		for shift := range shifts {
			worst := 0.0
			for i := 0; i < len(want)-200 && worst < best; i++ { // the last frame is filled up
				if i+shift >= len(got) {
					worst = math.Inf(1)
					break
				}
				worst = math.Max(worst, math.Abs(float64(got[i+shift]-want[i])))
			}
			best = math.Min(best, worst)
		}
		if best > bound {
			t.Errorf("%s: off by %g", name, best)
		}
	}
}

// tone is a second of a sine.
func tone(rate int, hertz float64) []float32 {
	out := make([]float32, rate)
	for i := range out {
		out[i] = float32(math.Sin(2 * math.Pi * hertz * float64(i) / float64(rate)))
	}
	return out
}

// A tone stays the same tone at another rate, and one that the rate cannot hold is gone, where it
// would else come back as another.
func TestResampleKeepsTones(t *testing.T) {
	for _, c := range []struct {
		from, to int
		hertz    float64
		gone     bool
	}{{44100, 16000, 440, false}, {44100, 16000, 7000, false}, {48000, 16000, 100, false},
		{8000, 16000, 3000, false}, {22050, 24000, 5000, false}, {44100, 16000, 9000, true},
		{96000, 16000, 30000, true}, {44099, 16000, 1000, false}} {
		got, err := Resample(t.Context(), tone(c.from, c.hertz), c.from, c.to)
		if err != nil || len(got) != c.to {
			t.Fatal(len(got), err)
		}
		want, worst := tone(c.to, c.hertz), 0.0
		for i := 200; i < len(got)-200; i++ { // the ends have silence beside them
			w := want[i]
			if c.gone {
				w = 0
			}
			worst = math.Max(worst, math.Abs(float64(got[i]-w)))
		}
		if worst > 1e-3 {
			t.Errorf("%d to %d, %g Hz: off by %g", c.from, c.to, c.hertz, worst)
		}
	}
}

func TestDecodeBringsToTheRate(t *testing.T) {
	got, err := Decode(t.Context(), read(t, "s16.wav"), Options{Rate: 16000})
	if err != nil || len(got) != 2400 {
		t.Errorf("%d samples, %v", len(got), err)
	}
}

// wavOf is a WAV file of that header and those samples.
func wavOf(kind, channels, rate, bits int, said uint32, data []byte) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(kind))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	b = append(b, "LIST\x03\x00\x00\x00abc\x00data"...)
	return append(binary.LittleEndian.AppendUint32(b, said), data...)
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	second := make([]byte, 16000)
	nan := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	for name, c := range map[string]struct {
		data []byte
		kind error
		want string
	}{
		"nothing":             {nil, ErrNotSound, "empty"},
		"text":                {[]byte("hello, world"), ErrNotSound, "WAV, MP3 or FLAC"},
		"WAV without samples": {wavOf(1, 1, 8000, 16, 0, nil), ErrDamaged, "no samples"},
		"WAV cut off":         {wavOf(1, 1, 8000, 16, 0, nil)[:30], ErrDamaged, "cut off"},
		"WAV of mu-law":       {wavOf(7, 1, 8000, 8, 8000, second), ErrUnsupported, "mu-law"},
		"WAV of 12 bits":      {wavOf(1, 1, 8000, 12, 8000, second), ErrUnsupported, "12 bits"},
		"WAV of no rate": {wavOf(1, 1, 0, 16, 8000, second), ErrUnsupported,
			"samples a second"},
		"WAV of many channels": {wavOf(1, 900, 8000, 16, 8000, second), ErrUnsupported,
			"900 channels"},
		"WAV of NaN": {wavOf(3, 1, 8000, 32, 4, nan), ErrDamaged, "no number"},
		"WAV that is too long": {wavOf(1, 1, 4000, 8, 1<<31, bytes.Repeat(second, 2)), ErrTooLarge,
			"7 s"},
		"FLAC of nothing":      {[]byte("fLaC"), ErrDamaged, "FLAC"},
		"FLAC cut in its head": {read(t, "s16.flac")[:30], ErrDamaged, "FLAC"},
		"MP3 of nothing":       {[]byte("ID3"), ErrDamaged, "MP3"},
		"MP3 of a tag alone": {append([]byte("ID3\x03\x00\x00\x00\x00\x0f\x7f"),
			make([]byte, 2047)...), ErrDamaged, "MP3"},
		"MP3 of MPEG-2":    {read(t, "low.mp3"), ErrUnsupported, "WAV or FLAC"},
		"FLAC that is not": {read(t, "mono.flac"), nil, ""},
	} {
		_, err := Decode(t.Context(), c.data, Options{Seconds: 7})
		if c.kind == nil && err != nil || c.kind != nil && (!errors.Is(err, c.kind) ||
			!strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.kind, c.want)
		}
	}
	if _, err := Decode(t.Context(), read(t, "s16.wav"), Options{MaxBytes: 100}); !errors.Is(err,
		ErrTooLarge) {
		t.Error(err)
	}
	for _, name := range []string{"s16.wav", "s16.flac", "joint.mp3"} {
		whole := read(t, name)
		if got, err := Decode(t.Context(), whole[:len(whole)*9/10], Options{}); err != nil ||
			len(got) < 1000 {
			t.Errorf("%s, cut off: %d samples, %v", name, len(got), err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Decode(ended, whole, Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range files(f) {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode(t.Context(), data, Options{Seconds: 2, Rate: 16000})
		if err == nil && (len(got) == 0 || len(got) > 2*16000+1) {
			t.Fatalf("%d samples", len(got))
		}
		if err != nil && !errors.Is(err, ErrNotSound) && !errors.Is(err, ErrDamaged) &&
			!errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	})
}

package imaging

import (
	"bytes"
	"errors"
	"testing"
)

func TestFramesOfGIFsAreThoseOfPillow(t *testing.T) {
	type animationCase struct {
		File   string
		W, H   int
		Frames []string
	}
	for _, c := range goldens[animationCase](t, "testdata/frames.json") {
		t.Run(c.File, func(t *testing.T) {
			data := readFile(t, c.File)
			got, err := allPages(data, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(c.Frames) {
				t.Fatalf("got %d frames, want %d", len(got), len(c.Frames))
			}
			for i, m := range got {
				if m.W != c.W || m.H != c.H || m.Check() != nil {
					t.Fatalf("frame %d has %d x %d pixels", i, m.W, m.H)
				}
				if want := decodeBase64(t, c.Frames[i]); !bytes.Equal(m.Pix, want) {
					t.Errorf("frame %d:\ngot  %v\nwant %v", i, m.Pix, want)
				}
			}
			first, err := Decode(data, Options{})
			if err != nil || !bytes.Equal(first.Pix, got[0].Pix) {
				t.Errorf("Decode returns another first frame (%v)", err)
			}
		})
	}
}

func TestFramesAreLimitedBeforeTheyAreDecoded(t *testing.T) {
	data := readFile(t, "mixed.gif") // 7 frames of 13 x 9
	for _, opt := range []Options{{MaxFrames: 6}, {MaxPixels: 13*9 - 1}} {
		if _, err := allPages(data, opt); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%+v: got error %v", opt, err)
		}
	}
	if frames, err := allPages(data, Options{MaxFrames: 7, MaxPixels: 13 * 9}); err != nil ||
		len(frames) != 7 {
		t.Errorf("an animation at both limits: %d frames, %v", len(frames), err)
	}
	if frames, err := allPages(data[:len(data)/2], Options{}); err != nil || len(frames) < 1 ||
		len(frames) > 6 {
		t.Errorf("half an animation: %d frames, %v", len(frames), err)
	}
	if _, err := allPages(data[:len(data)/20], Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("the beginning of an animation: %v", err)
	}
}

func TestOtherFormatsHaveOneFrame(t *testing.T) {
	for _, name := range []string{"rgb.png", "photo.jpg", "raw.tiff", "still.gif"} {
		frames, err := allPages(readFile(t, name), Options{})
		if err != nil || len(frames) != 1 {
			t.Errorf("%s: %d frames, %v", name, len(frames), err)
		}
	}
}

func TestTheBackgroundShowsThroughErasedFrames(t *testing.T) {
	green := [3]uint8{0, 200, 0}
	white, err := allPages(readFile(t, "background.gif"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := allPages(readFile(t, "background.gif"), Options{Background: &green})
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for i := range got {
		for p := 0; p < len(got[i].Pix); p += 3 {
			g, w := got[i].Pix[p:p+3], white[i].Pix[p:p+3]
			switch {
			case bytes.Equal(g, green[:]):
				changed++
			case !bytes.Equal(g, w):
				t.Fatalf("frame %d, byte %d: %v over green, %v over white", i, p, g, w)
			}
		}
	}
	if changed == 0 {
		t.Error("no pixel is transparent")
	}
}

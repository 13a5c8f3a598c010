package pictures

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// Whatever is wrong with a file of any format that can be given, the error names the file and says
// what it is, in one line, before a model is loaded; a file that is cut off may show what stands
// before the damage.
func TestDamagedFilesAreNamed(t *testing.T) {
	const files = "../../../../kernels/imaging/testdata/files/"
	dir := t.TempDir()
	for _, path := range []string{
		files + "444.jpg", files + "grey.png", files + "animated.gif", files + "lossy.webp",
		files + "lzw.tiff", files + "rgb.bmp", files + "grey.heic", files + "444.avif",
		files + "lossy.jxl",
		"../../../../kernels/imaging/document/testdata/pages.pdf",
		"../../../../kernels/sound/testdata/s16.wav", "../../../../kernels/sound/testdata/s16.flac",
		"../../../../kernels/sound/testdata/joint.mp3",
	} {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for fault, data := range map[string][]byte{
			"empty":       nil,
			"beginning":   whole[:min(len(whole), 12)],
			"cut":         whole[:len(whole)/2],
			"zeros":       append(bytes.Clone(whole[:min(len(whole), 64)]), make([]byte, 4096)...),
			"overwritten": overwritten(whole),
		} {
			name := fault + "-" + filepath.Base(path)
			// what follows may be a sound of silence, and a header may be all that is looked at
			checkDamaged(t, filepath.Join(dir, name), data,
				fault != "empty" && (fault != "beginning" || imaging.Slow(data)))
		}
	}
	for name, data := range map[string][]byte{
		"large.png":  lyingPNG(60_000, 60_000),
		"none.png":   lyingPNG(0, 10),
		"large.bmp":  lyingBMP(1<<30, 1<<30),
		"lying.wav":  []byte("RIFF\xff\xff\xff\x7fWAVEfmt \xff\xff\xff\x7f"),
		"lying.tiff": []byte("II*\x00\xff\xff\xff\x7f"),
		"lying.gif":  []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"),
	} {
		checkDamaged(t, filepath.Join(dir, name), data, false)
	}
	huge := filepath.Join(dir, "huge.jpg") // a file with a hole
	if err := os.WriteFile(huge, []byte("\xff\xd8\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 3<<30); err != nil {
		t.Skip(err)
	}
	checkError(t, huge, openAll(t, huge))
}

// checkDamaged writes a file and opens it as eyelet run does.
func checkDamaged(t *testing.T, path string, data []byte, maybe bool) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := openAll(t, path); err != nil || !maybe {
		checkError(t, path, err)
	}
}

// openAll opens a file as --image does.
func openAll(t *testing.T, path string) error {
	t.Helper()
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	_, err := new(Material).Open(cmd, path)
	return err
}

func checkError(t *testing.T, path string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s is taken for good", filepath.Base(path))
		return
	}
	text := cli.Describe(err)
	if !strings.Contains(text, filepath.Base(path)) || strings.Contains(text, "\n") ||
		strings.Contains(text, "imaging: ") || strings.Contains(text, "goroutine") ||
		len(text) < len(path)+8 {
		t.Errorf("%s: %q", filepath.Base(path), text)
	}
}

// overwritten has noise in its second quarter.
func overwritten(whole []byte) []byte {
	data := bytes.Clone(whole)
	for i := len(data) / 4; i < len(data)/2; i++ {
		data[i] = byte(i*i>>3 + 7*i)
	}
	return data
}

// lyingPNG is a PNG file whose header states a size and that ends behind it.
func lyingPNG(w, h uint32) []byte {
	chunk := append([]byte("IHDR"), 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0)
	binary.BigEndian.PutUint32(chunk[4:], w)
	binary.BigEndian.PutUint32(chunk[8:], h)
	data := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return binary.BigEndian.AppendUint32(data, crc32.ChecksumIEEE(chunk))
}

// lyingBMP is the like of BMP.
func lyingBMP(w, h uint32) []byte {
	data := make([]byte, 54)
	copy(data, "BM")
	binary.LittleEndian.PutUint32(data[10:], 54)
	binary.LittleEndian.PutUint32(data[14:], 40)
	binary.LittleEndian.PutUint32(data[18:], w)
	binary.LittleEndian.PutUint32(data[22:], h)
	binary.LittleEndian.PutUint16(data[26:], 1)
	binary.LittleEndian.PutUint16(data[28:], 24)
	return data
}

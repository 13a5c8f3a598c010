package imaging

import (
	"os"
	"syscall"
	"testing"
)

// TestResizeReadsNothingBehindThePicture puts pictures right before a page that must not be
// touched.
func TestResizeReadsNothingBehindThePicture(t *testing.T) {
	page := os.Getpagesize()
	const room = 1 << 20
	mem, err := syscall.Mmap(-1, 0, room+page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip(err)
	}
	defer syscall.Munmap(mem)
	if err := syscall.Mprotect(mem[room:], syscall.PROT_NONE); err != nil {
		t.Skip(err)
	}
	for _, w := range []int{1, 2, 3, 4, 5, 7, 8, 11, 12, 21, 22, 64, 100, 333} {
		for _, h := range []int{1, 2, 3, 4, 5, 8, 9, 50, 301} {
			src := noise(w, h, 3)
			pix := mem[room-len(src.Pix) : room : room]
			copy(pix, src.Pix)
			src.Pix = pix
			for _, to := range [][2]int{{1, 1}, {2, 30}, {30, 2}, {w, 17}, {17, h}, {40, 40},
				{400, 3}} {
				for _, p := range allPasses {
					if _, err := resizeWith(src, to[0], to[1], Lanczos, p, 2); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

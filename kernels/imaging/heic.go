package imaging

import "fmt"

// isHEIC looks at the major brand of the ISO base media file (ISO/IEC 23008-12,
// annex B: HEVC-coded images and image sequences; mif1 and msf1 are the
// structural brands that phones and libheif also write).
func isHEIC(head []byte) bool {
	switch isoBrand(head) {
	case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1":
		return true
	}
	return false
}

// isoBrand returns the major brand of an ISO base media file, "" for other files.
func isoBrand(head []byte) string {
	if len(head) < 12 || string(head[4:8]) != "ftyp" {
		return ""
	}
	return string(head[8:12])
}

// heicSize reads the size that the primary picture's ispe property states: before
// any crop or turn.
func heicSize(data []byte) (w, h int, err error) {
	file, err := readHEIC(data)
	if err != nil {
		return 0, 0, err
	}
	primary := file.items[file.primary]
	if primary == nil {
		return 0, 0, fmt.Errorf("%w: no item %d", errBoxes, file.primary)
	}
	return file.statedSize(primary)
}

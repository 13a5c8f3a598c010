package imaging

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
)

// How far the search for metadata goes, so that a file made of millions of tiny blocks
// costs no more time than another. EXIF comes first in a JPEG file and takes at
// most 64 KiB.
const (
	maxJPEGHead = 1 << 20 // bytes
	maxChunks   = 100_000 // of a PNG or WebP file
	maxText     = 1 << 20 // bytes of a text that is kept compressed
)

// xmpLead stands before the XMP packet of a JPEG file.
var xmpLead = []byte("http://ns.adobe.com/xap/1.0/\x00")

// jpegMetadata returns the contents of the segments APP1 that come before the pixels.
func jpegMetadata(data []byte) (exif, xmp []byte) {
	const app1, startOfScan = 0xe1, 0xda
	rest := data[min(2, len(data)):min(len(data), maxJPEGHead)]
	for len(rest) >= 4 {
		if rest[0] != 0xff {
			return exif, xmp
		}
		if rest[1] == 0xff { // a fill byte
			rest = rest[1:]
			continue
		}
		marker, size := rest[1], int(binary.BigEndian.Uint16(rest[2:]))
		if marker == startOfScan || size < 2 || 2+size > len(rest) {
			return exif, xmp
		}
		if marker == app1 {
			keepMetadata(rest[4:2+size], &exif, &xmp)
		}
		rest = rest[2+size:]
	}
	return exif, xmp
}

// keepMetadata keeps the contents of an APP1 segment, of each kind the first.
func keepMetadata(segment []byte, exif, xmp *[]byte) {
	switch {
	case bytes.HasPrefix(segment, exifLead) && *exif == nil:
		*exif = segment
	case bytes.HasPrefix(segment, xmpLead) && *xmp == nil:
		*xmp = segment[len(xmpLead):]
	}
}

// pngMetadata returns what the chunk eXIf and text chunks hold. ImageMagick and others
// from before eXIf write EXIF as a text of hexadecimal digits.
func pngMetadata(data []byte) (exif, xmp []byte) {
	var profile []byte
	for chunk := range pngChunks(data) {
		body := chunk.body
		switch chunk.kind {
		case "eXIf":
			if exif == nil {
				exif = body
			}
		case "tEXt", "zTXt", "iTXt":
			switch name, _, _ := bytes.Cut(body, []byte{0}); string(name) {
			case "Raw profile type exif", "Raw profile type APP1":
				keepMetadata(rawProfile(pngText(chunk.kind, body)), &profile, &xmp)
			case "XML:com.adobe.xmp":
				xmp = pngText(chunk.kind, body)
			}
		}
	}
	if exif == nil {
		exif = profile
	}
	return exif, xmp
}

// pngText returns the text of a chunk, nil if it is damaged (PNG specification, section 11.3.3).
func pngText(kind string, body []byte) []byte {
	_, text, found := bytes.Cut(body, []byte{0})
	if !found {
		return nil
	}
	compressed := false
	switch kind {
	case "zTXt":
		if len(text) < 1 {
			return nil
		}
		compressed, text = true, text[1:]
	case "iTXt": // a flag, a method, a language, a translated keyword
		if len(text) < 2 {
			return nil
		}
		compressed, text = text[0] == 1, text[2:]
		for range 2 {
			if _, text, found = bytes.Cut(text, []byte{0}); !found {
				return nil
			}
		}
	}
	if !compressed {
		return text
	}
	r, err := zlib.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	text, err = io.ReadAll(io.LimitReader(r, maxText))
	if err != nil {
		return nil
	}
	return text
}

// rawProfile returns the bytes of a profile in ImageMagick's form: an empty line, its
// name, its length, and lines of hexadecimal digits. Its EXIF gets the lead that it may lack.
func rawProfile(text []byte) []byte {
	lines := bytes.SplitN(text, []byte("\n"), 4)
	if len(lines) < 4 {
		return nil
	}
	digits := bytes.Join(bytes.Fields(lines[3]), nil)
	profile := make([]byte, hex.DecodedLen(len(digits)))
	n, _ := hex.Decode(profile, digits) // what is before the first fault counts
	profile = profile[:n]
	if bytes.HasPrefix(profile, []byte("II")) || bytes.HasPrefix(profile, []byte("MM")) {
		profile = append(bytes.Clone(exifLead), profile...)
	}
	return profile
}

// webpMetadata returns the chunks EXIF and XMP.
func webpMetadata(data []byte) (exif, xmp []byte) {
	for chunk := range webpChunks(data[min(12, len(data)):]) {
		switch {
		case chunk.kind == "EXIF" && exif == nil:
			exif = chunk.body
		case chunk.kind == "XMP " && xmp == nil:
			xmp = chunk.body
		}
	}
	return exif, xmp
}

package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/kernels/sound"
)

// Pictures come in requests as data URLs (RFC 2397) or as base64 alone, in all APIs, and as clients
// write them: without padding, in the alphabet for URLs, percent-encoded, broken into lines, with
// blanks in the header, one data URL within another. What type the header names does not matter:
// the bytes say what they are.

// inline returns the picture that a text holds; name and param are for errors.
func (p *pictureSource) inline(text, name, param string) (*engine.Image, error) {
	text = strings.TrimSpace(text)
	for isDataURL(text) {
		head, body, ok := strings.Cut(text[len("data:"):], ",")
		if !ok {
			return nil, failure.Field(param,
				"%s: the data URL has no comma; send data:image/png;base64,…", name)
		}
		if text = strings.TrimSpace(body); isDataURL(text) || saysBase64(head) {
			continue
		}
		if raw, err := url.PathUnescape(text); err == nil && isPicture([]byte(raw)) {
			return p.picture([]byte(raw), name, param)
		}
		if data, err := decodeBase64(text); err != nil || !isPicture(data) {
			return nil, failure.Field(param,
				"%s: the data URL is not in base64; send data:image/png;base64,…", name)
		}
	}
	// three of four may be percent signs and line ends
	if int64(base64.StdEncoding.DecodedLen(len(text))) > 4*p.most {
		return nil, p.tooLarge(name, param)
	}
	data, err := decodeBase64(text)
	if err != nil {
		return nil, failure.Field(param, "%s: its base64 is damaged or cut off: %v", name, err)
	}
	return p.picture(data, name, param)
}

// picture bounds the bytes of a picture.
func (p *pictureSource) picture(data []byte, name, param string) (*engine.Image, error) {
	switch {
	case len(data) == 0:
		return nil, failure.Field(param, "%s is empty", name)
	case int64(len(data)) > p.most:
		return nil, p.tooLarge(name, param)
	}
	return &engine.Image{Name: name, Data: data}, nil
}

func isDataURL(text string) bool { return len(text) >= 5 && strings.EqualFold(text[:5], "data:") }

// saysBase64 reports whether the header of a data URL announces base64.
func saysBase64(head string) bool {
	for part := range strings.SplitSeq(head, ";") {
		if strings.EqualFold(strings.TrimSpace(part), "base64") {
			return true
		}
	}
	return false
}

// forBase64 takes out of base64 what is not part of it, and puts the alphabet for URLs into the
// usual one.
var forBase64 = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "", "-", "+", "_", "/")

// decodeBase64 decodes base64 in any of its spellings.
func decodeBase64(text string) ([]byte, error) {
	if strings.Contains(text, "%") {
		plain, err := url.PathUnescape(text)
		if err != nil {
			return nil, err
		}
		text = plain
	}
	text = strings.TrimSpace(text)
	if blanksArePluses(text) {
		text = strings.ReplaceAll(text, " ", "+")
	}
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(forBase64.Replace(text), "="))
}

// blanksArePluses reports whether the blanks in base64 were plus signs, which HTML forms turn into
// blanks: the text has no plus sign, its length is right only with the blanks, and they do not
// stand where lines were joined.
func blanksArePluses(text string) bool {
	pieces := strings.Split(text, " ")
	if len(pieces) == 1 || len(text)%4 != 0 || strings.ContainsAny(text, "+\r\n\t") {
		return false
	}
	for _, piece := range pieces[1 : len(pieces)-1] {
		if len(piece) != len(pieces[0]) {
			return true
		}
	}
	return len(pieces) == 2
}

// isPicture reports whether data begins like a picture file or a PDF. Whether the file is whole,
// the engine finds out.
func isPicture(data []byte) bool {
	if strings.HasPrefix(http.DetectContentType(data), "image/") || document.IsPDF(data) ||
		sound.Is(data) {
		return true
	}
	return bytes.HasPrefix(data, []byte("II*\x00")) || bytes.HasPrefix(data, []byte("MM\x00*")) ||
		len(data) > 12 && string(data[4:8]) == "ftyp"
}

// bare returns the picture where an address is not one, but base64 without a header; else nil.
func (p *pictureSource) bare(text, name, param string) *engine.Image {
	if strings.Contains(text, "://") {
		return nil
	}
	if data, err := decodeBase64(strings.TrimSpace(text)); err != nil || !isPicture(data) {
		return nil
	}
	image, err := p.inline(text, name, param)
	if err != nil {
		return nil
	}
	return image
}

// ofMessage finds the number of a message in the path of a field.
var ofMessage = regexp.MustCompile(`^(message|input)s?[.\[](\d+)`)

// pictureName returns what a picture is called in errors before its bytes are known: its number
// among those of the request, and the message that it is in.
func pictureName(n int, param string) string { return fileName(n, param, nil) }

// fileName returns what a picture is called in errors once its bytes are known: a PDF is a file, a
// sound a sound.
func fileName(n int, param string, data []byte) string {
	kind := "picture"
	if document.IsPDF(data) {
		kind = "file"
	} else if sound.Is(data) {
		kind = "sound"
	}
	name := fmt.Sprintf("%s %d", kind, n)
	if m := ofMessage.FindStringSubmatch(param); m != nil {
		if i, err := strconv.Atoi(m[2]); err == nil {
			name += fmt.Sprintf(" (%s %d)", map[string]string{"message": "message",
				"input": "item"}[m[1]], i+1)
		}
	}
	return name
}

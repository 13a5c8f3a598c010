package server

import (
	"bytes"
	"image"
	"image/jpeg"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/page"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
)

// root shows the page to browsers. Programs get what Ollama says there, which some compare letter
// by letter.
func (s *Server) root(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Accept")
	if !wantsPage(r) {
		return s.ollamaRoot(w, r)
	}
	return s.pageFile(w, r)
}

// wantsPage tells whether a request is a browser's that opens the address.
func wantsPage(r *http.Request) bool {
	return r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

// isPageFile reports whether a request is for a file of the page, which is shown without a key: it
// holds no secret, and asks for the key.
func isPageFile(r *http.Request) bool {
	return wantsPage(r) || strings.HasPrefix(r.URL.Path, "/page/") && !strings.HasPrefix(r.URL.Path,
		"/page/api/")
}

// pageFile serves a file of the page.
func (s *Server) pageFile(w http.ResponseWriter, r *http.Request) error {
	s.limitWrite(w)
	return page.Serve(w, r)
}

// maxView is the longest side of a picture that is made for the page.
const maxView = 4096

// viewed reads which page of a file the browser wants to see, and how large.
func viewed(query url.Values) (side, index int, err error) {
	text := query.Get("side")
	if side, err = strconv.Atoi(text); err != nil || side < 1 || side > maxView {
		return 0, 0, failure.Wrong("side", "is %.20q; give 1 to %d pixels", text, maxView)
	}
	if text = query.Get("page"); text == "" {
		return side, 0, nil
	}
	if index, err = strconv.Atoi(text); err != nil || index < 0 {
		return 0, 0, failure.Wrong("page", "is %.20q; give the number of a page, from 0", text)
	}
	return side, index, nil
}

// pageView answers POST /page/api/view?side=N&page=N: the picture in the body, or that page of the
// document, from 0, upright, as a JPEG file whose longer side is N pixels at most. It is how the
// page shows files that the browser cannot.
func (s *Server) pageView(w http.ResponseWriter, r *http.Request) error {
	side, index, err := viewed(r.URL.Query())
	if err != nil {
		return err
	}
	data, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	if int64(len(data)) > s.limits.ImageBytes {
		return s.pictures.tooLarge("the picture", "body")
	}
	file, err := document.Open(r.Context(), data, imaging.Options{})
	if err != nil {
		return failure.Refuse("the picture cannot be read: %s", failure.Text(err))
	}
	pages := 1 // frames of an animation are none
	if !file.Moving() {
		pages = file.Len()
	}
	if index >= pages {
		return failure.Wrong("page", "is %d, of %d", index, pages)
	}
	size := image.Point{}
	view, err := file.Decode(r.Context(), index, document.Render{Target: func(w, h int) (int, int) {
		size = image.Pt(w, h)
		return imaging.Within(side)(w, h)
	}})
	if err != nil {
		return failure.Refuse("the picture cannot be read: %s", failure.Text(err))
	}
	picture := view.RGB
	if size == (image.Point{}) {
		size = image.Pt(picture.W, picture.H)
	}
	if long := max(picture.W, picture.H); long > side {
		picture, err = imaging.ResizeContext(r.Context(), picture, max(1, picture.W*side/long),
			max(1, picture.H*side/long), imaging.Bilinear)
		if err != nil {
			return err
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, rgba(picture), &jpeg.Options{Quality: 90}); err != nil {
		return err
	}
	s.limitWrite(w)
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("X-Picture-Width", strconv.Itoa(size.X))
	h.Set("X-Picture-Height", strconv.Itoa(size.Y))
	h.Set("X-Picture-Pages", strconv.Itoa(pages))
	_, err = w.Write(out.Bytes())
	return err
}

// rgba returns a picture as the standard library's encoders take it.
func rgba(p *imaging.RGB) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, p.W, p.H))
	for i, o := 0, 0; o < len(out.Pix); i, o = i+3, o+4 {
		copy(out.Pix[o:], p.Pix[i:i+3])
		out.Pix[o+3] = 255
	}
	return out
}

package document

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/enums"
	pdferrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/structs"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

const (
	// dotsPerPoint is the size that a page has where nothing asks for another: 144 dots an inch.
	// Text of 8 points is then 16 pixels high.
	dotsPerPoint = 2
	// maxPagePixels bounds a drawn page.
	maxPagePixels = 24_000_000
)

// pageTime bounds the time to draw a page, and usualTime what the pages of a file may take on the
// average, beyond the first: a file of many pages that each take nearly all of pageTime is given
// up.
var (
	pageTime  = 30 * time.Second
	usualTime = 5 * time.Second
)

// pdf is a PDF file. Each page is drawn by a fresh instance of the reader, which takes some
// milliseconds to make, so that a file can harm nothing but itself.
type pdf struct {
	data  []byte
	opt   imaging.Options
	pages int

	mu    sync.Mutex
	taken time.Duration // by readers so far
	calls int           // of readers
}

// left is how long the next reader may take.
func (p *pdf) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(pageTime, pageTime+time.Duration(p.calls)*usualTime-p.taken)
}

// took adds up what a reader has taken.
func (p *pdf) took(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken += d
	p.calls++
}

func openPDF(ctx context.Context, data []byte, opt imaging.Options) (*pdf, error) {
	p := &pdf{data: data, opt: opt.WithDefaults()}
	if int64(len(data)) > p.opt.MaxBytes {
		return nil, imaging.Fault(imaging.ErrTooLarge, "the file has %d bytes; the limit is %d",
			len(data), p.opt.MaxBytes)
	}
	err := p.with(ctx, func(in pdfium.Pdfium, doc references.FPDF_DOCUMENT) error {
		n, err := in.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: doc})
		if err != nil {
			return err
		}
		p.pages = n.PageCount
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case p.pages < 1:
		return nil, imaging.Fault(imaging.ErrDamaged, "PDF without pages")
	case p.pages > p.opt.MaxFrames:
		return nil, imaging.Fault(imaging.ErrTooLarge, "PDF of %d pages; the limit is %d", p.pages,
			p.opt.MaxFrames)
	}
	return p, nil
}

// with calls f with a reader that has the file open, and ends the reader. One that takes too long,
// or too much memory, or whose ctx is done, is stopped.
func (p *pdf) with(ctx context.Context,
	f func(pdfium.Pdfium, references.FPDF_DOCUMENT) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	release, err := readers.enter(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := readers.prepare(ctx); err != nil { // which may take long, and counts for no page
		return err
	}
	most := p.left()
	if most <= 0 {
		return imaging.Fault(imaging.ErrTooLarge,
			"PDF: its pages take too long to draw, more than %v each", usualTime)
	}
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	defer func(begun time.Time) { p.took(time.Since(begun)) }(time.Now())
	in, space, err := readers.instance(limited)
	if err != nil {
		return err
	}
	defer space.Release()
	stop := context.AfterFunc(limited, func() { _ = in.Kill() })
	err = p.use(in, f)
	if stop() {
		if broken(err) {
			_ = in.Kill()
		} else {
			_ = in.Close()
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return imaging.Fault(imaging.ErrTooLarge, "PDF: drawing takes longer than %v",
			most.Round(time.Millisecond))
	}
	return describe(err)
}

// use opens the file. A fault of the reader's can show itself as a panic.
func (p *pdf) use(in pdfium.Pdfium, f func(pdfium.Pdfium, references.FPDF_DOCUMENT) error) (
	err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("its reader failed: %v", fault)
		}
	}()
	// The reader asks for what it needs of the file, instead of holding a copy of it. The library
	// keeps what it asks of for as long as the process runs if it is stopped in mid-page.
	file := &lentFile{bytes.NewReader(p.data)}
	defer func() { *file = lentFile{bytes.NewReader(nil)} }()
	doc, err := in.OpenDocument(&requests.OpenDocument{FileReader: file,
		FileReaderSize: int64(len(p.data))})
	if err != nil {
		return err
	}
	return f(in, doc.Document)
}

// lentFile is a file that can be taken back from who keeps it.
type lentFile struct{ *bytes.Reader }

// broken reports whether an error leaves a reader in a state that nobody knows.
func broken(err error) bool {
	if err == nil || imaging.IsFault(err) {
		return false
	}
	for _, known := range []error{
		pdferrors.ErrPassword, pdferrors.ErrSecurity, pdferrors.ErrFormat, pdferrors.ErrFile,
		pdferrors.ErrPage,
	} {
		if errors.Is(err, known) {
			return false
		}
	}
	return true
}

// describe words an error of the reader. What a broken one says is a trace of its stack, which
// helps nobody who has the file.
func describe(err error) error {
	switch {
	case err == nil:
		return nil
	case imaging.IsFault(err):
		return err
	case errors.Is(err, pdferrors.ErrPassword):
		return imaging.Fault(ErrLocked, "PDF that needs a password; save it without one")
	case errors.Is(err, pdferrors.ErrSecurity):
		return imaging.Fault(ErrLocked,
			"PDF whose encryption is not supported; save it without one")
	case errors.Is(err, pdferrors.ErrFormat), errors.Is(err, pdferrors.ErrFile):
		return imaging.Fault(imaging.ErrDamaged, "corrupt or truncated PDF")
	case errors.Is(err, pdferrors.ErrPage):
		return imaging.Fault(imaging.ErrDamaged, "PDF: the page is damaged")
	}
	return imaging.Fault(imaging.ErrDamaged,
		"PDF: it is damaged, or takes more than %d MiB of memory", readers.memory>>20)
}

func (p *pdf) check(i int) error {
	if i < 0 || i >= p.pages {
		return imaging.Fault(imaging.ErrNoPage, "the PDF has %d pages; there is no page %d",
			p.pages, i+1)
	}
	return nil
}

// header is that of a page at dotsPerPoint, and the memory to draw it as r asks for.
func (p *pdf) header(ctx context.Context, i int, r Render) (h imaging.Header, err error) {
	if err := p.check(i); err != nil {
		return h, err
	}
	err = p.with(ctx, func(in pdfium.Pdfium, doc references.FPDF_DOCUMENT) error {
		h.W, h.H, err = p.sizeOf(in, doc, i)
		return err
	})
	if err != nil {
		return imaging.Header{}, err
	}
	dw, dh := p.scaled(float64(h.W), float64(h.H), scaleFor(h.W, h.H, r))
	h.Bytes = readerBytes + 7*int64(dw)*int64(dh)
	return h, nil
}

// readerBytes is about what a reader takes beside the file and the page, a scan in the page
// included.
const readerBytes = 48 << 20

func (p *pdf) sizeOf(in pdfium.Pdfium, doc references.FPDF_DOCUMENT, i int) (w, h int, err error) {
	s, err := in.FPDF_GetPageSizeByIndex(&requests.FPDF_GetPageSizeByIndex{Document: doc, Index: i})
	if err != nil {
		return 0, 0, err
	}
	if !(s.Width > 0 && s.Height > 0) || math.IsInf(s.Width, 0) || math.IsInf(s.Height, 0) {
		return 0, 0, imaging.Fault(imaging.ErrDamaged, "PDF: page %d has no size", i+1)
	}
	w, h = p.scaled(s.Width*dotsPerPoint, s.Height*dotsPerPoint, 1)
	return w, h, nil
}

// scaled is a size times s, or less where that would be too many pixels, in whole pixels.
func (p *pdf) scaled(w, h, s float64) (int, int) {
	limit := float64(min(maxPagePixels, p.opt.MaxPixels))
	if w*h*s*s <= limit {
		return int(max(1, math.Round(w*s))), int(max(1, math.Round(h*s)))
	}
	s = math.Sqrt(limit / w / h)
	w, h = max(1, math.Floor(w*s)), max(1, math.Floor(h*s))
	// what is thinner than a pixel is one
	return int(max(1, min(w, limit/h))), int(max(1, min(h, limit/w)))
}

// scaleFor is how much larger than its size a page is drawn: as large as the target, or somewhat
// larger where that is less than the page's size, as photos are decoded.
func scaleFor(w, h int, r Render) float64 {
	if r.Target == nil || r.Exact {
		return 1
	}
	tw, th := r.Target(w, h)
	if tw <= 0 || th <= 0 {
		return 1
	}
	s := max(float64(tw)/float64(w), float64(th)/float64(h))
	if s < 1 {
		s = min(1, s*imaging.ScaleMargin)
	}
	return s
}

func (p *pdf) decode(ctx context.Context, i int, r Render) (out *imaging.Picture, err error) {
	if err := p.check(i); err != nil {
		return nil, err
	}
	err = p.with(ctx, func(in pdfium.Pdfium, doc references.FPDF_DOCUMENT) error {
		w, h, err := p.sizeOf(in, doc, i)
		if err != nil {
			return err
		}
		out = &imaging.Picture{OriginalW: w, OriginalH: h}
		w, h = p.scaled(float64(w), float64(h), scaleFor(w, h, r))
		out.RGB, err = draw(in, doc, i, w, h, p.opt.Ground())
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// draw draws a page, with its annotations and what forms are filled in with, over paper of one
// colour.
func draw(in pdfium.Pdfium, doc references.FPDF_DOCUMENT, i, w, h int,
	paper [3]uint8) (*imaging.RGB, error) {
	page, err := in.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: doc, Index: i})
	if err != nil {
		return nil, err
	}
	bitmap, err := in.FPDFBitmap_CreateEx(&requests.FPDFBitmap_CreateEx{Width: w, Height: h,
		Format: enums.FPDF_BITMAP_FORMAT_BGRX, Pointer: uint64(0)})
	if err != nil {
		return nil, err
	}
	colour := uint64(0xff)<<24 | uint64(paper[0])<<16 | uint64(paper[1])<<8 | uint64(paper[2])
	if _, err := in.FPDFBitmap_FillRect(&requests.FPDFBitmap_FillRect{Bitmap: bitmap.Bitmap,
		Width: w, Height: h, Color: colour}); err != nil {
		return nil, err
	}
	if _, err := in.FPDF_RenderPageBitmap(&requests.FPDF_RenderPageBitmap{
		Bitmap: bitmap.Bitmap, Page: requests.Page{ByReference: &page.Page}, SizeX: w, SizeY: h,
		Flags: enums.FPDF_RENDER_FLAG_ANNOT,
	}); err != nil {
		return nil, err
	}
	if err := fillIn(in, doc, page.Page, bitmap.Bitmap, w, h); err != nil {
		return nil, err
	}
	pix, err := in.FPDFBitmap_GetBuffer(&requests.FPDFBitmap_GetBuffer{Bitmap: bitmap.Bitmap})
	if err != nil {
		return nil, err
	}
	if len(pix.Buffer) < 4*w*h || len(pix.Buffer)%h != 0 {
		return nil, fmt.Errorf("a bitmap of %d bytes", len(pix.Buffer))
	}
	stride := len(pix.Buffer) / h
	m := imaging.NewRGB(w, h)
	for y := range h {
		src, dst := pix.Buffer[y*stride:][:4*w], m.Pix[3*w*y:][:3*w]
		for x := range w {
			dst[3*x], dst[3*x+1], dst[3*x+2] = src[4*x+2], src[4*x+1], src[4*x]
		}
	}
	return m, nil
}

// fillIn draws the fields of a form with their contents, which are no part of the page.
func fillIn(in pdfium.Pdfium, doc references.FPDF_DOCUMENT, page references.FPDF_PAGE,
	bitmap references.FPDF_BITMAP, w, h int) error {
	kind, err := in.FPDF_GetFormType(&requests.FPDF_GetFormType{Document: doc})
	if err != nil || kind.FormType == enums.FPDF_FORMTYPE_NONE {
		return err
	}
	form, err := in.FPDFDOC_InitFormFillEnvironment(
		&requests.FPDFDOC_InitFormFillEnvironment{Document: doc, FormFillInfo: nobody})
	if err != nil {
		return err
	}
	_, err = in.FPDF_FFLDraw(&requests.FPDF_FFLDraw{
		FormHandle: form.FormHandle, Bitmap: bitmap, Page: requests.Page{ByReference: &page},
		SizeX: w, SizeY: h, Flags: enums.FPDF_RENDER_FLAG_ANNOT,
	})
	_, exit := in.FPDFDOC_ExitFormFillEnvironment(
		&requests.FPDFDOC_ExitFormFillEnvironment{FormHandle: form.FormHandle})
	return errors.Join(err, exit)
}

// nobody is the person at a form that is only looked at: nothing that it asks for happens.
var nobody = structs.FPDF_FORMFILLINFO{
	FFI_Invalidate:   func(references.FPDF_PAGE, float64, float64, float64, float64) {},
	FFI_SetCursor:    func(enums.FXCT) {},
	FFI_SetTimer:     func(int, func(int)) int { return 1 },
	FFI_KillTimer:    func(int) {},
	FFI_GetLocalTime: func() structs.FPDF_SYSTEMTIME { return structs.FPDF_SYSTEMTIME{} },
	FFI_GetPage: func(references.FPDF_DOCUMENT, int) *references.FPDF_PAGE {
		return nil
	},
	FFI_GetRotation:        func(references.FPDF_PAGE) enums.FPDF_PAGE_ROTATION { return 0 },
	FFI_ExecuteNamedAction: func(string) {},
}

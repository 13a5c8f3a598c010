// Package raster is the form in which the decoders below imaging hand pixels over.
package raster

// Image holds H rows of W pixels of so many channels of a byte each, without padding:
// 1 is grey, 2 grey and alpha, 3 red, green and blue, 4 those and alpha. Alpha is not
// multiplied in.
type Image struct {
	W, H, Channels int
	Pix            []byte
}

// New returns an image of zeros.
func New(w, h, channels int) *Image {
	return &Image{W: w, H: h, Channels: channels, Pix: make([]byte, w*h*channels)}
}

// DropAlpha removes the last of two or four channels, in place.
func (m *Image) DropAlpha() {
	n := m.Channels - 1
	for i := range m.W * m.H {
		copy(m.Pix[i*n:i*n+n], m.Pix[i*(n+1):])
	}
	m.Channels, m.Pix = n, m.Pix[:m.W*m.H*n]
}

// InvisibleEverywhere reports whether the last of two or four channels is zero throughout.
func (m *Image) InvisibleEverywhere() bool {
	for i := m.Channels - 1; i < len(m.Pix); i += m.Channels {
		if m.Pix[i] != 0 {
			return false
		}
	}
	return true
}

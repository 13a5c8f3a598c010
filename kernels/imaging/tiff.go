package imaging

import (
	"context"
	"time"

	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/raster"
	"github.com/eyelet-engine/eyelet/kernels/imaging/internal/tiff"
)

// tiffFormat is the format of a TIFF page, whose directory read finds.
func tiffFormat(read func(data []byte) (*tiff.Directory, error)) format {
	return format{
		name:  "TIFF",
		match: IsTIFF,
		size: func(data []byte) (w, h int, err error) {
			d, err := read(data)
			if err != nil {
				return 0, 0, err
			}
			return d.Size()
		},
		decode: composed(func(data []byte) (*raster.Image, error) {
			d, err := read(data)
			if err != nil {
				return nil, err
			}
			return d.Decode()
		}),
		turn: func(data []byte) int {
			d, err := read(data)
			if err != nil {
				return 1
			}
			return turnOf(d)
		},
		pages: tiffPages,
	}
}

// turnOf returns the orientation of a page: its tag's, or else that of its XMP packet.
func turnOf(d *tiff.Directory) int {
	turn := d.Int(tiff.TagOrientation, 1)
	if d.Bytes(tiff.TagOrientation) == nil {
		turn = xmpOrientation(d.Bytes(tiff.TagXMP))
	}
	if turn < 1 || turn > 8 {
		return 1
	}
	return turn
}

// tiffDocument is a TIFF file as pages: where their directories lie.
type tiffDocument struct {
	data []byte
	at   []uint64
}

func tiffPages(data []byte, opt Options) (pages, error) {
	at, err := tiff.Pages(data, opt.MaxFrames+1)
	if err != nil {
		return nil, err
	}
	return &tiffDocument{data, at}, nil
}

func (t *tiffDocument) count() int { return len(t.at) }

// page is the format of one page.
func (t *tiffDocument) page(i int) *format {
	f := tiffFormat(func(data []byte) (*tiff.Directory, error) {
		return tiff.ReadDirectoryAt(data, t.at[i])
	})
	return &f
}

func (t *tiffDocument) times(int) (start, lasts time.Duration) { return 0, 0 }

func (t *tiffDocument) header(i int, opt Options) (Header, error) {
	h, _, err := t.page(i).header(context.Background(), t.data, opt)
	return h, err
}

func (t *tiffDocument) decode(ctx context.Context, i int, opt Options) (*Picture, error) {
	return t.page(i).picture(ctx, t.data, opt)
}

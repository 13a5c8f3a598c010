package prompt

import (
	"errors"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/internal/fault"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/vision"
)

func TestRowsOfAPictureSharePositions(t *testing.T) {
	picture := &media.Picture{Source: &media.Source{}, Part: vision.Part{Tokens: 4, Advance: 2,
		Places: [][4]int32{{}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}}}}
	p := &Prompt{Pictures: []*media.Picture{picture}}
	p.Add(Stretch{Tokens: []llama.Token{5, 6}, Image: -1}, Stretch{Image: 0},
		Stretch{Tokens: []llama.Token{7}, Image: -1})
	if p.N != 7 || p.Images != 4 || !slices.Equal(p.Tokens(), []llama.Token{5, 6, 7}) {
		t.Errorf("%+v", p)
	}
	q, pictures := p.Items(&kv.Pictures{})
	if !slices.Equal(q.Pos, []llama.Pos{0, 1, 2, 2, 2, 2, 4}) || q.Next != 5 ||
		!slices.Equal(q.Whole, [][2]int{{2, 6}}) {
		t.Errorf("%+v", q)
	}
	if len(pictures) != 1 || pictures[0].From != 2 || pictures[0].Key == (kv.Key{}) {
		t.Errorf("%+v", pictures)
	}
	picture.Places, picture.Advance = nil, 4
	if q, _ := p.Items(&kv.Pictures{}); !slices.Equal(q.Pos, []llama.Pos{0, 1, 2, 3, 4, 5, 6}) ||
		q.Next != 7 || len(q.Whole) != 0 {
		t.Errorf("one position a token: %+v", q)
	}
}

func TestPicturesAreThoseOfTheConversationInOrder(t *testing.T) {
	for _, parts := range [][]chat.Part{
		{{Kind: chat.KindImage, Image: 1}, {Kind: chat.KindImage, Image: 0}},
		{{Kind: chat.KindImage, Image: 0}},
		{{Kind: chat.KindImage, Image: 0}, {Kind: chat.KindImage, Image: 0}},
	} {
		if err := checkPictures(parts, 2); !errors.Is(err, fault.ErrRequest) {
			t.Errorf("%v: %v", parts, err)
		}
	}
}

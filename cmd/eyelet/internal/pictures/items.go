package pictures

import (
	"context"
	"fmt"
	"sync"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
)

// Item is one of many that the same is asked about: a picture, or a page.
type Item struct {
	Name string // in the answers
	Path string
	Page int   // counted from 0; -1 for a whole file
	Err  error // why there is no answer, known beforehand
}

// Items are a file's pages, or the file itself where it has one alone or cannot be read, which its
// answer then says.
func (m *Material) Items(ctx context.Context, name, path, own string) ([]Item, error) {
	whole := []Item{{Name: name, Path: path, Page: -1}}
	if own == "" && m.Pages == "" && !document.Paged(cli.HeadOf(path, document.HeadSize)) {
		return whole, nil
	}
	picture, err := imageFile(path)
	if err != nil {
		return whole, nil
	}
	d, err := openDocument(ctx, picture)
	if err != nil {
		return whole, ctx.Err()
	}
	pages, err := m.chosen(d, own, true)
	if err != nil {
		return nil, err
	}
	if d.Len() == 1 && own == "" {
		return whole, nil
	}
	var list []Item
	for _, i := range pages {
		list = append(list, Item{Name: fmt.Sprintf("%s#%d", name, i+1), Path: path, Page: i})
	}
	return list, nil
}

// EachItem is Items where what is wrong with a file is why its item has no answer. An error is that
// of ctx.
func (m *Material) EachItem(ctx context.Context, name, path, own string) ([]Item, error) {
	items, err := m.Items(ctx, name, path, own)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		items = []Item{{Name: name, Path: path, Page: -1, Err: err}}
	}
	return items, nil
}

// Library keeps the documents that were opened last, since their pages are asked about one after
// the other.
type Library struct {
	mu   sync.Mutex
	kept []kept
}

type kept struct {
	path string
	doc  *engine.Document
}

// keptDocuments is how many documents stay open: those in whose pages the answers in hand may be.
const keptDocuments = 2

// Page is the picture of an item.
func (l *Library) Page(ctx context.Context, it Item) (*engine.Image, error) {
	switch {
	case it.Err != nil:
		return nil, it.Err
	case it.Page < 0:
		return ReadFile(ctx, it.Path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.kept {
		if k.path == it.Path && it.Page < k.doc.Len() {
			return k.doc.Page(it.Page), nil
		}
	}
	picture, err := imageFile(it.Path)
	if err != nil {
		return nil, err
	}
	d, err := openDocument(ctx, picture)
	if err != nil {
		return nil, err
	}
	if it.Page >= d.Len() {
		return nil, cli.Inputf("%s has %s now", it.Path, cli.Plural(d.Len(), "page"))
	}
	l.kept = append(l.kept, kept{it.Path, d})
	if len(l.kept) > keptDocuments {
		l.kept = l.kept[1:]
	}
	return d.Page(it.Page), nil
}

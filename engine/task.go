package engine

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// task makes a prompt ready for the scheduler: its items, their positions, and where its pictures come from.
func (m *Model) task(p *prompt, r *Request) (*sched.Task, error) {
	t := &sched.Task{
		Prompt: &kv.Prompt{}, MaxTokens: r.MaxTokens, Cells: m.limit(r), Fresh: r.Fresh, Shift: r.ContextShift && m.shifts, NoSpeculation: r.NoSpeculation,
		MostGuesses: r.MostGuesses,
		Client:      r.Client, Priority: r.Priority, Trace: r.Trace,
	}
	if t.Keep = r.Keep; r.Keep < 0 || r.Keep > p.n {
		t.Keep = p.n
	}
	q := t.Prompt
	for i := range p.pieces {
		x := &p.pieces[i]
		if x.picture == nil {
			for _, token := range x.tokens {
				q.Items, q.Pos, q.Next = append(q.Items, kv.TokenItem(token)), append(q.Pos, q.Next), q.Next+1
			}
			continue
		}
		if err := m.addPicture(t, p, x); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// addPicture appends the items of a picture.
func (m *Model) addPicture(t *sched.Task, p *prompt, x *piece) error {
	in, q := x.picture, t.Prompt
	from := len(q.Items)
	number := m.pictures.Number(x.key)
	spatial := in.positions != nil && m.lm.NPosPerEmbd() > 1
	picture := sched.Picture{From: from, To: from + in.n, Causal: !in.whole, Source: func() media.Picture { return m.source(p, x) }}
	if spatial {
		places, err := in.positions(q.Next)
		if err != nil {
			return err
		}
		if len(places) != in.n {
			return fmt.Errorf("engine: %d positions for %d image tokens", len(places), in.n)
		}
		picture.Places = places
	}
	for k := range in.n {
		pos := q.Next + llama.Pos(k)
		if spatial {
			pos = picture.Places[k][0]
		}
		q.Items, q.Pos = append(q.Items, kv.Item{Picture: number, Value: int32(k)}), append(q.Pos, pos)
	}
	q.Next += in.advance
	if in.whole || spatial {
		q.Whole = append(q.Whole, [2]int{from, from + in.n})
	}
	t.Pictures = append(t.Pictures, picture)
	return nil
}

// source is a picture as the encoder takes it. The prompt stays open until the encoder is done with it, which may be after the request: others
// may wait for the same picture.
func (m *Model) source(p *prompt, x *piece) media.Picture {
	p.retain()
	return media.Picture{
		Key: x.key, Values: x.picture.n * m.lm.NEmbdInp(), Close: p.close,
		Begin: func() (vision.Job, error) { return m.vision.begin(x) },
	}
}

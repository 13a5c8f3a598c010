package engine

import (
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// task makes a prompt ready for the scheduler: its items, their positions, and where its pictures
// come from.
func (m *Model) task(p *prompt, r *Request) *sched.Task {
	t := &sched.Task{
		Prompt: &kv.Prompt{}, MaxTokens: r.MaxTokens, Cells: m.limit(r), Fresh: r.Fresh,
		Shift: r.ContextShift && m.shifts, NoSpeculation: r.NoSpeculation,
		MostGuesses: r.MostGuesses, Threads: r.Threads,
		Client: r.Client, Priority: r.Priority, Trace: r.Trace,
	}
	if t.Keep = r.Keep; r.Keep < 0 || r.Keep > p.n {
		t.Keep = p.n
	}
	q := t.Prompt
	for _, x := range p.stretches {
		for _, token := range x.Tokens {
			q.Add(kv.TokenItem(token))
		}
		if x.Image >= 0 {
			m.addPicture(t, p.pictures[x.Image])
		}
	}
	return t
}

// addPicture appends the items of a picture.
func (m *Model) addPicture(t *sched.Task, p *media.Picture) {
	q := t.Prompt
	p.Identify()
	p.From = len(q.Items)
	number := m.pictures.Number(p.Key)
	for k := range p.Tokens {
		pos := q.Next + llama.Pos(k)
		if p.Places != nil {
			pos = q.Next + llama.Pos(p.Places[k][0])
		}
		q.Items, q.Pos = append(q.Items, kv.Item{Picture: number, Value: int32(k)}),
			append(q.Pos, pos)
	}
	q.Next += llama.Pos(p.Advance)
	if p.Whole || p.Places != nil {
		q.Whole = append(q.Whole, [2]int{p.From, p.To()})
	}
	t.Pictures = append(t.Pictures, p)
}

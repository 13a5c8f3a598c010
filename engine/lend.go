package engine

import (
	"cmp"
	"context"
	"fmt"
)

// DraftWith lets another open model, a smaller one of the same vocabulary, guess tokens ahead, as
// ModelSpec.Draft does with a file; nil ends that. Answers are the same with it. The other model
// may be closed at any time. Errors wrap ErrMismatch if the two do not fit.
func (m *Model) DraftWith(ctx context.Context, other *Model) error {
	if !m.enter() {
		return ErrClosed
	}
	defer m.requests.Done()
	if other != nil && other != m {
		if !other.enter() { // until then Close waits
			return ErrClosed
		}
		defer other.requests.Done()
	}
	m.drafting.Lock()
	defer m.drafting.Unlock()
	if other == nil {
		return m.useDrafter(nil)
	}
	if m.draft != nil && m.draft.lender == other {
		return nil
	}
	d, err := borrowDrafter(ctx, m, other)
	if err != nil {
		return err
	}
	other.mu.Lock()
	if other.borrowers == nil {
		other.borrowers = map[*Model]struct{}{}
	}
	other.borrowers[m] = struct{}{}
	other.mu.Unlock()
	return m.useDrafter(d)
}

// borrowDrafter makes a drafter over the weights of another model.
func borrowDrafter(ctx context.Context, m, other *Model) (*drafter, error) {
	if !other.lc.HasMemory() {
		return nil, fmt.Errorf("%w: %s makes embeddings and cannot draft", ErrMismatch,
			other.info.Name)
	}
	d := &drafter{lm: other.lm, lender: other}
	if err := d.open(ctx, m, cmp.Or(m.spec.Parallel, DefaultParallel)); err != nil {
		return nil, err
	}
	return d, nil
}

// useDrafter puts d, or nothing, in the place of the drafter. The caller holds drafting.
func (m *Model) useDrafter(d *drafter) error {
	old := m.draft
	err := m.sched.Do(func() {
		m.draftsOnCPU.Store(d != nil && !d.lm.OnDevices())
		if d == nil { // a nil *drafter would not be a nil Drafter
			m.sched.SetDrafter(nil)
		} else {
			m.sched.SetDrafter(d)
		}
	})
	if err != nil {
		m.sched.Close() // waits until the old one is used no more
		if d != nil {
			old, d = d, old
		}
	}
	m.draft = d
	if old != nil {
		old.giveBack(m)
		m.run(func() { _ = old.Close() })
	}
	return err
}

// giveBack ends what giving DraftWith began with the lender.
func (d *drafter) giveBack(m *Model) {
	if d.lender != nil {
		d.lender.mu.Lock()
		delete(d.lender.borrowers, m)
		d.lender.mu.Unlock()
	}
}

// recall takes the model back from those that draft with it.
func (m *Model) recall() {
	m.mu.Lock()
	var list []*Model
	for b := range m.borrowers {
		list = append(list, b)
	}
	m.mu.Unlock()
	for _, b := range list {
		b.drafting.Lock()
		if b.draft != nil && b.draft.lender == m {
			_ = b.useDrafter(nil)
		}
		b.drafting.Unlock()
	}
}

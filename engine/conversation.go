package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
	"github.com/eyelet-engine/eyelet/engine/sched"
)

// Conversation is what a request has read and written, as long as the model is open. Its cells may
// still stand in the KV cache, from where SaveConversation writes them to a file.
type Conversation struct {
	prompt  *kv.Prompt
	read    int // items of the request's prompt
	shifted bool
}

// Tokens are the tokens of the conversation, pictures left out.
func (c *Conversation) Tokens() []Token {
	if c.prompt == nil {
		return nil
	}
	return kv.Tokens(c.prompt.Items)
}

// Prompt is the conversation without the answer.
func (c *Conversation) Prompt() *Conversation {
	if c.prompt == nil || c.shifted {
		return c
	}
	return &Conversation{prompt: c.prompt.First(c.read), read: c.read}
}

// Common returns how many items two conversations have in common at their beginnings.
func (c *Conversation) Common(other *Conversation) int {
	if c.prompt == nil || other.prompt == nil {
		return 0
	}
	return kv.Common(c.prompt.Items, other.prompt.Items)
}

// Outgrown reports whether the conversation outgrew the context and lost its oldest part, so that
// it cannot be saved.
func (c *Conversation) Outgrown() bool { return c.shifted }

// Len is the number of items: tokens, and rows of pictures.
func (c *Conversation) Len() int {
	if c.prompt == nil {
		return 0
	}
	return len(c.prompt.Items)
}

// SaveConversation writes the cells of a conversation to a file, whole or not at all, from where
// LoadConversation brings them back, in another process too. It fails where the cache has given
// cells of it to others, or where the conversation outgrew the context.
func (m *Model) SaveConversation(ctx context.Context, c *Conversation, path string) error {
	if !m.enter() {
		return ErrClosed
	}
	defer m.requests.Done()
	if c == nil || c.prompt == nil {
		return fmt.Errorf("%w: there is no conversation to save", ErrRequest)
	}
	if c.shifted {
		return m.requestError(ctx, fmt.Errorf("engine: saving %s: %w", path, sched.ErrShifted))
	}
	identity, err := m.stateIdentity(m.spec)
	if err != nil {
		return err
	}
	err = m.sched.Copy(ctx, c.prompt, func(snap *disk.Snapshot) error {
		snap.Model = identity
		return disk.WriteFile(path, snap)
	})
	if errors.Is(err, sched.ErrClosed) {
		return ErrClosed
	}
	if err != nil {
		return fmt.Errorf("engine: saving %s: %w", path, err)
	}
	return nil
}

// LoadConversation brings back what SaveConversation has written, into the KV cache, where requests
// that begin alike find it. A file of another model, or one that is damaged, is an error that wraps
// ErrRequest.
func (m *Model) LoadConversation(ctx context.Context, path string) (*Conversation, error) {
	if !m.enter() {
		return nil, ErrClosed
	}
	defer m.requests.Done()
	identity, err := m.stateIdentity(m.spec)
	if err != nil {
		return nil, err
	}
	snap, err := disk.ReadFile(path, identity)
	if err != nil {
		return nil, fmt.Errorf("%w: the saved conversation %s: %w", ErrRequest, path, err)
	}
	c := &Conversation{}
	if e := m.sched.Do(func() { c.prompt, err = m.sched.Adopt(snap) }); e != nil {
		return nil, m.requestError(ctx, e)
	}
	switch {
	case errors.Is(err, kv.ErrNoCells):
		return nil, fmt.Errorf(
			"%w: the saved conversation %s has %d items, and the context holds %d",
			ErrContextLength, path, len(snap.Prompt.Items), m.cells)
	case err != nil:
		return nil, fmt.Errorf("engine: the saved conversation %s: %w", path, err)
	}
	c.read = len(c.prompt.Items)
	return c, nil
}

// record fills in what a task has read and written.
func (c *Conversation) record(t *sched.Task, read int, r sched.Report) {
	if c != nil {
		c.prompt, c.read, c.shifted = t.Prompt, read, r.Shifted > 0
	}
}

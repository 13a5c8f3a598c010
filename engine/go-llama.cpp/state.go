package llama

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/eyelet-engine/eyelet/engine"
)

// SaveState writes what was computed last, the text of a prediction or of Eval and the answer to
// it, to a file from which LoadState brings it back. The file is replaced whole or not at all; its
// format is Eyelet's own.
func (l *LLama) SaveState(dst string) error {
	m, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	l.mu.Lock()
	last := l.last
	l.mu.Unlock()
	if last == nil {
		return errors.New("llama: SaveState: nothing was computed yet")
	}
	return l.asked(m.SaveConversation(l.ctx, last, dst))
}

// LoadState brings back what SaveState wrote with the same model and context type. Predictions
// whose text begins so need not compute it again.
func (l *LLama) LoadState(state string) error {
	m, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	c, err := m.LoadConversation(l.ctx, state)
	if err == nil {
		l.remember(c)
	}
	return l.asked(err)
}

// promptCache is the file of SetPathPromptCache in the course of a prediction.
type promptCache struct {
	l  *LLama
	m  *engine.Model
	po *PredictOptions
}

// begin reads the file, if it is there, and writes it if the prompt has more than it holds.
func (c *promptCache) begin(r *engine.Request, text string) error {
	path := c.po.PathPromptCache
	if path == "" {
		return nil
	}
	var held engine.Conversation
	_, err := os.Stat(path)
	switch {
	case err == nil:
		got, err := c.m.LoadConversation(c.l.ctx, path)
		if err != nil {
			return err
		}
		held = *got
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if text == "" && held.Len() > 0 && len(r.Images) == 0 {
		r.Before = held.Tokens()
	}
	if c.po.PromptCacheRO {
		return nil
	}
	prompt, err := c.l.read(c.m, *r)
	if err != nil {
		return err
	}
	n := held.Common(prompt)
	if c.po.DebugMode {
		fmt.Fprintf(os.Stderr, "llama: the prompt cache %s holds %d of the %d tokens\n", path, n,
			prompt.Len())
	}
	if n == prompt.Len() {
		return nil
	}
	return c.m.SaveConversation(c.l.ctx, prompt, path)
}

// end writes the file with the answer, where that is asked for. A conversation that outgrew the
// context cannot be continued, and leaves the file as it is.
func (c *promptCache) end(conversation *engine.Conversation) error {
	if c.po.PathPromptCache == "" || !c.po.PromptCacheAll || c.po.PromptCacheRO ||
		conversation.Outgrown() {
		return nil
	}
	return c.m.SaveConversation(c.l.ctx, c.complete(conversation), c.po.PathPromptCache)
}

// complete computes the last token of an answer, which was drawn and is not in the cache yet, so
// that the file holds it.
func (c *promptCache) complete(conversation *engine.Conversation) *engine.Conversation {
	tokens := conversation.Tokens()
	if conversation.Len() != len(tokens) { // pictures are among them
		return conversation
	}
	whole, err := c.l.read(c.m, engine.Request{Before: tokens})
	if err != nil { // the context is full: the file lacks one token
		return conversation
	}
	return whole
}

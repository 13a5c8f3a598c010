package chat

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
)

// openSession reads the conversation that --session names, if it was kept before. It changes
// nothing yet. A model's own system prompt belongs to the conversation already; system says that
// the user gave one.
func (o *Options) openSession(ctx context.Context, system bool) error {
	if o.session == "" {
		return nil
	}
	if err := disk.CheckName(o.session); err != nil {
		return cli.Usagef("--session: %s", strings.TrimPrefix(err.Error(), "disk: "))
	}
	if o.Spec.StateDir == "" {
		o.Spec.StateDir = cli.StateDir()
	}
	o.Request.Session = o.session
	messages, err := loadConversation(ctx, o.sessionPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case system:
		return cli.Usagef("--system: the session %s has begun already; give it without --system, or name another", o.session)
	}
	o.kept = messages
	return nil
}

// sessionPath is the file of the session's text and pictures. File systems take names of 255 bytes;
// longer ones end in a hash.
func (o *Options) sessionPath() string {
	name := url.PathEscape(o.session)
	if len(name) > 200 {
		name = fmt.Sprintf("%s-%x", name[:100], sha256.Sum256([]byte(o.session)))
	}
	return filepath.Join(o.Spec.StateDir, "sessions", name+".json")
}

// remember keeps the conversation where --session was given. That the state of the cache could not
// be saved with it is no failure: it only costs time later. It is told after the conversation is
// kept, so that nothing is said to be kept which is not.
func (s *Session) remember(messages []engine.Message, a answer) error {
	if s.o.session == "" {
		return nil
	}
	path := s.o.sessionPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return s.notKept(path, err)
	}
	if err := saveConversation(path, s.Model.Info().Name, messages); err != nil {
		return s.notKept(path, err)
	}
	if err := a.result.SessionError; err != nil {
		fmt.Fprintf(s.Stderr,
			"eyelet: the session is kept, but will be computed again when it goes on: %v\n", err)
	}
	return nil
}

// notKept says that the answer is all there is of this turn.
func (s *Session) notKept(path string, err error) error {
	return fmt.Errorf("the session %s is not kept, and stays as it was before this answer: %s: %w",
		s.o.session, path, cli.Cause(err))
}

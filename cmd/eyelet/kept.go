package main

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

	"github.com/adrg/xdg"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/kv/disk"
)

// stateDirText is where stateDir is, for help texts.
const stateDirText = "~/.local/state/eyelet"

// stateDir is the folder for what outlives the program: the one that EYELET_STATE names, or else
// eyelet in the user's state folder.
func stateDir() string {
	if dir := os.Getenv("EYELET_STATE"); dir != "" {
		return dir
	}
	return filepath.Join(xdg.StateHome, "eyelet")
}

// openSession reads the conversation that --session names, if it was kept before. It changes
// nothing yet. A model's own system prompt belongs to the conversation already; system says that
// the user gave one.
func (o *runOptions) openSession(ctx context.Context, system bool) error {
	if o.session == "" {
		return nil
	}
	if err := disk.CheckName(o.session); err != nil {
		return usagef("--session: %s", strings.TrimPrefix(err.Error(), "disk: "))
	}
	if o.spec.StateDir == "" {
		o.spec.StateDir = stateDir()
	}
	o.request.Session = o.session
	messages, err := loadConversation(ctx, o.sessionPath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case system:
		return usagef("--system: the session %s has begun already; give it without --system, or name another", o.session)
	}
	o.kept = messages
	return nil
}

// sessionPath is the file of the session's text and pictures. File systems take names of 255 bytes;
// longer ones end in a hash.
func (o *runOptions) sessionPath() string {
	name := url.PathEscape(o.session)
	if len(name) > 200 {
		name = fmt.Sprintf("%s-%x", name[:100], sha256.Sum256([]byte(o.session)))
	}
	return filepath.Join(o.spec.StateDir, "sessions", name+".json")
}

// remember keeps the conversation where --session was given. That the state of the cache could not
// be saved with it is no failure: it only costs time later. It is told after the conversation is
// kept, so that nothing is said to be kept which is not.
func (s *session) remember(messages []engine.Message, a answer) error {
	if s.o.session == "" {
		return nil
	}
	path := s.o.sessionPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return s.notKept(path, err)
	}
	if err := saveConversation(path, s.model.Info().Name, messages); err != nil {
		return s.notKept(path, err)
	}
	if err := a.result.SessionError; err != nil {
		fmt.Fprintf(s.stderr,
			"eyelet: the session is kept, but will be computed again when it goes on: %v\n", err)
	}
	return nil
}

// notKept says that the answer is all there is of this turn.
func (s *session) notKept(path string, err error) error {
	return fmt.Errorf("the session %s is not kept, and stays as it was before this answer: %s: %w",
		s.o.session, path, causeOf(err))
}

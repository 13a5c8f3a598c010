package main

import (
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

// stateDir is the folder for what outlives the program: the one that EYELET_STATE names, or else eyelet in the user's state folder.
func stateDir() string {
	if dir := os.Getenv("EYELET_STATE"); dir != "" {
		return dir
	}
	return filepath.Join(xdg.StateHome, "eyelet")
}

// openSession reads the conversation that --session names, if it was kept before. It changes nothing yet.
// A model's own system prompt belongs to the conversation already; system says that the user gave one.
func (o *runOptions) openSession(system bool) error {
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
	messages, err := loadConversation(o.sessionPath())
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

// sessionPath is the file of the session's text and pictures.
func (o *runOptions) sessionPath() string {
	return filepath.Join(o.spec.StateDir, "sessions", url.PathEscape(o.session)+".json")
}

// remember keeps the conversation where --session was given.
func (s *session) remember(messages []engine.Message) error {
	if s.o.session == "" {
		return nil
	}
	path := s.o.sessionPath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	return saveConversation(path, s.model.Info().Name, messages)
}

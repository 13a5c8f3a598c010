package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
)

// Help lists the commands of a conversation.
const Help = `/image PATH   show a picture with the next message
/save FILE    keep the conversation, pictures included, in a file
/load FILE    go on with a conversation from a file
/clear        start afresh
/help         this list
/quit         end (or Ctrl-D)
Ctrl-C stops an answer.`

// conversation is a chat in progress.
type conversation struct {
	*Session
	lines    lineReader
	messages []engine.Message
	pictures []pictures.Labelled // for the next message
}

// chat talks until the user ends it.
func (s *Session) chat(in *input) error {
	c := &conversation{Session: s, messages: s.Opening(), pictures: in.images}
	c.lines = newLineReader(s)
	defer c.lines.Close()
	if cli.IsTerminal(s.Stderr) {
		c.hint("%s is ready. /help lists commands, Ctrl-D ends.", s.Model.Info().Name)
		for _, picture := range c.pictures {
			c.hint("%s goes with your first message.", cli.Printable(picture.Name))
		}
	}
	if in.question != "" {
		if err := c.say(in.question); err != nil {
			return err
		}
	}
	for {
		line, err := c.lines.Read("> ")
		switch {
		case errors.Is(err, errLineAborted):
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line == "/quit", line == "/exit":
			return nil
		case strings.HasPrefix(line, "/"):
			if err := c.command(line); err != nil {
				c.complain(err)
			}
		default:
			if err := c.say(line); err != nil {
				return err
			}
		}
	}
}

// hint tells what happened, on stderr, unless that is not wanted.
func (c *conversation) hint(format string, args ...any) {
	if !c.o.Quiet {
		fmt.Fprintf(c.Stderr, format+"\n", args...)
	}
}

// complain says what went wrong where the conversation goes on.
func (c *conversation) complain(err error) {
	fmt.Fprintf(c.Stderr, "eyelet: %s\n", cli.Describe(err))
}

// command obeys a line that begins with a slash.
func (c *conversation) command(line string) error {
	name, arg, _ := strings.Cut(line, " ")
	path := typedPath(arg)
	switch name {
	case "/help":
		fmt.Fprintln(c.Stderr, Help)
		return nil
	case "/clear":
		c.o.kept = nil
		c.messages, c.pictures = c.Opening(), nil
		return nil
	case "/image", "/save", "/load":
		if path == "" {
			return fmt.Errorf("%s needs a file name", name)
		}
	default:
		return fmt.Errorf("there is no command %s; /help lists them", name)
	}
	switch name {
	case "/image":
		return c.show(path)
	case "/save":
		return c.save(path)
	}
	return c.load(path)
}

// typedPath is a path as people type it: there is no shell that would take quotes away and know
// their home directory.
func typedPath(arg string) string {
	path := strings.TrimSpace(arg)
	if n := len(path); n >= 2 && (path[0] == '"' || path[0] == '\'') && path[n-1] == path[0] {
		path = path[1 : n-1]
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	return path
}

func (c *conversation) show(path string) error {
	if c.Model.Info().Vision == "" {
		return fmt.Errorf("%w: %s was given without a projector; start again with its mmproj file (--mmproj)", engine.ErrNoVision, cmp.Or(c.o.Spec.Name, c.o.Spec.Model))
	}
	pictures, err := c.o.material.Open(c.cmd, path)
	if err != nil {
		return err
	}
	c.pictures = append(c.pictures, pictures...)
	c.hint("%s goes with your next message.", cli.Printable(path))
	return nil
}

func (c *conversation) save(path string) error {
	if err := saveConversation(path, c.Model.Info().Name, c.messages); err != nil {
		return err
	}
	c.hint("%s holds %s.", cli.Printable(path), cli.Plural(len(c.messages), "message"))
	return nil
}

func (c *conversation) load(path string) error {
	messages, err := loadConversation(c.Context, path)
	if err != nil {
		return err
	}
	c.messages, c.pictures = messages, nil
	c.hint("%s from %s.", cli.Plural(len(messages), "message"), cli.Printable(path))
	return nil
}

// say sends a turn of the user and adds the answer to the conversation. Ctrl-C keeps what was said
// so far. A turn that cannot be answered is taken back and told; only the end of the program is an
// error.
func (c *conversation) say(text string) error {
	turn := input{question: text, images: c.pictures}
	request := c.o.Request
	request.Messages = append(c.messages[:len(c.messages):len(c.messages)], turn.message())
	ctx, release := cli.Interruptible(c.Context)
	a, err := c.ask(ctx, request, c.Stdout)
	release()
	if err == nil || a.text != "" {
		fmt.Fprintln(c.Stdout)
	}
	switch {
	case c.Context.Err() != nil:
		return c.Context.Err()
	case errors.Is(err, errWrite):
		return err
	case errors.Is(err, context.Canceled) && a.text == "":
		c.hint("Stopped before the answer began; the question is taken back.")
		return nil
	case err != nil && !errors.Is(err, context.Canceled):
		c.complain(err)
		c.takeBack(err)
		return nil
	}
	c.messages = append(request.Messages, engine.Assistant(a.text))
	c.pictures = nil
	if err := c.remember(c.messages, a); err != nil {
		c.complain(err) // the conversation goes on; the next turn may be kept, and this one with it
	}
	return nil
}

// takeBack forgets the pictures of a turn that failed, which may be at fault, and says how to go
// on.
func (c *conversation) takeBack(err error) {
	switch len(c.pictures) {
	case 0:
	case 1:
		c.hint("The picture is taken back too.")
	default:
		c.hint("The pictures are taken back too.")
	}
	c.pictures = nil
	if errors.Is(err, engine.ErrContextLength) && len(c.messages) > 0 {
		c.hint("/clear starts afresh, /save keeps the conversation before.")
	}
}

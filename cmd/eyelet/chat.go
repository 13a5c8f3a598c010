package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

const chatHelp = `/image PATH   show a picture with the next message
/save FILE    keep the conversation, pictures included, in a file
/load FILE    go on with a conversation from a file
/clear        start afresh
/help         this list
/quit         end (or Ctrl-D)
Ctrl-C stops an answer.`

// conversation is a chat in progress.
type conversation struct {
	*session
	lines    lineReader
	messages []engine.Message
	pictures []*engine.Image // for the next message
}

// chat talks until the user ends it.
func (s *session) chat(in *input) error {
	c := &conversation{session: s, messages: s.opening(), pictures: in.images}
	c.lines = newLineReader(s)
	defer c.lines.Close()
	if !s.o.quiet && isTerminal(s.stderr) {
		fmt.Fprintf(s.stderr, "%s is ready. /help lists commands, Ctrl-D ends.\n", s.model.Info().Name)
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
		if line == "" {
			continue
		}
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if !strings.HasPrefix(line, "/") {
			err = c.say(line)
		} else if line == "/quit" || line == "/exit" {
			return nil
		} else {
			c.command(line)
		}
		if err != nil {
			return err
		}
	}
}

// command obeys a line that begins with a slash. Mistakes are told, not fatal.
func (c *conversation) command(line string) {
	name, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	var err error
	needArg := func() bool {
		if arg == "" {
			err = fmt.Errorf("%s needs a file name", name)
		}
		return arg != ""
	}
	switch name {
	case "/help":
		fmt.Fprintln(c.stderr, chatHelp)
	case "/clear":
		c.messages, c.pictures = c.opening(), nil
	case "/image":
		if needArg() {
			err = c.show(arg)
		}
	case "/save":
		if needArg() {
			err = saveConversation(arg, c.model.Info().Name, c.messages)
		}
	case "/load":
		if needArg() {
			var messages []engine.Message
			if messages, err = loadConversation(arg); err == nil {
				c.messages, c.pictures = messages, nil
				fmt.Fprintf(c.stderr, "%d messages.\n", len(messages))
			}
		}
	default:
		err = fmt.Errorf("there is no command %s; /help lists them", name)
	}
	if err != nil {
		fmt.Fprintf(c.stderr, "eyelet: %s\n", describe(err))
	}
}

func (c *conversation) show(path string) error {
	picture, err := engine.ImageFile(path)
	if err == nil {
		c.pictures = append(c.pictures, picture)
	}
	return err
}

// say sends a turn of the user and adds the answer to the conversation. Ctrl-C keeps what was said so far. A turn that cannot be
// answered is taken back and told; only the end of the program is an error.
func (c *conversation) say(text string) error {
	turn := input{question: text, images: c.pictures}
	request := c.o.request
	request.Messages = append(c.messages[:len(c.messages):len(c.messages)], turn.message())
	ctx, release := interruptible(c.ctx)
	a, err := c.ask(ctx, request, c.stdout)
	release()
	fmt.Fprintln(c.stdout)
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if err != nil && !stopped(err) {
		fmt.Fprintf(c.stderr, "eyelet: %s\n", describe(err))
		if len(c.pictures) > 0 {
			fmt.Fprintln(c.stderr, "The picture is taken back too.")
			c.pictures = nil
		}
		return nil
	}
	c.messages = append(request.Messages, engine.Assistant(a.text))
	c.pictures = nil
	return nil
}

package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
)

// savedConversation is the file of /save.
type savedConversation struct {
	Format   string         `json:"format"` // "eyelet-chat"
	Version  int            `json:"version"`
	Model    string         `json:"model"`
	Messages []savedMessage `json:"messages"`
}

type savedMessage struct {
	Role    string         `json:"role"`
	Content []savedContent `json:"content"`
	// pictures stay between the texts where they stand
	InOrder bool `json:"in_order,omitempty"`
}

// savedContent is a text or a picture with the bytes of its file.
type savedContent struct {
	Text  string `json:"text,omitempty"`
	Name  string `json:"image_name,omitempty"`
	Image []byte `json:"image,omitempty"`
	Page  int    `json:"page,omitempty"` // of a document, counted from 0
	Least int    `json:"image_min_tokens,omitempty"`
	Most  int    `json:"image_max_tokens,omitempty"`
	// in place of Image: the file is that of an earlier picture, counted from 1
	Same int `json:"same,omitempty"`
}

const (
	savedFormat  = "eyelet-chat"
	savedVersion = 2 // with pages; 1 without
	savedLimit   = 512 << 20
)

// saveConversation writes a conversation with its pictures, whole or not at all.
func saveConversation(path, model string, messages []engine.Message) error {
	saved := savedConversation{Format: savedFormat, Version: 1, Model: model,
		Messages: []savedMessage{}}
	earlier := map[*byte]int{} // files, by where they lie, with the numbers of pictures
	pictures := 0
	for _, m := range messages {
		sm := savedMessage{Role: m.Role, InOrder: m.KeepOrder}
		for _, part := range m.Content {
			if image := part.Image; image != nil {
				pictures++
				sc := savedContent{Name: image.Name, Page: image.Page, Least: image.Tokens.Min,
					Most: image.Tokens.Max}
				if n, ok := earlier[unsafe.SliceData(image.Data)]; ok {
					sc.Same = n
				} else {
					sc.Image = image.Data
					earlier[unsafe.SliceData(image.Data)] = pictures
				}
				if sc.Page > 0 || sc.Same > 0 {
					saved.Version = savedVersion
				}
				sm.Content = append(sm.Content, sc)
			} else {
				sm.Content = append(sm.Content, savedContent{Text: part.Text})
			}
		}
		saved.Messages = append(saved.Messages, sm)
	}
	if err := cli.CheckOutput(path, "the conversation"); err != nil {
		return err
	}
	return cli.WriteFile(path, 0o600, func(w io.Writer) error { return cli.WriteJSON(w, saved) })
}

// loadConversation reads a file of saveConversation.
func loadConversation(ctx context.Context, path string) ([]engine.Message, error) {
	data, err := cli.ReadLimited(path, savedLimit)
	if err != nil {
		return nil, cli.Inputf("%s: %w", path, cli.Cause(err))
	}
	var saved savedConversation
	if err := json.Unmarshal(data, &saved); err != nil || saved.Format != savedFormat {
		return nil, cli.Inputf("%s is not a saved conversation", path)
	}
	if saved.Version < 1 || saved.Version > savedVersion {
		return nil, cli.Inputf("%s was saved by another version of eyelet (format %d, this one reads %d)", path, saved.Version, savedVersion)
	}
	var messages []engine.Message
	var pictures []*engine.Image
	for i, sm := range saved.Messages {
		m, err := sm.message(ctx, &pictures)
		if err != nil {
			return nil, cli.Inputf("%s: message %d: %w", path, i+1, err)
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// message checks what a file says about a message. earlier are the pictures of the messages before,
// and get those of this one.
func (sm savedMessage) message(ctx context.Context,
	earlier *[]*engine.Image) (engine.Message, error) {
	if !slices.Contains([]string{"system", "user", "assistant"}, sm.Role) {
		return engine.Message{}, fmt.Errorf("unknown role %q", cli.Abbreviate(sm.Role, 20))
	}
	m := engine.Message{Role: sm.Role, KeepOrder: sm.InOrder}
	for _, part := range sm.Content {
		if part.Image == nil && part.Same == 0 {
			m.Content = append(m.Content, engine.Text(part.Text))
			continue
		}
		picture := &engine.Image{Name: part.Name, Data: part.Image, Page: part.Page,
			Tokens: engine.Budget{Min: part.Least, Max: part.Most}}
		if part.Same != 0 {
			if part.Same < 1 || part.Same > len(*earlier) || part.Image != nil {
				return engine.Message{},
					fmt.Errorf("a picture is said to be that with the number %d, of %d before it",
						part.Same, len(*earlier))
			}
			picture.Data = (*earlier)[part.Same-1].Data
		}
		*earlier = append(*earlier, picture)
		if err := pictures.Check(ctx, picture); err != nil {
			return engine.Message{}, fmt.Errorf("the picture %w", err)
		}
		m.Content = append(m.Content, engine.Picture(picture))
	}
	return m, nil
}

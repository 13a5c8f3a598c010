package chat

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

func FuzzLoadConversation(f *testing.F) {
	f.Add([]byte(`{"format":"eyelet-chat","version":1,"model":"m","messages":[{"role":"user","content":[{"text":"Q?"}]}]}`))
	f.Add([]byte(`{"format":"eyelet-chat","version":1,"messages":[{"role":"assistant","content":[{"image_name":"x","image":"d29yZHM="}]}]}`))
	f.Add([]byte(`{"format":"eyelet-chat","version":1,"messages":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "talk.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		messages, err := loadConversation(t.Context(), path)
		if err != nil {
			return
		}
		again := path + "2"
		if err := saveConversation(again, "m", messages); err != nil {
			t.Fatalf("what was loaded cannot be saved: %v", err)
		}
		if reloaded, err := loadConversation(t.Context(), again); err != nil ||
			len(reloaded) != len(messages) {
			t.Fatalf("what was saved cannot be loaded: %v, %d of %d messages", err, len(reloaded),
				len(messages))
		}
	})
}

// Frames stand between the words that tell their times, and pictures have their bounds of tokens:
// both are part of what a conversation costs when it goes on.
func TestSavedConversationsKeepOrderAndBounds(t *testing.T) {
	picture, err := engine.ImageFile("../../../../models/builtin/demo/black-star.png")
	if err != nil {
		t.Fatal(err)
	}
	picture.Tokens = engine.Budget{Min: 16, Max: 64}
	message := engine.User(engine.Text("<0.5 seconds>"), engine.Picture(picture),
		engine.Text("What is this?"))
	message.KeepOrder = true
	path := filepath.Join(t.TempDir(), "chat.json")
	if err := saveConversation(path, "m", []engine.Message{message,
		engine.Assistant("A star.")}); err != nil {
		t.Fatal(err)
	}
	got, err := loadConversation(t.Context(), path)
	if err != nil || len(got) != 2 || !got[0].KeepOrder || got[1].KeepOrder ||
		got[0].Content[1].Image.Tokens != picture.Tokens {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestConversationsKeepTheirPages(t *testing.T) {
	data := documenttest.PDF(imaging.NewRGB(8, 8), imaging.NewRGB(8, 8))
	d, err := engine.OpenDocument(context.Background(), "doc.pdf", data)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "talk.json")
	said := []engine.Message{engine.User(engine.Picture(d.Page(0)), engine.Picture(d.Page(1)),
		engine.Text("What is this?")), engine.Assistant("Two pages.")}
	if err := saveConversation(path, "m", said); err != nil {
		t.Fatal(err)
	}
	got, err := loadConversation(t.Context(), path)
	if err != nil || len(got) != 2 || len(got[0].Content) != 3 {
		t.Fatal(got, err)
	}
	for i, c := range got[0].Content[:2] {
		if c.Image == nil || c.Image.Page != i || !bytes.Equal(c.Image.Data, data) ||
			c.Image.Name != fmt.Sprintf("doc.pdf#%d", i+1) {
			t.Errorf("picture %d: %+v", i, c.Image)
		}
	}
	saved, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(saved); n > 2*len(data) {
		t.Errorf("%d bytes hold a file of %d bytes more than once", n, len(data))
	}
	text := bytes.Replace(saved, []byte(`"same": 1`), []byte(`"same": 3`), 1)
	if bytes.Equal(text, saved) {
		t.Fatal("no picture is the same file as another")
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConversation(t.Context(), path); err == nil || !strings.Contains(err.Error(),
		"number 3, of 1") {
		t.Error(err)
	}
}

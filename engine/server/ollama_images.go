package server

import (
	"fmt"
	"strings"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
	"github.com/eyelet-engine/eyelet/engine/server/internal/ollama"
)

// ollamaPictures decodes the pictures of a message, which has a number from 0 on, -1 where there is
// none. n counts the pictures of the request.
func (s *Server) ollamaPictures(list fields.Texts, message int, n *int) ([]api.ImageData, error) {
	param := "images"
	if message >= 0 {
		param = fmt.Sprintf("messages[%d].images", message)
	}
	var out []api.ImageData
	for _, text := range list {
		if *n++; *n > s.limits.Images {
			return nil, failure.Field(param, "the request has more than %d pictures",
				s.limits.Images)
		}
		image, err := s.pictures.inline(text, pictureName(*n, param), param)
		if err != nil {
			return nil, err
		}
		out = append(out, image.Data)
	}
	return out, nil
}

// conversation returns the messages of a request in Ollama's own shape, pictures decoded.
func (s *Server) conversation(q *ollama.ChatRequest) ([]api.Message, error) {
	out := make([]api.Message, len(q.Messages))
	n := 0
	for i, msg := range q.Messages {
		if msg.Role == "" {
			return nil, failure.Field("messages",
				"message %d has no role; give system, user, assistant or tool", i+1)
		}
		images, err := s.ollamaPictures(msg.Images, i, &n)
		if err != nil {
			return nil, err
		}
		out[i] = api.Message(msg.PlainMessage)
		for k := range msg.ToolCalls {
			call, err := msg.ToolCalls[k].Own(
				fmt.Sprintf("messages[%d].tool_calls[%d].function.arguments", i, k))
			if err != nil {
				return nil, err
			}
			out[i].ToolCalls = append(out[i].ToolCalls, call)
		}
		out[i].Role, out[i].Images = strings.ToLower(msg.Role), images
	}
	return out, nil
}

// pictureMark is what a client writes in a text where a picture is to stand.
const pictureMark = "[img]"

// ollamaContent returns the pieces of a message: its pictures stand where [img] marks them, and the
// others before the text.
func ollamaContent(text string, images []api.ImageData, firstNumber int) []engine.Content {
	marks := min(strings.Count(text, pictureMark), len(images))
	var content []engine.Content
	n := firstNumber
	picture := func(data []byte) {
		n++
		content = append(content, engine.Picture(&engine.Image{Name: fileName(n, "", data),
			Data: data}))
	}
	for _, data := range images[:len(images)-marks] {
		picture(data)
	}
	for _, data := range images[len(images)-marks:] {
		before, after, _ := strings.Cut(text, pictureMark)
		if before != "" {
			content = append(content, engine.Text(before))
		}
		picture(data)
		text = after
	}
	if text != "" || len(content) == 0 {
		content = append(content, engine.Text(text))
	}
	return content
}

package server

import (
	"strings"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/engine"
)

// pictureMark is what a client writes in a text where a picture is to stand.
const pictureMark = "[img]"

// ollamaContent are the pieces of a message: its pictures stand where [img] marks them, and the
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

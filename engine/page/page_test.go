package page_test

import (
	"testing"
)

func TestAPictureIsAskedAbout(t *testing.T) {
	v := visit(t, serve(t, "").url)
	v.ask("What color is the background?", demo+"black-star.png")
	v.read("article.answer", "pink")
	v.read("article.question .note", "64 tokens")
	v.read("article.question .note", "encoded in")
	v.read("article.answer .cost", "tokens,")
}

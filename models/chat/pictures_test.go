package chat

import (
	"fmt"
	"testing"
)

func TestPicturesOfOtherTurnsThanTheUsersFindAPlace(t *testing.T) {
	image := Image()
	text := func(s string) Content { return Text(s) }
	msg := func(role Role, content ...Content) Message {
		return Message{Role: role, Content: content}
	}
	for name, c := range map[string]struct{ from, to []Message }{
		"system": {
			[]Message{msg("system", text("s"), image), msg("user", text("u"))},
			[]Message{msg("system", text("s")), msg("user", image, text("u"))},
		},
		"assistant": {
			[]Message{msg("user", image, text("u")), msg("assistant", text("a"), image),
				msg("user", text("v"), image)},
			[]Message{msg("user", image, text("u")), msg("assistant", text("a")),
				msg("user", image, text("v"), image)},
		},
		"two results before an answer": {
			[]Message{msg("user", text("u")), msg("assistant"), msg("tool", image),
				msg("tool", text("r"), image), msg("assistant", text("a"))},
			[]Message{msg("user", text("u")), msg("assistant"),
				msg("tool", text(pictureFollows)), msg("tool", text("r")), msg("user", image, image,
					text(pictureOfTool)), msg("assistant", text("a"))},
		},
		"a result at the end": {
			[]Message{msg("user", text("u")), msg("assistant"), msg("tool", text("r"), image)},
			[]Message{msg("user", text("u")), msg("assistant"), msg("tool", text("r")),
				msg("user", image, text(pictureOfTool))},
		},
	} {
		moved, any := PicturesToUsers(c.from)
		if !any || fmt.Sprint(moved) != fmt.Sprint(c.to) {
			t.Errorf("%s: %v, want %v", name, moved, c.to)
		}
	}
	if moved, any := PicturesToUsers([]Message{msg("user", image)}); any || len(moved) != 1 {
		t.Errorf("a user's picture moves: %v", moved)
	}
}

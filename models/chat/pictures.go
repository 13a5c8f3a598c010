package chat

import "slices"

// PicturesFirst is content with its pictures before its text, each in the order it had.
func PicturesFirst(content []Content) []Content {
	var pictures, texts []Content
	for _, c := range content {
		if c.Image {
			pictures = append(pictures, c)
		} else {
			texts = append(texts, c)
		}
	}
	return append(pictures, texts...)
}

// hasPicture reports whether there is a picture in content.
func hasPicture(content []Content) bool {
	return slices.ContainsFunc(content, func(c Content) bool { return c.Image })
}

// What stands beside pictures that had to leave the result of a tool.
const (
	pictureFollows = "(a picture, which follows)"
	pictureOfTool  = "This is what the tool returned."
)

// PicturesToUsers moves pictures out of all turns that are not a user's into the user's turn that
// follows, or into one that is put in where none does. Their order stays. It returns false if there
// are none to move.
func PicturesToUsers(messages []Message) (moved []Message, any bool) {
	var pending []Content
	tool := false // there is one of a tool among pending
	turn := func() {
		if len(pending) > 0 {
			if tool {
				pending = append(pending, Text(pictureOfTool))
			}
			moved = append(moved, Message{Role: User, Content: pending})
			pending, tool = nil, false
		}
	}
	for _, msg := range messages {
		switch {
		case msg.Role == User:
			msg.Content = append(pending, msg.Content...)
			pending, tool = nil, false
		case msg.Role == Assistant:
			turn()
		}
		if msg.Role != User && hasPicture(msg.Content) {
			any = true
			var rest []Content
			for _, c := range msg.Content {
				if c.Image {
					pending = append(pending, c)
				} else {
					rest = append(rest, c)
				}
			}
			if msg.Role == Tool {
				tool = true
				if len(rest) == 0 {
					rest = append(rest, Text(pictureFollows))
				}
			}
			msg.Content = rest
		}
		moved = append(moved, msg)
	}
	turn()
	return moved, any
}

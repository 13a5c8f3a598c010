package builtin

import (
	"embed"
	"slices"
)

//go:embed demo/orange-circle.png demo/sum.png demo/page.png
var demoFiles embed.FS

// Demo is a picture with a conversation about it that the built-in model gets right.
type Demo struct {
	Name  string // file name of the picture
	PNG   []byte // the picture
	Turns []Turn // at temperature 0, one after the other in one conversation
}

// Turn is a question of a [Demo] and the model's answer, to the letter. Both editions of the model,
// F16 and Q8_0, were seen to give it in PyTorch, which shares no code with this program.
type Turn struct {
	Question, Answer string
}

var demos = []Demo{
	{Name: "orange-circle.png", Turns: []Turn{
		{"What is in this picture?", "an orange circle on a cyan background"},
		{"What color is the circle?", "orange"},
		{"What color is the background?", "cyan"},
	}},
	{Name: "sum.png", Turns: []Turn{
		{"What is the answer?", "12 + 7 = 19"},
	}},
	{Name: "page.png", Turns: []Turn{
		{"Write the HTML for this sketch.",
			"<h1>Title</h1><p>Text</p><form><input><input><button>OK</button></form>"},
	}},
}

// Demos returns the demonstration. Nothing in it is shared with the next call but the bytes of the
// pictures, which must not be changed.
func Demos() []Demo {
	all := slices.Clone(demos)
	for i := range all {
		png, err := demoFiles.ReadFile("demo/" + all[i].Name)
		if err != nil {
			// embedded: cannot be missing in a program that passed its tests
			panic("builtin: " + err.Error())
		}
		all[i].PNG = png
		all[i].Turns = slices.Clone(all[i].Turns)
	}
	return all
}

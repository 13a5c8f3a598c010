package engine

import "testing"

func TestToolsTakeNoSightFromAModel(t *testing.T) {
	m := open(t)
	r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
		Text("What is in this picture?"))}}
	want := mustAsk(t, m, r)
	r.Tools = []Tool{{Name: "search", Description: "Looks something up."}}
	if got := mustAsk(t, m, r); got.text != want.text || got.Usage.Image != want.Usage.Image {
		t.Errorf("%q with %d image tokens beside a tool, %q with %d without", got.text,
			got.Usage.Image, want.text, want.Usage.Image)
	}
}

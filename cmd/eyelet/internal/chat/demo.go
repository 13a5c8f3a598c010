package chat

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

// runDemo shows the built-in model its own pictures and says which answers are right.
func runDemo(cmd *cobra.Command, o *Options) (err error) {
	s, err := Open(cmd, o)
	if err != nil {
		return err
	}
	defer s.CloseInto(&err)
	wrong := 0
	for _, demo := range builtin.Demos() {
		fmt.Fprintln(s.Stdout, demo.Name)
		picture := &engine.Image{Name: demo.Name, Data: demo.PNG}
		var messages []engine.Message
		for i, turn := range demo.Turns {
			in := input{question: turn.Question}
			if i == 0 {
				in.images = []pictures.Labelled{{Image: picture}}
			}
			request := o.Request
			request.Messages = append(messages, in.message())
			fmt.Fprintf(s.Stdout, "  > %s\n    ", turn.Question)
			a, err := s.ask(s.Context, request, s.Stdout)
			if err != nil {
				fmt.Fprintln(s.Stdout)
				return err
			}
			if a.text != turn.Answer {
				wrong++
				fmt.Fprintf(s.Stdout, "   (expected: %s)", turn.Answer)
			}
			fmt.Fprintf(s.Stdout, "   [%d tokens, %.0f ms]\n",
				a.result.Usage.Prompt+a.result.Usage.Completion,
				a.result.Timings.Total.Seconds()*1000)
			messages = append(request.Messages, engine.Assistant(a.text))
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d answers differ from what this model answers elsewhere; run eyelet doctor", wrong)
	}
	return nil
}

package server

import (
	"fmt"
	"net/http"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/answer"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/openai"
)

// openaiChat answers POST /v1/chat/completions.
func (s *Server) openaiChat(w http.ResponseWriter, r *http.Request, q *openai.ChatRequest) error {
	m, err := s.models.find(q.Model)
	if err != nil {
		return err
	}
	if len(q.Messages) == 0 {
		return failure.Wrong("messages", "is empty; send at least one")
	}
	n, err := openai.Answers(q.N)
	if err != nil {
		return err
	}
	request, err := q.Request(m.params())
	if err != nil {
		return err
	}
	t := s.newTalk(r.Context(), m, isSystem(q.Messages[0].Role))
	if err := s.openaiTalk(t, q.Messages); err != nil {
		return err
	}
	request.Messages = t.messages
	q.Messages = nil // pictures in base64: a request that waits keeps its files alone
	set := answer.NewSet(n)
	if q.GoesOn() && !isHeld(&request) && prefill(&request) {
		set.Continued()
	}
	l, err := s.models.use(r.Context(), m, 0, nil)
	if err != nil {
		return err
	}
	defer l.Release()
	return s.respond(r.Context(), w, s.streamIf(q.Stream, w, asEvents), set, openai.NewChat(q),
		l.generateAll(r.Context(), copies(request, n)))
}

// openaiTalk makes the messages of a chat completion ready.
func (s *Server) openaiTalk(t *talk, messages []openai.Message) error {
	for i, msg := range messages {
		param := fmt.Sprintf("messages[%d]", i)
		out := engine.Message{Role: msg.Role, Reasoning: msg.Thoughts(),
			ToolCallID: msg.ToolCallID, Name: msg.Name}
		switch msg.Role {
		case "system", "user", "assistant", "tool":
		case "developer":
			out.Role = "system"
		case "function":
			out.Role = "tool"
			t.functionResult(&out)
		default:
			return failure.Wrong(param+".role",
				"is %.40q; give system, developer, user, assistant or tool", msg.Role)
		}
		var err error
		if out.Content, err = t.content(msg.Content, param+".content"); err != nil {
			return err
		}
		for _, c := range msg.ToolCalls {
			out.ToolCalls = append(out.ToolCalls, engine.ToolCall{ID: c.ID, Name: c.Function.Name,
				Arguments: c.Function.Arguments})
		}
		if f := msg.FunctionCall; f != nil {
			// The id is made of the message's place, so that the prompt of a conversation that goes
			// on begins as it did.
			out.ToolCalls = append(out.ToolCalls, engine.ToolCall{
				ID: fmt.Sprintf("function%d", i), Name: f.Name, Arguments: f.Arguments})
		}
		if len(out.Content) == 0 && len(out.ToolCalls) == 0 {
			if out.Role == "user" {
				return failure.Wrong(param+".content", "is missing; give a text or a list of parts")
			}
			out.Content = []engine.Content{engine.Text("")}
		}
		t.messages = append(t.messages, out)
	}
	return s.withPages(t.ctx, t.messages)
}

// functionResult fills in the call that a message of the role function answers: the last one of its
// name, or the last of all where it has none.
func (t *talk) functionResult(msg *engine.Message) {
	for i := len(t.messages) - 1; i >= 0; i-- {
		for _, c := range t.messages[i].ToolCalls {
			if msg.Name == "" || c.Name == msg.Name {
				msg.Name, msg.ToolCallID = c.Name, c.ID
				return
			}
		}
	}
}

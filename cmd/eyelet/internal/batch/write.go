package batch

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/batch/rows"
)

// write writes output and failures, each whole or not at all, in the order of the inputs.
func (r *batchRun) write(failures string) error {
	return cli.WriteFile(r.o.output, 0o666, func(out io.Writer) error {
		r.firstFault, r.codes = "", map[string]int{}
		err := cli.WriteFile(failures, 0o666, func(reasons io.Writer) error {
			return r.results(out, reasons)
		})
		if err == nil && r.firstFault == "" {
			if err = os.Remove(failures); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		return err
	})
}

// results writes each item's result to where it belongs.
func (r *batchRun) results(out, reasons io.Writer) error {
	t := &batchTable{o: r.o, ids: r.state.IDs}
	var err error
	if t.columns, t.properties, err = r.o.columns(t.ids); err != nil {
		return err
	}
	lines, raw := cli.NewEncoder(reasons), cli.NewEncoder(out) // raw is for OpenAI's format
	var table rows.Writer
	plain := r.o.openai && r.o.format == rows.JSONLines
	if !plain {
		if table, err = rows.NewWriter(out, r.o.format, t.columns); err != nil {
			return err
		}
	}
	write := func(e batchEntry, result *batch.Result) error {
		id := e.ID
		switch {
		case !result.OK():
			code, text := result.Reason()
			r.codes[code]++
			if !r.o.openai {
				text = thePicture.ReplaceAllString(text, "")
			}
			if r.firstFault == "" {
				if r.firstFault = cli.Abbreviate(text, 300); !strings.Contains(text, id) {
					r.firstFault = cli.Abbreviate(id, 80) + ": " + r.firstFault
				}
			}
			if r.o.openai {
				return lines.Encode(result)
			}
			reason := map[string]string{"image": e.image(), "code": code, "error": text}
			if t.ids {
				reason["id"] = id
			}
			return lines.Encode(reason)
		case plain:
			return raw.Encode(result)
		}
		row, err := t.row(result, e)
		if err != nil {
			return err
		}
		return table.Write(row)
	}
	for k, err := range batch.Results(r.ctx, r.queue, r.state.Batch, r.entries(),
		func(e batchEntry) string { return e.ID }) {
		if err == nil && !k.Found {
			err = fmt.Errorf("the queue has lost the result of %q; the same command asks again",
				k.Item.ID)
		}
		if err == nil {
			err = write(k.Item, &k.Result)
		}
		if err != nil {
			return err
		}
	}
	if plain {
		return nil
	}
	return table.Close()
}

// entries are what the items are about, in the order of the inputs. Of lines in OpenAI's format the
// ids alone are known.
func (r *batchRun) entries() iter.Seq2[batchEntry, error] {
	return func(yield func(batchEntry, error) bool) {
		if r.o.openai {
			for it, err := range r.items() {
				if !yield(batchEntry{ID: it.ID}, err) {
					return
				}
			}
			return
		}
		for e, err := range entriesOf(r.ctx, r.path("items.jsonl")) {
			e.Question = cmp.Or(e.Question, r.o.prompt)
			if !yield(e, err) {
				return
			}
		}
	}
}

// thePicture tells a request's pictures apart, of which an item of ours has one.
var thePicture = regexp.MustCompile(`(?:picture|file) 1 \(message \d+\): `)

// batchTable makes rows of results.
type batchTable struct {
	o          *batchOptions
	ids        bool // there is a column for them beside that for pictures
	columns    []rows.Column
	properties []rows.Column // of the schema, under their own names
}

// columns are those of the table: the item, what the schema asks for, the text where that has no
// columns, and what it cost.
func (o *batchOptions) columns(ids bool) (columns, properties []rows.Column, err error) {
	if properties, err = rows.SchemaColumns(o.schemaJSON); err != nil {
		return nil, nil, err
	}
	taken := map[string]bool{}
	for _, p := range properties {
		taken[p.Name] = true
	}
	add := func(name string, k rows.Kind) {
		for taken[name] { // by a property
			name = "batch_" + name
		}
		taken[name] = true
		columns = append(columns, rows.Column{Name: name, Kind: k})
	}
	if o.openai {
		add("custom_id", rows.Text)
	} else {
		if ids {
			add("id", rows.Text)
		}
		add("image", rows.Text)
	}
	columns = append(columns, properties...)
	add("text", rows.Text)
	if !o.openai {
		add("question", rows.Text)
	}
	add("model", rows.Text)
	add("finish_reason", rows.Text)
	add("prompt_tokens", rows.Integer)
	add("image_tokens", rows.Integer)
	add("completion_tokens", rows.Integer)
	if o.openai {
		add("body", rows.JSON)
	}
	return columns, properties, nil
}

// answerBody is what a table takes from an answer, of whichever endpoint.
type answerBody struct {
	Model   string `json:"model"`
	Choices []struct {
		Text    string `json:"text"`
		Message struct {
			Content string `json:"content"`
		} `json:"message"`
		Finish string `json:"finish_reason"`
	} `json:"choices"`
	Usage struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Details    struct {
			Image int64 `json:"image_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
}

func (t *batchTable) row(result *batch.Result, e batchEntry) ([]rows.Cell, error) {
	var body answerBody
	if err := json.Unmarshal(result.Response.Body, &body); err != nil && !t.o.openai {
		return nil, fmt.Errorf("the answer about %q is damaged: %w", result.CustomID, err)
	}
	row := []rows.Cell{result.CustomID}
	if t.ids {
		row = append(row, e.image())
	} else if !t.o.openai {
		row[0] = e.image()
	}
	var text, finish rows.Cell
	if len(body.Choices) > 0 {
		c := body.Choices[0]
		finish, text = c.Finish, c.Message.Content
		if c.Message.Content == "" && c.Text != "" {
			text = c.Text
		}
	}
	cells := make([]rows.Cell, len(t.properties))
	if s, ok := text.(string); ok && len(t.properties) > 0 {
		var object map[string]json.RawMessage
		whole := json.Unmarshal([]byte(s), &object) == nil
		for i, p := range t.properties {
			var err error
			if cells[i], err = rows.Convert(object[p.Name], p.Kind); err != nil {
				whole = false
			}
		}
		if whole { // else the text shows what came, as of an answer that was cut off
			text = nil
		}
	}
	row = append(append(row, cells...), text)
	if !t.o.openai {
		row = append(row, e.Question)
	}
	row = append(row, body.Model, finish, body.Usage.Prompt, body.Usage.Details.Image,
		body.Usage.Completion)
	if t.o.openai {
		row = append(row, result.Response.Body)
	}
	return row, nil
}

// Compiled for the race detector, the client's module alone would take longer than all tests.

//go:build !race

package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
)

// uploaded is a file of the lines.
func uploaded(t *testing.T, c *openai.Client, text string) *openai.FileObject {
	t.Helper()
	f, err := c.Files.New(t.Context(),
		openai.FileNewParams{File: openai.File(strings.NewReader(text), "in.jsonl",
			"application/jsonl"), Purpose: openai.FilePurposeBatch})
	if err != nil {
		t.Fatal(err)
	}
	if f.Bytes != int64(len(text)) || f.Filename != "in.jsonl" || f.Object != "file" ||
		f.Purpose != "batch" || f.CreatedAt == 0 {
		t.Errorf("%s", f.RawJSON())
	}
	return f
}

func created(t *testing.T, c *openai.Client, input string) *openai.Batch {
	t.Helper()
	b, err := c.Batches.New(t.Context(), openai.BatchNewParams{
		InputFileID: input, Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: openai.BatchNewParamsCompletionWindow24h,
		Metadata:         map[string]string{"name": "a test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// until polls a batch as clients do, until it has ended.
func until(t *testing.T, c *openai.Client, id string) *openai.Batch {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		b, err := c.Batches.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		switch b.Status {
		case openai.BatchStatusCompleted, openai.BatchStatusFailed, openai.BatchStatusCancelled:
			return b
		}
		if time.Now().After(end) {
			t.Fatalf("%s", b.RawJSON())
		}
	}
}

// content is the lines of a file, by custom_id.
func content(t *testing.T, c *openai.Client, id string) map[string]map[string]any {
	t.Helper()
	r, err := c.Files.Content(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]map[string]any{}
	for line := range strings.Lines(string(data)) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		name, _ := v["custom_id"].(string)
		if lines[name] != nil {
			t.Errorf("%s has two lines", name)
		}
		lines[name] = v
	}
	return lines
}

func TestOpenAIBatches(t *testing.T) {
	ts := serve(t, withBatches(t.TempDir()))
	c := ts.openaiClient()
	f := uploaded(t, c, batchLines(20, true))
	b := created(t, c, f.ID)
	if b.Object != "batch" || b.InputFileID != f.ID || b.CompletionWindow != "24h" ||
		b.CreatedAt == 0 || b.ExpiresAt != b.CreatedAt+86400 || b.Metadata["name"] != "a test" {
		t.Errorf("%s", b.RawJSON())
	}
	b = until(t, c, b.ID)
	if b.Status != openai.BatchStatusCompleted || b.RequestCounts.Total != 22 ||
		b.RequestCounts.Completed != 20 || b.RequestCounts.Failed != 2 || b.InProgressAt == 0 ||
		b.FinalizingAt == 0 || b.CompletedAt == 0 {
		t.Errorf("%s", b.RawJSON())
	}
	good, bad := content(t, c, b.OutputFileID), content(t, c, b.ErrorFileID)
	if len(good) != 20 || len(bad) != 2 {
		t.Fatalf("%d and %d lines", len(good), len(bad))
	}
	for name, line := range good {
		response, _ := line["response"].(map[string]any)
		body, _ := json.Marshal(response["body"])
		var answer openai.ChatCompletion
		if err := json.Unmarshal(body, &answer); err != nil || len(answer.Choices) != 1 ||
			answer.Usage.CompletionTokens == 0 || response["status_code"] != 200.0 ||
			line["error"] != nil {
			t.Errorf("%s: %v, %v", name, line, err)
		}
	}
	if response, _ := bad["bad"]["response"].(map[string]any); response["status_code"] != 400.0 {
		t.Errorf("%v", bad["bad"])
	}
	if fault, _ := bad["none"]["error"].(map[string]any); fault["code"] != "model_not_found" {
		t.Errorf("%v", bad["none"])
	}
	list := c.Batches.ListAutoPaging(t.Context(), openai.BatchListParams{Limit: openai.Int(1)})
	for list.Next() {
		if list.Current().ID != b.ID {
			t.Errorf("%s", list.Current().RawJSON())
		}
	}
	files, err := c.Files.List(t.Context(), openai.FileListParams{})
	if err != nil || len(files.Data) != 3 || list.Err() != nil {
		t.Errorf("%+v, %v, %v", files, err, list.Err())
	}
	if d, err := c.Files.Delete(t.Context(), f.ID); err != nil || !d.Deleted {
		t.Error(d, err)
	}
	if _, err := c.Files.Get(t.Context(), f.ID); !hasStatus(err, 404) {
		t.Error(err)
	}
}

func hasStatus(err error, status int) bool {
	e, ok := errors.AsType[*openai.Error](err)
	return ok && e.StatusCode == status
}

func TestABatchThatCannotBegin(t *testing.T) {
	ts := serve(t, withBatches(t.TempDir()))
	c := ts.openaiClient()
	f := uploaded(t, c, batchLines(2, false)+batchLines(1,
		false)+"{\n"+strings.Replace(batchLines(1, false), "chat/completions", "embeddings", 1))
	b := until(t, c, created(t, c, f.ID).ID)
	if b.Status != openai.BatchStatusFailed || b.FailedAt == 0 || len(b.Errors.Data) != 3 {
		t.Fatalf("%s", b.RawJSON())
	}
	for i, want := range []struct {
		code string
		line int64
	}{{"duplicate_custom_id", 3}, {"invalid_json_line", 4}, {"mismatched_endpoint", 5}} {
		if e := b.Errors.Data[i]; e.Code != want.code || e.Line != want.line {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
	if _, err := c.Batches.Cancel(t.Context(), b.ID); !hasStatus(err, 409) {
		t.Error(err)
	}
	for _, p := range []openai.BatchNewParams{
		{InputFileID: "file-none", Endpoint: "/v1/chat/completions", CompletionWindow: "24h"},
		{InputFileID: f.ID, Endpoint: "/v1/audio", CompletionWindow: "24h"},
		{InputFileID: f.ID, Endpoint: "/v1/chat/completions", CompletionWindow: "1h"},
	} {
		if _, err := c.Batches.New(t.Context(), p); !hasStatus(err, 400) ||
			strings.Contains(err.Error(), "[/v1") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := c.Batches.Get(t.Context(), "batch_none"); !hasStatus(err, 404) {
		t.Error(err)
	}
	if _, err := c.Files.New(t.Context(), openai.FileNewParams{File: bytes.NewReader(nil),
		Purpose: openai.FilePurposeVision}); !hasStatus(err, 400) {
		t.Error(err)
	}
}

// Files go when their time is over, but for those that a batch reads.
func TestFilesOfBatchesExpire(t *testing.T) {
	ts := serve(t, withBatches(t.TempDir()))
	c := ts.openaiClient()
	upload := func(seconds int64) (*openai.FileObject, error) {
		return c.Files.New(t.Context(), openai.FileNewParams{
			File: openai.File(strings.NewReader(batchLines(2, false)), "in.jsonl",
				"application/jsonl"), Purpose: openai.FilePurposeBatch,
			ExpiresAfter: openai.FileNewParamsExpiresAfter{Seconds: seconds}})
	}
	f, err := upload(3600)
	if err != nil || f.ExpiresAt != f.CreatedAt+3600 {
		t.Fatalf("%v, %v", f, err)
	}
	_, err = upload(60)
	if refused, ok := errors.AsType[*openai.Error](err); !ok || refused.Message !=
		"expires_after.seconds is 60; give 3600 to 2592000" {
		t.Errorf("a minute: %v", err)
	}
	b, err := c.Batches.New(t.Context(), openai.BatchNewParams{InputFileID: f.ID,
		Endpoint:           openai.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow:   openai.BatchNewParamsCompletionWindow24h,
		OutputExpiresAfter: openai.BatchNewParamsOutputExpiresAfter{Seconds: 7200}})
	if err != nil {
		t.Fatal(err)
	}
	over := func(id string) {
		ts.batches.mu.Lock()
		defer ts.batches.mu.Unlock()
		past := now() - 1
		ts.batches.files[id].Expires = &past
	}
	over(f.ID) // while it is read, or just before it was
	b = until(t, c, b.ID)
	output, err := c.Files.Get(t.Context(), b.OutputFileID)
	if err != nil || output.ExpiresAt != output.CreatedAt+7200 || b.RequestCounts.Completed != 2 {
		t.Fatalf("%v, %v, %s", output, err, b.RawJSON())
	}
	over(output.ID)
	list, err := c.Files.List(t.Context(), openai.FileListParams{})
	if err != nil || len(list.Data) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := c.Files.Content(t.Context(), output.ID); err == nil {
		t.Error("the bytes of a file whose time is over are there")
	}
}

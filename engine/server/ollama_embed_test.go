package server

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/ollama/ollama/api"
)

func TestEmbeddings(t *testing.T) {
	ts := serve(t)
	c := ts.client(t)
	length := func(v []float32) float64 {
		sum := 0.0
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		return math.Sqrt(sum)
	}
	two, err := c.Embed(t.Context(), &api.EmbedRequest{Model: "seed",
		Input: []string{"a red circle", "a blue star"}})
	if err != nil || len(two.Embeddings) != 2 || two.PromptEvalCount < 6 ||
		math.Abs(length(two.Embeddings[0])-1) > 1e-4 || two.TotalDuration <= 0 {
		t.Fatalf("%+v %v", two, err)
	}
	// The total is that of Ollama's, which begins before the body is read.
	const held = 300 * time.Millisecond
	body, rest := io.Pipe()
	go func() {
		_, _ = io.WriteString(rest, `{"model":"seed",`)
		time.Sleep(held)
		_, _ = io.WriteString(rest, `"input":"a"}`)
		rest.Close()
	}()
	resp, err := http.Post(ts.url+"/api/embed", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var slow api.EmbedResponse
	if err := json.NewDecoder(resp.Body).Decode(&slow); err != nil || slow.TotalDuration < held/2 {
		t.Errorf("a body that takes %v: %v, %v", held, slow.TotalDuration, err)
	}
	one, err := c.Embed(t.Context(), &api.EmbedRequest{Model: "seed", Input: "a red circle",
		Dimensions: 7})
	if err != nil || len(one.Embeddings) != 1 || len(one.Embeddings[0]) != 7 ||
		math.Abs(length(one.Embeddings[0])-1) > 1e-4 {
		t.Errorf("%+v %v", one, err)
	}
	old, err := c.Embeddings(t.Context(), &api.EmbeddingRequest{Model: "seed",
		Prompt: "a red circle"})
	if err != nil || len(old.Embedding) != len(two.Embeddings[0]) ||
		math.Abs(old.Embedding[3]-float64(two.Embeddings[0][3])) < 1e-3 {
		t.Errorf("%v", err)
	}
	// The older endpoint gives vectors as the model makes them: the same direction, another length.
	plain := make([]float32, len(old.Embedding))
	for i, x := range old.Embedding {
		plain[i] = float32(x)
	}
	n := length(plain)
	for i, x := range plain {
		if math.Abs(float64(x)/n-float64(two.Embeddings[0][i])) > 1e-3 || math.Abs(n-1) < 0.1 {
			t.Fatalf("component %d of a vector of length %v is %v, want the direction of %v", i, n,
				x, two.Embeddings[0][i])
		}
	}
	if none, err := c.Embed(t.Context(), &api.EmbedRequest{Model: "seed"}); err != nil ||
		len(none.Embeddings) != 0 {
		t.Errorf("no text: %+v %v", none, err)
	}
	for _, q := range []*api.EmbedRequest{{Model: "seed", Input: 7},
		{Model: "seed", Input: []any{"a", 1}}, {Model: "seed", Input: "a", Dimensions: -1},
		{Input: "a"}} {
		if _, err := c.Embed(t.Context(), q); statusOf(err) != 400 {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

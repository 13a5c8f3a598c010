package llama_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// generate lets a sampler write n tokens after the prompt.
func generate(t testing.TB, c *llama.Context, s *llama.Sampler, n int) []llama.Token {
	t.Helper()
	tokens := tokenize(t, prompt)
	if err := c.Memory().Clear(false); err != nil {
		t.Fatal(err)
	}
	decode(t, c, tokens, 0, 0)
	at := len(tokens) - 1
	var out []llama.Token
	for len(out) < n {
		token, err := s.Sample(c, at)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, token)
		decode(t, c, []llama.Token{token}, llama.Pos(len(tokens)+len(out)-1), 0)
		at = 0
	}
	return out
}

func TestEveryStageSamples(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	for name, stages := range map[string][]llama.Stage{
		"greedy":    {llama.Greedy()},
		"dist":      {llama.Dist(1)},
		"top-k":     {llama.TopK(5), llama.Dist(1)},
		"top-k off": {llama.TopK(-1), llama.Dist(1)},
		"top-p":     {llama.TopP(0.9, 1), llama.Dist(1)},
		"top-p 0":   {llama.TopP(0, 0), llama.Dist(1)},
		"min-p":     {llama.MinP(0.05, 1), llama.Dist(1)},
		"min-p 1":   {llama.MinP(1, 0), llama.Dist(1)},
		"typical":   {llama.Typical(0.9, 1), llama.Dist(1)},
		"typical 0": {llama.Typical(0, 0), llama.Dist(1)},
		"keep more than all": {llama.TopP(0.1, 1<<40), llama.MinP(0.9, 1<<40),
			llama.Typical(0.1, 1<<40), llama.Dist(1)},
		"temperature":        {llama.Temperature(0.7), llama.Dist(1)},
		"temperature 0":      {llama.Temperature(0), llama.Dist(1)},
		"mirostat":           {llama.Mirostat(1, 5, 0.1, 100)},
		"mirostat, least m":  {llama.Mirostat(1, 5, 0.1, 2)},
		"mirostat 2":         {llama.MirostatV2(1, 5, 0.1)},
		"mirostat 2 below 0": {llama.MirostatV2(1, -5, 0.1)},
		"penalties":          {llama.Penalties(64, 1.1, 0.5, 0.5), llama.Greedy()},
		"penalties off":      {llama.Penalties(0, 1, 0, 0), llama.Greedy()},
		"logit bias":         {llama.LogitBias(map[llama.Token]float32{5: 100}), llama.Greedy()},
		"no logit bias":      {llama.LogitBias(nil), llama.Greedy()},
		"grammar":            {llama.Grammar(`root ::= [a-z ]+`, "root"), llama.Greedy()},
		"everything": {llama.Grammar(`root ::= [a-z ]+`, "root"), llama.Penalties(64, 1.1, 0, 0),
			llama.TopK(40), llama.Typical(0.95, 1), llama.TopP(0.95, 1), llama.MinP(0.01, 1),
			llama.Temperature(0.8), llama.Dist(1)},
	} {
		s := newSampler(t, stages...)
		out := generate(t, c, s, 12)
		if err := s.Reset(); err != nil {
			t.Fatal(err)
		}
		if again := generate(t, c, s, 12); !slices.Equal(out, again) {
			t.Errorf("%s: after Reset %v became %v", name, out, again)
		}
	}
}

func TestSeedsReproduce(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	run := func(seed uint32) []llama.Token {
		return generate(t, c, newSampler(t, llama.Temperature(3), llama.Dist(seed)), 24)
	}
	a := run(7)
	if !slices.Equal(a, run(7)) {
		t.Error("the same seed gave something else")
	}
	if slices.Equal(a, run(8)) {
		t.Error("another seed gave the same")
	}
}

func TestACloneGoesOnLikeItsOriginal(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	s := newSampler(t, llama.Penalties(64, 1.3, 0, 0), llama.Grammar(`root ::= [a-z .,]*`, "root"),
		llama.Temperature(2), llama.Dist(3))
	generate(t, c, s, 8)
	clone, err := s.Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	if a, b := generate(t, c, s, 16), generate(t, c, clone, 16); !slices.Equal(a, b) {
		t.Errorf("%v and %v", a, b)
	}
}

func TestGrammarHoldsTheTextToIt(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	s := newSampler(t, llama.Grammar(`root ::= " " ("xq" | "zj") " qxz"`, "root"), llama.Greedy())
	v := seedModel(t).Vocab()
	text := ""
	tokens := tokenize(t, prompt)
	decode(t, c, tokens, 0, 0)
	at := len(tokens) - 1
	for i := range 20 {
		token, err := s.Sample(c, at)
		if err != nil {
			t.Fatal(err)
		}
		if v.IsEOG(token) {
			break
		}
		text += string(v.Piece(token, false))
		decode(t, c, []llama.Token{token}, llama.Pos(len(tokens)+i), 0)
		at = 0
	}
	if text != " xq qxz" && text != " zj qxz" {
		t.Errorf("the text is %q", text)
	}
}

// A sampler asks its grammar about the best tokens alone where that suffices. Apply, which shows
// all candidates, asks about all of them.
func TestAGrammarThatSeesFewTokensChoosesAsOneThatSeesAll(t *testing.T) {
	v := seedModel(t).Vocab()
	bias := llama.LogitBias(map[llama.Token]float32{40: 3, 50: float32(math.Inf(-1))})
	for name, stages := range map[string][]llama.Stage{
		"greedy":       {llama.Grammar(`root ::= [a-z ]+`, "root"), llama.Greedy()},
		"one way":      {llama.Grammar(`root ::= "cat" [x]*`, "root"), llama.Greedy()},
		"after a bias": {bias, llama.Grammar(`root ::= [a-z ]+`, "root"), llama.Greedy()},
		"and penalties": {llama.Grammar(`root ::= [a-z]+`, "root"),
			llama.Penalties(64, 1.5, 0.5, 0), llama.Greedy()},
		"top-k": {llama.Grammar(`root ::= [a-z ]+`, "root"), llama.TopK(3), llama.Dist(7)},
		"top-k, one": {llama.Grammar(`root ::= "cat" [x]*`, "root"), llama.TopK(3),
			llama.Dist(7)},
		"not started": {llama.LazyGrammar(`root ::= "cat"`, "root", []string{"zzzz"}, nil),
			llama.Greedy()},
		"probabilities": {llama.Grammar(`root ::= [a-z ]+`, "root"),
			llama.TopP(0.9, 1), llama.Dist(7)},
	} {
		c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
		few, all := newSampler(t, stages...), newSampler(t, stages...)
		tokens := tokenize(t, prompt)
		decode(t, c, tokens, 0, 0)
		at, text := len(tokens)-1, ""
		for i := range 40 {
			logits, err := c.Logits(at)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 1 { // equal ones, too
				for j := range logits {
					logits[j] = float32(math.Round(float64(logits[j])))
				}
			}
			want, _, err := all.Apply(logits)
			if err != nil {
				t.Fatal(err)
			}
			if err := all.Accept(want); err != nil {
				t.Fatal(err)
			}
			got, err := few.Sample(c, at)
			if err != nil {
				t.Fatal(err)
			}
			if text += string(v.Piece(got, true)); got != want {
				t.Errorf("%s: %q, and %q of all tokens, after %q", name, v.Piece(got, true),
					v.Piece(want, true), text)
				break
			}
			if v.IsEOG(got) {
				break
			}
			decode(t, c, []llama.Token{got}, llama.Pos(len(tokens)+i), 0)
			at = 0
		}
	}
}

func TestAGrammarThatCannotBeSatisfiedIsAnError(t *testing.T) {
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 256})
	tokens := tokenize(t, prompt)
	decode(t, c, tokens, 0, 0)
	for _, last := range []llama.Stage{llama.Greedy(), llama.Dist(1), llama.Mirostat(1, 5, 0.1,
		100), llama.MirostatV2(1, 5, 0.1)} {
		// A cat, and nothing but a cat: every other token is forbidden, and the tokens that spell
		// it as well.
		bias := map[llama.Token]float32{}
		for token := range llama.Token(vocabulary) {
			if strings.ContainsAny(string(seedModel(t).Vocab().Piece(token, true)), "c") ||
				seedModel(t).Vocab().IsEOG(token) {
				bias[token] = float32(math.Inf(-1))
			}
		}
		s := newSampler(t, llama.Grammar(`root ::= "cat"`, "root"), llama.LogitBias(bias), last)
		for range 2 { // the history stays as it was
			_, err := s.Sample(c, len(tokens)-1)
			wantError(t, err, llama.ErrSampling)
		}
	}
}

func TestAcceptRefusesWhatTheGrammarForbids(t *testing.T) {
	v := seedModel(t).Vocab()
	for name, token := range map[string]llama.Token{"a letter too much": tokenize(t, "q")[1],
		"the end, too early": v.EOS()} {
		s := newSampler(t, llama.Grammar(`root ::= "cat"`, "root"), llama.Greedy())
		if err := s.Accept(token); err == nil {
			t.Errorf("%s: no error", name)
		}
		if err := s.Reset(); err != nil {
			t.Fatal(err)
		}
		for _, token := range tokenize(t, "cat")[1:] {
			if err := s.Accept(token); err != nil {
				t.Errorf("%s: after Reset: %v", name, err)
			}
		}
		if err := s.Accept(v.EOS()); err != nil {
			t.Errorf("%s: the end: %v", name, err)
		}
	}
	s := newSampler(t, llama.Greedy())
	for _, token := range []llama.Token{-1, vocabulary} {
		wantError(t, s.Accept(token), nil)
	}
}

func TestALazyGrammarWaitsForItsTrigger(t *testing.T) {
	v := seedModel(t).Vocab()
	flat := make([]float32, v.N())
	allowed := func(s *llama.Sampler) int {
		_, left, err := s.Apply(flat)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range left {
			if !math.IsInf(float64(c.Logit), -1) {
				n++
			}
		}
		return n
	}
	accept := func(s *llama.Sampler, text string) {
		for _, token := range tokenize(t, text)[1:] {
			if err := s.Accept(token); err != nil {
				t.Fatal(err)
			}
		}
	}
	byPattern := newSampler(t, llama.LazyGrammar(`root ::= "{" [0-9]+ "}"`, "root",
		[]string{`[\s\S]*?(\{)[\s\S]*`}, nil), llama.Greedy())
	brace := tokenize(t, "{")[1:]
	byToken := newSampler(t, llama.LazyGrammar(`root ::= "{" [0-9]+ "}"`, "root", nil, brace[:1]),
		llama.Greedy())
	for name, s := range map[string]*llama.Sampler{"a pattern": byPattern, "a token": byToken} {
		accept(s, "some text ")
		if n := allowed(s); n != v.N() {
			t.Errorf("%s: before the trigger %d tokens are allowed", name, n)
		}
		accept(s, "{")
		if n := allowed(s); n == 0 || n > 100 {
			t.Errorf("%s: after the trigger %d tokens are allowed", name, n)
		}
	}
}

func TestBadGrammarsAreErrors(t *testing.T) {
	m := seedModel(t)
	for name, g := range map[string][2]string{
		"nothing":              {"", "root"},
		"no rules":             {"# only a comment\n", "root"},
		"another root":         {`start ::= "a"`, "root"},
		"no name for the root": {`root ::= "a"`, ""},
		"an unknown rule":      {`root ::= nonesuch`, "root"},
		"a quote left open":    {`root ::= "a`, "root"},
		"a parenthesis open":   {`root ::= ("a"`, "root"},
		"a bracket left open":  {`root ::= [a-`, "root"},
		"left recursion":       {"root ::= root \"a\"", "root"},
		"a NUL":                {"root ::= \"a\x00b\"", "root"},
		"noise":                {"\xff\xfe\xfd", "root"},
		"nested repetitions":   {`root ::= ((("a"{0,999}){0,999}){0,999}){0,999}`, "root"},
		"rules without end":    {chain(100_000), "root"},
		"parentheses too deep": {"root ::= " + strings.Repeat("(", 1<<20) + `"a"` +
			strings.Repeat(")", 1<<20), "root"},
	} {
		if s, err := llama.NewSampler(m, llama.Grammar(g[0], g[1]), llama.Greedy()); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	for name, patterns := range map[string][]string{"a bad pattern": {`(`}, "a NUL": {"a\x00"}} {
		if s, err := llama.NewSampler(m, llama.LazyGrammar(`root ::= "a"`, "root", patterns, nil),
			llama.Greedy()); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	if s, err := llama.NewSampler(m, llama.LazyGrammar(`root ::= "a"`, "root", nil,
		[]llama.Token{vocabulary}), llama.Greedy()); err == nil {
		s.Close()
		t.Error("a trigger out of the vocabulary: no error")
	}
}

// chain is a grammar of n rules, each of which stands for the next.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("root ::= r0\n")
	for i := range n {
		fmt.Fprintf(&b, "r%d ::= r%d\n", i, i+1)
	}
	fmt.Fprintf(&b, "r%d ::= \"a\"\n", n)
	return b.String()
}

func TestGrammarsUpToTheLimitsWork(t *testing.T) {
	for name, g := range map[string]string{
		"many rules": chain(8000),
		"many parentheses": "root ::= " + strings.Repeat("(", 256) + `"a"` + strings.Repeat(")",
			256),
		"quoted ones": `root ::= "` + strings.Repeat("(", 1000) + `" | [` + strings.Repeat("(",
			1000) + "] # " + strings.Repeat("(", 1000),
		"an escaped quote": `root ::= "\"` + strings.Repeat("(", 1000) + `"`,
	} {
		s := newSampler(t, llama.Grammar(g, "root"), llama.Greedy())
		if _, _, err := s.Apply(make([]float32, vocabulary)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApplyShowsWhatIsLeft(t *testing.T) {
	row := make([]float32, vocabulary)
	row[10], row[20], row[30] = 5, 4, 3
	token, left, err := newSampler(t, llama.TopK(3), llama.Dist(1)).Apply(row)
	if err != nil || len(left) != 3 || left[0].ID != 10 || left[1].ID != 20 || left[2].ID != 30 {
		t.Fatalf("%v, %v", left, err)
	}
	if !slices.ContainsFunc(left, func(c llama.Candidate) bool { return c.ID == token }) {
		t.Errorf("token %d was chosen", token)
	}
	sum := 0.0
	for i, c := range left {
		sum += float64(c.P)
		if want := math.Exp(float64(row[c.ID])) / (math.Exp(5) + math.Exp(4) +
			math.Exp(3)); math.Abs(float64(c.P)-want) > 1e-4 {
			t.Errorf("candidate %d has probability %v, want %v", i, c.P, want)
		}
	}
	if math.Abs(sum-1) > 1e-4 {
		t.Errorf("probabilities add up to %v", sum)
	}
}

func TestLogitsThatAreNoNumbersAreAnError(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, last := range []llama.Stage{llama.Greedy(), llama.Dist(1), llama.Mirostat(1, 5, 0.1,
		10)} {
		s := newSampler(t, llama.TopK(10), llama.TopP(0.9, 1), last)
		for _, v := range []float32{nan, -inf} {
			row := slices.Repeat([]float32{v}, vocabulary)
			_, _, err := s.Apply(row)
			wantError(t, err, llama.ErrSampling)
		}
		row := make([]float32, vocabulary)
		row[600] = nan
		_, _, err := s.Apply(row)
		wantError(t, err, llama.ErrSampling)
		row[600] = inf
		s.Apply(row) // whatever it gives
		_, _, err = s.Apply(row[:10])
		wantError(t, err, nil)
	}
}

func TestStagesCheckTheirParameters(t *testing.T) {
	m := seedModel(t)
	nan := float32(math.NaN())
	for name, stage := range map[string]llama.Stage{
		"top-p above 1":            llama.TopP(1.5, 1),
		"top-p below 0":            llama.TopP(-1, 1),
		"top-p NaN":                llama.TopP(nan, 1),
		"negative minKeep":         llama.TopP(0.9, -1),
		"min-p above 1":            llama.MinP(2, 1),
		"typical NaN":              llama.Typical(nan, 1),
		"temperature NaN":          llama.Temperature(nan),
		"temperature infinite":     llama.Temperature(float32(math.Inf(1))),
		"top-k too large":          llama.TopK(1 << 40),
		"a repeat penalty of 0":    llama.Penalties(64, 0, 0, 0),
		"a negative history":       llama.Penalties(-1, 1, 0, 0),
		"a history of 2^31 tokens": llama.Penalties(1<<31-1, 1.1, 0, 0),
		"a bias out of vocabulary": llama.LogitBias(map[llama.Token]float32{vocabulary: 1}),
		"a bias that is NaN":       llama.LogitBias(map[llama.Token]float32{1: nan}),
		"an empty stage":           {},
	} {
		if s, err := llama.NewSampler(m, stage, llama.Greedy()); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	for name, stage := range map[string]llama.Stage{"mirostat m of 1": llama.Mirostat(1, 5, 0.1, 1),
		"mirostat tau NaN": llama.MirostatV2(1, nan, 1)} {
		if s, err := llama.NewSampler(m, stage); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

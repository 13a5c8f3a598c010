package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

const (
	background = "What color is the background?"
	orange     = demo + "/orange-circle.png" // on cyan
	pinkStar   = demo + "/black-star.png"    // a black star on pink
)

// wholeReport is the output of --json, to the field.
type wholeReport struct {
	Model    string
	Images   []string
	Question string
	Text     string
	Finish   string `json:"finish_reason"`
	Seed     *uint32
	Usage    struct {
		Prompt     int `json:"prompt_tokens"`
		Cached     int `json:"cached_tokens"`
		Image      int `json:"image_tokens"`
		Completion int `json:"completion_tokens"`
	}
	Timings map[string]float64
}

// imageTokens is what one picture takes in the built-in model: 8 x 8 patches.
const imageTokens = 64

// check looks for figures that cannot be.
func (r wholeReport) check(t *testing.T, images int) {
	t.Helper()
	u := r.Usage
	if u.Image != images*imageTokens || u.Prompt <= u.Image || u.Cached < 0 ||
		u.Cached >= u.Prompt || u.Completion < 1 {
		t.Errorf("usage %+v with %d images", u, images)
	}
	sum := 0.0
	for _, stage := range []string{"load", "queue", "decode_image", "preprocess", "encode",
		"prefill", "generate", "first_token", "longest_gap", "total"} {
		ms, ok := r.Timings[stage+"_ms"]
		if !ok || ms < 0 {
			t.Errorf("timing %s: %v, %v", stage, ms, ok)
		}
		switch stage {
		case "encode", "prefill", "generate": // pictures are decoded beside them
			sum += ms
		}
	}
	if len(r.Timings) != 10 {
		t.Errorf("timings %v", r.Timings)
	}
	if total := r.Timings["total_ms"]; sum > total+1 || r.Timings["first_token_ms"] > total {
		t.Errorf("the stages take %g ms, the whole %g, the first token %g", sum, total,
			r.Timings["first_token_ms"])
	}
}

func TestRunAnswersAboutPictures(t *testing.T) {
	t.Parallel()
	picture := readFile(t, orange)
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		want  string
	}{
		{"a picture from a file", []string{"--image", orange, background}, "", "cyan"},
		{"a picture from stdin", []string{"--image", "-", background}, picture, "cyan"},
		{"a question from stdin", []string{"--image", pinkStar}, background + "\n", "pink"},
		{"a question in several arguments", []string{"--image", pinkStar, "What", "color", "is",
			"the", "background?"}, "", "pink"},
		{"a model by its files", []string{"--model", seedModel, "--mmproj", seedProjector, "-i",
			orange, background}, "", "cyan"},
		{"one thread and another cache", []string{"-t", "1", "-c", "512", "--cache-type", "q8_0",
			"--image", orange, background}, "", "cyan"},
		{"a template by name", []string{"--chat-template", "vicuna", "--image", pinkStar,
			background}, "", "pink"},
		{"a stop text", []string{"--stop", " circle", "--stop", "never", "--image", orange,
			"What is in this picture?"}, "", "an orange"},
		{"few tokens", []string{"--max-tokens", "3", "--image", orange, "What is in this picture?"},
			"", "an orange"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := invocation{args: append([]string{"run"}, c.args...)}
			if c.stdin != "" {
				in.stdin = strings.NewReader(c.stdin)
			}
			in.run(t).mustSay(t, c.want)
		})
	}
}

func TestRunJSONIsOneObjectWhoseFiguresAddUp(t *testing.T) {
	t.Parallel()
	o := eyelet(t, "run", "--json", "--image", orange, background)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("exit code %d, stderr %q", o.code, o.stderr)
	}
	var r wholeReport
	strictly(t, o.stdout, &r)
	r.check(t, 1)
	if r.Model != "eyelet-builtin" || len(r.Images) != 1 || r.Images[0] != orange ||
		r.Question != background || r.Text != "cyan" || r.Finish != "stop" || r.Seed != nil {
		t.Errorf("%+v", r)
	}
	if r.Timings["encode_ms"] == 0 || r.Timings["load_ms"] == 0 {
		t.Errorf("timings %v", r.Timings)
	}
}

func TestRunTakesSeveralPictures(t *testing.T) {
	t.Parallel()
	var r wholeReport
	strictly(t, eyelet(t, "run", "--json", "--max-tokens", "3", "--image", orange, "--image",
		pinkStar, "What is different?").stdout, &r)
	r.check(t, 2)
	if len(r.Images) != 2 || r.Images[1] != pinkStar {
		t.Errorf("images %q", r.Images)
	}
}

func TestDrawsRepeatWithTheirSeed(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	ask := func(args ...string) (r wholeReport) {
		t.Helper()
		strictly(t, eyelet(t, append([]string{"run", "--json", "--max-tokens", "30", "--temp", "3",
			"--min-p", "0", "--top-p", "1", "--top-k", "0"}, args...)...).stdout, &r)
		return r
	}
	fresh := ask("Tell me.")
	if fresh.Seed == nil {
		t.Fatal("the answer does not tell its seed")
	}
	seed, err := json.Marshal(fresh.Seed)
	if err != nil {
		t.Fatal(err)
	}
	if again := ask("--seed", string(seed), "Tell me."); again.Text != fresh.Text ||
		*again.Seed != *fresh.Seed {
		t.Errorf("with the seed of %q: %q", fresh.Text, again.Text)
	}
	if other := ask("--seed", "7", "Tell me."); other.Text == fresh.Text {
		t.Errorf("another seed draws the same 30 tokens: %q", other.Text)
	}
}

func TestAnswersFollowSchemaAndGrammar(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	const schema = `{"type":"object","properties":{"color":{"enum":["cyan","red"]},"count":{"type":"integer"}},"required":["color","count"]}`
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"a schema in place": {"--schema", schema},
		"a schema file":     {"--schema", writeFile(t, filepath.Join(dir, "s.json"), schema)},
	} {
		t.Run(name, func(t *testing.T) {
			o := eyelet(t, append([]string{"run", "--image", orange, background}, args...)...)
			var v struct {
				Color string
				Count *int
			}
			strictly(t, o.stdout, &v)
			if o.code != 0 || o.stderr != "" || (v.Color != "cyan" && v.Color != "red") ||
				v.Count == nil {
				t.Errorf("%+v", o)
			}
		})
	}
	grammar := writeFile(t, filepath.Join(dir, "g.gbnf"), `root ::= "gray" | "green"`)
	if o := eyelet(t, "run", "--image", orange, background, "--grammar", grammar); o.stdout !=
		"gray\n" && o.stdout != "green\n" {
		t.Errorf("%+v", o)
	}
}

// A system prompt is part of the conversation, raw text is all there is of it: the prompts differ
// in length accordingly.
func TestSystemPromptAndRawText(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	tokens := func(args ...string) int {
		t.Helper()
		var r wholeReport
		strictly(t, eyelet(t, append([]string{"run", "--json", "-n", "1", "--chat-template",
			"vicuna", background}, args...)...).stdout, &r)
		return r.Usage.Prompt
	}
	plain, raw, system := tokens(), tokens("--raw"), tokens("--system", "What color is the circle?")
	if raw >= plain || system <= plain {
		t.Errorf("%d tokens plain, %d raw, %d with a system prompt", plain, raw, system)
	}
}

func TestVerboseLogsAndQuietDoesNot(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	o := eyelet(t, "run", "-v", "--image", orange, background)
	if o.code != 0 || o.stdout != "cyan\n" || !strings.Contains(o.stderr, "level=") ||
		!strings.Contains(o.stderr, "llama") {
		t.Errorf("exit code %d, stdout %q, stderr %.300q", o.code, o.stdout, o.stderr)
	}
	eyelet(t, "run", "-q", "--image", orange, background).mustSay(t, "cyan")
}

func TestDemoIsRight(t *testing.T) {
	t.Parallel()
	o := eyelet(t, "run", "--demo")
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("exit code %d, stderr %q", o.code, o.stderr)
	}
	for _, want := range []string{"orange-circle.png\n  > ",
		"an orange circle on a cyan background   [",
		"\n  > What is the answer?\n    12 + 7 = 19   [",
		"    <h1>Title</h1><p>Text</p><form><input><input><button>OK</button></form>   ["} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("%q lacks %q", o.stdout, want)
		}
	}
	if strings.Contains(o.stdout, "expected") {
		t.Error(o.stdout)
	}
}

func TestRunNeedsNoEnvironment(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	temp := t.TempDir()
	blocked := writeFile(t, filepath.Join(t.TempDir(), "file"), "")
	for name, env := range map[string][]string{
		"no home":                         {"TMPDIR=" + temp},
		"a home that does not exist":      {"TMPDIR=" + temp, "HOME=/nonexistent/home"},
		"a cache that cannot be made":     {"TMPDIR=" + temp, "EYELET_CACHE=" + blocked + "/cache"},
		"a cache in a read-only system":   {"TMPDIR=" + temp, "EYELET_CACHE=/proc/eyelet"},
		"an empty cache of someone's own": {"EYELET_CACHE=" + temp + "/cache"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a home that does not exist" && os.Geteuid() == 0 {
				env[1] = "HOME=" + blocked // root would make it
			}
			in := invocation{args: []string{"run", "--image", orange, background}, env: env}
			in.run(t).mustSay(t, "cyan")
		})
	}
}

func TestNowhereToExtractIsExplained(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	blocked := writeFile(t, filepath.Join(t.TempDir(), "file"), "")
	in := invocation{args: []string{"run", "Q?"}, env: []string{"TMPDIR=" + blocked,
		"EYELET_CACHE=" + blocked + "/cache"}}
	in.run(t).mustFail(t, 3, "EYELET_CACHE", "12 MB")
}

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/store/storetest"
)

// badInputs fills a folder with files that the program must refuse, and some good ones beside them.
func badInputs(t *testing.T) string {
	dir := t.TempDir()
	file := func(name, content string) { writeFile(t, filepath.Join(dir, name), content) }
	picture := readFile(t, pictures+"/shape-4.png")
	model := readFile(t, seedModel)
	file("good.png", picture)
	file("note.txt", "only words")
	file("text.png", "only words in a file with the name of a picture")
	file("cut.png", picture[:len(picture)/2])
	file("empty.png", "")
	file("cut.jpg", "\xff\xd8\xff\xe0\x00\x10JFIF\x00")
	header := "IHDR\x00\x0f\xff\xff\x00\x0f\xff\xff\x08\x02\x00\x00\x00"
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(header)))
	file("huge.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\r"+header+string(sum)+strings.Repeat("\x00",
		100))
	file("model.gguf", model)
	file("header.gguf", model[:5000])
	file("cut.gguf", model[:1000000])
	file("empty.gguf", "")
	file("mmproj.gguf", readFile(t, seedProjector))
	file("mmproj-cut.gguf", readFile(t, seedProjector)[:1000000])
	wideProjector(t, filepath.Join(dir, "wide.gguf"))
	file("pics/a.png", picture)
	file("words/readme.md", "no pictures here")
	file("bad.gbnf", `root ::= ("a" `)
	file("rootless.gbnf", `start ::= "a"`)
	file("empty.gbnf", "")
	file("bad.jinja", "{% if %}")
	file("empty.jinja", "")
	file("refusing.jinja", "{{ raise_exception('no conversation today') }}")
	file("bad-schema.json", `{"type": "string"`)
	file("impossible.json", `{"allOf": [{"type": "string"}, {"type": "number"}]}`)
	file("empty.json", " ")
	file("another.jsonl",
		`{"image":"a.png","question":"Another question?","model":"eyelet-builtin","text":"x"}`+"\n")
	file("model.jsonl", `{"image":"a.png","question":"Q?","model":"another-model","text":"x"}`+"\n")
	file("array.jsonl", "[1, 2]\n")
	file("unfinished.txt", "a text without an end of line")
	file("binary.jsonl", "\x00\x01\x02")
	file("locked.png", picture)
	if err := os.Chmod(filepath.Join(dir, "locked.png"), 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents maps the files under a folder to what tells a change.
func contents(t *testing.T, dir string) map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = fmt.Sprintf("%x %v", sha256.Sum256(data), err)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// badInput is what a user may do wrong. Everything runs in the folder of badInputs.
type badInput struct {
	name string
	// of run, separated by spaces, with _ for a space; the question Q? is added unless there is a "
	// ?" at the end
	args  string
	code  int
	texts []string // in the message: the file and the remedy
	stdin string
}

func TestBadInputIsExplainedInOneSentence(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := badInputs(t)
	before := contents(t, dir)
	t.Run("cases", func(t *testing.T) {
		for _, c := range slicesOf(badFiles, badValues, badCombinations, badOutputs) {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				args := append([]string{"run"}, strings.Fields(c.args)...)
				if args[len(args)-1] == "?" {
					args = args[:len(args)-1]
				} else {
					args = append(args, "Q?")
				}
				for i := range args {
					args[i] = strings.ReplaceAll(args[i], "_", " ")
				}
				in := invocation{args: args, dir: dir}
				if c.stdin != "" {
					in.stdin = strings.NewReader(c.stdin)
				}
				in.run(t).mustFail(t, c.code, c.texts...)
			})
		}
	})
	if after := contents(t, dir); !maps.Equal(before, after) {
		for path := range after {
			if before[path] != after[path] {
				t.Errorf("%s was changed or made", path)
			}
		}
		for path := range before {
			if after[path] == "" {
				t.Errorf("%s was removed", path)
			}
		}
	}
}

func slicesOf(lists ...[]badInput) (all []badInput) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

const fitting = "--model model.gguf --mmproj mmproj.gguf "

var badFiles = []badInput{
	{"a missing picture", "--image none.png", 3, []string{"none.png", "check the path"}, ""},
	{"a picture that cannot be read", "--image /proc/self/mem", 3, []string{"/proc/self/mem"}, ""},
	{"text instead of a picture", "--image note.txt", 3, []string{"note.txt", "not an image",
		"JPEG"}, ""},
	{"text under the name of a picture", "--image text.png", 3,
		[]string{"text.png", "not an image"}, ""},
	{"a truncated PNG", "--image cut.png", 3, []string{"cut.png", "truncated", "copy it again"},
		""},
	{"a truncated JPEG", "--image cut.jpg", 3, []string{"cut.jpg", "copy it again"}, ""},
	{"an empty picture", "--image empty.png", 3, []string{"empty.png is empty"}, ""},
	{"a picture of a terapixel", "--image huge.png", 3, []string{"huge.png", "make it smaller"},
		""},
	{"an empty picture on stdin", "--image -", 3, []string{"stdin is empty"}, ""},
	{"text instead of a picture on stdin", "--image -", 3, []string{"stdin", "not an image"},
		"words"},
	{"the second of two pictures bad", "--image good.png --image cut.png", 3, []string{"cut.png"},
		""},
	{"a missing model", "--model none.gguf", 3, []string{"none.gguf", "check the path"}, ""},
	{"a missing model and a picture", "--model none.gguf --image good.png", 3,
		[]string{"none.gguf", "check the path"}, ""},
	{"a folder as the model", "--model pics", 3, []string{"pics", "directory"}, ""},
	{"text instead of a model", "--model note.txt", 3, []string{"note.txt", "GGUF"}, ""},
	{"a picture as the model", "--model good.png", 3, []string{"good.png", "GGUF"}, ""},
	{"an empty model", "--model empty.gguf", 3, []string{"empty.gguf"}, ""},
	{"a model cut in its header", "--model header.gguf", 3, []string{"header.gguf", "again"}, ""},
	{"a model cut in its tensors", "--model cut.gguf", 3, []string{"cut.gguf", "again"}, ""},
	{"a projector as the model", "--model mmproj.gguf", 3, []string{"mmproj.gguf", "--mmproj"}, ""},
	{"a missing projector", "--model model.gguf --mmproj none.gguf", 3,
		[]string{"none.gguf", "check the path"}, ""},
	{"a model as the projector", "--model model.gguf --mmproj model.gguf", 3,
		[]string{"model.gguf", "not a vision projector"}, ""},
	{"a cut projector", "--model model.gguf --mmproj mmproj-cut.gguf", 3,
		[]string{"mmproj-cut.gguf", "again"}, ""},
	{"a projector of another width", "--model model.gguf --mmproj wide.gguf --image good.png", 4,
		[]string{"wide.gguf", "512", "256", "mmproj file that came with the model"}, ""},
	{"a picture for a text model", "--model model.gguf --image good.png", 4,
		[]string{"model.gguf", "--mmproj"}, ""},
	{"a folder for a text model", "--model model.gguf --image pics --jsonl out.jsonl", 4,
		[]string{"model.gguf", "--mmproj"}, ""},
	{"a missing grammar", "--grammar none.gbnf", 3, []string{"none.gbnf", "check the path"}, ""},
	{"a grammar that does not parse", "--grammar bad.gbnf", 3, []string{"bad.gbnf"}, ""},
	{"a grammar without root", "--grammar rootless.gbnf", 3, []string{"rootless.gbnf", "root"}, ""},
	{"an empty grammar", "--grammar empty.gbnf", 3, []string{"empty.gbnf"}, ""},
	{"a missing schema", "--schema none.json", 3, []string{"none.json", "check the path"}, ""},
	{"a schema that is no JSON", "--schema bad-schema.json", 3, []string{"bad-schema.json",
		"not JSON"}, ""},
	{"a schema that nothing satisfies", "--schema impossible.json", 3, []string{"impossible.json",
		"unsatisfiable"}, ""},
	{"an empty schema", "--schema empty.json", 3, []string{"empty.json", "empty"}, ""},
	{"a missing chat template", "--chat-template none.jinja", 3,
		[]string{"none.jinja", "check the path"}, ""},
	{"a chat template that does not parse", "--chat-template bad.jinja", 3,
		[]string{"bad.jinja", "line 1"}, ""},
	{"an empty chat template", "--chat-template empty.jinja", 3, []string{"empty.jinja", "empty"},
		""},
	{"a chat template that refuses", "--chat-template refusing.jinja", 2,
		[]string{"no conversation today"}, ""},
	{"a folder as the grammar", "--grammar pics", 3, []string{"pics", "directory"}, ""},
}

var badValues = []badInput{
	{"an unknown flag", "--frobnicate", 2, []string{"--frobnicate", "eyelet run --help"}, ""},
	{"a flag without its value ", "--image ?", 2, []string{"--image", "eyelet run --help"}, ""},
	{"memory for the accelerator that is no size", "--accel-cache much", 2,
		[]string{"--accel-cache", "64K or more"}, ""},
	{"a temperature that is no number", "--temp warm", 2, []string{"--temp", "warm"}, ""},
	{"not-a-number as temperature", "--temp NaN", 2, []string{"--temp is NaN", "0"}, ""},
	{"an infinite temperature", "--temp Inf", 2, []string{"--temp"}, ""},
	{"a negative temperature", "--temp -1", 2, []string{"--temp is -1", "0"}, ""},
	{"a negative top-k", "--top-k -1", 2, []string{"--top-k is -1", "0 for all"}, ""},
	{"a top-p above 1", "--top-p 1.1", 2, []string{"--top-p is 1.1", "0 to 1"}, ""},
	{"not-a-number as min-p", "--min-p NaN", 2, []string{"--min-p is NaN", "0 to 1"}, ""},
	{"a repeat penalty of 0", "--repeat-penalty 0", 2, []string{"--repeat-penalty is 0",
		"1 is off"}, ""},
	{"a seed below -1", "--seed -2", 2, []string{"--seed is -2", "4294967294"}, ""},
	{"a seed that is too large", "--seed 4294967295", 2, []string{"--seed", "4294967294"}, ""},
	{"a fraction as seed", "--seed 1.5", 2, []string{"--seed", "1.5"}, ""},
	{"negative threads", "--threads -1", 2, []string{"--threads is -1", "1024"}, ""},
	{"far too many threads", "--threads 100000", 2, []string{"--threads", "1024"}, ""},
	{"a negative context", "--ctx -1", 2, []string{"--ctx is -1", "default"}, ""},
	{"a context of billions", "--ctx 2000000000", 2, []string{"--ctx", "16777216"}, ""},
	{"a context beyond 64 bits", "--ctx 99999999999999999999", 2, []string{"--ctx"}, ""},
	{"an unknown vision backend", "--vision-backend gpu", 2, []string{"gpu", "native", "mtmd"}, ""},
	{"an unknown precision", "--vision-precision f8", 2, []string{"f8", "bf16", "int8"}, ""},
	{"an unknown cache type", "--cache-type q9", 2, []string{"q9", "q8_0"}, ""},
	{"a negative number of tokens", "--max-tokens -1", 2, []string{"--max-tokens is -1"}, ""},
	{"a negative number of layers", "--gpu-layers -2", 2, []string{"--gpu-layers", "-2",
		"give a number of layers, all or none"}, ""},
	{"an empty stop text", "--stop= ", 2, []string{"--stop is empty"}, ""},
	{"a schema in place that is no JSON", "--schema {", 2, []string{"--schema", "not JSON"}, ""},
	{"a schema in place that nothing satisfies", "--schema false", 2,
		[]string{"--schema", "unsatisfiable"}, ""},
	{"a question longer than the context", strings.Repeat("_words", 3000), 5,
		[]string{"tokens", "2048", "shorten it"}, ""},
	{"a picture that does not fit in the context", fitting + strings.Repeat("--image good.png ",
		33), 5, []string{"2048", "of them of pictures"}, ""},
}

var badCombinations = []badInput{
	{"no question", "?", 2, []string{"question is missing", "argument or on stdin"}, ""},
	{"a picture without a question", "--image good.png ?", 2, []string{"question is missing"}, ""},
	{"an empty question on stdin", "?", 2, []string{"question is missing"}, " \n "},
	{"a picture on stdin and no question", "--image - ?", 2, []string{"question is missing",
		"argument"}, "x"},
	{"a question on stdin of megabytes", "?", 3, []string{"longer than 1.0 MiB"},
		strings.Repeat("word ", 300000)},
	{"stdin for two pictures", "--image - --image -", 2, []string{"once"}, ""},
	{"stdin for a picture and a conversation", "--image - --chat", 2,
		[]string{"--image -", "--chat"}, ""},
	{"JSON and JSON lines", "--json --jsonl out.jsonl --image pics", 2,
		[]string{"--json and --jsonl"}, ""},
	{"JSON of a conversation", "--json --chat", 2, []string{"--json and --chat"}, ""},
	{"a grammar and a schema", "--grammar bad.gbnf --schema {}", 2,
		[]string{"--grammar and --schema"}, ""},
	{"raw text and a picture", "--raw --image good.png", 2, []string{"--raw and --image"}, ""},
	{"raw text and a system prompt", "--raw --system x", 2, []string{"--raw and --system"}, ""},
	{"raw text in a conversation", "--raw --chat", 2, []string{"--raw and --chat"}, ""},
	{"the demonstration with a model", "--demo --model model.gguf ?", 2,
		[]string{"--demo and --model"}, ""},
	{"the demonstration with a picture", "--demo --image good.png ?", 2,
		[]string{"--demo and --image"}, ""},
	{"the demonstration with a question", "--demo", 2, []string{"--demo and a question"}, ""},
	{"the demonstration at a temperature", "--demo --temp 1 ?", 2, []string{"--demo and --temp"},
		""},
	{"the demonstration as JSON", "--demo --json ?", 2, []string{"--demo and --json"}, ""},
	{"a projector alone", "--mmproj mmproj.gguf", 2, []string{"--mmproj", "--model"}, ""},
	{"verbose and quiet", "-v -q", 2, []string{"--verbose", "--quiet"}, ""},
}

var badOutputs = []badInput{
	{"a folder without an output", "--image pics", 2, []string{"pics is a folder", "--jsonl"}, ""},
	{"a folder as one JSON object", "--image pics --json", 2, []string{"pics is a folder",
		"--jsonl"}, ""},
	{"a folder and a picture", "--image pics --image good.png --jsonl out.jsonl", 2,
		[]string{"pics", "only --image"}, ""},
	{"a folder in a conversation", "--image pics --chat", 2, []string{"folder", "single pictures"},
		""},
	{"a folder without a question", "--image pics --jsonl out.jsonl ?", 2,
		[]string{"question is missing"}, ""},
	{"a folder without pictures", "--image words --jsonl out.jsonl", 3,
		[]string{"words holds no pictures", ".png"}, ""},
	{"a folder that is missing", "--image none --jsonl out.jsonl", 3,
		[]string{"none: ", "check the path"}, ""},
	{"JSON lines about nothing", "--jsonl out.jsonl", 2, []string{"--jsonl needs a folder"}, ""},
	{"JSON lines about stdin", "--image - --jsonl out.jsonl", 2, []string{"--jsonl needs files"},
		""},
	{"JSON lines about frames", "--image good.png --frames 2 --jsonl out.jsonl", 2,
		[]string{"frames are asked about together"}, ""},
	{"JSON lines on stdout", "--image pics --jsonl -", 2,
		[]string{"--jsonl wants the name of a file"}, ""},
	{"JSON lines to a device", "--image pics --jsonl /dev/null", 3,
		[]string{"/dev/null", "no regular file"}, ""},
	{"an output in a missing folder", "--image pics --jsonl none/out.jsonl", 3,
		[]string{"none/out.jsonl", "check the path"}, ""},
	{"a folder as the output", "--image pics --jsonl words", 3, []string{"words", "directory"}, ""},
	{"an output of other lines", "--image pics --jsonl array.jsonl", 3,
		[]string{"array.jsonl", "name a new file"}, ""},
	{"an output that is a text", "--image pics --jsonl unfinished.txt", 3,
		[]string{"unfinished.txt", "name a new file"}, ""},
	{"an output that is binary", "--image pics --jsonl binary.jsonl", 3, []string{"binary.jsonl",
		"name a new file"}, ""},
	{"an output to another question", "--image pics --jsonl another.jsonl", 3,
		[]string{"another.jsonl", "Another question?", "name a new file"}, ""},
	{"an output of another model", "--image pics --jsonl model.jsonl", 3,
		[]string{"model.jsonl", "another-model", "name a new file"}, ""},
	{"an output of a model that is missing",
		"--image pics --jsonl out.jsonl --model none.gguf --mmproj mmproj.gguf", 3,
		[]string{"none.gguf"}, ""},
}

func TestAFileWithoutPermissionIsExplained(t *testing.T) {
	t.Parallel()
	in := invocation{args: []string{"run", "--image", "locked.png", "Q?"}, dir: badInputs(t)}
	var o outcome
	storetest.Unprivileged(t, func() { o = in.run(t) })
	o.mustFail(t, 3, "locked.png", "check who may read it")
}

func TestAClosedStdoutIsNoCrash(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := invocation{args: []string{"run", "--json", "--image", pictures + "/shape-4.png",
		"Q?"}}.command(t.Context())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	said, err := io.ReadAll(stderr)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // by SIGPIPE, as any program in a pipeline
	if strings.Contains(string(said), "goroutine") {
		t.Errorf("%s", said)
	}
}

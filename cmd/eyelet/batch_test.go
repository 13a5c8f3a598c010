package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/parquet-go/parquet-go"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/batch"
)

func TestABatchOfAFolder(t *testing.T) {
	t.Parallel()
	dir, _ := album(t)
	out := filepath.Join(t.TempDir(), "out.jsonl")
	args := []string{"batch", dir, "-o", out, "--prompt", background}
	eyelet(t, args...).mustFail(t, 3,
		"1 of 3 could not be answered (the first: 2-broken.PNG: bad picture: ",
		"out.jsonl.failures.jsonl")
	type line struct {
		Image, Text, Question, Model, Finish string
		Error, Code                          string
	}
	read := func(path string) (list []line) {
		for text := range strings.Lines(readFile(t, path)) {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			list = append(list, l)
		}
		return list
	}
	got := read(out)
	if len(got) != 2 || got[0].Image != "1-orange.png" || got[0].Text != "cyan" ||
		got[1].Image != "3-star.png" || got[1].Text != "pink" || got[1].Question != background {
		t.Errorf("%+v", got)
	}
	failures := out + ".failures.jsonl"
	if bad := read(failures); len(bad) != 1 || bad[0].Image != "2-broken.PNG" ||
		bad[0].Error == "" || bad[0].Code != "bad_picture" {
		t.Errorf("%+v", bad)
	}
	eyelet(t, "batch", dir, "-o", out, "--prompt", "Another question?").mustFail(t, 3,
		"another question", "--force")
	// Mended, the picture is asked about again, and it alone.
	writeFile(t, dir+"/2-broken.PNG", readFile(t, pinkStar))
	o := eyelet(t, append(args, "--json")...)
	var told struct{ Items, Answered, Failed, Known int }
	if o.code != 0 || json.Unmarshal([]byte(o.stdout), &told) != nil || told.Items != 3 ||
		told.Answered != 3 || told.Known != 2 {
		t.Errorf("%+v", o)
	}
	if got := read(out); len(got) != 3 || got[1].Text != "pink" {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{failures, out + ".batch"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left behind", path)
		}
	}
	eyelet(t, args...).mustFail(t, 3, "is there already", "--force")
	nowhere := filepath.Join(t.TempDir(), "none", "out.jsonl")
	eyelet(t, "batch", dir, "-o", nowhere, "--prompt", background).mustFail(t, 3,
		"there is no folder")
}

// Linux takes any bytes for a name, and what a batch remembers is JSON.
func TestNamesThatJSONCannotHold(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a bad\xff.png", "a bad\xfe.png", "b new\nline.png",
		"c ünï 写.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(readFile(t, pinkStar)),
			0o600); err != nil {
			t.Skip(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out \xfe.jsonl")
	if o := eyelet(t, "batch", dir, "-o", out, "--prompt", background); o.code != 0 ||
		strings.Count(readFile(t, out), `"text":"pink"`) != 4 ||
		!strings.Contains(readFile(t, out), `"a bad\\xfe.png"`) {
		t.Errorf("%+v", o)
	}
	o := eyelet(t, "batch", dir, "-o", out, "--prompt", background, "--dry-run", "--json")
	if o.code != 0 || !strings.Contains(o.stdout, `"failed": 0`) {
		t.Errorf("%+v", o)
	}
}

func TestTablesOfABatchHaveTheSchemasColumns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	writeFile(t, dir+"/sub/b.png", readFile(t, pinkStar))
	schema := `{"type": "object", "properties": {"color": {"enum": ["cyan", "pink"]}, "sure": {"type": "boolean"}}, "required": ["color", "sure"], "additionalProperties": false}`
	out := filepath.Join(t.TempDir(), "out.csv")
	if o := eyelet(t, "batch", dir, "-r", "-o", out, "--prompt", background, "--schema", schema,
		"-q"); o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	rows, err := csv.NewReader(strings.NewReader(readFile(t, out))).ReadAll()
	if err != nil || len(rows) != 3 || strings.Join(rows[0][:4], " ") != "image color sure text" {
		t.Fatalf("%q, %v", rows, err)
	}
	for i, name := range []string{"a.png", "sub/b.png"} {
		row := rows[i+1]
		if row[0] != name || row[1] != "cyan" && row[1] != "pink" ||
			row[2] != "true" && row[2] != "false" || row[3] != "" {
			t.Errorf("%q", row)
		}
	}
	table := filepath.Join(t.TempDir(), "out.parquet")
	if o := eyelet(t, "batch", dir, "-o", table, "--prompt", background, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	data := []byte(readFile(t, table))
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil || f.NumRows() != 1 || f.Schema().Fields()[0].Name() != "image" {
		t.Errorf("%v", err)
	}
}

func TestABatchInOpenAIsFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var lines strings.Builder
	for i, question := range []string{"What color is the background?", ""} {
		messages := fmt.Sprintf(`[{"role": "user", "content": %q}]`, question)
		if question == "" {
			messages = "[]"
		}
		fmt.Fprintf(&lines, `{"custom_id": "request-%d", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "builtin", "max_tokens": 8, "messages": %s}}`+"\n", i, messages)
	}
	in, out := writeFile(t, dir+"/in.jsonl", lines.String()), filepath.Join(dir, "out.jsonl")
	eyelet(t, "batch", in, "-o", out).mustFail(t, 3, "1 of 2 could not be answered")
	for path, status := range map[string]int{out: 200,
		filepath.Join(dir, "out.jsonl.failures.jsonl"): 400} {
		var l struct {
			ID       string `json:"id"`
			CustomID string `json:"custom_id"`
			Response struct {
				Status    int            `json:"status_code"`
				RequestID string         `json:"request_id"`
				Body      map[string]any `json:"body"`
			} `json:"response"`
			Error any `json:"error"`
		}
		if err := json.Unmarshal([]byte(readFile(t, path)), &l); err != nil ||
			l.Response.Status != status || !strings.HasPrefix(l.CustomID, "request-") ||
			l.ID == "" || len(l.Response.Body) == 0 {
			t.Errorf("%s: %+v, %v", path, l, err)
		}
	}
	twice := writeFile(t, dir+"/twice.jsonl", strings.ReplaceAll(lines.String(), "request-1",
		"request-0"))
	eyelet(t, "batch", twice, "-o", dir+"/x.jsonl").mustFail(t, 3, "request-0", "twice")
	bad := writeFile(t, dir+"/bad.jsonl", lines.String()+"{}\n")
	eyelet(t, "batch", bad, "-o", dir+"/x.jsonl").mustFail(t, 3, "line 3", "custom_id")
	worse := writeFile(t, dir+"/worse.jsonl", strings.Repeat(lines.String(), 2)+"\n[]\n")
	eyelet(t, "batch", worse, "-o", dir+"/x.jsonl").mustFail(t, 3,
		`line 3: the custom_id "request-0" stands twice (and 2 other lines that cannot be asked`)
}

func TestLinesOfOurOwnAndLists(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	in := writeFile(t, dir+"/in.jsonl", `{"image": "a.png", "question": "What color is the background?"}
{"id": "second", "image": "a.png", "prompt": "What color is the circle?"}
{"id": "third", "image": "gone.png", "question": "What?"}
{"id": "fourth", "image": "words.png", "question": "What?"}
`)
	writeFile(t, dir+"/words.png", "no picture")
	out := filepath.Join(dir, "out.csv")
	eyelet(t, "batch", in, "-o", out, "-q").mustFail(t, 3, "2 of 4")
	if text := readFile(t, dir+"/out.csv.failures.jsonl"); !strings.Contains(text,
		"gone.png: no such file") || !strings.Contains(text, "bad picture: not an image") ||
		!strings.Contains(text, `"id":"third","image":"gone.png"`) {
		t.Errorf("%s", text)
	}
	if text := readFile(t, out); !strings.HasPrefix(text, "id,image,text,") ||
		!strings.Contains(text, "1 a.png,a.png,cyan,") ||
		!strings.Contains(text, "second,a.png,orange,") {
		t.Errorf("%s", text)
	}
	list := invocation{args: []string{"batch", "--list", "-", "-o", dir + "/list.csv", "--prompt",
		background, "-q"}, stdin: strings.NewReader(dir + "/a.png\n\n")}.run(t)
	if list.code != 0 || !strings.Contains(readFile(t, dir+"/list.csv"), "/a.png,cyan,") {
		t.Errorf("%+v", list)
	}
	var dry batch.DryReport
	if o := eyelet(t, "batch", in, "--dry-run", "--json"); json.Unmarshal([]byte(o.stdout),
		&dry) != nil || dry.Items != 4 || dry.Pictures != 4 || dry.Failed != 2 ||
		dry.ImageTokens != 256 || dry.Seconds <= 0 {
		t.Errorf("%+v", o)
	}
}

// Two commands with one output would write the same files.
func TestTwoBatchesOnOneOutput(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	out := filepath.Join(t.TempDir(), "out.csv")
	args := []string{"batch", dir, "-o", out, "--prompt", background, "-q"}
	other := writeFile(t, out+".batch/lock", "")
	writeFile(t, out+".batch/items.jsonl", "of the other")
	lock := flock.New(other)
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{{"--force"}, {"--nats", "nats://127.0.0.1:1"}} {
		eyelet(t, append(args, more...)...).mustFail(t, 3, "another eyelet batch works on it")
	}
	if text := readFile(t, out+".batch/items.jsonl"); text != "of the other" {
		t.Errorf("the other's file holds %q", text)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if o := eyelet(t, args...); o.code != 0 || !strings.Contains(readFile(t, out), "cyan") {
		t.Errorf("%+v", o)
	}
	if _, err := os.Stat(out + ".batch"); err == nil {
		t.Error("the state of the batch is left behind")
	}
}

// What a batch has written for itself can be lost, whole or in part.
func TestADamagedStateOfABatch(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	writeFile(t, dir+"/b.png", readFile(t, orange)[:60])
	out := filepath.Join(t.TempDir(), "out.csv")
	args := []string{"batch", dir, "-o", out, "--prompt", background, "-q"}
	eyelet(t, args...).mustFail(t, 3, "1 of 2 could not be answered")
	list := out + ".batch/items.jsonl"
	whole := readFile(t, list)
	first, _, _ := strings.Cut(whole, "\n")
	for _, text := range []string{first + "\n", whole[:len(whole)-9]} {
		writeFile(t, list, text)
		eyelet(t, args...).mustFail(t, 3, "items.jsonl is not as this batch has written it",
			"--force")
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	eyelet(t, args...).mustFail(t, 3, "items.jsonl is not as this batch has written it", "--force")
}

func TestAFolderThatCannotBeListed(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	// A path that is too long stops root, too, whom no rights do.
	at, err := os.OpenRoot(dir)
	for range 20 {
		name := strings.Repeat("d", 250)
		if err == nil {
			err = at.Mkdir(name, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
		var below *os.Root
		below, err = at.OpenRoot(name)
		at.Close()
		at = below
	}
	at.Close()
	out := filepath.Join(t.TempDir(), "out.csv")
	eyelet(t, "batch", dir, "-r", "-o", out, "--prompt", background, "-q").mustFail(t, 3,
		"1 of 2 could not be answered", "the folder cannot be listed: file name too long")
	if text := readFile(t, out); !strings.Contains(text, "a.png,cyan") {
		t.Errorf("%s", text)
	}
}

// What all items lack has the exit code of its kind.
func TestABatchWhoseItemsAreAllTooLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	out := filepath.Join(t.TempDir(), "out.csv")
	eyelet(t, "batch", dir, "-o", out, "--prompt", strings.Repeat("word ", 5000), "-q").mustFail(t,
		5, "1 of 1 could not be answered")
}

func TestWrongBatches(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir+"/a.png", readFile(t, orange))
	ours := writeFile(t, dir+"/in.jsonl", "\xef\xbb\xbf"+`{"image": "a.png"}`) // as of Windows
	twice := writeFile(t, dir+"/twice/in.jsonl",
		`{"id": "x", "question": "1?"}`+"\n"+`{"id": "x", "question": "2?"}`)
	long := writeFile(t, dir+"/long.jsonl", `{"image": "a.png", "id": "`+
		strings.Repeat("x", 513)+`"}`)
	latin := writeFile(t, dir+"/latin.jsonl", "{\"question\": \"Stra\xdfe?\"}")
	none := writeFile(t, dir+"/none.jsonl", "\n")
	broken := filepath.Dir(writeFile(t, dir+"/broken/broken.png", readFile(t, orange)[:60]))
	folder := filepath.Dir(writeFile(t, dir+"/folder.csv/file", ""))
	for _, x := range []struct {
		code int
		want string
		args []string
	}{
		{2, "INPUT is missing", nil},
		{2, "stdin is no input", []string{"-", "-p", "x", "-o", dir + "/o.csv"}},
		{2, "-o OUT", []string{dir, "-p", "x"}},
		{2, ".parquet", []string{dir, "-p", "x", "-o", "out.txt"}},
		{2, "--prompt", []string{dir, "-o", "out.csv"}},
		{3, "no question", []string{ours, "-o", dir + "/o.csv"}},
		{2, "--nats is empty", []string{dir, "-p", "x", "-o", "out.csv", "--nats", ""}},
		{2, "1, 3 or 5", []string{dir, "-p", "x", "-o", "out.csv", "--nats", "nats://x",
			"--nats-replicas", "2"}},
		{3, "line 1: it is not in UTF-8", []string{latin, "-p", "x", "-o", dir + "/o.csv"}},
		{3, "line 1: the id has 513 bytes", []string{long, "-p", "x", "-o", dir + "/o.csv"}},
		{2, "goes with --nats", []string{dir, "-p", "x", "-o", "out.csv", "--by-path"}},
		{3, "check the path", []string{dir + "/none", "-p", "x", "-o", dir + "/o.csv"}},
		{3, "in.jsonl, line 2: the name \"x\" stands for two inputs",
			[]string{twice, "-o", dir + "/o.csv"}},
		{3, "nothing of the sample of 1 could be answered (the first: broken.png: bad picture: ",
			[]string{broken, "-p", "x", "--dry-run", "-q"}},
		{3, "none.jsonl: there is nothing to ask about", []string{none, "-o", dir + "/o.csv", "-p",
			"x"}},
		{2, "in.jsonl is what the batch reads", []string{ours, "-p", "x", "-o", ours, "--force"}},
		{3, "folder.csv is a folder", []string{ours, "-p", "x", "-o", folder, "--force"}},
		{1, "nats://127.0.0.1:1: nats: no servers available for connection; check the address",
			[]string{dir, "-p", "x", "-o", dir + "/o.csv", "--nats", "nats://me:word@127.0.0.1:1"}},
		{3, "there is no model", []string{dir, "-p", "x", "-o", dir + "/o.csv", "--model",
			"none:1b"}},
		{3, "none.gguf: no such file or directory; check the path", []string{dir, "-p", "x", "-o",
			dir + "/o.csv", "--model", "none.gguf"}},
	} {
		eyelet(t, append([]string{"batch"}, x.args...)...).mustFail(t, x.code, x.want)
	}
	for folder, want := range map[string]string{dir + "/a.png": "a.png is no folder",
		dir + "/gone": "gone: no such file"} {
		eyelet(t, "worker", "--nats", "nats://127.0.0.1:1", "--folder", folder).mustFail(t, 3,
			"--folder "+dir, want)
	}
	// What could not begin leaves nothing that a corrected command would meet.
	if _, err := os.Stat(dir + "/o.csv.batch"); err == nil {
		t.Error("the state of a batch that never began is left behind")
	}
}

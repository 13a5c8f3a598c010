package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/chat"
)

// talk pipes lines into a conversation.
func talk(t *testing.T, args []string, lines ...string) outcome {
	t.Helper()
	in := invocation{args: append([]string{"run", "--chat"}, args...),
		stdin: strings.NewReader(strings.Join(lines, "\n") + "\n")}
	return in.run(t)
}

func TestAConversationOverAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	saved, bad := filepath.Join(dir, "talk.json"), writeFile(t, dir+"/bad.png", "words")
	o := talk(t, nil,
		"/help",
		"/image "+orange,
		background,
		"What color is the circle?",
		"/save "+saved,
		"/clear",
		"/image '"+pinkStar+"'",
		background,
		"/load "+saved,
		"What color is the circle?",
		"",
		"   ",
		"/image",
		"/image "+dir+"/none.png",
		"/image "+bad,
		"/frobnicate",
		"/load "+dir+"/none.json",
		"/save "+dir,
		"/save "+dir+"/none/talk.json",
		"/clear",
		"/image "+pinkStar,
		background,
		"/quit",
		"What color is the star?")
	if o.code != 0 || o.stdout != "cyan\norange\npink\norange\npink\n" {
		t.Errorf("exit code %d, stdout %q", o.code, o.stdout)
	}
	want := chat.Help + "\n" +
		orange + " goes with your next message.\n" +
		saved + " holds 4 messages.\n" +
		pinkStar + " goes with your next message.\n" +
		"4 messages from " + saved + ".\n" +
		"eyelet: /image needs a file name\n" +
		"eyelet: " + dir + "/none.png: no such file or directory; check the path\n" +
		"eyelet: " + bad + ": not an image (first bytes 77 6f 72 64 73); supported: JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC, AVIF, JPEG XL, PDF\n" +
		"eyelet: there is no command /frobnicate; /help lists them\n" +
		"eyelet: " + dir + "/none.json: no such file or directory; check the path\n" +
		"eyelet: " + dir + " is no regular file; give the name of a file for the conversation\n" +
		"eyelet: " + dir + "/none/talk.json: there is no folder " + dir + "/none\n" +
		pinkStar + " goes with your next message.\n"
	if o.stderr != want {
		t.Errorf("stderr:\n%s\nwant:\n%s", o.stderr, want)
	}
	if info, err := os.Stat(saved); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the saved conversation: %v, %v", info, err)
	}
	if left, err := filepath.Glob(dir + "/.*"); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestAConversationBeginsWithWhatTheCommandLineSays(t *testing.T) {
	t.Parallel()
	o := talk(t, []string{"--quiet", "--image", orange, background}, "What color is the circle?")
	o.mustSay(t, "cyan\norange")
}

func TestASavedConversationHoldsItsPictureOnce(t *testing.T) {
	t.Parallel()
	saved := filepath.Join(t.TempDir(), "talk.json")
	if o := talk(t, nil, "/image "+orange, background, "What color is the circle?",
		"/save "+saved); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	var s struct {
		Format   string `json:"format"`
		Version  int    `json:"version"`
		Model    string `json:"model"`
		Messages []struct {
			Role    string `json:"role"`
			Content []struct {
				Text  string `json:"text"`
				Name  string `json:"image_name"`
				Image []byte `json:"image"`
			} `json:"content"`
		} `json:"messages"`
	}
	strictly(t, readFile(t, saved), &s)
	if s.Format != "eyelet-chat" || s.Version != 1 || s.Model != "eyelet-builtin" ||
		len(s.Messages) != 4 {
		t.Fatalf("%+v", s)
	}
	if c := s.Messages[0].Content; len(c) != 2 || c[0].Name != orange ||
		string(c[0].Image) != readFile(t, orange) || c[1].Text != background {
		t.Errorf("the first turn is saved as %+v", c)
	}
	for _, m := range s.Messages[1:] {
		if len(m.Content) != 1 || m.Content[0].Image != nil {
			t.Errorf("%+v", m)
		}
	}
}

func TestHostileSavedConversationsAreRefusedAndTheChatGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	picture := base64.StdEncoding.EncodeToString([]byte(readFile(t, orange)))
	good := `{"format":"eyelet-chat","version":1,"model":"m","messages":[{"role":"user","content":[{"image_name":"x","image":"` + picture + `"},{"text":"Q?"}]}]}`
	huge, err := os.Create(dir + "/huge")
	if err != nil {
		t.Fatal(err)
	}
	if err := huge.Truncate(512<<20 + 1); err != nil { // a hole, which takes no space
		t.Fatal(err)
	}
	huge.Close()
	files := []struct{ name, content, want string }{
		{"empty", "", "is not a saved conversation"},
		{"cut", good[:len(good)/2], "is not a saved conversation"},
		{"words", "only words", "is not a saved conversation"},
		{"other", `{"format":"other","messages":[]}`, "is not a saved conversation"},
		{"array", `[]`, "is not a saved conversation"},
		{"types", strings.Replace(good, `"user"`, `7`, 1), "is not a saved conversation"},
		{"deep", `{"format":` + strings.Repeat("[", 100000), "is not a saved conversation"},
		{"twice", good + good, "is not a saved conversation"},
		{"newer", strings.Replace(good, `"version":1`, `"version":3`, 1), "another version"},
		{"role", strings.Replace(good, "user", `\u001b[31mroot`, 1), "unknown role"},
		{"blank", strings.Replace(good, "user", "", 1), "unknown role"},
		{"nothing", strings.Replace(good, picture, "", 1), "x"},
		{"picture", strings.Replace(good, picture, "d29yZHM=", 1), "not an image"},
		{"base64", strings.Replace(good, picture, "***", 1), "is not a saved conversation"},
	}
	say := []string{"/load " + dir + "/huge"}
	for _, f := range files {
		say = append(say, "/load "+writeFile(t, dir+"/"+f.name, f.content))
	}
	say = append(say, "/load "+writeFile(t, dir+"/good", good), "/clear", "/image "+orange,
		background)
	o := talk(t, nil, say...)
	if o.code != 0 || o.stdout != "cyan\n" {
		t.Errorf("exit code %d, stdout %q", o.code, o.stdout)
	}
	told := strings.Split(o.stderr, "\n")
	if len(told) != len(files)+4 {
		t.Fatalf("%d lines for %d commands: %s", len(told), len(say), o.stderr)
	}
	if !strings.Contains(told[0], "larger than 512.0 MiB") {
		t.Errorf("huge: %q", told[0])
	}
	for i, f := range files {
		if line := told[i+1]; !strings.HasPrefix(line, "eyelet: "+dir+"/"+f.name) ||
			!strings.Contains(line, f.want) || strings.Contains(line, "\x1b") {
			t.Errorf("%s: %q", f.name, line)
		}
	}
	if !strings.HasPrefix(told[len(files)+1], "1 message from ") {
		t.Errorf("the good one: %q", told[len(files)+1])
	}
}

func TestALineOfAPipeIsBounded(t *testing.T) {
	t.Parallel()
	o := talk(t, nil, strings.Repeat("x", 1<<20+1))
	o.mustFail(t, 3, "a line on stdin is longer than 1.0 MiB")
}

func TestAConversationThatGrowsTooLongSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	grammar := writeFile(t, filepath.Join(t.TempDir(), "short.gbnf"), `root ::= "red"`)
	o := talk(t, []string{"--grammar", grammar}, "Q?", strings.Repeat("words ", 3000), "Q?")
	if o.code != 0 || o.stdout != "red\nred\n" || !strings.Contains(o.stderr,
		"longer than the context") || !strings.Contains(o.stderr, "/clear starts afresh") {
		t.Errorf("%+v", o)
	}
}

func TestATextModelIsShownNoPicture(t *testing.T) {
	t.Parallel()
	o := talk(t, []string{"--model", seedModel}, "/image "+orange)
	if o.code != 0 || o.stdout != "" || !strings.Contains(o.stderr, seedModel) ||
		!strings.Contains(o.stderr, "--mmproj") {
		t.Errorf("%+v", o)
	}
}

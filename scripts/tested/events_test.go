package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// events are of "go test -json" over a package like that of TestARunIsRecorded.
const events = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestWhole"}
{"Action":"output","Package":"a","Test":"TestWhole","Output":"=== RUN   TestWhole\n"}
{"Action":"output","Package":"a","Test":"TestWhole","Output":"    a_test.go:1: quiet\n"}
{"Action":"pass","Package":"a","Test":"TestWhole/part","Elapsed":0}
{"Action":"pass","Package":"a","Test":"TestWhole","Elapsed":0}
{"Action":"skip","Package":"a","Test":"TestPartly/one","Elapsed":0}
{"Action":"pass","Package":"a","Test":"TestPartly/other","Elapsed":0}
{"Action":"pass","Package":"a","Test":"TestPartly","Elapsed":0}
{"Action":"attr","Package":"a","Test":"TestLess","Key":"reduced","Value":"one round"}
{"Action":"pass","Package":"a","Test":"TestLess","Elapsed":0}
{"Action":"attr","Package":"a","Test":"TestMarked","Key":"other","Value":"x"}
{"Action":"pass","Package":"a","Test":"TestMarked","Elapsed":0}
{"Action":"skip","Package":"a","Test":"TestSkipped","Elapsed":0}
{"Action":"output","Package":"a","Test":"TestSlow","Output":"    a_test.go:9: set EYELET_SLOW=1\n"}
{"Action":"skip","Package":"a","Test":"TestSlow","Elapsed":0}
{"Action":"output","Package":"a","Test":"TestSome/x","Output":"    a_test.go:9: EYELET_SLOW\n"}
{"Action":"skip","Package":"a","Test":"TestSome/x","Elapsed":0}
{"Action":"skip","Package":"a","Test":"TestSome/y","Elapsed":0}
{"Action":"pass","Package":"a","Test":"TestSome","Elapsed":0}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a","Elapsed":0.1}
{"Action":"output","Package":"b","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"b","Test":"TestGood","Output":"    b_test.go:1: quiet\n"}
{"Action":"pass","Package":"b","Test":"TestGood","Elapsed":0}
{"Action":"output","Package":"b","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"b","Test":"TestBad","Output":"    b_test.go:9: loud\n"}
{"Action":"output","Package":"b","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"b","Test":"TestBad/part","Elapsed":0}
{"Action":"fail","Package":"b","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"b","Test":"TestRace","Output":"WARNING: DATA RACE\n"}
{"Action":"pass","Package":"b","Test":"TestRace","Elapsed":0}
{"Action":"output","Package":"b","Test":"TestHung","Output":"panic: test timed out\n"}
{"Action":"output","Package":"b","Output":"FAIL\tb\t0.1s\n"}
{"Action":"fail","Package":"b","Elapsed":0.1}
{"Action":"output","Package":"c","Output":"?   \tc\t[no test files]\n"}
{"Action":"skip","Package":"c","Elapsed":0}
{"ImportPath":"d","Action":"build-output","Output":"d.go:1:1: no\n"}
what is no event
`

func TestEventsAreSummedUp(t *testing.T) {
	var out strings.Builder
	s := newTally(&out)
	for line := range strings.Lines(events) {
		s.line([]byte(line))
	}
	for name, want := range map[string][]string{"a": {"TestMarked", "TestSlow", "TestWhole"},
		"b": {"TestGood", "TestRace"}, "c": nil} {
		if got := s.packages[name].passed(); !slices.Equal(got, want) {
			t.Errorf("%s: %q passed, want %q", name, got, want)
		}
	}
	want := "ok  \ta\t0.1s\n    b_test.go:9: loud\n--- FAIL: TestBad (0.00s)\nWARNING: DATA RACE\n" +
		"panic: test timed out\nFAIL\tb\t0.1s\n?   \tc\t[no test files]\nd.go:1:1: no\n" +
		"what is no event\n"
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

// A module of two packages is tested by this Go, and its tests that are left run by scripts/rest.
func TestARunIsRecorded(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":           "module m\n\ngo 1.26\n",
		"p/p.go":           "package p\n",
		"scripts/rest":     "", // a copy, so that the module is its root
		"q/q_test.go":      "package q\n\nimport \"testing\"\n\nfunc TestAll(t *testing.T) {}\n",
		"p/inner/inner.go": "package inner\n",
		"p/p_test.go": `package p

import (
	"os"
	"testing"
)

func run(t *testing.T) {
	f, err := os.OpenFile(os.Getenv("RAN"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(t.Name() + "\n"); err != nil {
		t.Fatal(err)
	}
}

func TestOne(t *testing.T)     { run(t) }
func TestOneMore(t *testing.T) { run(t); t.Skip() }
func TestLess(t *testing.T)    { run(t); t.Attr("reduced", "") }
func TestPart(t *testing.T)    { run(t); t.Run("x", func(t *testing.T) { t.SkipNow() }) }
func TestSlow(t *testing.T)    { run(t); t.Skip("set EYELET_SLOW=1") }
func FuzzIt(f *testing.F)      { f.Add(1); f.Fuzz(func(t *testing.T, i int) { run(t) }) }
`,
	} {
		path := filepath.Join(module, name)
		if name == "scripts/rest" {
			data, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(module)
	ran, folder := filepath.Join(module, "ran"), filepath.Join(module, "tested")
	t.Setenv("RAN", ran)
	t.Setenv("GOWORK", "off")
	tests := func() []string {
		data, err := os.ReadFile(ran)
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(ran)
		return strings.Fields(string(data))
	}
	status, err := run(folder, []string{"-vet=off", "./p", "./q"})
	if err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	if got := tests(); len(got) != 6 {
		t.Errorf("ran first: %q", got)
	}
	whole, err := os.ReadFile(filepath.Join(folder, "whole"))
	if err != nil || string(whole) != "m/q\n" {
		t.Errorf("passed whole: %q, %v", whole, err)
	}
	rest := filepath.Join(module, "scripts", "rest") + " " + folder + " sum"
	again := exec.Command("go", "test", "-vet=off", "-exec", rest, "./p")
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, want := tests(), []string{"TestOneMore", "TestLess", "TestPart"}; !slices.Equal(got,
		want) {
		t.Errorf("ran then: %q, want %q", got, want)
	}
	if status, err := run(folder, []string{"./nothing"}); err != nil || status == 0 {
		t.Errorf("of no package: status %d, %v", status, err)
	}
}

// Packages that cannot be listed are not passed over.
func TestPackagesThatCannotBeListedFail(t *testing.T) {
	script, err := os.ReadFile("../test-go")
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(module, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777),
			os.WriteFile(path, []byte(text), 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module m\n\ngo 1.26\n")
	write("scripts/test-go", string(script))
	write("p/p.go", "package p\n")
	write("q/q.go", "pack q\n")
	t.Setenv("EYELET_TESTED", "")
	t.Setenv("GOWORK", "off")
	for packages, good := range map[string]bool{"./p": true, "./q": false, "./...": false,
		"./none": false, "./none/...": false} {
		out, err := exec.Command(filepath.Join(module, "scripts", "test-go"),
			packages).CombinedOutput()
		if (err == nil) != good {
			t.Errorf("%s: %v: %s", packages, err, out)
		}
	}
}

package isa

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// printVariable makes TestTheChosenLevelIsTheVariables print what is chosen, and end: the variable
// is read once a process.
const printVariable = "EYELET_TEST_PRINT_LEVEL"

func TestTheChosenLevelIsTheVariables(t *testing.T) {
	if os.Getenv(printVariable) != "" {
		level, err := Chosen()
		if err != nil {
			t.Fatal(err)
		}
		var allowed []string
		for _, l := range Levels() {
			if Allows(l) {
				allowed = append(allowed, l.String())
			}
		}
		os.Stdout.WriteString(level.String() + ":" + strings.Join(allowed, " ") + ":")
		os.Exit(0)
	}
	in := func(value string) (string, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTheChosenLevelIsTheVariables$")
		cmd.Env = append(os.Environ(), printVariable+"=yes", Variable+"="+value)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, l := range Levels() {
		var want []string
		for _, other := range Levels() {
			if l.Includes(other) {
				want = append(want, other.String())
			}
		}
		for _, name := range []string{l.String(), strings.ToUpper(l.String())} {
			if got, err := in(name); err != nil || got != l.String()+":"+strings.Join(want,
				" ")+":" {
				t.Errorf("%s: %q, %v; want it and %v", name, got, err, want)
			}
		}
	}
	if got, err := in(""); err != nil || !strings.HasPrefix(got, "native:") {
		t.Errorf("nothing: %q, %v", got, err)
	}
	for _, bad := range []string{"avx3", "avx2 ", "8"} {
		got, err := in(bad)
		if err == nil || !strings.Contains(got, Variable) ||
			!strings.Contains(got, names(Levels())) {
			t.Errorf("%q: %v: %s", bad, err, got)
		}
	}
	for l := Plain; l < Native; l++ {
		if l.Present() {
			continue
		}
		if got, err := in(l.String()); err == nil || !strings.Contains(got, l.String()) ||
			!strings.Contains(got, names(Levels())) {
			t.Errorf("%v, which this processor lacks: %v: %s", l, err, got)
		}
	}
}

func TestLevelsIncludeEachOther(t *testing.T) {
	want := map[Level][]Level{
		Plain:   {Plain},
		AVX2:    {Plain, AVX2},
		AVXVNNI: {Plain, AVX2, AVXVNNI},
		AVX512:  {Plain, AVX2, AVX512},
		VNNI:    {Plain, AVX2, AVX512, VNNI},
		BF16:    {Plain, AVX2, AVX512, VNNI, BF16},
		AMX:     {Plain, AVX2, AVXVNNI, AVX512, VNNI, BF16, AMX},
		Native:  {Plain, AVX2, AVXVNNI, AVX512, VNNI, BF16, AMX, Native},
	}
	for l := Plain; l <= Native; l++ {
		for other := Plain; other <= Native; other++ {
			if got := l.Includes(other); got != slices.Contains(want[l], other) {
				t.Errorf("%v includes %v: %v", l, other, got)
			}
		}
	}
}

// What a processor has it has whole: a level without those that it includes would let kernels run
// that it lacks.
func TestAProcessorHasWhatItsLevelsInclude(t *testing.T) {
	levels := Levels()
	if len(levels) == 0 || levels[len(levels)-1] != Native {
		t.Fatalf("levels %v", levels)
	}
	for _, l := range levels {
		for other := Plain; other < Native; other++ {
			if l != Native && l != AMX && l.Includes(other) && !other.Present() {
				t.Errorf("%v is here and %v is not", l, other)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, name := range []string{"", "native", "NATIVE"} {
		if l, err := Parse(name); l != Native || err != nil {
			t.Errorf("%q: %v, %v", name, l, err)
		}
	}
	if _, err := Parse("sse2\x00"); !errors.Is(err, ErrLevel) {
		t.Errorf("an unknown name: %v", err)
	}
	if s := Level(99).String(); s != "Level(99)" {
		t.Errorf("an unknown level is called %q", s)
	}
}

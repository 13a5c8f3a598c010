package main

import (
	"slices"
	"strings"
	"testing"
)

func TestLongLines(t *testing.T) {
	long := strings.Repeat("word ", 25)
	sum, tabs := strings.Repeat(" + 1", 30), strings.Repeat("\t", 20)
	text := `"` + strings.Repeat("text ", 25) + `"`
	for name, c := range map[string]struct {
		check func([]byte) []int
		text  string
		want  []int
	}{
		"a comment":    {longGo, "package p\n\n// " + long + "\n", []int{3}},
		"an example":   {longGo, "package p\n\n//\t" + long + "\n", nil},
		"an address":   {longGo, "// https://" + strings.Repeat("a", 120) + "\npackage p\n", nil},
		"a directive":  {longGo, "package p\n\n//go:generate " + long + "\n", nil},
		"code":         {longGo, "package p\n\nvar _ = 0" + sum + "\n", []int{3}},
		"tabs":         {longGo, "package p\n" + tabs + "var _ = 1 + 1 + 1 + 1\n", []int{2}},
		"a text":       {longGo, "package p\n\nvar _ = " + text + "\n", nil},
		"backquotes":   {longGo, "package p\n\nvar _ = `\n" + long + "\n" + long + "`\n", nil},
		"after them":   {longGo, "package p\n\nvar _ = `\n`\n// " + long + "\n", []int{5}},
		"not bytes":    {longGo, "package p\n\n// " + strings.Repeat("ä ", 48) + "\n", nil},
		"C":            {longC, "int x = 0" + sum + ";\n", []int{1}},
		"comment in C": {longC, "// " + long + "\n", []int{1}},
		"a macro":      {longC, "#define X " + long + "\n" + long + "\\\n", nil},
		"a text in C":  {longC, "const char *x = " + text + ";\n", nil},
		"short texts":  {longC, `f("a", "b", 0` + sum + ");\n", []int{1}},
	} {
		if got := c.check([]byte(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%s: lines %v, not %v", name, got, c.want)
		}
	}
}

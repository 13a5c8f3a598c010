package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Programs that embed the engine have other flags, and clients of a server none: package main adds
// those of the command line.
func TestErrorsNameNoFlagsOfACommandLine(t *testing.T) {
	var files []string
	for _, dir := range []string{".", "modelspec", "placement", "tower"} {
		in, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(in) == 0 {
			t.Fatal(dir, err)
		}
		files = slices.Concat(files, in)
	}
	flags := regexp.MustCompile(
		`(^|[ (])--[a-z]|\beyelet (run|serve|devices|show|import|doctor|convert)\b`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING &&
				flags.MatchString(text.Value) {
				t.Errorf("%s: %s", file, text.Value)
			}
			return true
		})
	}
}

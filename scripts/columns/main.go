// Columns lists the lines of Go, C and C++ files that end past column 100, where a tab counts
// four, and could be broken:
//
//	git ls-files -z | go run ./scripts/columns
//
// Lines stay as they are inside a text in backquotes, beside a text or an address that is too long
// to stand on a line of its own with others, in a preprocessor's macro, and where a directive of a
// tool must end. It ends with status 1 if it lists any.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const (
	limit = 100
	// longText is how wide a text or a word is that may take a line past the limit.
	longText = 40
)

func main() {
	files := bufio.NewScanner(os.Stdin)
	files.Split(splitZero)
	found := false
	for files.Scan() {
		name := files.Text()
		if strings.Contains(name, "/testdata/") {
			continue
		}
		var check func([]byte) []int
		switch filepath.Ext(name) {
		case ".go":
			check = longGo
		case ".c", ".cc", ".h":
			check = longC
		default:
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "columns:", err)
			os.Exit(2)
		}
		for _, line := range check(text) {
			found = true
			fmt.Printf("%s:%d: ends past column %d\n", name, line, limit)
		}
	}
	if err := files.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "columns:", err)
		os.Exit(2)
	}
	if found {
		os.Exit(1)
	}
}

// splitZero is a bufio.SplitFunc for names that end with a zero byte, as git writes them.
func splitZero(data []byte, atEOF bool) (advance int, name []byte, err error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// width is the number of columns of a line.
func width(line string) int { return utf8.RuneCountInString(line) + 3*strings.Count(line, "\t") }

// longGo returns the numbers of the lines of a Go file that are too long.
func longGo(text []byte) []int {
	lines := strings.Split(string(text), "\n")
	file := token.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, scanner.ScanComments)
	excused := map[int]bool{}
	for {
		at, kind, literal := s.Scan()
		if kind == token.EOF {
			break
		}
		first := file.Line(at)
		switch {
		case kind == token.STRING && (utf8.RuneCountInString(literal) >= longText ||
			strings.Contains(literal, "\n")):
			for i := range 1 + strings.Count(literal, "\n") {
				excused[first+i] = true
			}
		case kind == token.COMMENT && strings.HasPrefix(literal, "/*"):
			for i := range 1 + strings.Count(literal, "\n") {
				excused[first+i] = excusedComment(lines[first-1+i])
			}
		case kind == token.COMMENT:
			excused[first] = excused[first] || excusedComment(literal)
		}
	}
	return longLines(lines, func(number int) bool { return excused[number] })
}

// excusedComment reports whether a comment may be long: a directive of a tool, an example or a
// command that is set off by a tab, or one with a long word.
func excusedComment(comment string) bool {
	text := strings.TrimLeft(comment, "/")
	if text == "" || text[0] != ' ' || strings.HasPrefix(text, "    ") ||
		strings.Contains(comment, "nolint") || strings.Contains(comment, "//lint:") {
		return true
	}
	return hasLongWord(text)
}

func hasLongWord(text string) bool {
	for word := range strings.FieldsSeq(text) {
		if utf8.RuneCountInString(word) >= longText {
			return true
		}
	}
	return false
}

// longC returns the numbers of the lines of a C or C++ file that are too long.
func longC(text []byte) []int {
	lines := strings.Split(string(text), "\n")
	return longLines(lines, func(number int) bool {
		line := strings.TrimSpace(lines[number-1])
		if strings.HasPrefix(line, "#") || strings.HasSuffix(line, `\`) || hasLongWord(line) {
			return true
		}
		first, last := strings.IndexByte(line, '"'), strings.LastIndexByte(line, '"')
		return first >= 0 && last-first >= longText
	})
}

func longLines(lines []string, excused func(number int) bool) (numbers []int) {
	for i, line := range lines {
		if width(line) > limit && !excused(i+1) {
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

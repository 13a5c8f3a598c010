package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// NewEncoder returns an encoder of JSON that leaves <, > and & as they are.
func NewEncoder(w io.Writer) *json.Encoder {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder
}

// WriteJSON writes v as one indented JSON document.
func WriteJSON(w io.Writer, v any) error {
	encoder := NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// Print prints what a command found out: v as a JSON document where asJSON is true, else the text
// that describe writes.
func Print(cmd *cobra.Command, asJSON bool, v any, describe func(w *strings.Builder)) error {
	if asJSON {
		return WriteJSON(cmd.OutOrStdout(), v)
	}
	var text strings.Builder
	describe(&text)
	_, err := io.WriteString(cmd.OutOrStdout(), text.String())
	return err
}

// Say tells the user something on stderr, unless --quiet.
func Say(cmd *cobra.Command, format string, args ...any) {
	if !BoolFlag(cmd, "quiet") {
		fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	}
}

// NewTable returns a writer of columns: cells end with tabs, and all comes out with Flush. Those
// that write into memory need not look at Flush's error.
func NewTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// Printable makes text from a file safe for a terminal: control and other invisible characters,
// with which a hostile file could move the cursor or forge lines, are written as Go escapes.
func Printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Abbreviate cuts a line to a number of characters, the last of which is then an ellipsis.
func Abbreviate(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:max(limit-1, 0)]) + "…"
}

// BytesText writes a number of bytes for people, as "5.1 MiB".
func BytesText(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n), -1
	for x >= 1023.95 && unit < 5 { // what would be printed as 1024.0 takes the next unit
		x, unit = x/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", x, "KMGTPE"[unit])
}

// CountText writes a large count for people, as "6.74 B" for the parameters of a model.
func CountText(n uint64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if x := float64(n); x >= unit.size {
			return fmt.Sprintf("%.3g %s", x/unit.size, unit.name)
		}
	}
	return strconv.FormatUint(n, 10)
}

// Plural writes a count of things.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// MillisecondsText writes milliseconds for people, as "0.31 ms" or "7.21 s".
func MillisecondsText(ms float64) string {
	switch {
	case ms >= 9999.5:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 999.5:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 99.95:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 0.95:
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

package jinja

import "strings"

// Kind says who wrote a span of text.
type Kind uint8

const (
	// Template text was written by the template: only here do special tokens have their meaning.
	Template Kind = iota
	// Data came in with the caller's variables: messages, tools, settings.
	Data
	// Image is the placeholder of a picture that the caller put into its data.
	Image
)

// Source is the origin of a span. Index is free for the caller in Data and Image spans. In Template
// spans the interpreter sets it to the number of the image item (see [Dict.Image]) whose loop
// iteration wrote the text, else 0.
type Source struct {
	Kind  Kind
	Index int32
}

// Span is a piece of text with one source.
type Span struct {
	Text   string
	Source Source
}

// Text is an immutable string that remembers the source of each of its characters. Neighbouring
// spans differ in source and none is empty.
type Text struct {
	spans  []Span
	size   int
	markup bool // HTML that is safe to print as it is: markupsafe.Markup
}

// NewText returns s as a Text with one source. Bytes that are no UTF-8, which Python's strings
// cannot hold, become U+FFFD.
func NewText(s string, src Source) Text {
	s = strings.ToValidUTF8(s, "\ufffd")
	if s == "" {
		return Text{}
	}
	return Text{spans: []Span{{s, src}}, size: len(s)}
}

// Concat joins texts; the sources are kept.
func Concat(texts ...Text) Text {
	var b builder
	for _, t := range texts {
		b.text(t)
	}
	return b.done()
}

// Spans returns the pieces in order; the caller must not change them.
func (t Text) Spans() []Span { return t.spans }

// Len is the length in bytes.
func (t Text) Len() int { return t.size }

// String returns the characters alone.
func (t Text) String() string {
	switch len(t.spans) {
	case 0:
		return ""
	case 1:
		return t.spans[0].Text
	}
	var b strings.Builder
	b.Grow(t.size)
	for _, s := range t.spans {
		b.WriteString(s.Text)
	}
	return b.String()
}

// slice returns the bytes from i up to j, 0 <= i <= j <= Len.
func (t Text) slice(i, j int) Text {
	if i == 0 && j == t.size {
		return t
	}
	if i >= j {
		return Text{markup: t.markup}
	}
	out := Text{size: j - i, markup: t.markup}
	at := 0
	for _, s := range t.spans {
		lo, hi := max(i-at, 0), min(j-at, len(s.Text))
		if lo < hi {
			out.spans = append(out.spans, Span{s.Text[lo:hi], s.Source})
		}
		at += len(s.Text)
		if at >= j {
			break
		}
	}
	return out
}

// marked returns t as markup.
func (t Text) marked() Text { t.markup = true; return t }

// plain returns t as no markup.
func (t Text) plain() Text { t.markup = false; return t }

// wrote is a text that the template made.
func wrote(s string) Text { return NewText(s, Source{}) }

// mapSpans changes each span by itself; pictures stay as they are.
func (t Text) mapSpans(f func(string) string) Text {
	var b builder
	for _, s := range t.spans {
		if s.Source.Kind == Image {
			b.span(s.Text, s.Source)
		} else {
			b.span(f(s.Text), s.Source)
		}
	}
	out := b.done()
	out.markup = t.markup
	return out
}

// dominant is the source for text derived from t as a whole (JSON, repr): Data where t holds any
// that is not the template's own.
func (t Text) dominant() Source {
	for _, s := range t.spans {
		if s.Source.Kind != Template {
			return Source{Kind: Data}
		}
	}
	return Source{}
}

// builder puts a Text together. The last span grows in a buffer, so that many small pieces cost
// linear time.
type builder struct {
	spans []Span
	buf   strings.Builder
	src   Source
	size  int
}

func (b *builder) span(s string, src Source) {
	if s == "" {
		return
	}
	if src != b.src {
		b.flush()
		b.src = src
	}
	b.buf.WriteString(s)
	b.size += len(s)
}

func (b *builder) text(t Text) {
	for _, s := range t.spans {
		b.span(s.Text, s.Source)
	}
}

func (b *builder) flush() {
	if b.buf.Len() > 0 {
		b.spans = append(b.spans, Span{b.buf.String(), b.src})
		b.buf.Reset()
	}
}

func (b *builder) done() Text {
	b.flush()
	return Text{spans: b.spans, size: b.size}
}

package page_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// paintTimes is how long after the first byte of the document something is painted, in
// milliseconds, or -1 before that.
const paintTimes = `(() => {
	const paint = performance.getEntriesByName("first-contentful-paint")[0], document = performance.getEntriesByType("navigation")[0];
	return paint ? paint.startTime - document.responseStart : -1;
})()`

// number waits for an expression to be zero or more, and returns it.
func (v *visitor) number(expression string) float64 {
	v.t.Helper()
	v.until("("+expression+") >= 0", expression)
	var n float64
	v.do(chromedp.Evaluate(expression, &n))
	return n
}

// BenchmarkFirstPaint loads the page again and again: milliseconds from the first byte of the
// document to the first paint. With EYELET_LLAMA_PAGE, see llamaPage, llama-server's is loaded in
// turns.
func BenchmarkFirstPaint(b *testing.B) {
	peer := llamaPage(b)
	v := visit(b, serve(b, "").url)
	if peer != "" {
		v.expect("") // of the other page
	}
	var own string
	v.do(chromedp.Location(&own))
	var ours, theirs float64
	for b.Loop() {
		v.do(chromedp.Navigate("about:blank"), chromedp.Navigate(own))
		ours += v.number(paintTimes)
		if peer != "" {
			v.do(chromedp.Navigate("about:blank"), chromedp.Navigate(peer))
			theirs += v.number(paintTimes)
		}
	}
	b.ReportMetric(ours/float64(b.N), "ms-to-paint")
	if peer != "" {
		b.ReportMetric(theirs/float64(b.N), "ms-to-paint-llama-server")
		b.ReportMetric(ours/theirs, "ratio")
	}
}

// BenchmarkStreaming has an answer of 12,000 characters written, some 4,000 tokens, and counts
// frames: how many a second, and the longest in milliseconds. With EYELET_LLAMA_PAGE,
// llama-server's page shows one of 4,000 tokens in turns.
func BenchmarkStreaming(b *testing.B) {
	var peer *visitor
	address := llamaPage(b)
	if address != "" {
		peer = visitPeer(b, address)
	}
	v := visit(b, serve(b, "").url)
	var ours, theirs, longest, longestPeer float64
	v.until(`!!document.querySelector('.composer select')?.value`, "a model")
	v.hold(`{"type": "string", "minLength": 12000, "maxLength": 12000}`)
	for b.Loop() {
		v.watchFrames()
		v.ask("Write much.")
		rate, long := v.framesWatched()
		ours, longest = ours+rate, max(longest, long)
		v.press("New conversation")
		if peer != nil {
			rate, long := streamPeer(b, peer)
			theirs, longestPeer = theirs+rate, max(longestPeer, long)
			peer.do(chromedp.Navigate("about:blank"), chromedp.Navigate(address))
			peer.see("textarea")
		}
	}
	b.ReportMetric(ours/float64(b.N), "frames/s")
	b.ReportMetric(longest, "ms-longest-frame")
	if peer != nil {
		b.ReportMetric(theirs/float64(b.N), "frames/s-llama-server")
		b.ReportMetric(longestPeer, "ms-longest-frame-llama-server")
		b.ReportMetric(ours/theirs, "ratio")
	}
}

// BenchmarkOpening opens a conversation of 200 messages with 100 pictures: milliseconds until its
// last message is painted. With EYELET_LLAMA_PAGE, llama-server's page opens it in turns, from its
// own database.
func BenchmarkOpening(b *testing.B) {
	var peer *visitor
	address := llamaPage(b)
	if address != "" {
		peer = visitPeer(b, address)
		keepLong(b, peer, blackStar(b))
	}
	v := visit(b, serve(b, "").url)
	v.choose(`.sidebar input[type="file"]`, longConversation(b))
	v.read(".sidebar .entry", "Long")
	var ms, theirs float64
	for b.Loop() {
		v.press("New conversation")
		v.until(`document.querySelectorAll("article").length === 0`, "an empty conversation")
		ms += v.number(`window.opening ??= (() => {
			const began = performance.now();
			[...document.querySelectorAll(".entry")].find(e => e.textContent.startsWith("Long")).click();
			(function look() {
				if ([...document.querySelectorAll("article")].at(-1)?.textContent.includes("answer 99")) {
					requestAnimationFrame(() => { window.opening = performance.now() - began; });
				} else requestAnimationFrame(look);
			})();
			return -1;
		})()`)
		v.until(`delete window.opening`, "the next time")
		if peer != nil {
			theirs += openPeer(peer, address)
		}
	}
	b.ReportMetric(ms/float64(b.N), "ms-to-open")
	if peer != nil {
		b.ReportMetric(theirs/float64(b.N), "ms-to-open-llama-server")
		b.ReportMetric(ms/theirs, "ratio")
	}
}

// blackStar is a picture in base64.
func blackStar(b *testing.B) string {
	b.Helper()
	data, err := os.ReadFile(demo + "black-star.png")
	if err != nil {
		b.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// longAnswer is answer i of a long conversation.
func longAnswer(i int) string {
	return fmt.Sprintf("# answer %d\n\n- a list\n- of things\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```go\nfunc f%d() {}\n```\n\nand $x^%d$.", i, i, i)
}

// longConversation is a file of a conversation of 200 messages with 100 pictures.
func longConversation(b *testing.B) string {
	b.Helper()
	encoded := blackStar(b)
	messages, pictures := map[string]any{}, []any{}
	var last any
	for i := range 100 {
		question, answer, picture := fmt.Sprintf("q%d", i), fmt.Sprintf("a%d", i),
			fmt.Sprintf("p%d", i)
		pictures = append(pictures, map[string]any{"id": picture, "name": picture + ".png",
			"width": 112, "height": 112, "data": encoded, "type": "image/png", "thumbnail": ""})
		messages[question] = map[string]any{"id": question, "parent": last, "role": "user",
			"text": "question " + fmt.Sprint(i), "pictures": []any{picture}, "columns": []any{},
			"created": i}
		messages[answer] = map[string]any{"id": answer, "parent": question, "role": "assistant",
			"text": "", "pictures": []any{}, "created": i,
			"columns": []any{map[string]any{"model": "seed", "text": longAnswer(i),
				"thinking": ""}}}
		last = answer
	}
	out, err := json.Marshal(map[string]any{"format": "eyelet-conversations", "version": 1,
		"pictures": pictures, "conversations": []any{map[string]any{
			"id": "long", "title": "Long", "created": 1, "updated": 1, "models": []string{"seed"},
			"system": "", "schema": "", "leaf": last, "messages": messages}}})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), fmt.Sprintf("long-%d.json", time.Now().UnixNano()))
	if err := os.WriteFile(path, out, 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

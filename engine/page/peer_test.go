package page_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// llamaPage is the address of a llama-server with its own page, to compare with, or "" for none:
// EYELET_LLAMA_PAGE names it, or a folder with the built page, as tools/server/public of llama.cpp,
// which a llama-server of the peers then serves with the built-in model and answers of 4,000
// tokens. It computes with one thread: two that wait for one another beside a browser come to
// nothing on two cores.
func llamaPage(b *testing.B) string {
	b.Helper()
	named := os.Getenv("EYELET_LLAMA_PAGE")
	if named == "" || strings.Contains(named, "://") {
		return named
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	cmd, err := peers.Command(b.Context(), "llama-server", "--path", named, "--model", model,
		"--mmproj", projector, "--host", "127.0.0.1", "--port", port,
		"--ctx-size", "16384", "--override-kv", "llama.context_length=int:16384", "--parallel", "1",
		"--predict", "4000", "--ignore-eos", "--threads", "1", "--log-disable")
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		r, err := http.Get("http://" + address + "/health")
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return "http://" + address + "/"
			}
		}
		if time.Now().After(end) {
			b.Fatal("llama-server does not answer: ", err)
		}
	}
}

// visitPeer opens llama-server's page, whose complaints are its own.
func visitPeer(b *testing.B, address string) *visitor {
	b.Helper()
	v := visit(b, address)
	v.expect("")
	v.see("textarea")
	return v
}

// watchFrames begins to count frames until the page has changed last.
func (v *visitor) watchFrames() {
	v.t.Helper()
	v.until(`(() => {
		const w = window.watched = { frames: [], ends: [], changed: performance.now() };
		let last = performance.now();
		const frame = now => { w.frames.push(now - last); w.ends.push(now); last = now; w.id = requestAnimationFrame(frame); };
		w.id = requestAnimationFrame(frame);
		w.observer = new MutationObserver(() => { w.changed = performance.now(); });
		w.observer.observe(document.body, { subtree: true, childList: true, characterData: true });
		return true;
	})()`, "a watch")
}

// framesWatched returns frames a second, and the milliseconds of the longest.
func (v *visitor) framesWatched() (rate, longest float64) {
	v.t.Helper()
	var got [2]float64
	v.do(chromedp.Evaluate(`(() => {
		const w = window.watched;
		cancelAnimationFrame(w.id);
		w.observer.disconnect();
		const frames = w.frames.filter((_, i) => w.ends[i] <= w.changed + 20);
		return [1000 * frames.length / frames.reduce((a, b) => a + b), Math.max(...frames)];
	})()`, &got))
	return got[0], got[1]
}

// streamPeer has llama-server's page show an answer of its 4,000 tokens.
func streamPeer(b *testing.B, v *visitor) (rate, longest float64) {
	b.Helper()
	v.do(chromedp.Focus("textarea", chromedp.ByQuery), input.InsertText("Write much."))
	v.watchFrames()
	v.do(chromedp.KeyEvent(kb.Enter))
	v.until(`document.body.innerText.length > 4000 && performance.now() - window.watched.changed > 2000`, "a whole answer")
	return v.framesWatched()
}

// keepLong puts the conversation of longConversation into the database of llama-server's page, as
// that keeps its own.
func keepLong(b *testing.B, v *visitor, picture string) {
	b.Helper()
	const id = "00000000-0000-4000-8000-000000000001"
	type message struct {
		ID        string           `json:"id"`
		Conv      string           `json:"convId"`
		Type      string           `json:"type"`
		Role      string           `json:"role"`
		Content   string           `json:"content"`
		Thinking  string           `json:"thinking"`
		Timestamp int              `json:"timestamp"`
		Parent    *string          `json:"parent"`
		Children  []string         `json:"children"`
		Extra     []map[string]any `json:"extra"`
	}
	name := func(i int) string { return fmt.Sprintf("00000000-0000-4000-8001-%012d", i) }
	root := name(0)
	messages := []message{{ID: root, Conv: id, Type: "root", Role: "system", Timestamp: 1,
		Children: []string{name(1)}}}
	for i := 1; i <= 200; i++ {
		parent := name(i - 1)
		m := message{ID: name(i), Conv: id, Type: "text", Role: "user",
			Content: fmt.Sprint("question ", i/2), Timestamp: 1 + i, Parent: &parent,
			Children: []string{}}
		if i < 200 {
			m.Children = []string{name(i + 1)}
		}
		if i%2 == 0 {
			m.Role, m.Content = "assistant", longAnswer(i/2-1)
		} else {
			m.Extra = []map[string]any{{"type": "IMAGE", "name": "p.png",
				"base64Url": "data:image/png;base64," + picture}}
		}
		messages = append(messages, m)
	}
	data, err := json.Marshal(messages)
	if err != nil {
		b.Fatal(err)
	}
	v.do(chromedp.Evaluate(`(() => {
		window.kept = "";
		const request = indexedDB.open("LlamacppWebui");
		request.onsuccess = () => {
			const t = request.result.transaction(["conversations", "messages"], "readwrite");
			t.objectStore("conversations").put({ id: "`+id+`", name: "Long", lastModified: Date.now(), currNode: "`+name(200)+`" });
			for (const m of `+string(data)+`) t.objectStore("messages").put(m);
			t.oncomplete = () => { request.result.close(); window.kept = "yes"; };
			t.onerror = () => { window.kept = "no: " + t.error; };
		};
		return true;
	})()`, nil))
	v.until(`window.kept !== ""`, "a kept conversation")
	v.until(`window.kept === "yes"`, "a kept conversation")
}

// openPeer opens that conversation from an empty page: milliseconds until its last message is
// painted.
func openPeer(v *visitor, address string) float64 {
	v.t.Helper()
	v.do(chromedp.Navigate("about:blank"), chromedp.Navigate(address))
	const entry = `[...document.querySelectorAll("button, a")].filter(e => e.textContent.trim() === "Long").at(-1)`
	v.until(`!!`+entry+` && !document.body.innerText.includes("answer 99")`, "an empty page")
	return v.number(`window.opening ??= (() => {
		const began = performance.now();
		` + entry + `.click();
		(function look() {
			if (document.body.textContent.includes("answer 99")) {
				requestAnimationFrame(() => { window.opening = performance.now() - began; });
			} else requestAnimationFrame(look);
		})();
		return -1;
	})()`)
}

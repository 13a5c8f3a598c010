package server

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// npmClients is where scripts/npm-clients puts the packages.
const npmClients = "../../build/npm"

// TestClientsForNodeWork runs the tests under testdata/npm: the clients that Ollama, OpenAI,
// Anthropic and Vercel publish for Node.js, unmodified, against this server.
func TestClientsForNodeWork(t *testing.T) {
	dir := nodeClients(t)
	ts := serve(t)
	for _, name := range []string{"ollama", "openai", "anthropic", "ai"} {
		t.Run(name, func(t *testing.T) { ts.runNode(t, dir, name) })
	}
}

// TestClientForNodeDraws has OpenAI's client draw.
func TestClientForNodeDraws(t *testing.T) {
	dir := nodeClients(t)
	fakeProgram(t, "")
	drawingServer(t).runNode(t, dir, "images")
}

// nodeClients returns a folder with the tests and the clients that they need.
func nodeClients(t *testing.T) (dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("programs that start Node.js")
	}
	peers.Require(t, peers.Node)
	if _, err := os.Stat(filepath.Join(npmClients, ".complete")); err != nil {
		if os.Getenv("EYELET_PEERS") == "require" {
			t.Fatal("run scripts/npm-clients: ", err)
		}
		t.Skip("run scripts/npm-clients: ", err)
	}
	dir = t.TempDir() // Node.js looks for packages beside the file that wants them
	if err := os.CopyFS(dir, os.DirFS("testdata/npm")); err != nil {
		t.Fatal(err)
	}
	packages, err := filepath.Abs(filepath.Join(npmClients, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runNode runs the tests of one file, all of which must pass.
func (ts *testServer) runNode(t *testing.T, dir, name string) {
	t.Helper()
	folder, err := filepath.Abs(pictures)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd, err := peers.Command(ctx, peers.Node, name+".mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "EYELET_TEST_URL="+ts.url, "EYELET_TEST_PICTURES="+folder,
		"NO_PROXY=127.0.0.1")
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^. tests [1-9]`).Match(out) ||
		!regexp.MustCompile(`(?m)^. skipped 0`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
	ts.idle(t) // answers that the client gave up have ended
}

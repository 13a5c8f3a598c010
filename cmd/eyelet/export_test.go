package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
)

func TestABundleCarriesModelsFromOneMachineToAnother(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	a, dir := newMachine(t), t.TempDir()
	a.must(t, "import", seedModel, "--mmproj", seedProjector, "--name", "team/seed:q8")
	a.must(t, "store", "key", "--no-password", filepath.Join(dir, "site.key"))
	a.must(t, "store", "key", "--no-password", filepath.Join(dir, "other.key"))
	file := filepath.Join(dir, "models.eyb")
	a.must(t, "export", "team/seed:q8", "builtin", "--sign", filepath.Join(dir, "site.key"),
		"--sbom", "spdx,cyclonedx", "--volume-size", "2M", "-o", file)
	b := newMachine(t)
	b.eyelet(t, "import", file+".001", "--verify-key",
		filepath.Join(dir, "other.key.pub")).mustFail(t, cli.ExitInput, "not trusted")
	o := b.eyelet(t, "import", file+".002", "--verify-key", filepath.Join(dir, "site.key.pub"))
	if o.code != 0 || !strings.Contains(o.stderr,
		"team/seed:q8, eyelet-builtin:latest: there and checked.") || !strings.Contains(o.stderr,
		"Signed by the key") {
		t.Fatalf("%+v", o)
	}
	b.eyelet(t, "run", "team/seed:q8", "--image", circle, circleQuestion).mustSay(t, "orange")
	if got, want := b.list(t)["team/seed:q8"],
		a.list(t)["team/seed:q8"]; got.Digest != want.Digest || got.Digest == "" {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := os.Rename(file+".003", file+".away"); err != nil {
		t.Fatal(err)
	}
	newMachine(t).eyelet(t, "import", file).mustFail(t, cli.ExitInput, "missing are: ",
		"models.eyb.003")
}

func TestABundleGoesThroughAPipe(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	a, b := newMachine(t), newMachine(t)
	bundle := a.must(t, "export", "builtin", "-o", "-")
	in := invocation{args: []string{"import", "-"}, env: b.env, stdin: strings.NewReader(bundle)}
	if o := in.run(t); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if item := b.list(t)["eyelet-builtin:latest"]; item.Source != "store" {
		t.Errorf("%+v", item)
	}
}

func TestAPolicyDemandsSignatures(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	a, b, dir := newMachine(t), newMachine(t), t.TempDir()
	key := strings.TrimSpace(a.must(t, "store", "key", "--no-password",
		filepath.Join(dir, "site.key")))
	a.must(t, "export", "builtin", "-o", filepath.Join(dir, "unsigned.eyb"))
	a.must(t, "export", "builtin", "-o", filepath.Join(dir, "signed.eyb"), "--sign",
		filepath.Join(dir, "site.key"))
	writeFile(t, filepath.Join(b.store(), "policy.json"),
		`{"require_signature": true, "trusted_keys": ["`+key+`"]}`)
	b.eyelet(t, "import", filepath.Join(dir, "unsigned.eyb")).mustFail(t, cli.ExitInput,
		"not signed",
		"policy.json demands that")
	b.eyelet(t, "import", seedModel, "--name", "x").mustFail(t, cli.ExitInput, "policy.json",
		"only signed bundles")
	b.must(t, "import", filepath.Join(dir, "signed.eyb"))
}

// The licence that is imported with a model travels with it, and is shown on the other side.
func TestLicencesTravelAndAreShown(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	a, b, dir := newMachine(t), newMachine(t), t.TempDir()
	text := "Licence of the model\n\nYou may look.\n"
	license := writeFile(t, filepath.Join(dir, "LICENCE"), text)
	a.must(t, "import", seedModel, "--name", "seed", "--license", license, "--license", license)
	a.must(t, "export", "seed", "-o", filepath.Join(dir, "x.eyb"))
	b.must(t, "import", filepath.Join(dir, "x.eyb"))
	if out := b.must(t, "show", "--license", "seed"); out != text+"\n---\n\n"+text {
		t.Errorf("%q", out)
	}
	if out := b.must(t, "show", "seed"); !strings.Contains(out, "Licence of the model") {
		t.Error(out)
	}
	b.eyelet(t, "show", "--license", seedModel).mustFail(t, cli.ExitInput, "--license")
}

// What an export puts aside is gone when it fails.
func TestAnExportThatFailsLeavesNoTemporaryStore(t *testing.T) {
	t.Parallel()
	m, temp := newMachine(t), t.TempDir()
	m.env = append(m.env, "TMPDIR="+temp)
	for _, args := range [][]string{{"builtin", "none"}, {"builtin", "eyelet-builtin"}} {
		m.eyelet(t, append([]string{"export", "-o", filepath.Join(m.home, "x.eyb")}, args...)...)
		if files := contents(t, temp); len(files) > 0 {
			t.Errorf("%v: left %v", args, files)
		}
	}
}

// The policy of a mirror's folder holds for what is pushed there and pulled from elsewhere, as for
// what is imported.
func TestThePolicyHoldsForPushAndPull(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m, guarded, open := newMachine(t), t.TempDir(), t.TempDir()
	m.must(t, "import", seedModel, "--name", "seed")
	m.must(t, "push", "seed", "--to", open)
	writeFile(t, filepath.Join(guarded, "policy.json"), `{"require_signature": true}`)
	m.eyelet(t, "push", "seed", "--to", guarded).mustFail(t, cli.ExitInput, "only signed bundles")
	b := newMachine(t)
	writeFile(t, filepath.Join(b.store(), "policy.json"), `{"require_signature": true}`)
	b.eyelet(t, "pull", "seed", "--from", open).mustFail(t, cli.ExitInput, "only signed bundles")
	for _, dir := range []string{guarded, b.store()} {
		if files := contents(t, dir); len(files) != 1 {
			t.Errorf("%s: %v", dir, files)
		}
	}
}

func TestOllamasFolderIsNeverTheStore(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	root := m.ollama(t, "seed", "{}", goTemplate)
	before := contents(t, root)
	m.env = append(m.env, "EYELET_MODELS="+root)
	for _, args := range [][]string{{"list"}, {"store", "gc", "--all"},
		{"store", "check", "--repair"}, {"import", seedModel, "--name", "x"}, {"rm", "seed"}} {
		m.eyelet(t, args...).mustFail(t, cli.ExitInput, "Ollama", "EYELET_MODELS")
	}
	newMachine(t).eyelet(t, "push", "builtin", "--to", root)
	if after := contents(t, root); len(after) != len(before) {
		t.Errorf("it was changed: %v", after)
	}
}

func TestBillsOfMaterialsNameProgramAndModels(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m := newMachine(t)
	m.must(t, "import", seedModel, "--name", "seed:q8")
	for _, format := range []string{"spdx", "cyclonedx"} {
		out := m.must(t, "sbom", "seed:q8", "--format", format)
		for _, want := range []string{"libllama", "github.com/spf13/cobra", "seed",
			"eyelet-builtin-q8_0.gguf", strings.TrimPrefix(m.list(t)["seed:q8"].Digest,
				"sha256:")} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is missing", format, want)
			}
		}
		if !json.Valid([]byte(out)) {
			t.Errorf("%s: no JSON", format)
		}
	}
}

func TestMistakesWithBundlesAreExplained(t *testing.T) {
	peers.WithoutRaceDetector(t)
	t.Parallel()
	m, dir := newMachine(t), t.TempDir()
	file := filepath.Join(dir, "x.eyb")
	m.must(t, "export", "builtin", "-o", file)
	cut := writeFile(t, filepath.Join(dir, "cut.eyb"), readFile(t, file)[:100000])
	words := writeFile(t, filepath.Join(dir, "words.eyb"), strings.Repeat("words ", 1000))
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "-o", []string{"export", "builtin"}},
		{2, "NAME is missing", []string{"export", "-o", file}},
		{3, "none", []string{"export", "none", "-o", file}},
		{2, "--volume-size", []string{"export", "builtin", "--volume-size", "7", "-o", file}},
		{2, "--volume-size", []string{"export", "builtin", "--volume-size", "B", "-o", file}},
		{2, "--volume-size", []string{"export", "builtin", "--volume-size", "4X", "-o", file}},
		{2, "xml", []string{"export", "builtin", "--sbom", "xml", "-o", file}},
		{3, "none.key", []string{"export", "builtin", "--sign", filepath.Join(dir, "none.key"),
			"-o", file}},
		{3, "--with-eyelet=DIR", []string{"export", "builtin", "--with-eyelet=" + dir, "-o", file}},
		{3, "none", []string{"export", "builtin", "-o", filepath.Join(dir, "none", "x.eyb")}},
		{3, "none.eyb", []string{"import", filepath.Join(dir, "none.eyb")}},
		{3, "truncated", []string{"import", cut}},
		{3, "header that is none", []string{"import", words}},
		{3, "not signed", []string{"import", file, "--verify-key",
			"RWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}},
		{3, "public key", []string{"import", file, "--verify-key", "RWx"}},
		{2, "a bundle has its own", []string{"import", file, "--name", "x"}},
		{2, "--verify-key belongs to bundles", []string{"import", seedModel, "--verify-key",
			"RWx"}},
		{1, "x.eyb is there already", []string{"store", "key", "--no-password", file}},
		{2, "EYELET_KEY_PASSWORD", []string{"store", "key", filepath.Join(dir, "new.key")}},
	} {
		t.Run(strings.Join(c.args[:min(len(c.args), 4)], " "), func(t *testing.T) {
			m.eyelet(t, c.args...).mustFail(t, c.code, c.want)
		})
	}
	if files := contents(t, m.home); len(files) > 0 {
		t.Errorf("left: %v", files)
	}
}

// Whatever is killed at any moment leaves a whole store, and the same command succeeds afterwards.
func TestKilledImportsRemovalsAndCollectionsLeaveAWholeStore(t *testing.T) {
	if testing.Short() {
		t.Skip("fifty kills take a minute")
	}
	t.Parallel()
	m, dir := newMachine(t), t.TempDir()
	file := filepath.Join(dir, "models.eyb")
	m.must(t, "export", "builtin", "-o", file)
	m.must(t, "import", seedModel, "--name", "other")
	mirror := filepath.Join(dir, "mirror")
	m.must(t, "push", "other", "--to", mirror)
	m.must(t, "rm", "other")
	server := httptest.NewServer(http.FileServer(http.Dir(mirror)))
	defer server.Close()
	commands := [][]string{
		{"import", file}, {"import", "--name", "x", "--replace", seedModel},
		{"pull", "other", "--from", server.URL}, {"rm", "eyelet-builtin"},
		{"store", "gc", "--all"},
	}
	// How long each takes undisturbed: the kills fall anywhere in that time.
	took := make([]time.Duration, len(commands))
	for i, args := range commands {
		start := time.Now()
		m.must(t, args...)
		took[i] = time.Since(start)
	}
	const kills = 10 // of each command, before it has ended
	killed, tries := make([]int, len(commands)), 0
	for slices.Min(killed) < kills {
		if tries++; tries > 4*kills*len(commands) {
			t.Fatalf("after %d attempts, only %v of the commands were killed before they ended",
				tries, killed)
		}
		k := slices.Index(killed, slices.Min(killed))
		switch commands[k][0] {
		case "rm": // there must be something to remove
			m.must(t, "import", file)
		case "import", "pull": // and something to bring
			_ = m.eyelet(t, "rm", "eyelet-builtin")
			_ = m.eyelet(t, "rm", "other")
			_ = m.eyelet(t, "rm", "x")
		}
		moment := rand.N(took[k])
		ctx, cancel := context.WithTimeout(t.Context(), moment)
		if err := (invocation{args: commands[k], env: m.env}).command(ctx).Run(); err != nil &&
			ctx.Err() != nil {
			killed[k]++
		}
		cancel()
		var r models.StoreReport
		strictly(t, m.must(t, "store", "check", "--json"), &r)
		if !r.OK {
			t.Fatalf("after %v was killed at %v of %v: %+v", commands[k], moment, took[k], r)
		}
		if o := m.eyelet(t, commands[k]...); o.code != 0 && (commands[k][0] != "rm" ||
			!strings.Contains(o.stderr, "no such model")) {
			t.Fatalf("%v does not succeed after it was killed at %v of %v: %+v", commands[k],
				moment, took[k], o)
		}
	}
	t.Logf("%d kills of each of %d commands, in %d attempts", kills, len(commands), tries)
	m.must(t, "import", file)
	m.eyelet(t, "run", "eyelet-builtin", "--image", circle, circleQuestion).mustSay(t, "orange")
}

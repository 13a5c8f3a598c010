package page_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// The page's reader of boxes must give the marks that package boxes is held to.
func TestTheReaderOfBoxesIsThatOfTheCommandLine(t *testing.T) {
	peers.Require(t, peers.Node)
	const golden = root + "/models/vision/boxes/testdata/cases.json"
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name  string
		Marks []boxes.Mark
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	built := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{ResolveDir: ".", Contents: `
			import { marksOf } from "./src/boxes.ts";
			let text = "";
			for await (const chunk of process.stdin) text += chunk;
			console.log(JSON.stringify(JSON.parse(text).map((c) => marksOf(c.answer, c.frame))));`},
		Bundle: true, Format: api.FormatESModule, Platform: api.PlatformNode, Target: api.ES2022,
	})
	if len(built.Errors) > 0 {
		t.Fatal(built.Errors)
	}
	script := t.TempDir() + "/boxes.mjs"
	if err := os.WriteFile(script, built.OutputFiles[0].Contents, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(root+"/scripts/node", script)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(data), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]boxes.Mark
	if err := json.Unmarshal(out, &all); err != nil || len(all) != len(cases) || len(all) == 0 {
		t.Fatalf("%d of %d cases: %v", len(all), len(cases), err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9*math.Max(1, math.Abs(b)) }
	for i, c := range cases {
		same := len(all[i]) == len(c.Marks)
		for k := 0; same && k < len(c.Marks); k++ {
			a, b := all[i][k], c.Marks[k]
			same = near(a.X, b.X) && near(a.Y, b.Y) && near(a.Width, b.Width) && near(a.Height,
				b.Height) && a.Label == b.Label && a.Point == b.Point
		}
		if !same {
			t.Errorf("%s: the page finds %+v, want %+v", c.Name, all[i], c.Marks)
		}
	}
}

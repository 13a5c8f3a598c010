package chat

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/models/chat/internal/jinja"
)

// usedCPU is the time that processors have spent on this process, which does not grow while others
// have them.
func usedCPU(t *testing.T) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// FuzzRender runs arbitrary templates: no panic, no hang, no output beyond the bound, no picture
// that is not there.
func FuzzRender(f *testing.F) {
	files, err := filepath.Glob("testdata/*.jinja")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src), "What is this?", "A cat.")
	}
	for _, src := range []string{
		"{% for i in range(9) %}{{ loop.index }}{% endfor %}", "{{ messages | tojson(indent=2) }}",
		"{{ messages[0].content.split(' ', 1) }}",
		"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
		"{{ 'a' * 99 }}{{ '%5.2f' % 1 }}{{ 2 ** 63 }}", "{% raw %}{{{% endraw %}",
		"{{ messages | map(attribute='content') | join('x') | title | indent(3) }}",
		"{% set ns = namespace(a='') %}{% set ns.a = ns.a ~ 1 %}{{ ns }}",
		"{{ [3,1]|sort }}{{ 'x'.center(9) }}{{ strftime_now('%d%j') }}{{ messages[::-1][1:] }}",
		"{% call(x) m() %}{% endcall %}{% filter upper %}a{% endfilter %}",
	} {
		f.Add(src, "{{ x }}", "<image>")
	}
	raw, err := os.ReadFile("internal/jinja/testdata/generated.json")
	if err != nil {
		f.Fatal(err)
	}
	var generated struct{ Cases []struct{ Source string } }
	if err := json.Unmarshal(raw, &generated); err != nil {
		f.Fatal(err)
	}
	for _, c := range generated.Cases {
		f.Add(c.Source, "<b> 7", "x")
	}
	f.Fuzz(func(t *testing.T, source, question, answer string) {
		tpl, err := Parse(source, Options{BOS: "<s>", EOS: "</s>"})
		if err != nil {
			return
		}
		const limit = 1 << 16
		start := usedCPU(t)
		parts, err := tpl.Render(context.Background(), []Message{
			{Role: System, Content: []Content{Text(answer)}},
			{Role: User, Content: []Content{Text(question), Image(), Text(answer)}},
			{Role: Assistant, Content: []Content{Text(answer)}, Reasoning: question},
			{Role: User, Content: []Content{Image()}},
		}, RenderOptions{AddGenerationPrompt: true, MaxOutput: limit, MaxSteps: 200_000,
			Extra: map[string]any{"x": question}})
		if d := usedCPU(t) - start; d > 3*time.Second {
			t.Fatalf("took %v: %v", d, err)
		}
		if err != nil {
			if errors.Is(err, context.Canceled) || strings.Contains(err.Error(), jinja.Fault) {
				t.Fatal(err)
			}
			return
		}
		size, seen := 0, map[int]bool{}
		for _, p := range parts {
			size += len(p.Text)
			if p.Kind == KindImage {
				if seen[p.Image] || p.Image < 0 || p.Image > 1 {
					t.Fatalf("picture %d twice or out of range", p.Image)
				}
				seen[p.Image] = true
			}
		}
		if size > limit || len(seen) != 2 {
			t.Fatalf("%d bytes, %d pictures", size, len(seen))
		}
	})
}

package engine
import ("testing";"os";"path/filepath";"strconv")
func TestZZ(t *testing.T) {
	e, _ := New(Options{}); defer e.Close()
	skip, _ := strconv.Atoi(os.Getenv("ZZ"))
	n := 0
	for _, f := range families {
		model, projector := f.make(t)
		for _, which := range []string{model, projector} {
		keys := hostileValues(t, which)
		var names []string
		for k := range keys { names = append(names, k) }
		slicesSort(names)
		for _, k := range names { for _, v := range keys[k] {
			n++
			if n <= skip { continue }
			path := filepath.Join(t.TempDir(), "h.gguf")
			rewrite(t, which, path, map[string]any{k: v}, nil)
			os.WriteFile("/tmp/eyelet/fam/zz.log", []byte(f.name+" "+k+" "+sprint(v)+" "+strconv.Itoa(n)+"\n"), 0o644)
			spec := ModelSpec{Model: model, Projector: path, Context: 256}
			if which == model { spec = ModelSpec{Model: path, Projector: projector, Context: 256} }
			m, err := e.Load(t.Context(), spec)
			if err != nil { continue }
			_, _ = collect(t.Context(), m, Request{Messages: []Message{User(Picture(scene(t, 0, 60, 40)), Text("What is this?"))}, MaxTokens: 2})
			m.Close()
		}}
		}
	}
	t.Log(n)
}

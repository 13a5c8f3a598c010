package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
)

// A budget bounds the tokens of a picture, and pictures of two sizes have two names.
func TestABudgetBoundsTheTokensOfAPicture(t *testing.T) {
	m, _, _ := openFamily(t, &qwen2vl)
	picture := numbered(t, 1, 640, 400)
	look := func(b Budget) (int, *media.Picture) {
		t.Helper()
		plan, pictures, err := m.planner().Plan(t.Context(), picture, b, &multimodal.Spent{})
		if err != nil || len(pictures) != 1 {
			t.Fatal(pictures, err)
		}
		in, err := pictures[0].Source.Open(t.Context())
		if err != nil {
			t.Fatalf("%+v: %v", b, err)
		}
		in.Close()
		pictures[0].Identify()
		return plan.Tokens(), pictures[0]
	}
	own, ownPicture := look(Budget{})
	names := map[any]int{ownPicture.Key: own}
	for _, b := range []Budget{{Max: own / 2}, {Max: own / 4}, {Min: own * 2},
		{Min: own * 2, Max: own*2 + own/4}} {
		n, p := look(b)
		if b.Max > 0 && (n > b.Max || n < b.Max*3/4) || b.Max == 0 && n > b.Min*5/4 || n < b.Min {
			t.Errorf("%+v: %d tokens of %d", b, n, own)
		}
		if other, ok := names[p.Key]; ok && other != n {
			t.Errorf("%d and %d tokens have one name", other, n)
		}
		names[p.Key] = n
	}
	for _, b := range []Budget{{Max: own}, {Min: own}, {Min: 1, Max: own * 2}} {
		if n, p := look(b); n != own || p.Key != ownPicture.Key {
			t.Errorf("%+v: %d tokens, and %d without", b, n, own)
		}
	}
	if usage, err := m.Count(t.Context(),
		Request{Messages: []Message{User(Picture(picture), Text("x"))},
			ImageTokens: Budget{Max: own / 2}}); err != nil || usage.Image > own/2 ||
		usage.Image < own/4 {
		t.Errorf("%+v, %v", usage, err)
	}
	small := *picture
	small.Tokens = Budget{Max: own / 4}
	if usage, err := m.Count(t.Context(),
		Request{Messages: []Message{User(Picture(&small), Text("x"))},
			ImageTokens: Budget{Max: own / 2}}); err != nil || usage.Image > own/4 {
		t.Errorf("the picture's own: %+v, %v", usage, err)
	}
	if _, _, err := m.planner().Plan(t.Context(), picture, Budget{Min: 5, Max: 4},
		&multimodal.Spent{}); !errors.Is(err,
		ErrRequest) {
		t.Error(err)
	}
}

// A bound below what the fewest tiles take means the fewest tiles.
func TestABudgetThatNothingFitsIntoTakesTheLeast(t *testing.T) {
	projector := anyResProjector(t, open(t).lm.NEmbdInp())
	m := open(t, func(s *ModelSpec) { s.Projector = projector })
	tokens := func(picture *Image, b Budget) int {
		plan, _, err := m.planner().Plan(t.Context(), picture, b, &multimodal.Spent{})
		if err != nil {
			t.Fatal(err)
		}
		return plan.Tokens()
	}
	large, small := photograph(t, 1200, 1200), photograph(t, 60, 60)
	least, own := tokens(small, Budget{}), tokens(large, Budget{})
	if got := tokens(large, Budget{Max: 1}); least >= own || got != least {
		t.Errorf("%d tokens of %d, and %d of a small picture", got, own, least)
	}
}

// Pictures within two budgets share no cells of the KV cache, though their files are the same, and
// each finds its own again. What is read falls with the budget.
func TestTwoBudgetsOfAPictureShareNoCells(t *testing.T) {
	m, _ := openBench(t, benchNamed(t, "qwen2-5-vl"))
	ask := func(most int, question string) wholeAnswer {
		return mustAsk(t, m, Request{Messages: []Message{User(Picture(scene(t, 0, 640, 480)),
			Text(question))}, ImageTokens: Budget{Max: most}, MaxTokens: 4})
	}
	own := ask(0, "What is in the picture?").Usage.Image
	for _, most := range []int{own / 2, own / 4} {
		first := ask(most, "What is in the picture?")
		u := first.Usage
		if u.Image > most || u.Image < most*3/4 {
			t.Errorf("%d image tokens within %d of %d", u.Image, most, own)
		}
		// Of the other budgets' prompts, at most the text before the picture is the same.
		if text := u.Prompt - u.Image; u.Cached >= text || first.Timings.Encode == 0 {
			t.Errorf("within %d: %d of %d tokens were cached, %d of them text; %v encoding", most,
				u.Cached, u.Prompt, text, first.Timings.Encode)
		}
	}
	for _, most := range []int{0, own / 2, own / 4} {
		a := ask(most, "And what else?")
		if a.Usage.Cached < a.Usage.Image || a.Timings.Encode != 0 {
			t.Errorf("within %d, again: %+v, %v encoding", most, a.Usage, a.Timings.Encode)
		}
	}
}

// Where every picture has the same number of tokens, a budget changes nothing.
func TestABudgetHasNoEffectOnAFixedGrid(t *testing.T) {
	m := open(t)
	picture := numbered(t, 1, 64, 48)
	for _, b := range []Budget{{}, {Max: 10}, {Min: 100}} {
		plan, _, err := m.planner().Plan(t.Context(), picture, b, &multimodal.Spent{})
		if err != nil || plan.Tokens() != 64 || plan.W != 64 || plan.H != 48 {
			t.Errorf("%+v: %+v, %v", b, plan, err)
		}
	}
}

// Families that make as many tokens of a small picture as of a large one of its shape keep their
// bound by the setting of their own processor: the picture stays as it is.
func TestABudgetSetsTheTilesOfFamilies(t *testing.T) {
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if !slices.Contains([]string{"gemma4", "idefics3", "internvl3", "smolvlm"}, g.Name) {
			continue
		}
		m, _ := openBench(t, g)
		for _, size := range [][2]int{{640, 400}, {60, 150}} {
			picture := numbered(t, 1, size[0], size[1])
			own, _, err := m.planner().Plan(t.Context(), picture, Budget{}, &multimodal.Spent{})
			if err != nil {
				t.Fatal(err)
			}
			keys := map[any]string{}
			for _, most := range []int{own.Tokens(), own.Tokens() * 3 / 4, own.Tokens() / 2,
				own.Tokens() / 4, 1} {
				plan, pictures, err := m.planner().Plan(t.Context(), picture, Budget{Max: most},
					&multimodal.Spent{})
				if err != nil {
					t.Fatalf("%s: %v", g.Name, err)
				}
				if plan.W != size[0] || plan.H != size[1] {
					t.Errorf("%s: a picture of %v is shown as %d x %d within %d tokens", g.Name,
						size, plan.W, plan.H, most)
				}
				if least := m.vision.Info().TileTokens; plan.Tokens() > most &&
					plan.Tokens() > least && g.Name != "gemma4" {
					t.Errorf("%s: %v takes %d tokens of %d", g.Name, size, plan.Tokens(), most)
				}
				in, err := pictures[0].Source.Open(t.Context())
				if err != nil {
					t.Fatalf("%s: %v within %d: %v", g.Name, size, most, err)
				}
				in.Close()
				pictures[0].Identify()
				if other, ok := keys[pictures[0].Key]; ok && other != plan.Layout {
					t.Errorf("%s: %q and %q have one name", g.Name, other, plan.Layout)
				}
				keys[pictures[0].Key] = plan.Layout
			}
			if own.Tokens() > m.vision.Info().TileTokens && len(keys) < 2 {
				t.Errorf("%s: %v: budgets change nothing", g.Name, size)
			}
		}
	}
}

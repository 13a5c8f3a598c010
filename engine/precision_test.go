package engine

import (
	"math"
	"os"
	"testing"
)

// The built-in model must answer as well in every precision of the native tower as over the plain
// one. Answers may change places where two tokens are close; their number of right ones then
// differs as the toss of that many coins.
func TestScoresInEveryPrecision(t *testing.T) {
	if testing.Short() {
		t.Skip("asks many questions; run without -short")
	}
	questions := freshQuestions(t)
	step := 20
	if os.Getenv("EYELET_SLOW") != "" {
		step = 1
	}
	type outcome struct{ said, right string }
	ask := func(encoder, precision string) (all []outcome) {
		m := open(t, func(spec *ModelSpec) {
			spec.Encoder, spec.VisionPrecision = encoder, precision
		})
		if got := m.Info(); got.Encoder != encoder || encoder == EncoderNative &&
			got.Precision != precision {
			t.Fatalf("%s %s: runs %s %s", encoder, precision, got.Encoder, got.Precision)
		}
		for i := 0; i < len(questions); i += step {
			all = append(all, outcome{askScored(t, m, questions[i]), questions[i].Answers[0]})
		}
		return all
	}
	plain := ask(EncoderPlain, "")
	for _, precision := range []string{"f32", "bf16", "int8", "int16"} {
		right, plainRight, changed, coins := 0, 0, 0, 0
		for i, o := range ask(EncoderNative, precision) {
			right += count(o.said == o.right)
			plainRight += count(plain[i].said == o.right)
			changed += count(o.said != plain[i].said)
			coins += count((o.said == o.right) != (plain[i].said == o.right))
		}
		t.Logf("%s: %d of %d right, plain %d; %d answers changed", precision, right, len(plain),
			plainRight, changed)
		if off := math.Abs(float64(right - plainRight)); off > 3*math.Sqrt(float64(coins)) {
			t.Errorf("%s: %d right answers, over the plain tower %d", precision, right, plainRight)
		}
		// and one near tie
		limit := map[string]int{"f32": 2, "bf16": 10, "int8": 25, "int16": 5}[precision]
		if changed*100 > limit*len(plain)+100 {
			t.Errorf("%s: %d of %d answers changed", precision, changed, len(plain))
		}
	}
}

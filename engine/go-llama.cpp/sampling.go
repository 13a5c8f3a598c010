package llama

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
)

// check finds options that would change results and cannot be honoured.
func (po *PredictOptions) check(mo *ModelOptions) error {
	if z := po.TailFreeSamplingZ; z > 0 && z < 1 || z != z {
		return fmt.Errorf("SetTailFreeSamplingZ(%v): llama.cpp has removed tail-free sampling; use SetTypicalP or SetTopP", z)
	}
	if x := po.RopeFreqBase; x != 0 && x != DefaultRopeBase && x != mo.FreqRopeBase {
		return fmt.Errorf("SetRopeFreqBase(%v): the model was opened with another one; give it to New by WithRopeFreqBase", x)
	}
	if x := po.RopeFreqScale; x != 0 && x != DefaultRopeScale && x != mo.FreqRopeScale {
		return fmt.Errorf("SetRopeFreqScale(%v): the model was opened with another one; give it to New by WithRopeFreqScale", x)
	}
	if po.Mirostat < 0 || po.Mirostat > 2 {
		return fmt.Errorf("SetMirostat(%d): give 0, 1 or 2", po.Mirostat)
	}
	for name, x := range map[string]float32{
		"SetTemperature": po.Temperature, "SetTopP": po.TopP, "SetTypicalP": po.TypicalP,
		"SetPenalty": po.Penalty, "SetFrequencyPenalty": po.FrequencyPenalty,
		"SetPresencePenalty": po.PresencePenalty, "SetMirostatTAU": po.MirostatTAU,
		"SetMirostatETA":         po.MirostatETA,
		"SetNegativePromptScale": po.NegativePromptScale,
	} {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("%s(%v): give a finite number", name, x)
		}
	}
	return nil
}

// sampling translates the options that say how tokens are drawn.
func (po *PredictOptions) sampling() (engine.Sampling, error) {
	s := engine.Sampling{
		Temperature: max(0, po.Temperature), TopK: max(0, po.TopK), TopP: exactly(max(0, po.TopP)),
		TypicalP:      exactly(max(0, po.TypicalP)),
		RepeatPenalty: po.Penalty, FrequencyPenalty: po.FrequencyPenalty,
		PresencePenalty: po.PresencePenalty, PenaltyLastN: po.Repeat,
		IgnoreEnd: po.IgnoreEOS, SpareNewline: !po.PenalizeNL, Mirostat: po.Mirostat,
		MirostatTau: exactly(po.MirostatTAU), MirostatEta: exactly(po.MirostatETA),
	}
	if po.Seed != -1 {
		seed := uint32(po.Seed)
		s.Seed = &seed
	}
	if po.TailFreeSamplingZ <= 0 { // it left one token
		s.TopK = 1
	}
	if po.Repeat == 0 {
		s.RepeatPenalty, s.FrequencyPenalty, s.PresencePenalty = 1, 0, 0
	}
	var err error
	s.LogitBias, err = parseBias(po.LogitBias)
	return s, err
}

// exactly keeps a zero from meaning a default to the engine.
func exactly(x float32) float32 {
	if x == 0 {
		return math.SmallestNonzeroFloat32
	}
	return x
}

// parseBias reads "TOKEN+BIAS" and "TOKEN-BIAS", separated by commas.
func parseBias(text string) (map[engine.Token]float32, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	bias := map[engine.Token]float32{}
	for _, entry := range strings.Split(text, ",") {
		at := strings.IndexAny(entry, "+-")
		if at < 0 {
			return nil, fmt.Errorf("SetLogitBias: %q is not TOKEN+BIAS or TOKEN-BIAS", entry)
		}
		token, err := strconv.ParseInt(strings.TrimSpace(entry[:at]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("SetLogitBias: %q names no token by its number", entry)
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(entry[at+1:]), 32)
		if err != nil || math.IsNaN(x) {
			return nil, fmt.Errorf("SetLogitBias: %q has no number as its bias", entry)
		}
		if entry[at] == '-' {
			x = -x
		}
		bias[engine.Token(token)] += float32(x)
	}
	return bias, nil
}

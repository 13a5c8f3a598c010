package llama

// SetSeed sets the seed of random choices; -1 draws one. With a seed, the prompt is computed anew,
// so that the same prediction gives the same text.
func SetSeed(value int) PredictOption {
	return func(p *PredictOptions) { p.Seed = value }
}

// SetThreads sets the most compute threads; no more than there are cores are used.
func SetThreads(value int) PredictOption {
	return func(p *PredictOptions) { p.Threads = value }
}

// SetTokens sets the most tokens to predict; 0 or less for no limit.
func SetTokens(value int) PredictOption {
	return func(p *PredictOptions) { p.Tokens = value }
}

// SetTopK lets only so many of the most probable tokens stay; 0 or less for all.
func SetTopK(value int) PredictOption {
	return func(p *PredictOptions) { p.TopK = value }
}

// SetTopP lets only the most probable tokens stay that make up this probability: 1 for all, 0 for
// one.
func SetTopP(value float32) PredictOption {
	return func(p *PredictOptions) { p.TopP = value }
}

// SetTemperature sets how freely tokens are drawn; 0 or less takes the most probable one.
func SetTemperature(value float32) PredictOption {
	return func(p *PredictOptions) { p.Temperature = value }
}

// SetRepeat sets how many tokens penalties look back on: 0 for none, negative for the whole
// context.
func SetRepeat(value int) PredictOption {
	return func(p *PredictOptions) { p.Repeat = value }
}

// SetPenalty sets by what the logits of tokens that were there are divided; 1 is off.
func SetPenalty(value float32) PredictOption {
	return func(p *PredictOptions) { p.Penalty = value }
}

// SetFrequencyPenalty sets what is taken from the logit of a token for each time that it was there.
func SetFrequencyPenalty(value float32) PredictOption {
	return func(p *PredictOptions) { p.FrequencyPenalty = value }
}

// SetPresencePenalty sets what is taken from the logits of tokens that were there.
func SetPresencePenalty(value float32) PredictOption {
	return func(p *PredictOptions) { p.PresencePenalty = value }
}

// SetPenalizeNL lets penalties count for the newline too.
func SetPenalizeNL(value bool) PredictOption {
	return func(p *PredictOptions) { p.PenalizeNL = value }
}

// SetBatch is without effect on answers: the portions of a prompt follow from the machine's speed.
func SetBatch(value int) PredictOption {
	return func(p *PredictOptions) { p.Batch = value }
}

// SetNKeep sets how many tokens of the prompt stay when the context is full; negative for all.
func SetNKeep(value int) PredictOption {
	return func(p *PredictOptions) { p.NKeep = value }
}

// SetTailFreeSamplingZ takes 1, which is off, and 0, which lets only the most probable token stay.
// llama.cpp has removed tail-free sampling, and predictions with a value between are an error.
func SetTailFreeSamplingZ(value float32) PredictOption {
	return func(p *PredictOptions) { p.TailFreeSamplingZ = value }
}

// SetTypicalP sets the probability of locally typical sampling: 1 is off, 0 lets one token stay.
func SetTypicalP(value float32) PredictOption {
	return func(p *PredictOptions) { p.TypicalP = value }
}

// SetMirostat turns Mirostat on, 1 or 2 for its version, or off with 0. TopK, TopP and TypicalP do
// not count with it.
func SetMirostat(value int) PredictOption {
	return func(p *PredictOptions) { p.Mirostat = value }
}

// SetMirostatTAU sets the surprise that Mirostat aims at, in bits a token.
func SetMirostatTAU(value float32) PredictOption {
	return func(p *PredictOptions) { p.MirostatTAU = value }
}

// SetMirostatETA sets how fast Mirostat corrects itself.
func SetMirostatETA(value float32) PredictOption {
	return func(p *PredictOptions) { p.MirostatETA = value }
}

// SetLogitBias adds to the logits of tokens: "TOKEN+BIAS" or "TOKEN-BIAS" with a token's number,
// several separated by commas. "TOKEN-inf" forbids a token.
func SetLogitBias(value string) PredictOption {
	return func(p *PredictOptions) { p.LogitBias = value }
}

// WithGrammar holds the answer to a GBNF grammar with a rule "root".
func WithGrammar(value string) PredictOption {
	return func(p *PredictOptions) { p.Grammar = value }
}

// SetPathPromptCache sets a file that holds the computed prompt, so that a prompt that begins alike
// is answered sooner, in another process too. With an empty text the prediction continues what the
// file holds.
func SetPathPromptCache(value string) PredictOption {
	return func(p *PredictOptions) { p.PathPromptCache = value }
}

// SetNDraft sets the most tokens that SpeculativeSampling guesses at a time; 0 leaves it to the
// engine.
func SetNDraft(value int) PredictOption {
	return func(p *PredictOptions) { p.NDraft = value }
}

// SetNegativePrompt sets a text away from whose continuation the answer is steered, by
// classifier-free guidance. It needs SetNegativePromptScale.
func SetNegativePrompt(value string) PredictOption {
	return func(p *PredictOptions) { p.NegativePrompt = value }
}

// SetNegativePromptScale sets the strength of the guidance away from the negative prompt; 1 or less
// is off.
func SetNegativePromptScale(value float32) PredictOption {
	return func(p *PredictOptions) { p.NegativePromptScale = value }
}

// SetRopeFreqBase takes what New was given by WithRopeFreqBase, 10000 or 0: the rotary position
// embedding belongs to the model.
func SetRopeFreqBase(value float32) PredictOption {
	return func(p *PredictOptions) { p.RopeFreqBase = value }
}

// SetRopeFreqScale takes what New was given by WithRopeFreqScale, 1 or 0: the rotary position
// embedding belongs to the model.
func SetRopeFreqScale(value float32) PredictOption {
	return func(p *PredictOptions) { p.RopeFreqScale = value }
}

// SetMlock is without effect: see EnableMLock.
func SetMlock(value bool) PredictOption {
	return func(p *PredictOptions) { p.MLock = value }
}

// SetMemoryMap is without effect: see SetMMap.
func SetMemoryMap(value bool) PredictOption {
	return func(p *PredictOptions) { p.MMap = value }
}

// SetPredictionMainGPU is without effect: see SetMainGPU.
func SetPredictionMainGPU(value string) PredictOption {
	return func(p *PredictOptions) { p.MainGPU = value }
}

// SetPredictionTensorSplit is without effect: see SetTensorSplit.
func SetPredictionTensorSplit(value string) PredictOption {
	return func(p *PredictOptions) { p.TensorSplit = value }
}

// SetStopWords sets texts that end a prediction before they appear in it.
func SetStopWords(words ...string) PredictOption {
	return func(p *PredictOptions) { p.StopPrompts = words }
}

// SetTokenCallback sets a function that is called with the text of each token, in order, as it is
// drawn; false ends the prediction without that token. The text may be part of a character, and is
// not cut at stop words. The function is not called any more once the prediction has returned.
func SetTokenCallback(callback func(token string) bool) PredictOption {
	return func(p *PredictOptions) { p.TokenCallback = callback }
}

// IgnoreEOS goes on where the model would end.
var IgnoreEOS PredictOption = func(p *PredictOptions) { p.IgnoreEOS = true }

// Debug tells on standard error what a prediction did.
var Debug PredictOption = func(p *PredictOptions) { p.DebugMode = true }

// EnablePromptCacheAll lets the prompt cache hold the answer too.
var EnablePromptCacheAll PredictOption = func(p *PredictOptions) { p.PromptCacheAll = true }

// EnablePromptCacheRO reads the prompt cache and does not write it.
var EnablePromptCacheRO PredictOption = func(p *PredictOptions) { p.PromptCacheRO = true }

// EnableF16KV is without effect: see EnableF16Memory.
var EnableF16KV PredictOption = func(p *PredictOptions) { p.F16KV = true }

// Package quantize stores the weights of models in fewer bits: language models through libllama,
// and vision towers with their projectors, which libllama does not take, by code of its own.
//
//	plan, err := quantize.PlanProjector(f, quantize.Options{Type: gguf.Q8_0})
//	result, err := plan.Write(ctx, "mmproj-q8_0.gguf", quantize.WriteOptions{})
//
// What of a tower is quantized follows a rule (see [Options]), or is found by measuring what each
// part costs: [Search] takes the cheapest types whose image tokens keep within an error, or the
// best that keep within a size.
package quantize

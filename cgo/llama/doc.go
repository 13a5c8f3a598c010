// Package llama is a binding to libllama, the C API of llama.cpp, with the llama_ prefix dropped
// and every precondition that can be checked turned into an error.
//
// # Life of a program
//
//	model, err := llama.LoadModel(ctx, "model.gguf", llama.ModelParams{})
//	defer model.Close()
//	lc, err := llama.NewContext(model, llama.ContextParams{NCtx: 4096})
//	defer lc.Close()
//	batch := llama.NewTokenBatch(512, 1)
//	defer batch.Close()
//	tokens, err := model.Vocab().Tokenize("Hello", true, false)
//	for i, t := range tokens {
//		batch.Add(t, llama.Pos(i), i == len(tokens)-1, 0)
//	}
//	err = lc.Decode(ctx, batch)
//	logits, err := lc.Logits(len(tokens) - 1)
//
// # Ownership
//
// C memory is owned by the Go value that made it and is freed by its Close, which may be called
// more than once. A Model refuses to close while contexts, adapters or samplers made from it are
// open, so nothing in C outlives what it points to. After Close every method returns ErrClosed.
//
// # Threads
//
// A Model and its Vocab may be used from many goroutines. A Context, a Batch and a Sampler belong
// to one goroutine at a time. Compute calls (Decode, Encode, Sampler.Sample) should all
// come from one goroutine locked to its OS thread: libgomp keeps a team of worker threads for each
// thread that enters a parallel region, and two teams fight for the cores.
//
// # Failure
//
// libllama aborts the process when its assertions fail. What this package can check first it
// checks: sizes, ranges, order of positions, ranks of sequences, closed handles. C++ exceptions are
// caught in shim.cc before they reach Go. What libllama reports by a code and a log line comes back
// as an error that carries the line.
package llama

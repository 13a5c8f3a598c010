// Package llama is the API of github.com/go-skynet/go-llama.cpp over the Eyelet engine: programs
// that were written for it in 2023 build against this module, unchanged, and run today's models.
//
//	l, err := llama.New("model.gguf", llama.SetContext(2048))
//	defer l.Free()
//	text, err := l.Predict("Once upon a time", llama.SetTokens(64), llama.SetTokenCallback(func(token string) bool {
//		fmt.Print(token)
//		return true
//	}))
//
// What it never had: with SetMMProj a model has eyes, and SetImages shows it pictures.
//
// A LLama may be used from several goroutines; its predictions are computed side by side. After
// Free every method returns ErrFreed. README.md has a table of all options and what they do today.
package llama

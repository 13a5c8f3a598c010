// Package server answers over HTTP what an engine answers in Go: Ollama's, OpenAI's and Anthropic's
// APIs, and what an operator needs beside them.
//
//	e, err := engine.New(engine.Options{})
//	pool := pool.New(e, pool.Options{})
//	s, err := server.New(pool, models, server.Options{})
//	listener, err := net.Listen("tcp", "127.0.0.1:11434")
//	err = s.Serve(ctx, listener) // until ctx is done
//
// # The way of a request
//
// Whatever comes in passes the same gates (gate.go, middleware.go): it gets an id and a line in the
// access log, its Host and Origin must be known, an API key may be demanded, and there is an end to
// how many requests are under way. The table of routes (routes.go) names the handler. It reads the
// body (decode.go), which costs a bounded amount of memory, borrows a model (models_lend.go), and
// has it answer (generate.go): an answer is accumulated once (internal/answer), and a renderer of
// the API makes of it what goes out, as a stream or at once (stream.go). An error on the way is a
// Failure, or becomes one (internal/failure), and the client is told in the shape of the API that
// the path belongs to.
//
// What each API reads and writes is a package below internal: openai, anthropic and ollama, which
// share the reading of fields (internal/fields). They know of no HTTP and no model.
//
// # What a client can do to the machine
//
// Nothing in a request becomes a path but names and digests that the store has checked. No request
// makes the server connect anywhere but to hosts that the operator names for pictures (picture.go).
// Bodies, pictures, connections, requests and times are bounded by [Limits], all bodies and fetched
// pictures together by Limits.Memory.
package server

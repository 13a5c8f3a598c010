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
// how many requests are under way. The handler of its route then reads the body (decode.go), which
// costs a bounded amount of memory, borrows a model (models_lend.go), and sends the answer, as a
// stream or at once (stream.go). An error on the way is a [*failure.Failure], or becomes one (failure.go),
// and the API that the path belongs to tells the client of it in its own shape.
//
// Each API is a file of its own that starts with a function which returns a [family]: its routes,
// and the shape of its errors. Server.apis lists them.
//
// # What a client can do to the machine
//
// Nothing in a request becomes a path but names and digests that the store has checked. No request
// makes the server connect anywhere but to hosts that the operator names for pictures (picture.go).
// Bodies, pictures, connections, requests and times are bounded by [Limits], all bodies and fetched
// pictures together by Limits.Memory.
package server

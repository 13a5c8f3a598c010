// Package draw makes pictures of texts. It does not compute them: stable-diffusion.cpp does, which
// carries a ggml of its own that must not meet libllama's in one process, so its command-line
// program sd-cli runs as a child.
//
//	program, err := draw.Find(ctx)
//	if err != nil {
//		return err // ErrNotSetUp: the error says what to do
//	}
//	model, err := draw.Open("sd15.safetensors", "sd15", nil)
//	pictures, err := program.Draw(ctx, model, &draw.Request{Prompt: "a red house"}, nil)
//
// [Program.Draw] has a child for each request, which draws all pictures of it and leaves no memory
// behind. It gets the picture's text as an argument, which other users of the machine can see while
// it runs, where the system shows them the processes of others.
//
// [Program.Start] starts a child that stays and keeps its model loaded: scripts/sd-resident, the
// same program without its end, which scripts/draw builds of the same sources. It is asked and
// answers through pipes, so nobody else can reach it. The project's HTTP server is no choice for
// that: it asks nobody for a key and lets the pages of every site in, on a port that every user of
// the machine can reach.
//
// Pictures lie in files of a folder that only this user may read. A child is killed with all that
// it started when the context is done, and on Linux when this process dies, however it dies. What
// it breaks is one request.
package draw

import "errors"

// What can go wrong. Errors of this package wrap one of these, those of package diffusion, or the
// operating system's error.
var (
	// ErrNotSetUp: there is no program that draws.
	ErrNotSetUp = errors.New(`drawing is not set up: run scripts/setup --draw, or set EYELET_DRAW to stable-diffusion.cpp's sd-cli`)
	// ErrProgram: the program that EYELET_DRAW names cannot be used.
	ErrProgram = errors.New("EYELET_DRAW names no program that draws")
	// ErrRequest: the request cannot be, whatever the model.
	ErrRequest = errors.New("bad request")
	// ErrImage: a picture that was given cannot be used.
	ErrImage = errors.New("bad picture")
	// ErrChild: the child ended without a picture.
	ErrChild = errors.New("the drawing program failed")
)

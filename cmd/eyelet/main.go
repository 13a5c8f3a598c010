// Eyelet answers questions about pictures on this machine, with no network: a command line over the
// vision-language models that llama.cpp runs.
//
// Usage:
//
//	eyelet run --image photo.jpg "What is in the picture?"
//	eyelet show model.gguf
//	eyelet doctor
//
// "eyelet help" lists the commands and the exit codes. Here is the root of them. The commands stand
// under internal, in a package for each audience, a file for each command: chat, batch, serve,
// models, measure, machine, draw and encode. What they share is in cli and pictures. The floors
// below do the work.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// version is set by the build (-ldflags "-X main.version=…").
var version string

func main() {
	cli.Version = version
	ctx, stop := cli.WithInterrupts(context.Background(), os.Exit)
	code := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs the command line and returns the exit code, after saying on stderr, in one sentence,
// what went wrong.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if message := cli.Describe(err); message != "" {
		fmt.Fprintf(stderr, "eyelet: %s\n", message)
	}
	return cli.ExitCode(err)
}

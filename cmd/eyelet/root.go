package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/batch"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/chat"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/draw"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/encode"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/machine"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/measure"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/models"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/serve"
)

const rootLong = `Eyelet runs vision-language models on this machine: it answers questions about
pictures with no network and no service. Models are GGUF files that llama.cpp
runs; a small one is built in, so that everything can be tried at once.

Exit codes:
    0  all went well
    1  failure of another kind
    2  wrong command line: unknown flag, bad value, options that contradict
    3  bad input file: missing, damaged, neither a model nor a picture
    4  projector and model do not fit, or the model cannot do what was asked
    5  memory, context or disk is too small
  130  interrupted (Ctrl-C or SIGTERM)
A command that works on many pictures ends with the code that all failures share,
or with 3 if they differ.

Sizes: 4G and 4GiB are 4 x 1024^3 bytes, 4GB are 4 x 1000^3.

Environment:
  EYELET_CACHE     folder for what can be made again (default: ~/.cache/eyelet)
  EYELET_STATE     folder of sessions, and of a server's batches (default:
                   ~/.local/state/eyelet)
  EYELET_MODELS    folder of the model store (default: eyelet/models in the data directory)
  OLLAMA_MODELS    folder of Ollama's models, which are run in place (default: ~/.ollama/models)
  OLLAMA_HOST …    what "eyelet serve --help" lists of Ollama's
  EYELET_BACKENDS  folder of ggml's backend libraries (default: beside libggml)
  EYELET_ACCEL     off: let libllama and libmtmd compute without the accelerator;
                   or the path of its library
  EYELET_DRAW      stable-diffusion.cpp's program sd-cli, which draws pictures
                   (default: one beside eyelet, or on PATH)
  EYELET_ISA       level of instruction sets to compute with, as avx2 (default:
                   native, all that the processor has); "eyelet doctor" lists them`

const rootExample = `  eyelet run --demo
      the built-in model and its own pictures
  eyelet run --model llava.gguf --mmproj mmproj.gguf --image cat.jpg "What is this?"
      one question about a picture, answered by a model of yours
  eyelet import llava.gguf --mmproj mmproj.gguf --name llava:7b
  eyelet run llava:7b --image cat.jpg "What is this?"
      the same by name, after bringing the model into the store
  eyelet open
      a page to look at, in the browser
  eyelet serve
      the same models over HTTP, for programs that talk to Ollama
  eyelet show llava.gguf
      what is in a model file
  eyelet convert llava-1.5-7b-hf -o llava.gguf
      a model from Hugging Face as GGUF
  eyelet devices
      what models can compute on
  eyelet doctor
      whether this machine has all it takes`

// newRootCommand returns the whole command line.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:     "eyelet",
		Short:   "Ask vision-language models about pictures, on this machine",
		Long:    rootLong,
		Example: rootExample,
		// execute reports errors, in one sentence and without the usage text.
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       cli.KnownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			// which reports it among its checks
			if _, err := isa.Chosen(); err != nil && cmd.Name() != "doctor" {
				return err
			}
			if cli.BoolFlag(cmd, "no-accel") {
				ggml.SwitchOffAccelerator()
			}
			if err := cli.SetAcceleratorCache(cmd); err != nil {
				return err
			}
			return startLogging(cmd)
		},
	}
	root.PersistentFlags().BoolP("verbose", "v", false,
		"log to stderr what happens, llama.cpp's own lines included")
	root.PersistentFlags().BoolP("quiet", "q", false,
		"no progress and no hints on stderr, only errors")
	root.PersistentFlags().Bool("no-accel", false,
		"compute with ggml's own kernels alone, as EYELET_ACCEL=off")
	root.PersistentFlags().String("accel-cache",
		"", "memory for weights in F16, BF16 or F32 that the accelerator keeps converted, as 2G: prompts are read faster (default none)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &cli.UsageError{Err: err, Command: cmd.CommandPath()}
	})
	root.AddCommand(
		chat.NewRunCommand(), batch.NewBatchCommand(), batch.NewWorkerCommand(),
		batch.NewQueueCommand(), serve.NewServeCommand(), serve.NewOpenCommand(),
		encode.NewEncodeCommand(), measure.NewEvalCommand(), draw.NewDrawCommand(),
		models.NewListCommand(), models.NewShowCommand(), models.NewImportCommand(),
		models.NewExportCommand(), models.NewPushCommand(), models.NewPullCommand(),
		models.NewConvertCommand(), models.NewQuantizeCommand(), models.NewImatrixCommand(),
		models.NewCpCommand(), models.NewRmCommand(), models.NewStoreCommand(),
		models.NewSBOMCommand(), measure.NewBenchCommand(), measure.NewAdviseCommand(),
		machine.NewDevicesCommand(), machine.NewRPCCommand(), machine.NewDoctorCommand(),
		machine.NewVersionCommand(), newCompletionCommand(),
	)
	return root
}

// startLogging sets up slog and the log of the C libraries as --verbose and --quiet ask.
func startLogging(cmd *cobra.Command) error {
	verbose, quiet := cli.BoolFlag(cmd, "verbose"), cli.BoolFlag(cmd, "quiet")
	if verbose && quiet {
		return &cli.UsageError{Err: fmt.Errorf("--verbose and --quiet contradict each other"),
			Command: cmd.CommandPath()}
	}
	level := slog.LevelWarn
	switch {
	case verbose:
		level = slog.LevelDebug
	case quiet:
		level = slog.LevelError
	}
	logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	slog.SetDefault(logger)
	if verbose {
		ggml.SetLogger(logger)
	} else {
		ggml.SetLogger(nil) // the errors that matter come back as errors
	}
	return nil
}

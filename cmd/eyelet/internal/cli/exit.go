package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/rpc"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/engine/bench/sets"
	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/engine/faults"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
	"github.com/eyelet-engine/eyelet/models/convert"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/hf"
	"github.com/eyelet-engine/eyelet/models/imatrix"
	"github.com/eyelet-engine/eyelet/models/quantize"
	"github.com/eyelet-engine/eyelet/models/safetensors"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/bundle"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// The exit codes, which scripts rely on. The help text of the root command lists them.
const (
	ExitOK      = 0
	ExitFailure = 1 // anything without a code of its own
	// the command line is wrong: unknown flag, bad value, contradictory options
	ExitUsage = 2
	ExitInput = 3 // a file is missing, damaged, or neither a model nor a picture
	// projector and model do not fit, or the model lacks the ability asked for
	ExitMismatch    = 4
	ExitCapacity    = 5   // memory or context is too small
	ExitInterrupted = 130 // Ctrl-C or SIGTERM, as shells report it
)

// A UsageError is a mistake on the command line.
type UsageError struct {
	Err     error
	Command string // whose help to point to, as "eyelet run"; "" for none
}

// Error returns the mistake, and names the help of the command.
func (e *UsageError) Error() string {
	if e.Command == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%v; see %q", e.Err, e.Command+" --help")
}

// Unwrap returns Err.
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef makes a [UsageError].
func Usagef(format string, args ...any) error {
	return &UsageError{Err: fmt.Errorf(format, args...)}
}

// An InputError is a fault of a file that the user named. The message of err names the file.
type InputError struct {
	Err    error
	Remedy string // what the user can do, "" for what [remedyFor] knows
}

// Error returns the message of Err.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *InputError) Unwrap() error { return e.Err }

// Inputf makes an [InputError].
func Inputf(format string, args ...any) error {
	return &InputError{Err: fmt.Errorf(format, args...)}
}

// A CommonError is about many things that failed, with the exit code that they have in common.
type CommonError struct {
	Err  error
	Code int
}

// Error returns the message of Err.
func (e *CommonError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *CommonError) Unwrap() error { return e.Err }

// CommonCode is the exit code of several errors, given those of all of them: the one that they
// share, or else [ExitInput].
func CommonCode(codes []int) int {
	for _, code := range codes {
		if code != codes[0] {
			return ExitInput
		}
	}
	if len(codes) == 0 {
		return ExitInput
	}
	return codes[0]
}

// itemFaults are the codes of what is wrong with an item of a batch, by exit code. All others are
// those of [ExitInput].
var itemFaults = map[int][]string{
	ExitCapacity: {"context_length_exceeded", "no_room"},
	ExitFailure:  {"server_error", "queue", "worker_lost", "internal", "timeout", "overloaded"},
}

// ItemExitCode is the exit code of what is wrong with an item of a batch.
func ItemExitCode(fault string) int {
	for code, faults := range itemFaults {
		if slices.Contains(faults, fault) {
			return code
		}
	}
	return ExitInput
}

// ItemFault is a code of what is wrong with an item for which [ItemExitCode] is code.
func ItemFault(code int) string { return append(itemFaults[code], "bad_picture")[0] }

// classes maps what an error can wrap to its exit code. The first match counts: a picture given to
// a model without a projector is a question of abilities, whatever else is wrapped.
var classes = []struct {
	code   int
	errors []error
}{
	{ExitInterrupted, []error{context.Canceled}},
	{ExitUsage, []error{engine.ErrRequest, draw.ErrRequest, convert.ErrExists, convert.ErrOptions,
		quantize.ErrOptions, store.ErrName, isa.ErrLevel}},
	{ExitMismatch, []error{engine.ErrMismatch, engine.ErrNoVision, quantize.ErrShape,
		store.ErrKind}},
	{ExitCapacity, []error{engine.ErrContextLength, llama.ErrNoRoom, llama.ErrNoMemory,
		syscall.ENOMEM, syscall.ENOSPC, store.ErrSpace, batch.ErrNoRoom}},
	{ExitInput, slices.Concat(faults.Model, []error{
		engine.ErrImage, batch.ErrInUse, bench.ErrQuestions, bench.ErrResults,
		bench.ErrAnswers, sets.ErrSet,
		safetensors.ErrNotSafetensors, safetensors.ErrTruncated, safetensors.ErrCorrupt,
		safetensors.ErrUnsupported, safetensors.ErrLimit,
		imatrix.ErrInvalid, vision.ErrUnknownTower, hf.ErrInvalid, hf.ErrUnsupported, hf.ErrLimit,
		convert.ErrWeights,
		bundle.ErrBundle, bundle.ErrSignature, bundle.ErrPassword, store.ErrNotFound,
		store.ErrDigest, store.ErrPolicy, store.ErrForeign,
		diffusion.ErrNotDiffusion, diffusion.ErrPart, diffusion.ErrUnsupported, draw.ErrImage,
		draw.ErrProgram,
		imaging.ErrNotImage, imaging.ErrTooLarge, imaging.ErrDamaged,
		atomicfile.ErrNotRegular, atomicfile.ErrClaimed, batch.ErrConfig,
		fs.ErrNotExist, fs.ErrPermission, syscall.EISDIR, syscall.ENOTDIR, syscall.EROFS,
		syscall.ENAMETOOLONG, syscall.ELOOP,
	})},
}

// ExitCode returns the exit code that tells a script what kind of error err is.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if e, ok := errors.AsType[*CommonError](err); ok {
		return e.Code
	}
	if _, ok := errors.AsType[*UsageError](err); ok {
		return ExitUsage
	}
	for _, class := range classes {
		for _, target := range class.errors {
			if errors.Is(err, target) {
				return class.code
			}
		}
	}
	if _, ok := errors.AsType[*InputError](err); ok {
		return ExitInput
	}
	return ExitFailure
}

// Describe turns an error into the one line that the user reads, "" for no error.
func Describe(err error) string {
	switch {
	case err == nil, errors.Is(err, ErrSilent):
		return ""
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	// The names of packages help a programmer; a user reads past them. "bad request" and "bad
	// options" are for callers in Go.
	message := faults.Text(err)
	message = withoutCalls(message, err)
	message = callersWords.ReplaceAllString(message, "$1")
	message = withFlags(message)
	if remedy := remedyFor(err); remedy != "" {
		message += "; " + remedy
	}
	return Printable(message)
}

// callersWords match "bad request" and "bad options" among the parts of a message.
var callersWords = regexp.MustCompile(`(^|: )bad (?:request|options): |: bad (?:request|options)\b`)

// withoutCalls leaves out which call of the system failed on a path, and the path where it stands
// twice.
func withoutCalls(message string, err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		message = strings.Replace(message, p.Op+" "+p.Path+": ", p.Path+": ", 1)
		message = strings.Replace(message, p.Path+": "+p.Path+": ", p.Path+": ", 1)
	}
	return message
}

// flagsOf are the flags behind advice that the floors below give, which know of no command line.
var flagsOf = []struct{ advice, flag string }{
	{"give its mmproj file", "--mmproj"},
	{"give it as the projector", "--mmproj"},
	{"the language model as the model", "--model"},
	{"give a shorter context", "--ctx"},
	{"give a larger context", "--ctx"},
	{"a smaller type of the cache", "--cache-type"},
	{"give another chat template", "--chat-template"},
	{"measure the projector again", "--restart"},
	{"measure the base again", "--restart"},
	{"give a longer text", "--text"},
	{"name another folder for the results", "--out"},
	{"or forget these", "--restart"},
	{"give it among the projectors", "--projector"},
	{"name another split", "--split"},
	{"name one of these layouts", "--layout"},
	{"name the layout", "--layout"},
	{"collect one and give it", "eyelet imatrix, --imatrix"},
	{"or allow to quantize it again", "--allow-requantize"},
	{"a dry run", "--dry-run"},
	{"give it another type", "--tensor"},
	{"name a key to trust", "--verify-key"},
	{"allow that host", "--allow-host"},
	{"take fewer, or a part", "--from, --to"},
}

// withFlags names the flags behind advice.
func withFlags(message string) string {
	for _, a := range flagsOf {
		before, after, found := strings.Cut(message, a.advice)
		if found && !strings.HasPrefix(after, " (") {
			message = before + a.advice + " (" + a.flag + ")" + after
		}
	}
	return message
}

// ErrSilent ends a command with [ExitFailure] after it has said itself what is wrong.
var ErrSilent = errors.New("already reported")

// remedies are what to do about errors whose messages cannot know it. The first counts all of whose
// errors an error wraps.
var remedies = []struct {
	all    []error
	remedy string
}{
	{[]error{store.ErrNotFound}, `"eyelet list" shows the models`},
	{[]error{bundle.ErrBundle, store.ErrDigest}, "the bundle is damaged; copy it again"},
	{[]error{bundle.ErrBundle}, ""},
	{[]error{bundle.ErrSignature}, ""},
	{[]error{store.ErrMissing}, importAgain},
	{[]error{store.ErrDigest}, importAgain},
	{[]error{store.ErrBusy}, "try again when it has ended"},
	{[]error{fs.ErrNotExist}, "check the path"},
	{[]error{fs.ErrPermission}, "check who may read it"},
	{[]error{gguf.ErrTruncated}, "download or copy it again"},
	{[]error{safetensors.ErrTruncated}, "download or copy it again"},
	{[]error{gguf.ErrNotGGUF}, "models are files in GGUF format, usually named *.gguf"},
	{[]error{gguf.ErrUnsupported}, "convert the model again with a current llama.cpp"},
	{[]error{gguf.ErrCorrupt}, damagedFile},
	{[]error{gguf.ErrLimit}, damagedFile},
	{[]error{convert.ErrExists}, "give --force to replace it"},
	{[]error{engine.ErrSound}, "sounds are WAV, MP3 or FLAC files"},
	{[]error{engine.ErrImage, imaging.ErrNotImage}, ""}, // it lists the formats itself
	{[]error{engine.ErrImage},
		"pictures are JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC, AVIF, JPEG XL or PDF files"},
	{[]error{rpc.ErrAddress},
		"--rpc takes HOST or HOST:PORT of each machine once, with commas between them"},
	{[]error{engine.ErrDevice, engine.ErrRequest}, `"eyelet devices" lists what there is`},
	{[]error{engine.ErrDevice}, lendingHelp},
	{[]error{ggml.ErrNoRPC}, lendingHelp},
}

const (
	importAgain = `"eyelet store check" tells more; import the model again`
	damagedFile = "the file is damaged or was not made by a known tool: download it again"
	lendingHelp = `"eyelet rpc --help" tells how machines lend to each other`
)

// remedyFor returns what to do about an error whose message cannot know it.
func remedyFor(err error) string {
	if in, ok := errors.AsType[*InputError](err); ok && in.Remedy != "" {
		return in.Remedy
	}
	for _, r := range remedies {
		if !slices.ContainsFunc(r.all, func(e error) bool { return !errors.Is(err, e) }) {
			return r.remedy
		}
	}
	switch {
	case batch.Absent(err):
		return `check the address of --nats, or start "eyelet queue" or nats-server there`
	case batch.Refused(err):
		return "give user and password in the address of --nats, as nats://user:password@queue, " +
			"or --nats-creds, --nats-nkey or --nats-cert"
	case errors.Is(err, atomicfile.ErrNotRegular):
		return "name another"
	case errors.Is(err, llama.ErrNoRoom):
		return "give it a longer --ctx"
	}
	return ""
}

package batch

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

// eachLine visits the lines of a file that are not blank, counted from 1.
func eachLine(ctx context.Context, path string, visit func(n int, line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return cli.Inputf("%s: %w", path, cli.Cause(err))
	}
	defer f.Close()
	return scanLines(ctx, path, f, visit)
}

func scanLines(ctx context.Context, name string, r io.Reader,
	visit func(n int, line []byte) error) error {
	s := batch.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(strings.TrimSpace(s.Text())) == 0 {
			continue
		}
		if err := visit(n, s.Bytes()); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return cli.Inputf("%s has a line of more than %s", name, cli.BytesText(batch.MaxLine))
		}
		return cli.Inputf("%s: %w", name, cli.Cause(err))
	}
	return nil
}

// eachGoodLine is eachLine where a line that is wrong does not keep the others from being looked
// at: the error names the first one and says how many others are, for a file of many lines is best
// mended at once.
func eachGoodLine(ctx context.Context, path string,
	visit func(n int, line []byte) error) error {
	var first error
	wrong := 0
	err := eachLine(ctx, path, func(n int, line []byte) error {
		err := visit(n, line)
		if _, ok := errors.AsType[*cli.InputError](err); !ok {
			return err
		}
		if wrong++; wrong == 1 {
			first = err
		}
		return nil
	})
	if err == nil && wrong > 1 {
		err = cli.Inputf("%w (and %s that cannot be asked about)", first,
			cli.Plural(wrong-1, "other line"))
	}
	return cmp.Or(err, first)
}

// isOpenAIBatch reports whether a file of JSON lines is one of OpenAI's batches, by its first line.
func isOpenAIBatch(ctx context.Context, path string) (found bool, err error) {
	stop := errors.New("enough")
	err = eachLine(ctx, path, func(_ int, line []byte) error {
		var l struct {
			ID *json.RawMessage `json:"custom_id"`
		}
		found = json.Unmarshal(line, &l) == nil && l.ID != nil
		return stop
	})
	if errors.Is(err, stop) {
		err = nil
	}
	return found, err
}

// errStopped is why the lines of a list are no longer wanted.
var errStopped = errors.New("stopped")

// parseRequest reads a line of a file in OpenAI's format.
func parseRequest(path string, n int, line []byte) (batch.Item, error) {
	it, err := batch.ParseLine(line)
	if err != nil {
		err = cli.Inputf("%s, line %d: %s", path, n, strings.TrimPrefix(err.Error(),
			batch.ErrLine.Error()+": "))
	}
	return it, err
}

// countRequests checks the lines of a file in OpenAI's format, and counts them.
func countRequests(ctx context.Context, path string) (int, error) {
	names := nameSet{}
	err := eachGoodLine(ctx, path, func(n int, line []byte) error {
		it, err := parseRequest(path, n, line)
		if err == nil && !names.add(it.ID) {
			err = cli.Inputf("%s, line %d: the custom_id %q stands twice", path, n,
				cli.Abbreviate(it.ID, 80))
		}
		return err
	})
	if err == nil && len(names) == 0 {
		err = cli.Inputf("%s holds no requests", path)
	}
	return len(names), err
}

// requestsOf are the requests of a file in OpenAI's format. A line that is none is an error that
// says where.
func requestsOf(ctx context.Context, path string) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		err := eachLine(ctx, path, func(n int, line []byte) error {
			it, err := parseRequest(path, n, line)
			if err != nil {
				return err
			}
			it.Body = slices.Clone(it.Body) // the line's memory is used again
			if !yield(it, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(batch.Item{}, err)
		}
	}
}

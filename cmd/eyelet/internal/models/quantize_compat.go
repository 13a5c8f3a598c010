package models

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

// positional reads what stands beside flags: the model alone, or llama-quantize's MODEL [FILE] TYPE
// [THREADS]. It returns the model's path.
func (o *quantizeOptions) positional(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 0 || o.typ != "" || o.maxError != 0 || o.targetSize != "" {
		return firstArg(args), cli.ExactArgs("MODEL")(cmd, args)
	}
	model, rest := args[0], args[1:]
	isType := func(s string) bool {
		_, err := llama.ParseFileType(s)
		return err == nil || strings.EqualFold(s, "copy")
	}
	switch {
	case len(rest) == 0:
		return model, nil
	// the second of three is a file, and so is one that is named like a type
	case !isType(rest[0]) && len(rest) > 1 && o.out == "":
		o.out, rest = rest[0], rest[1:]
	case !isType(rest[0]):
		return "", cli.Usagef("%q is no type; give MODEL -o FILE --type TYPE, or MODEL FILE TYPE as "+
			"for llama-quantize. Types are %s", rest[0],
			strings.ToLower(strings.Join(llama.FileTypes(), ", ")))
	}
	if !isType(rest[0]) {
		return "", cli.Usagef("%q is no type; give %s", rest[0],
			strings.ToLower(strings.Join(llama.FileTypes(), ", ")))
	}
	o.typ = rest[0]
	if rest = rest[1:]; len(rest) > 0 {
		n, err := strconv.Atoi(rest[0])
		if err != nil || len(rest) > 1 {
			return "", cli.Usagef("unexpected argument %q; a number of threads can follow the type, "+
				"and nothing else", rest[len(rest)-1])
		}
		o.threads = n
	}
	if o.out == "" && !o.dryRun { // llama-quantize's choice
		name := strings.ToUpper(o.typ)
		if t, err := llama.ParseFileType(o.typ); err == nil { // perhaps by its number
			name = nameOf(t)
		}
		o.out = filepath.Join(filepath.Dir(model), "ggml-model-"+name+".gguf")
	}
	return model, nil
}

// projectorType finds a type of a projector's matrices by its name, or by what llama-quantize takes
// for the same: the number, and the mixture that the name stands for there.
func projectorType(name string) (gguf.Type, error) {
	t, err := quantize.ParseType(name)
	if err == nil {
		return t, nil
	}
	if mixture, e := llama.ParseFileType(name); e == nil {
		for _, t := range quantize.ProjectorTypes {
			if same, e := llama.ParseFileType(t.String()); e == nil && same == mixture {
				return t, nil
			}
		}
	}
	return 0, err
}

// lowerPattern is a pattern in small letters, as all names of tensors are and llama-quantize makes
// it. Letters behind a backslash mean other things in capitals.
func lowerPattern(pattern string) string {
	out := []byte(pattern)
	for i := 0; i < len(out); i++ {
		if out[i] == '\\' {
			i++
		} else if out[i] >= 'A' && out[i] <= 'Z' {
			out[i] += 'a' - 'A'
		}
	}
	return string(out)
}

// nameOf is the name of a mixture.
func nameOf(t llama.FileType) string {
	for _, name := range llama.FileTypes() {
		if known, err := llama.ParseFileType(name); err == nil && known == t {
			return name
		}
	}
	return t.String()
}

func firstArg(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// maxRules bounds a file of rules, in bytes.
const maxRules = 16 << 20

// allTensorRules are the rules of --tensor, and those of files after them.
func (o *quantizeOptions) allTensorRules() ([]string, error) {
	rules := o.tensors[:len(o.tensors):len(o.tensors)]
	for _, path := range o.tensorFiles {
		data, err := cli.ReadLimited(path, maxRules)
		if err != nil {
			return nil, cli.Inputf("%s: %w", path, cli.Cause(err))
		}
		list := strings.Fields(string(data))
		if len(list) == 0 {
			return nil, cli.Inputf("%s holds no rule; give PATTERN=TYPE, as attn_v=q8_0", path)
		}
		rules = append(rules, list...)
	}
	return rules, nil
}

// usesWeights reports whether an importance matrix counts for a tensor, by --include-weights or
// --exclude-weights: names hold the text, as for llama-quantize.
func (o *quantizeOptions) usesWeights(tensor string) bool {
	holds := func(part string) bool { return strings.Contains(tensor, part) }
	return !slices.ContainsFunc(o.excludeWeights, holds) &&
		(len(o.includeWeights) == 0 || slices.ContainsFunc(o.includeWeights, holds))
}

// overrideKeys reads --override-kv. Whole numbers become uint32, without their sign, as for
// llama-quantize.
func (o *quantizeOptions) overrideKeys() error {
	for _, entry := range o.overrideKV {
		key, rest, ok := strings.Cut(entry, "=")
		kind, text, typed := strings.Cut(rest, ":")
		if !ok || !typed || key == "" || len(key) > 127 {
			return cli.Usagef("--override-kv is %q; give KEY=TYPE:VALUE, as "+
				"general.name=str:My model", entry)
		}
		var value any
		var err error
		switch kind {
		case "int":
			var n int64
			n, err = strconv.ParseInt(text, 10, 64)
			if n < 0 {
				n = -n
			}
			if err == nil && n > 1<<32-1 {
				err = fmt.Errorf("%s does not fit 32 bits", text)
			}
			value = uint32(n)
		case "float":
			var x float64
			x, err = strconv.ParseFloat(text, 32)
			if x-x != 0 {
				err = fmt.Errorf("%s is no finite number", text)
			}
			value = float32(x)
		case "bool":
			value = text == "true"
			if text != "true" && text != "false" {
				err = fmt.Errorf("%q is neither true nor false", text)
			}
		case "str":
			value = text
		default:
			err = fmt.Errorf("there is no type %q; give int, float, bool or str", kind)
		}
		var v gguf.Value
		if err == nil {
			v, err = gguf.NewValue(value)
		}
		if err != nil {
			return cli.Usagef("--override-kv is %q: %v", entry, err)
		}
		o.keys = append(o.keys, gguf.KV{Key: key, Value: v})
	}
	return nil
}

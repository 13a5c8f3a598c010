package serve

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// serveEnvironment says which flag of serve a variable stands for. Names with EYELET_ come before
// those with OLLAMA_.
var serveEnvironment = []struct {
	suffix, flag string
	convert      func(string) (string, error) // to what the flag takes; nil for as it is
}{
	{"HOST", "listen", listenAddress},
	{"KEEP_ALIVE", "keep-alive", durationOrSeconds},
	{"NUM_PARALLEL", "parallel", nil},
	{"MAX_QUEUE", "queue", nil},
	{"MAX_LOADED_MODELS", "max-models", nil},
	{"KV_CACHE_TYPE", "cache-type", nil},
	{"CONTEXT_LENGTH", "default-ctx", nil},
}

// applyEnvironment sets flags that the command line leaves alone from the environment.
func applyEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	for _, v := range serveEnvironment {
		name, value := lookUp(getenv, v.suffix)
		// by 0 Ollama means its default
		if value == "" || flags.Changed(v.flag) || value == "0" && v.suffix != "KEEP_ALIVE" {
			continue
		}
		var err error
		if v.convert != nil {
			value, err = v.convert(value)
		}
		if err == nil {
			err = flags.Lookup(v.flag).Value.Set(value)
		}
		if err != nil {
			return cli.Usagef("the environment variable %s: %w", name, err)
		}
	}
	if name, value := lookUp(getenv, "ORIGINS"); value != "" && !flags.Changed("allow-origin") {
		for origin := range strings.SplitSeq(value, ",") {
			if err := flags.Lookup("allow-origin").Value.Set(origin); err != nil {
				return cli.Usagef("the environment variable %s: %w", name, err)
			}
		}
	}
	return nil
}

// lookUp returns a variable of ours, or of Ollama's, which strips quotes and spaces.
func lookUp(getenv func(string) string, suffix string) (name, value string) {
	for _, prefix := range []string{"EYELET_", "OLLAMA_"} {
		if value := strings.Trim(strings.TrimSpace(getenv(prefix+suffix)), `"'`); value != "" {
			return prefix + suffix, value
		}
	}
	return "", ""
}

// debugWanted reports whether OLLAMA_DEBUG or EYELET_DEBUG asks for all that can be logged.
func debugWanted(getenv func(string) string) bool {
	_, value := lookUp(getenv, "DEBUG")
	on, err := strconv.ParseBool(value)
	return value != "" && (on || err != nil)
}

// listenAddress makes an address of what OLLAMA_HOST can be: a host, a port or both, with or
// without a scheme, whose own port it then means.
func listenAddress(s string) (string, error) {
	port := "11434"
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		rest = s
	case scheme == "http":
		port = "80"
	case scheme == "https":
		port = "443"
	default:
		return "", fmt.Errorf("%q is no address to listen on", s)
	}
	rest, _, _ = strings.Cut(rest, "/")
	host, given, err := net.SplitHostPort(rest)
	if err != nil {
		host = strings.Trim(rest, "[]")
	} else {
		port = given
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q is no port", port)
	} else if host == "" && given == "" {
		return "", fmt.Errorf("%q is no address to listen on", s)
	} else {
		return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
	}
}

// durationOrSeconds makes a duration of one, or of a number of seconds.
func durationOrSeconds(s string) (string, error) {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return (time.Duration(n) * time.Second).String(), nil
	}
	_, err := time.ParseDuration(s)
	return s, err
}

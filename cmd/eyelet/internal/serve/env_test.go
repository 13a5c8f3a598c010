package serve

import (
	"testing"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

func TestServeUnderstandsOllamasEnvironment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env        map[string]string
		args       []string
		flag, want string // "" for an error
	}{
		{map[string]string{}, nil, "listen", defaultListen},
		{map[string]string{"OLLAMA_HOST": "0.0.0.0"}, nil, "listen", "0.0.0.0:11434"},
		{map[string]string{"OLLAMA_HOST": ":8080"}, nil, "listen", ":8080"},
		{map[string]string{"OLLAMA_HOST": "http://10.0.0.7"}, nil, "listen", "10.0.0.7:80"},
		{map[string]string{"OLLAMA_HOST": "https://10.0.0.7:99/x"}, nil, "listen", "10.0.0.7:99"},
		{map[string]string{"OLLAMA_HOST": "[::1]"}, nil, "listen", "[::1]:11434"},
		{map[string]string{"OLLAMA_HOST": `"host.example"`}, nil, "listen", "host.example:11434"},
		{map[string]string{"OLLAMA_HOST": "a:b"}, nil, "listen", ""},
		{map[string]string{"OLLAMA_HOST": "ftp://a"}, nil, "listen", ""},
		{map[string]string{"OLLAMA_HOST": "a", "EYELET_HOST": "b"}, nil, "listen", "b:11434"},
		{map[string]string{"EYELET_HOST": "b"}, []string{"--listen", "c:1"}, "listen", "c:1"},
		{map[string]string{"OLLAMA_KEEP_ALIVE": "600"}, nil, "keep-alive", "10m0s"},
		{map[string]string{"OLLAMA_KEEP_ALIVE": "-1"}, nil, "keep-alive", "-1s"},
		{map[string]string{"OLLAMA_KEEP_ALIVE": "2h"}, nil, "keep-alive", "2h0m0s"},
		{map[string]string{"OLLAMA_KEEP_ALIVE": "0"}, nil, "keep-alive", "0s"},
		{map[string]string{"OLLAMA_KEEP_ALIVE": "soon"}, nil, "keep-alive", ""},
		{map[string]string{"OLLAMA_NUM_PARALLEL": "3"}, nil, "parallel", "3"},
		{map[string]string{"OLLAMA_NUM_PARALLEL": "0"}, nil, "parallel", "4"},
		{map[string]string{"OLLAMA_NUM_PARALLEL": "many"}, nil, "parallel", ""},
		{map[string]string{"OLLAMA_CONTEXT_LENGTH": "8192"}, nil, "default-ctx", "8192"},
		{map[string]string{"OLLAMA_MAX_QUEUE": "7"}, nil, "queue", "7"},
		{map[string]string{"OLLAMA_MAX_LOADED_MODELS": "2"}, nil, "max-models", "2"},
		{map[string]string{"OLLAMA_KV_CACHE_TYPE": "q8_0"}, nil, "cache-type", "q8_0"},
		{map[string]string{"OLLAMA_ORIGINS": "http://a.example,https://b.example"}, nil,
			"allow-origin", "[http://a.example,https://b.example]"},
	} {
		cmd := NewServeCommand()
		if err := cmd.ParseFlags(c.args); err != nil {
			t.Fatal(err)
		}
		err := applyEnvironment(cmd.Flags(), func(name string) string { return c.env[name] })
		if got := cmd.Flags().Lookup(c.flag).Value.String(); c.want == "" &&
			cli.ExitCode(err) != cli.ExitUsage || c.want != "" && (err != nil || got != c.want) {
			t.Errorf("%v %v: --%s is %q %v, want %q", c.env, c.args, c.flag, got, err, c.want)
		}
	}
}

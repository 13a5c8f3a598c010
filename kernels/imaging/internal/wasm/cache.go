package wasm

import (
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
)

// Cached is a configuration that keeps compiled programs in [Folder], if there is one.
func Cached(config wazero.RuntimeConfig, kind string) wazero.RuntimeConfig {
	dir, err := Folder(kind)
	if err != nil {
		return config
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return config
	}
	return config.WithCompilationCache(cache)
}

// Folder is where compiled programs of a kind are kept, in the cache folder, this user's alone.
func Folder(kind string) (string, error) {
	dir, err := cacheFolder()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, kind)
	return dir, os.MkdirAll(dir, 0o700)
}

// cacheFolder is that of models/builtin, which lies on a floor above.
func cacheFolder() (string, error) {
	if dir := os.Getenv("EYELET_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "eyelet"), err
}

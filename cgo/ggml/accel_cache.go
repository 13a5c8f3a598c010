package ggml

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

// calibrationVersion changes with the way of measuring. Files of another are dropped.
const calibrationVersion = 6

// calibrationKey is what the measurements depend on. The file is named by its hash.
type calibrationKey struct {
	Version int    `json:"version"`
	CPU     string `json:"cpu"`
	ISA     string `json:"isa"`     // the level of instruction sets
	Backend string `json:"backend"` // ggml's CPU library and its features
	GGML    string `json:"ggml"`
	Library string `json:"library"` // hash of the accelerator's library
	Threads int    `json:"threads"`
}

// key describes this machine. accel.mu is held.
func (a *accelerator) key(threads int) calibrationKey {
	level, _ := isa.Chosen() // Load has checked it
	key := calibrationKey{Version: calibrationVersion, ISA: level.String(), GGML: Version() + " " +
		Commit(), Library: hashOfFile(a.state.Library), Threads: threads}
	for _, d := range Devices() {
		if d.Type == CPU {
			key.CPU = d.Description
		}
	}
	key.Backend = filepath.Base(CPULibrary())
	for _, f := range CPUFeatures() {
		key.Backend += " " + f.Name + "=" + f.Value
	}
	return key
}

func hashOfFile(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// cacheFolder is that of models/builtin, which lies on a floor above.
func cacheFolder() (string, error) {
	if dir := os.Getenv("EYELET_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "eyelet"), err
}

// file is where a calibration is kept: one for each key, so that machines that share a home folder
// do not undo each other's.
func (k *calibrationKey) file() (string, error) {
	dir, err := cacheFolder()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "accel-"+k.machine()+".json"), nil
}

// maxCalibrationBytes is far more than a file with every type takes.
const maxCalibrationBytes = 1 << 20

// readCalibration returns what the cache holds for a key. A file that is not whole, or not of this
// key, counts as none, and is written anew.
func readCalibration(key calibrationKey) *calibration {
	none := &calibration{Key: key, Types: map[string]measured{}}
	path, err := key.file()
	if err != nil {
		return none
	}
	f, err := os.Open(path)
	if err != nil {
		return none
	}
	defer f.Close()
	var c calibration
	if err := json.NewDecoder(io.LimitReader(f, maxCalibrationBytes)).Decode(&c); err != nil ||
		c.Key != key || c.Types == nil {
		return none
	}
	for _, m := range c.Types {
		if !m.Times.sane() {
			return none
		}
	}
	return &c
}

// save writes the file, whole or not at all.
func (c *calibration) save() error {
	path, err := c.Key.file()
	if err != nil {
		return err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".accel-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = cmp.Or(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	dropOld(filepath.Dir(path))
	return nil
}

// dropOld removes calibrations that were measured in another way.
func dropOld(dir string) {
	// the pattern is well-formed
	found, _ := filepath.Glob(filepath.Join(globEscape(dir), "accel-*.json"))
	for _, path := range found {
		text, err := os.ReadFile(path)
		var c struct {
			Key struct {
				Version int `json:"version"`
			} `json:"key"`
		}
		if err == nil && json.Unmarshal(text, &c) == nil && c.Key.Version != calibrationVersion {
			os.Remove(path)
		}
	}
}

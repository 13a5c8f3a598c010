package ggml

// #include <stdlib.h>
// #include "accel.h"
import "C"

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

// The paths of kernels/accel/product.h that are of another kind: ggml's own CPU backend over
// weights as they lie in the file, and, after the last path, over weights that it has repacked
// while loading. Of ours, the one over integers reads some of those as well.
const (
	pathGGML     = 0
	pathIntegers = 1
	pathRepacked = C.eyelet_accel_paths - 1
	measureSteps = C.eyelet_accel_steps
	rounds       = C.eyelet_accel_rounds

	measureWidth = C.eyelet_accel_measured_width // of a row of weights

	// The least bytes of matrices of a type that are worth a measurement. Smaller models are done
	// before it would pay, and get what was measured for others, or the plugin's defaults.
	leastToMeasure = 32 << 20
)

// The steps that are measured: one row, for which the CPU backend stays, to know what repacking
// gains; and those from which on a path of ours may be faster (least_rows in
// kernels/accel/choice.h).
var measuredSteps = []int{0, 1, 2, 3, 4, 5, 6, 7}

// timing is the nanoseconds that a row of the weights takes in products of 1, 2, 4 … 128 rows by
// each path, in rounds in which all paths took turns; 0 where a path cannot run them or nothing was
// measured.
type timing [measureSteps][rounds][C.eyelet_accel_paths]float64

// measured is what was found for a type of weights.
type measured struct {
	Times timing    `json:"times"`
	When  time.Time `json:"when"`
	// Doubted says that decoding took another time than this had it.
	Doubted bool `json:"doubted,omitempty"`
	// Looks is how often it was measured again since it was first doubted, or the machine busy.
	Looks int `json:"looks,omitempty"`
}

// calibration is what was measured on one machine with one number of threads. It is the document of
// the file in the cache.
type calibration struct {
	Key   calibrationKey      `json:"key"`
	Types map[string]measured `json:"types"` // by name
}

// calibrationVersion changes with the way of measuring. Files of another are dropped.
const calibrationVersion = 5

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

const (
	// winsBelow is the share of the CPU backend's time that a path of ours must stay below: each
	// product that is taken splits the graph.
	winsBelow = 0.95
	// quiet is how many times the fastest round the last but one may take on a machine that does
	// nothing else.
	quiet = 1.3
	// again is how old a measurement must be that is doubted, or of a busy machine, before it is
	// repeated for the first time. It doubles each time that this leaves the reason standing, so
	// that nothing is measured over and over, rarest times.
	again  = 5 * time.Minute
	rarest = 8
)

// typical returns the median of a path's rounds, 0 if it was not timed in all of them.
func (t *timing) typical(step, path int) float64 {
	all := t.sorted(step, func(round []float64) float64 { return round[path] })
	if all[0] == 0 {
		return 0
	}
	return all[len(all)/2]
}

// sorted returns what f makes of each round, in ascending order.
func (t *timing) sorted(step int, f func(round []float64) float64) []float64 {
	all := make([]float64, 0, rounds)
	for _, round := range t[step] {
		all = append(all, f(round[:]))
	}
	slices.Sort(all)
	return all
}

// ratio returns how many times as long as another a path takes: the median of what single rounds
// say, which whatever else runs leaves alone, and what all rounds but one stay within. It is 0
// where one of both was not timed.
func (t *timing) ratio(step, path, other int) (typical, most float64) {
	if t.typical(step, path) == 0 || t.typical(step, other) == 0 {
		return 0, 0
	}
	all := t.sorted(step, func(round []float64) float64 { return round[path] / round[other] })
	return all[len(all)/2], all[len(all)-2]
}

// wins tells whether a path is clearly the faster: by winsBelow as a rule, and at all in every
// round but one.
func (t *timing) wins(step, path, other int) bool {
	typical, most := t.ratio(step, path, other)
	return typical > 0 && typical < winsBelow && most < 1
}

// choice returns the path that products of 2^step rows are computed with: ggml's unless another is
// clearly faster.
func (t *timing) choice(step int) int {
	best := pathGGML
	for path := pathGGML + 1; path < pathRepacked; path++ {
		if !t.wins(step, path, pathGGML) {
			continue
		}
		if typical, _ := t.ratio(step, path, best); typical < 1 {
			best = path
		}
	}
	return best
}

// choiceRepacked returns the path where the weights are repacked and the path over integers can
// read them. That takes the same time as reading them as they are, or a little less.
func (t *timing) choiceRepacked(step int) int {
	if t.wins(step, pathIntegers, pathRepacked) {
		return pathIntegers
	}
	return pathGGML
}

// busy tells whether the machine did something else meanwhile: a path of ggml's took far longer in
// some rounds than in others.
func (t *timing) busy() bool {
	for _, step := range measuredSteps {
		all := t.sorted(step, func(round []float64) float64 { return round[pathGGML] })
		if all[len(all)-2] > quiet*all[0] {
			return true
		}
	}
	return false
}

// sane rejects numbers that no measurement gives.
func (t *timing) sane() bool {
	for _, step := range t {
		for _, round := range step {
			for _, ns := range round {
				if !(ns >= 0 && ns < 1e12) {
					return false
				}
			}
		}
	}
	for _, step := range measuredSteps {
		if t.typical(step, pathGGML) == 0 {
			return false
		}
	}
	return true
}

// path returns what a product of 2^step rows is computed with, of weights as they lie in the file
// or repacked where ggml can; readable tells whether the accelerator reads the latter.
func (t *timing) path(step int, repacked, readable bool) int {
	switch {
	case !repacked || t.typical(step, pathRepacked) == 0:
		return t.choice(step)
	case readable && t.choiceRepacked(step) == pathIntegers:
		return pathIntegers
	}
	return pathRepacked
}

// due returns when a measurement is to be repeated; false where it is good enough.
func (m *measured) due() (time.Time, bool) {
	if !m.Doubted && !m.Times.busy() {
		return time.Time{}, false
	}
	return m.When.Add(again << min(max(m.Looks, 0), rarest)), true
}

// current tells whether a measurement is good enough for now.
func (m *measured) current(now time.Time) bool {
	due, wanted := m.due()
	return !wanted || now.Before(due)
}

// next returns what takes the place of a measurement that was repeated.
func (m *measured) next(times timing, now time.Time) measured {
	return measured{Times: times, When: now, Looks: m.Looks + 1}
}

// PrepareAccelerator makes the accelerator ready for the weights of GGUF files: it decides for each
// of their types from how many rows of activations on products are taken, and how they are
// computed. What was not yet measured on this machine with this number of threads is, for about a
// second a type, and kept in the cache directory. threads below 1 stands for those of
// [SetAcceleratorThreads].
//
// plain tells whether the weights are best left as they are in the file: most types are the
// accelerator's to take only then, but ggml's CPU backend decodes some faster if it repacks them
// while loading. It is false without an accelerator, or where it is not enabled.
func PrepareAccelerator(threads int, files ...string) (plain bool) {
	if !AcceleratorState().Loaded {
		return false
	}
	weights, ok := weightBytes(files)
	if !ok {
		return false // whoever loads the files says what is wrong with them
	}
	return PrepareAcceleratorFor(threads, weights)
}

// PrepareAcceleratorFor is [PrepareAccelerator] for matrices by their types, in bytes.
func PrepareAcceleratorFor(threads int, weights map[Type]int64) (plain bool) {
	accel.mu.Lock()
	defer accel.mu.Unlock()
	if !accel.state.Loaded {
		return false
	}
	c := accel.calibration(threads)
	fresh, found, readable := false, map[Type]timing{}, map[Type]bool{}
	for t, n := range weights {
		m, known := c.Types[t.String()]
		if !known && n < leastToMeasure {
			continue
		}
		if now := time.Now(); !known || !m.current(now) && n >= leastToMeasure {
			times, ok := accel.measure(t, c.Key.Threads)
			if !ok && !known {
				continue
			}
			switch {
			case ok && known:
				m = m.next(times, now)
			case ok:
				m = measured{Times: times, When: now}
			}
			c.Types[t.String()], fresh = m, fresh || ok
		}
		found[t] = m.Times
		accel.choose(t, &m.Times)
		readable[t] = bool(C.eyelet_accel_call_reads_repacked(&accel.f, C.int(t)))
	}
	accel.noteDue()
	if fresh {
		c.keep()
	}
	return !accel.disabled && plainIsBest(weights, found, readable)
}

// choose has products with weights of a type computed by what was measured, in graphs that are laid
// out from now on. accel.mu is held.
func (a *accelerator) choose(t Type, times *timing) {
	for step := range measureSteps {
		C.eyelet_accel_call_set_choice(&a.f, C.int(t), C.int(step), false,
			C.int(times.choice(step)))
		C.eyelet_accel_call_set_choice(&a.f, C.int(t), C.int(step), true,
			C.int(times.choiceRepacked(step)))
	}
}

// plainIsBest compares the time of decoding (one row) and of prompts (64 and 128 rows) with all
// weights as they are to that with all weights repacked that ggml repacks, round by round; readable
// are the types that the accelerator then reads. Plain weights must not lose two hundredths in any
// of these, nor in more than one round: else ggml's own layout is the safe choice. Where more than
// a sixteenth of the weights is of types that were not measured, ggml does as it always does.
func plainIsBest(weights map[Type]int64, times map[Type]timing, readable map[Type]bool) bool {
	var all, known int64
	for t, n := range weights {
		all += n
		if _, ok := times[t]; ok {
			known += n
		}
	}
	if known == 0 || known < all-all/16 {
		return false
	}
	for _, step := range []int{0, 6, 7} {
		lost := 0
		for round := range rounds {
			var plain, repacked float64
			for t, times := range times {
				row, err := t.RowSize(measureWidth)
				if err != nil {
					return false
				}
				rows := float64(weights[t]) / float64(row)
				plain += rows * times[step][round][times.path(step, false, false)]
				repacked += rows * times[step][round][times.path(step, true, readable[t])]
			}
			if plain*0.98 > repacked {
				lost++
			}
		}
		if lost > 1 {
			return false
		}
	}
	return true
}

// weightBytes returns the bytes of the matrices in GGUF files by type; false if one cannot be read.
func weightBytes(files []string) (map[Type]int64, bool) {
	w, ok := countWeights(files)
	if !ok {
		return nil, false
	}
	return byType(func(t Type) int64 { return int64(w.bytes[t]) }), true
}

func countWeights(files []string) (w C.eyelet_weights, ok bool) {
	for _, file := range files {
		if CheckFile(file) != nil {
			return w, false
		}
		cpath := C.CString(file)
		ok := C.eyelet_count_weights(cpath, &w)
		C.free(unsafe.Pointer(cpath))
		if !ok {
			return w, false
		}
	}
	return w, true
}

// byType collects what there is of each known type.
func byType(bytes func(Type) int64) map[Type]int64 {
	weights := map[Type]int64{}
	for t := range Type(C.GGML_TYPE_COUNT) {
		if n := bytes(t); n > 0 && t.Known() {
			weights[t] = n
		}
	}
	return weights
}

// calibration returns that of a number of threads: from memory, or the cache, or a new one.
// accel.mu is held.
func (a *accelerator) calibration(threads int) *calibration {
	if threads < 1 {
		threads = a.threads
	}
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	c, ok := a.calibrations[threads]
	if !ok {
		c = readCalibration(a.key(threads))
		a.calibrations[threads] = c
	}
	return c
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

// measure times a type. accel.mu is held.
func (a *accelerator) measure(t Type, threads int) (times timing, ok bool) {
	for _, step := range measuredSteps {
		if !a.measureStep(t, step, threads, &times) {
			return times, false
		}
	}
	return times, times.sane()
}

// measureStep times products of 2^step rows on an OS thread that ends with it: libgomp keeps a team
// of workers for each thread that ever computed. accel.mu is held.
func (a *accelerator) measureStep(t Type, step, threads int, times *timing) (ok bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		ok = bool(C.eyelet_accel_call_measure(&a.f, C.int(t), C.int(step), C.int(threads),
			(*[C.eyelet_accel_paths]C.double)(unsafe.Pointer(&times[step][0]))))
	}()
	<-done
	row, err := t.RowSize(measureWidth)
	if !ok || err != nil {
		return false
	}
	rows := float64(C.eyelet_accel_measured_rows(C.int(step), C.int64_t(row)))
	for round := range times[step] {
		for path := range times[step][round] {
			times[step][round][path] /= rows
		}
	}
	return true
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

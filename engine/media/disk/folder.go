// Package disk keeps embeddings of pictures in a folder, a file each, by the keys of the pictures
// and within a limit of bytes: the least recently used go.
package disk

import (
	"cmp"
	"container/list"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

const (
	rowsSuffix = ".rows"
	// defaultPending is Options.Pending where that is 0.
	defaultPending = 128 << 20
	// strayAge is how old a temporary file must be for its writer to be gone for certain.
	strayAge = time.Hour
)

// Options are the limits of a [Folder].
type Options struct {
	Bytes int64 // of all files
	// Pending is how many bytes of embeddings may wait to be written, unless one has more: they
	// stay in memory until then. 0 means 128 MiB.
	Pending int64
}

// Folder is a folder of embeddings. One goroutine reads and writes, so that nobody else waits.
// Several processes may share a folder, but each keeps to its limit by what it saw there when it
// opened it and wrote itself.
type Folder struct {
	dir  string
	opt  Options
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	work    sync.Cond
	files   map[kv.Key]*list.Element
	order   list.List // of *file, the last used in front
	reads   []read
	writes  []write
	pending int64 // bytes of writes
	closing bool
	stats   Stats
}

// file is a file that the folder has.
type file struct {
	key     kv.Key
	size    int64
	used    time.Time
	touched bool // used later than its modification time says
}

type read struct {
	key    kv.Key
	values int
	done   func(rows []float32)
}

type write struct {
	key  kv.Key
	rows []float32
	done func()
}

// Stats counts what a [Folder] holds and what befell it.
type Stats struct {
	Files int
	Bytes int64
	// Evictions were removed to keep to the limit, Damaged because they did not hold what their
	// name says.
	Evictions, Damaged int64
	// Skipped were not written because too many waited already, or because one file would exceed
	// the limit.
	Skipped int64
	// Errors counts failures to read, write or remove, LastError is the last of them.
	Errors    int64
	LastError error
}

// Open makes the folder if needed and takes stock of it. The time when a file was last used is its
// modification time.
func Open(dir string, opt Options) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { // embeddings tell what is in a picture
		return nil, fmt.Errorf("media: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	opt.Pending = cmp.Or(opt.Pending, defaultPending)
	d := &Folder{dir: dir, opt: opt, files: map[kv.Key]*list.Element{}, done: make(chan struct{})}
	d.work.L = &d.mu
	var files []*file
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // gone since, or not ours
		}
		if k, ok := keyOfName(e.Name()); ok {
			files = append(files, &file{key: k, size: info.Size(), used: info.ModTime()})
		} else if atomicfile.IsTemporary(e.Name()) && time.Since(info.ModTime()) > strayAge {
			d.remove(e.Name())
		}
	}
	slices.SortFunc(files, func(a, b *file) int { return a.used.Compare(b.used) })
	for _, f := range files {
		d.add(f)
	}
	d.remove(d.evict(0)...)
	go d.run()
	return d, nil
}

// Name is the name of the file of a key.
func Name(k kv.Key) string { return hex.EncodeToString(k[:]) + rowsSuffix }

func keyOfName(name string) (k kv.Key, ok bool) {
	digits, ok := strings.CutSuffix(name, rowsSuffix)
	if !ok || len(digits) != hex.EncodedLen(len(k)) {
		return k, false
	}
	_, err := hex.Decode(k[:], []byte(digits))
	return k, err == nil && Name(k) == name // capital digits would be another file
}

// Has reports whether there is a file of the key, as far as is known.
func (d *Folder) Has(k kv.Key) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.closing && d.files[k] != nil
}

// Use notes that the embeddings of a key were used. Touched says that the modification time of the
// file is to follow.
func (d *Folder) Use(k kv.Key, now time.Time, touched bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if el := d.files[k]; el != nil {
		f := el.Value.(*file)
		f.used, f.touched = now, touched
		d.order.MoveToFront(el)
	}
}

// Load has a file read if there is one: done is called from the goroutine with what it holds, nil
// if that is not so many numbers.
func (d *Folder) Load(k kv.Key, values int, done func(rows []float32)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing || d.files[k] == nil {
		return false
	}
	d.reads = append(d.reads, read{k, values, done})
	d.work.Signal()
	return true
}

// Store has a file written, unless there is one. Done is called when the rows are needed no more.
func (d *Folder) Store(k kv.Key, rows []float32, done func()) {
	size := Size(len(rows))
	d.mu.Lock()
	switch {
	case d.closing || d.files[k] != nil:
	case size > d.opt.Bytes || d.pending > 0 && d.pending+size > d.opt.Pending:
		d.stats.Skipped++
	default:
		d.pending += size
		d.writes = append(d.writes, write{k, rows, done})
		d.work.Signal()
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	done()
}

// run reads and writes until Close; reads come first, because somebody waits for them.
func (d *Folder) run() {
	defer close(d.done)
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		switch {
		case len(d.reads) > 0:
			r := d.reads[0]
			d.reads = slices.Delete(d.reads, 0, 1)
			d.mu.Unlock()
			r.done(d.read(r))
			d.mu.Lock()
		case len(d.writes) > 0:
			w := d.writes[0]
			d.writes = slices.Delete(d.writes, 0, 1)
			d.mu.Unlock()
			d.write(w)
			w.done()
			d.mu.Lock()
			d.pending -= Size(len(w.rows)) // only now: it took memory until it was written
		case d.closing:
			return
		default:
			d.work.Wait()
		}
	}
}

// Close writes what waits, and notes for the next process when files were last used.
func (d *Folder) Close() {
	d.mu.Lock()
	d.closing = true
	d.work.Signal()
	d.mu.Unlock()
	<-d.done
	d.mu.Lock()
	defer d.mu.Unlock()
	for el := d.order.Front(); el != nil; el = el.Next() {
		if f := el.Value.(*file); f.touched {
			f.touched = false
			// else it is only thought older
			_ = os.Chtimes(filepath.Join(d.dir, Name(f.key)), time.Time{}, f.used)
		}
	}
}

// read reads a file. One that is damaged is removed.
func (d *Folder) read(r read) []float32 {
	name := Name(r.key)
	path := filepath.Join(d.dir, name)
	rows, err := readRowsFile(path, r.key, r.values)
	if err == nil {
		now := time.Now()
		_ = os.Chtimes(path, time.Time{}, now) // else it is only thought older
		d.Use(r.key, now, false)
		return rows
	}
	damaged := errors.Is(err, errDamaged)
	if damaged {
		d.remove(name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if damaged {
		d.stats.Damaged++
	} else if !errors.Is(err, fs.ErrNotExist) { // another process may have removed it
		d.fail(err)
	}
	if el := d.files[r.key]; el != nil {
		d.forget(el)
	}
	return nil
}

func readRowsFile(path string, k kv.Key, values int) ([]float32, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for ever
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRows(f, info.Size(), k, values)
}

// write writes a file, whole or not at all, after making room for it. The data may reach the disk
// after the name: the checksum tells.
func (d *Folder) write(w write) {
	size := Size(len(w.rows))
	d.mu.Lock()
	names := d.evict(size)
	d.mu.Unlock()
	d.remove(names...)
	err := atomicfile.Write(filepath.Join(d.dir, Name(w.key)),
		atomicfile.Options{Perm: 0o600, Sync: atomicfile.Nothing},
		func(to io.Writer) error { return writeRows(to, w.key, w.rows) })
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.fail(err)
		return
	}
	d.add(&file{key: w.key, size: size, used: time.Now()})
}

// remove removes files. The mutex is not held: nobody waits for the folder.
func (d *Folder) remove(names ...string) {
	for _, name := range names {
		if err := os.Remove(filepath.Join(d.dir, name)); err != nil && !errors.Is(err,
			fs.ErrNotExist) {
			d.mu.Lock()
			d.fail(err)
			d.mu.Unlock()
		}
	}
}

// add notes a file as the last used. The mutex is held, as it is for evict, forget and fail.
func (d *Folder) add(f *file) {
	d.files[f.key] = d.order.PushFront(f)
	d.stats.Bytes += f.size
}

// forget takes a file out of the books.
func (d *Folder) forget(el *list.Element) {
	f := d.order.Remove(el).(*file)
	delete(d.files, f.key)
	d.stats.Bytes -= f.size
}

// evict forgets the least recently used files until so many bytes have room, and returns their
// names.
func (d *Folder) evict(size int64) (names []string) {
	for d.stats.Bytes+size > d.opt.Bytes && d.order.Len() > 0 {
		el := d.order.Back()
		names = append(names, Name(el.Value.(*file).key))
		d.forget(el)
		d.stats.Evictions++
	}
	return names
}

func (d *Folder) fail(err error) {
	d.stats.Errors++
	d.stats.LastError = fmt.Errorf("media: %w", err)
}

// Stats counts what the folder holds and what befell it so far.
func (d *Folder) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Files = len(d.files)
	return s
}

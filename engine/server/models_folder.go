package server

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

// folderAge is how long the list of the folder is believed, by those who find in it what they look
// for.
const folderAge = 2 * time.Second

// folder is the operator's folder of models, and what is wrong in it.
type folder struct {
	reader *store.FolderReader
	log    *slog.Logger

	mu       sync.Mutex
	listed   time.Time
	models   map[string]store.Files // by name
	unusable []unusableModel
	warned   map[string]bool // what the log has said
}

// unusableModel is a model that there would be if its files were sound.
type unusableModel struct {
	Name  string `json:"name"`
	File  string `json:"file,omitempty"` // in the folder
	Error string `json:"error"`
	err   error
}

// newFolder lists a folder for the first time. The error is for a folder that cannot be read at
// all.
func newFolder(dir string, log *slog.Logger) (*folder, error) {
	f := &folder{reader: store.NewFolderReader(dir), log: log, warned: map[string]bool{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f, f.read()
}

// list returns the models by name, and what cannot be used. A folder that cannot be read any more
// is told of in the log once, and has what it had.
func (f *folder) list(fresh bool) (map[string]store.Files, []unusableModel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh || time.Since(f.listed) >= folderAge {
		if err := f.read(); err != nil {
			f.warnOnce("the folder of models cannot be read", "", err.Error())
		}
	}
	return f.models, f.unusable
}

// read lists the folder. The caller holds mu.
func (f *folder) read() error {
	all, err := f.reader.Read()
	f.listed = time.Now()
	if err != nil {
		return err
	}
	f.models, f.unusable = map[string]store.Files{}, nil
	for _, files := range all.Models {
		base := filepath.Base(files.Model)
		name, err := store.SuggestName(base)
		if err != nil {
			f.refuse(unusableModel{Name: base, File: base,
				Error: "no name can be made of the file's name; rename it", err: err}, false)
			continue
		}
		if other, twice := f.models[name.String()]; twice {
			f.refuse(unusableModel{Name: base, File: base,
				Error: fmt.Sprintf("%s has the name %s already", filepath.Base(other.Model), name),
				err:   store.ErrUnusable}, false)
			continue
		}
		f.models[name.String()] = files
	}
	for _, u := range all.Unusable {
		base := filepath.Base(u.Path)
		m := unusableModel{Name: base, File: base, Error: u.Reason, err: u.Err}
		if name, err := store.SuggestName(base); err == nil {
			m.Name = name.String()
		}
		f.refuse(m, u.Growing)
	}
	return nil
}

// refuse enters what cannot be used, and tells the log unless it may be all right in a moment.
func (f *folder) refuse(m unusableModel, growing bool) {
	f.unusable = append(f.unusable, m)
	if !growing {
		f.warnOnce("a file of the folder of models cannot be used", m.File, m.Error)
	}
}

// warnOnce writes a warning into the log, the first time that it is called with it.
func (f *folder) warnOnce(what, file, reason string) {
	key := what + file + reason
	if f.warned[key] || len(f.warned) > maxFound {
		return
	}
	f.warned[key] = true
	f.log.Warn(what, "file", file, "reason", reason)
}

// find returns the files of a name, or why they cannot be used. What the list of a moment ago lacks
// is looked for anew.
func (f *folder) find(name string) (files store.Files, ok bool, err error) {
	for _, fresh := range []bool{false, true} {
		models, unusable := f.list(fresh)
		if files, ok := models[name]; ok {
			return files, true, nil
		}
		if !fresh {
			continue
		}
		for _, u := range unusable {
			if u.Name == name {
				return files, false, fmt.Errorf("%w: %q: %s", store.ErrUnusable, name, u.Error)
			}
		}
	}
	return store.Files{}, false, nil
}

// unusable lists the models that cannot be used, by name: of the folder, of the store and of
// Ollama's.
func (ms *models) unusable() []unusableModel {
	var all []unusableModel
	if ms.folder != nil {
		_, unusable := ms.folder.list(false)
		all = append(all, unusable...)
	}
	if ms.store != nil {
		stored, _ := ms.store.List()
		for _, s := range stored {
			r, err := ms.store.OpenModel(&s)
			if err == nil {
				_, err = ms.ofStore(r)
			}
			if err != nil {
				all = append(all, unusableModel{Name: s.Name.String(),
					Error: failure.Text(err), err: err})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b unusableModel) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.File, b.File))
	})
	return all
}

// ofFolder describes the models of the folder.
func (ms *models) ofFolder(add func(*model, error)) {
	if ms.folder == nil {
		return
	}
	found, _ := ms.folder.list(false)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		add(ms.ofFiles(name, engine.ModelSpec{Model: found[name].Model,
			Projector: found[name].Projector}))
	}
}

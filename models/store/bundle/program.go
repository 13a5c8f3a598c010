package bundle

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/models/store"
)

// maxProgramFiles bounds the folder of a program.
const maxProgramFiles = 4096

// Folder is a program to carry: what "make bundle" makes and "make install" installs.
type Folder struct {
	Dir     string
	Program Program
	files   []string // relative, with slashes
}

// OpenProgram looks at a folder: it must have the launcher and the program, and regular files
// alone.
func OpenProgram(dir string, about Program) (*Folder, error) {
	p := &Folder{Dir: dir, Program: about}
	for _, name := range []string{"eyelet", "bin/eyelet.bin"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.Mode().IsRegular() {
			return nil, fmt.Errorf(
				"bundle: %s is no folder of the program, it has no %s; \"make bundle\" makes one",
				dir, name)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch first, _, _ := strings.Cut(rel, "/"); {
		case first == "models", first == "packed", first == indexName, first == signatureName,
			strings.HasPrefix(first, "sbom."):
			// What a program that was unpacked from a bundle has beside it.
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no regular file", path)
		case len(p.files) >= maxProgramFiles:
			return fmt.Errorf("more than %d files", maxProgramFiles)
		}
		p.files = append(p.files, rel)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bundle: the program in %s: %w", dir, err)
	}
	return p, nil
}

// describe returns what the index says of the program's files, whose contents it reads for that.
func (p *Folder) describe(ctx context.Context) ([]member, error) {
	var members []member
	for _, rel := range p.files {
		path := filepath.Join(p.Dir, filepath.FromSlash(rel))
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		digest, err := store.HashFile(ctx, path, nil)
		if err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		f := File{Path: rel, Kind: kindProgram, Size: info.Size(), Digest: digest,
			Executable: info.Mode()&0o111 != 0}
		members = append(members, member{File: f, open: openFile(path)})
	}
	return members, nil
}

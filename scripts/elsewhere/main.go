// Elsewhere checks the types of packages as they are built for other systems, without compilers for
// these and without their C libraries:
//
//	go run ./scripts/elsewhere darwin/arm64,linux/arm64 ./...
//
// What comes from C has no type here, so that what is wrong on this system as well is passed over,
// as are the bodies of functions outside the packages that are named. It prints each other error,
// and ends with status 1 if there is any.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: elsewhere SYSTEM/PROCESSOR,... PACKAGES")
		os.Exit(2)
	}
	here, err := check(runtime.GOOS+"/"+runtime.GOARCH, os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "elsewhere:", err)
		os.Exit(1)
	}
	bad := false
	for platform := range strings.SplitSeq(os.Args[1], ",") {
		faults, err := check(platform, os.Args[2:])
		if err != nil {
			fmt.Fprintf(os.Stderr, "elsewhere: %s: %v\n", platform, err)
			os.Exit(1)
		}
		for _, fault := range faults {
			if slices.Contains(here, fault) {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s: %s\n", platform, fault)
			bad = true
		}
	}
	if bad {
		os.Exit(1)
	}
}

// listed is a package as "go list" describes it.
type listed struct {
	ImportPath, Dir   string
	GoFiles, CgoFiles []string
	ImportMap         map[string]string
	DepOnly           bool
	Error             *struct{ Err string }
}

// check returns what is wrong with the packages that patterns match, built for a platform.
func check(platform string, patterns []string) (faults []string, err error) {
	system, processor, ok := strings.Cut(platform, "/")
	if !ok {
		return nil, errors.New("want a system and a processor, as darwin/arm64")
	}
	list, err := list(system, processor, patterns)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	known := map[string]*types.Package{"unsafe": types.Unsafe}
	for _, p := range list { // what a package imports is before it
		if p.ImportPath == "unsafe" {
			continue
		}
		if p.Error != nil {
			return nil, fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err)
		}
		var parsed []*ast.File
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil,
				parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			parsed = append(parsed, f)
		}
		config := types.Config{
			FakeImportC: true, IgnoreFuncBodies: p.DepOnly,
			Sizes: types.SizesFor("gc", processor),
			Importer: importer(func(path string) (*types.Package, error) {
				if mapped := p.ImportMap[path]; mapped != "" {
					path = mapped
				}
				if known := known[path]; known != nil {
					return known, nil
				}
				return nil, fmt.Errorf("%s is not among the packages that are built", path)
			}),
			Error: func(err error) {
				if !p.DepOnly {
					faults = append(faults, err.Error())
				}
			},
		}
		// Of a package with errors, what could be made out serves those that import it.
		known[p.ImportPath], _ = config.Check(p.ImportPath, files, parsed, nil)
	}
	return faults, nil
}

type importer func(path string) (*types.Package, error)

func (f importer) Import(path string) (*types.Package, error) { return f(path) }

// list returns the packages with all that they import, which comes first.
func list(system, processor string, patterns []string) (list []*listed, err error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-e",
		"-json=ImportPath,Dir,GoFiles,CgoFiles,ImportMap,DepOnly,Error"}, patterns...)...)
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
}

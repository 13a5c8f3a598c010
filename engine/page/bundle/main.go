// Command bundle makes the page's files of its sources: "go generate ./engine/page". It needs the
// npm packages that scripts/npm-page brings, and writes what the package embeds. With -check it
// writes nothing, and fails if the files are not what the sources make.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	check := flag.Bool("check", false, "compare with the files that are there, and write nothing")
	root := flag.String("root", "../..", "root of the checkout")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	packages := filepath.Join(root, "build", "npm-page", "node_modules")
	if _, err := os.Stat(packages); err != nil {
		return fmt.Errorf("the npm packages are missing; run scripts/npm-page: %w", err)
	}
	made, err := bundle(filepath.Join(root, "engine", "page", "src"), packages)
	if err != nil {
		return err
	}
	to := filepath.Join(root, "engine", "page", "dist")
	if check {
		return compare(to, made)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for name, data := range made {
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// bundle makes the page's files of the sources in a folder, by name.
func bundle(src, packages string) (map[string][]byte, error) {
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{filepath.Join(src, "app.tsx"), filepath.Join(src, "app.css")},
		Outdir:            "dist",
		Bundle:            true,
		Format:            api.FormatESModule,
		Target:            api.ES2022,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Charset:           api.CharsetUTF8,
		LegalComments:     api.LegalCommentsEndOfFile,
		JSX:               api.JSXAutomatic,
		JSXImportSource:   "preact",
		NodePaths:         []string{packages},
		TsconfigRaw:       "{}",
	})
	if len(result.Errors) > 0 {
		lines := api.FormatMessages(result.Errors,
			api.FormatMessagesOptions{Kind: api.ErrorMessage})
		return nil, errors.New(lines[0])
	}
	made := map[string][]byte{}
	for _, file := range result.OutputFiles {
		made[filepath.Base(file.Path)] = file.Contents
	}
	for _, name := range []string{"index.html", "preview.html", "icon.svg"} {
		data, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return nil, err
		}
		made[name] = data
	}
	var err error
	made["licences.txt"], err = licences(packages)
	return made, err
}

// licences are the texts of the licences of what is bundled.
func licences(packages string) ([]byte, error) {
	var all bytes.Buffer
	for _, name := range []string{"dompurify", "katex", "marked", "preact"} {
		found, err := filepath.Glob(filepath.Join(packages, name, "LICENSE*"))
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("the package %s has no licence (%v)", name, err)
		}
		text, err := os.ReadFile(found[0])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&all, "%s\n\n%s\n\n", name, bytes.TrimSpace(text))
	}
	return all.Bytes(), nil
}

// compare fails if the files in a folder are not those that were made.
func compare(folder string, made map[string][]byte) error {
	have, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range have {
		if _, ok := made[entry.Name()]; !ok {
			return fmt.Errorf("%s is not made of the sources any more; delete it",
				filepath.Join(folder, entry.Name()))
		}
	}
	for name, data := range made {
		old, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		if !bytes.Equal(old, data) {
			return fmt.Errorf("%s is not what the sources make; run go generate ./engine/page",
				filepath.Join(folder, name))
		}
	}
	return nil
}

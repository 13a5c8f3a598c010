package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"github.com/eyelet-engine/eyelet/kernels/imaging/document/documenttest"
)

// scanSize is an A4 page at 150 dots an inch.
var scanSize = image.Pt(1240, 1754)

// scan makes a PDF file of pages as a scanner makes them: grey, uneven paper with noise, lines of
// text, each page a JPEG.
func scan(pages int) ([]byte, error) {
	ttf, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, err
	}
	face, err := opentype.NewFace(ttf, &opentype.FaceOptions{Size: 26, DPI: 72})
	if err != nil {
		return nil, err
	}
	objects := []string{"<</Type/Catalog/Pages 2 0 R>>", ""}
	kids := ""
	for i := range pages {
		page := scannedPage(face, i)
		var data bytes.Buffer
		if err := jpeg.Encode(&data, page, &jpeg.Options{Quality: 70}); err != nil {
			return nil, err
		}
		n := len(objects) + 1
		kids += fmt.Sprintf("%d 0 R ", n)
		objects = append(objects,
			fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<</XObject<</I %d 0 R>>>>>>", n+1, n+2),
			documenttest.Stream("", "595 0 0 842 0 0 cm /I Do"),
			documenttest.Stream(
				fmt.Sprintf("/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/DCTDecode", scanSize.X, scanSize.Y), data.String()))
	}
	objects[1] = fmt.Sprintf("<</Type/Pages/Kids[%s]/Count %d>>", kids, pages)
	return documenttest.Objects(objects...), nil
}

// scannedPage is page i, the same each time.
func scannedPage(face font.Face, i int) *image.Gray {
	page := image.NewGray(image.Rectangle{Max: scanSize})
	noise := rand.New(rand.NewPCG(uint64(i), 27))
	for y := range scanSize.Y {
		for x := range scanSize.X {
			page.Pix[y*page.Stride+x] = uint8(236 + 8*x/scanSize.X - 6*y/scanSize.Y +
				noise.IntN(9) - 4)
		}
	}
	d := font.Drawer{Dst: page, Src: image.NewUniform(color.Gray{40}), Face: face}
	for line := range 40 {
		d.Dot = fixed.P(110, 140+38*line)
		text := ""
		for len(text) < 60 {
			text += []string{"page ", "of ", "a ", "scan ", "with ", "words ",
				strconv.Itoa(noise.IntN(1000)) + " "}[noise.IntN(7)]
		}
		if line == 0 {
			text = fmt.Sprintf("Page %d", i+1)
		}
		d.DrawString(text)
	}
	draw.Draw(page, image.Rect(110, 1680, 400, 1684), image.NewUniform(color.Gray{90}),
		image.Point{}, draw.Src)
	return page
}

const scanQuestion = "What does the page say?"

// benchScan asks about each page of a scan.
func benchScan(ctx context.Context, o *options) error {
	data, err := scan(o.pages)
	if err != nil {
		return err
	}
	file := filepath.Join(o.folder, "scan.pdf")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	small := filepath.Join(o.folder, "small.pdf")
	if one, err := scan(1); err != nil {
		return err
	} else if err := os.WriteFile(small, one, 0o600); err != nil {
		return err
	}
	// What the model takes by itself is seen with a picture of a few pixels.
	tiny := filepath.Join(o.folder, "tiny.jpg")
	if err := writeTiny(tiny); err != nil {
		return err
	}
	// which also compiles the reader of PDF files, once on a machine
	if _, err := o.ask(ctx, "--image", small, scanQuestion); err != nil {
		return err
	}
	idle, err := peakOf(o.command(ctx, "--image", tiny, "--json", scanQuestion))
	if err != nil {
		return err
	}
	fmt.Printf("a scan of %d pages, %.1f MB; the model alone has %.0f MiB at the highest\n",
		o.pages, float64(len(data))/1e6, idle)
	best := 0.0
	for _, n := range strings.Split(o.parallel, ",") {
		rate, err := o.scanned(ctx, file, n, idle)
		if err != nil {
			return err
		}
		best = max(best, rate)
	}
	if o.oursOnly {
		return nil
	}
	rate, err := o.peerScan(ctx, file)
	if err != nil {
		return err
	}
	fmt.Printf("llama-server, pdftoppm before each page: %.3f pages/s\n", rate)
	fmt.Printf("ratio %.2f (at least 2: %s)\n", best/rate, met(best/rate >= 2))
	return nil
}

func writeTiny(path string) error {
	var data bytes.Buffer
	if err := jpeg.Encode(&data, image.NewGray(image.Rect(0, 0, 32, 32)), nil); err != nil {
		return err
	}
	return os.WriteFile(path, data.Bytes(), 0o600)
}

// scanned runs eyelet run over all pages, n at a time, and returns pages a second without the time
// to load the model.
func (o *options) scanned(ctx context.Context, file, n string,
	idle float64) (rate float64, err error) {
	out := filepath.Join(o.folder, "answers-"+n+".jsonl")
	began := time.Now()
	peak, err := peakOf(o.command(ctx, "--image", file, "--jsonl", out, "--parallel", n,
		scanQuestion))
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	answers, err := readAnswers(out)
	if err != nil {
		return 0, err
	}
	if len(answers) != o.pages {
		return 0, fmt.Errorf("%d answers about %d pages", len(answers), o.pages)
	}
	work, drawn, tokens, early := 0.0, 0.0, 0, 0
	for _, a := range answers {
		t := a.Timings
		drawn += t.Decode + t.Preprocess
		if t.Decode == 0 {
			early++
		}
		work += t.Encode + t.Prefill + t.Generate
		tokens += a.Usage.Completion
	}
	load := answers[0].Timings.Load
	wall := took.Seconds() - load/1000
	rate = float64(o.pages) / wall
	above := peak - idle
	fmt.Printf("eyelet, %s at a time: %.3f pages/s, %.0f MiB above the model (at most 300: %s); %.1f tokens an answer\n", n, rate, above, met(above <= 300), float64(tokens)/float64(o.pages))
	if n == "1" {
		fmt.Printf("    %d of %d pages were drawn while the page before was computed (all but the first: %s)\n", early, o.pages, met(early >= o.pages-1))
	} else {
		fmt.Printf("    %.1f s on the wall; pages were drawn for %.1f s, and encoded, read and answered for %.1f s, beside each other\n", wall, drawn/1000, work/1000)
	}
	return rate, nil
}

// readAnswers reads the lines of a run.
func readAnswers(path string) (list []answer, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, err
		}
		if a.Error != "" {
			return nil, fmt.Errorf("%s: %s", a.Image, a.Error)
		}
		list = append(list, a)
	}
	return list, lines.Err()
}

// peakOf runs a command and returns the highest resident memory of its process in MiB, as the
// system counts it.
func peakOf(cmd *exec.Cmd) (float64, error) {
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	return residentPeak(cmd.ProcessState)
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/image/font/basicfont"

	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// benchBudget asks about one picture within all its tokens, half of them, and a quarter: the time
// to the first token should fall as the tokens do.
func benchBudget(ctx context.Context, o *options) error {
	var data bytes.Buffer
	if err := jpeg.Encode(&data, scannedPage(basicfont.Face7x13, 0), nil); err != nil {
		return err
	}
	picture := filepath.Join(o.folder, "page.jpg")
	if err := os.WriteFile(picture, data.Bytes(), 0o600); err != nil {
		return err
	}
	own, whole := 0, 0.0
	for _, share := range []int{1, 2, 4} {
		if share > 1 {
			o.imageTokens = strconv.Itoa(own / share)
		}
		var firsts []float64
		tokens := 0
		for range o.rounds {
			a, err := o.ask(ctx, "--image", picture, scanQuestion)
			if err != nil {
				return err
			}
			tokens, firsts = a.Usage.Image, append(firsts, a.Timings.First)
		}
		first := stats.Median(firsts)
		if share == 1 {
			own, whole = tokens, first
		} else if tokens == own {
			fmt.Println("no budget changes the tokens of a picture with this model")
			return nil
		}
		fmt.Printf("%5d image tokens (%.2f of all): first token after %.0f ms (%.2f of that)\n",
			tokens, float64(tokens)/float64(own), first, first/whole)
	}
	return nil
}

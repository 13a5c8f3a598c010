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
// to the first token should fall as the tokens do, and so should the time of processors beyond that
// of a question without a picture, which a busy machine changes less.
func benchBudget(ctx context.Context, o *options) error {
	var data bytes.Buffer
	if err := jpeg.Encode(&data, scannedPage(basicfont.Face7x13, 0), nil); err != nil {
		return err
	}
	picture := filepath.Join(o.folder, "page.jpg")
	if err := os.WriteFile(picture, data.Bytes(), 0o600); err != nil {
		return err
	}
	alone, err := o.ask(ctx, scanQuestion)
	if err != nil {
		return err
	}
	own, whole, wholeUser := 0, 0.0, 0.0
	for _, share := range []int{1, 2, 4} {
		if share > 1 {
			o.imageTokens = strconv.Itoa(own / share)
		}
		var firsts, users []float64
		tokens, read := 0, 0
		for range o.rounds {
			a, err := o.ask(ctx, "--image", picture, scanQuestion)
			if err != nil {
				return err
			}
			tokens, read = a.Usage.Image, a.Usage.Prompt-a.Usage.Cached
			firsts, users = append(firsts, a.Timings.First), append(users, a.user-alone.user)
		}
		first, user := stats.Median(firsts), stats.Median(users)
		if share == 1 {
			own, whole, wholeUser = tokens, first, user
		} else if tokens == own {
			fmt.Println("no budget changes the tokens of a picture with this model")
			return nil
		}
		fmt.Printf("%5d image tokens (%.2f of all), %d tokens read: first token after %.0f ms (%.2f of that of all), %.2f s of processors (%.2f)\n",
			tokens, float64(tokens)/float64(own), read, first, first/whole, user, user/wholeUser)
	}
	return nil
}

#!/bin/sh
# github.com/hajimehoshi/go-mp3 0.3.4: files of MPEG-2 layer III (16, 22.05 and 24 kHz, in which speech is often stored) are decoded without an error, at the
# right rate and of about the right length, and are noise at the bit rates that are usual for them: of a tone of 440 Hz next to nothing is left at 440 Hz.
# The same tone at 64 kbit/s comes back whole, and so does MPEG-1 (44.1 kHz) at low bit rates. ffmpeg plays them all.
#
# Seen, the share of the energy that is the tone:
#   44100 Hz, 32 kbit/s   1.00
#   22050 Hz, 64 kbit/s   1.00
#   22050 Hz, 32 kbit/s   below 0.5
#   22050 Hz, 24 kbit/s   below 0.5
#
# It needs Go and an ffmpeg with libmp3lame.
set -eu
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
for kind in 44100-32 22050-64 22050-32 22050-24; do
  ffmpeg -loglevel error -f lavfi -i "sine=frequency=440:sample_rate=${kind%-*}:duration=2" -c:a libmp3lame -b:a "${kind#*-}k" "$kind.mp3"
done
cat > main.go <<'GO'
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/hajimehoshi/go-mp3"
)

func main() {
	for name, whole := range map[string]bool{"44100-32": true, "22050-64": true, "22050-32": false, "22050-24": false} {
		f, err := os.Open(name + ".mp3")
		if err != nil {
			panic(err)
		}
		d, err := mp3.NewDecoder(f)
		if err != nil {
			panic(err)
		}
		data, err := io.ReadAll(d)
		if err != nil {
			panic(err)
		}
		var all, sin, cos float64
		n := len(data) / 4
		for i := n / 4; i < 3*n/4; i++ {
			x := float64(int16(binary.LittleEndian.Uint16(data[4*i:])))
			s, c := math.Sincos(2 * math.Pi * 440 * float64(i) / float64(d.SampleRate()))
			all, sin, cos = all+x*x, sin+x*s, cos+x*c
		}
		share := 2 * (sin*sin + cos*cos) / float64(3*n/4-n/4) / all
		fmt.Printf("%s: %d Hz, %d samples: %.2f\n", name, d.SampleRate(), n, share)
		if whole && share < 0.9 || !whole && share > 0.5 {
			fmt.Println("changed")
			os.Exit(1)
		}
	}
}
GO
export GOFLAGS=-modcacherw CGO_ENABLED=0
go mod init finding 2> /dev/null
go get github.com/hajimehoshi/go-mp3@v0.3.4 2> /dev/null
go run .

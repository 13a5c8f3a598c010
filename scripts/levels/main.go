// Command levels prints the levels of instruction sets that this processor has, one a line, without
// "native": those that scripts/test-levels runs tests at.
package main

import (
	"fmt"

	"github.com/eyelet-engine/eyelet/cgo/isa"
)

func main() {
	for _, level := range isa.Levels() {
		if level != isa.Native {
			fmt.Println(level)
		}
	}
}

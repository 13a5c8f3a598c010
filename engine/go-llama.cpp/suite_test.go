package llama_test

import (
	// The suite of the original project is written with these; who runs it here finds them in
	// go.mod.
	_ "github.com/onsi/ginkgo/v2"
	_ "github.com/onsi/gomega"
)

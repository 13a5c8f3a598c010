package ggml_test

import (
	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

// Package peers imports this one, so that its tests inside the package cannot import it.
func init() { ggml.RequireAccelerator = peers.RequireAccelerator }

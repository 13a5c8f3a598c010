package engine

import "github.com/eyelet-engine/eyelet/engine/modelspec"

// ModelSpec says which model to load and how. Only Model is required.
type ModelSpec = modelspec.Spec

// Adapter is a LoRA adapter (Hu et al. 2021) in a GGUF file.
type Adapter = modelspec.Adapter

// What a ModelSpec can say, and what it means where it says nothing.
const (
	DefaultContext  = modelspec.DefaultContext
	DefaultParallel = modelspec.DefaultParallel
	NoDevice        = modelspec.NoDevice
	AutoDevice      = modelspec.AutoDevice
	EncoderAuto     = modelspec.EncoderAuto
	EncoderNative   = modelspec.EncoderNative
	EncoderMtmd     = modelspec.EncoderMtmd
	EncoderPlain    = modelspec.EncoderPlain
)

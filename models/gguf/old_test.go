package gguf

import (
	"errors"
	"strings"
	"testing"
)

func TestFilesOf2023AreNamed(t *testing.T) {
	for head, want := range map[string][]string{
		"lmgg\x00\x7d\x00\x00": {"format ggml of 2023", "eyelet convert", "not quantized"},
		"fmgg\x01\x00\x00\x00": {"ggmf v1", "eyelet convert"},
		"tjgg\x01\x00\x00\x00": {"ggjt v1", "eyelet convert", "not quantized"},
		"tjgg\x02\x00\x00\x00": {"ggjt v2", "eyelet convert"},
		"tjgg\x03\x00\x00\x00": {"ggjt v3", "eyelet convert",
			"or this file with llama.cpp's convert_llama_ggml_to_gguf.py"},
		"tjgg":                 {"ggjt of 2023"},
		"tjgg\x03":             {"ggjt of 2023"},
		"algg\x01\x00\x00\x00": {"LoRA adapter", "ggla", "convert_lora_to_gguf.py"},
		"GGUF\x01\x00\x00\x00": {"GGUF version 1", "eyelet convert", "COPY"},
	} {
		for _, tail := range []string{"", strings.Repeat("\x00", 100)} {
			if tail != "" && len(head) < 8 {
				continue
			}
			_, err := Parse([]byte(head+tail), "old.bin")
			if !errors.Is(err, ErrNotGGUF) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("%q: %v", head, err)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q: %v; it lacks %q", head, err, w)
				}
			}
		}
	}
	if _, err := Parse([]byte("tjgX\x03\x00\x00\x00"), "other.bin"); !strings.Contains(err.Error(),
		"begins with") {
		t.Error(err)
	}
}

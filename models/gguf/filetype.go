package gguf

import "fmt"

// FileType is the recipe by which a file's tensors were quantized, stored
// under general.file_type and numbered as llama_ftype in llama.h.
type FileType uint32

// fileTypeGuessed is LLAMA_FTYPE_GUESSED: a flag on a file type that
// llama.cpp derived from the tensors because the file named none.
const fileTypeGuessed FileType = 1024

// fileTypes holds the names of llama_ftype without LLAMA_FTYPE_ and MOSTLY_;
// numbers that llama.h has removed are empty.
var fileTypes = [...]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1",
	7: "Q8_0", 8: "Q5_0", 9: "Q5_1",
	10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S",
	15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
	19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS",
	24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
	29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
	36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}

// String returns the name that quantization tools use, as in "Q4_K_M", with
// " (guessed)" behind it where that flag is set, and "FileType(99)" for a
// number llama.h does not define.
func (t FileType) String() string {
	n := t &^ fileTypeGuessed
	if int64(n) >= int64(len(fileTypes)) || fileTypes[n] == "" {
		return fmt.Sprintf("FileType(%d)", uint32(t))
	}
	if t&fileTypeGuessed != 0 {
		return fileTypes[n] + " (guessed)"
	}
	return fileTypes[n]
}

// FileType returns general.file_type; ok is false where the file has none.
func (f *File) FileType() (t FileType, ok bool) {
	v, ok := f.Uint(keyFileType)
	if !ok || v > 1<<32-1 {
		return 0, false
	}
	return FileType(v), true
}

package draw

// bytesPerPixel is what a child takes for each pixel beside the model's file: the activations of
// the VAE's decoder, which has 128 channels of float32 at full size, a few of them at a time. It
// decodes one picture after the other.
const bytesPerPixel = 13 * 128 * 4

// Memory estimates the bytes of memory that a child takes at most for pictures of a size: the
// model's file and what it computes with.
func (m *Model) Memory(width, height int) int64 {
	return m.File.Size + int64(width)*int64(height)*bytesPerPixel
}

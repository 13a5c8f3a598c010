package batch

import (
	"fmt"
	"testing"
)

// What the queue costs for each item, where answers cost nothing.
func BenchmarkItems(b *testing.B) {
	q := embedded(b, b.TempDir())
	work(b, q, echo)
	b.ResetTimer()
	count, err := q.Submit(b.Context(), Submission{Batch: fmt.Sprint("b", b.N), ByPath: true,
		Items: numbered(b.N), Resolve: isToy, Window: 64})
	if err != nil || count.OK != b.N {
		b.Fatal(count, err)
	}
}

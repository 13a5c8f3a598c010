package media

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/eyelet-engine/eyelet/engine/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyOf makes a key for tests.
func keyOf(name string) kv.Key { return Key(Sum([]byte(name)), "tower", 0) }

// newCache makes a cache that is closed with the test.
func newCache(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := NewCache(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ramp are n numbers from first on.
func ramp(first float32, n int) []float32 {
	rows := make([]float32, n)
	for i := range rows {
		rows[i] = first + float32(i)
	}
	return rows
}

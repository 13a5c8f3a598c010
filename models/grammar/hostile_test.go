package grammar

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Each of these once cost the square of its size or more.
func TestHostileSchemasEndSoon(t *testing.T) {
	repeat := func(format string, n int) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = strings.ReplaceAll(format, "#N", fmt.Sprint(i))
		}
		return strings.Join(parts, ",")
	}
	for _, c := range []struct {
		name, schema string
		fails        bool
	}{
		{"a long enum", `{"enum":[` + repeat(`"value#N"`, 20000) + `]}`, false},
		{"many properties", `{"properties":{` + repeat(`"p#N":{"type":"integer"}`, 9000) + `}}`,
			true},
		{"a long tuple", `{"minItems":20000,"prefixItems":[` + repeat(`{"const":#N}`, 20000) + `]}`,
			true},
		{"a long allOf", `{"allOf":[` + repeat(`{"properties":{"a#N":{"type":"string"}}}`, 5000) +
			`]}`, true},
		{"nested counts", `{"pattern":"((((((a{9}){9}){9}){9}){9}){9}){9}"}`, true},
		{"wide counts", `{"pattern":"^([^a]{1,40}|b?.{3,500}|x+y+z+){2,3}$"}`, false},
		{"large arrays of large strings",
			`{"minItems":60000,"maxItems":65000,"items":{"minLength":60000}}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := fromSchema([]byte(c.schema))
			if (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			runtime.ReadMemStats(&after)
			// What is allocated counts the work, whatever else the machine does: the most that one
			// of them takes is 1.7 million pieces.
			t.Logf("%d pieces, %d bytes", after.Mallocs-before.Mallocs,
				after.TotalAlloc-before.TotalAlloc)
			if n := after.Mallocs - before.Mallocs; n > 10_000_000 {
				t.Errorf("%d pieces were allocated", n)
			}
		})
	}
}

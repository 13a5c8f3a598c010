package grammar

import (
	"fmt"
	"strings"
	"testing"
	"time"
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
		{"many properties", `{"properties":{` + repeat(`"p#N":{"type":"integer"}`, 9000) + `}}`, true},
		{"a long tuple", `{"minItems":20000,"prefixItems":[` + repeat(`{"const":#N}`, 20000) + `]}`, true},
		{"a long allOf", `{"allOf":[` + repeat(`{"properties":{"a#N":{"type":"string"}}}`, 5000) + `]}`, true},
		{"nested counts", `{"pattern":"((((((a{9}){9}){9}){9}){9}){9}){9}"}`, true},
		{"wide counts", `{"pattern":"^([^a]{1,40}|b?.{3,500}|x+y+z+){2,3}$"}`, false},
		{"large arrays of large strings", `{"minItems":60000,"maxItems":65000,"items":{"minLength":60000}}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := fromSchema([]byte(c.schema))
			if (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

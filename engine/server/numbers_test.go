package server

import (
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/engine/server/internal/fields"
)

func TestNumbersAreReadAsClientsWriteThem(t *testing.T) {
	type numbers struct {
		W *fields.Whole            `json:"w"`
		F *fields.Fraction         `json:"f"`
		L []fields.Whole           `json:"l"`
		D struct{ W fields.Whole } `json:"d"`
	}
	for _, text := range []string{"5", "5.0", "5e0", "50e-1", `"5"`, `" 5.0 "`} {
		var v numbers
		if err := decodeJSON(
			[]byte(`{"w":`+text+`,"f":`+text+`,"l":[`+text+`],"d":{"W":`+text+`}}`),
			&v); err != nil || *v.W != 5 || *v.F != 5 || v.L[0] != 5 || v.D.W != 5 {
			t.Errorf("%s: %v", text, err)
		}
	}
	var v numbers
	if err := decodeJSON([]byte(`{"w":null,"f":null,"l":null}`), &v); err != nil || v.W != nil ||
		v.F != nil {
		t.Error(err)
	}
	if err := decodeJSON([]byte(`{"w":-9223372036854775808,"f":"-1.5e-3"}`), &v); err != nil ||
		*v.W >= 0 || *v.F != -0.0015 {
		t.Error(err)
	}
	for field, list := range map[string][]string{
		"w": {`1.5`, `"1.5"`, `""`, `"x"`, `"inf"`, `"NaN"`, `"0x10"`, `1e400`, `1e30`, `true`,
			`[1]`, `{}`},
		"f": {`""`, `"x"`, `"Infinity"`, `1e400`, `false`, `[]`},
	} {
		for _, text := range list {
			err := decodeJSON([]byte(`{"`+field+`":`+text+`}`), &numbers{})
			f, ok := err.(*failure.Failure)
			if !ok || f.Status != 400 || f.Param != field || !strings.Contains(f.Text,
				strings.Trim(text, `"`)) {
				t.Errorf("%s %s: %v", field, text, err)
			}
		}
	}
}

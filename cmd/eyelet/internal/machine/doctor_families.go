package machine

import (
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/layout"
	"github.com/eyelet-engine/eyelet/models/store"
)

// mostNamed is how many models a check names.
const mostNamed = 5

// checkFamilies notes the stored models that may see other pictures than they were trained with. A
// store that cannot be read is not its matter: "eyelet check" is for that.
func (d *Diagnosis) checkFamilies() {
	s, err := cli.OpenStore()
	if err != nil {
		return
	}
	models, err := s.List()
	if err != nil {
		return
	}
	seeing, doubtful := 0, []string(nil)
	for i := range models {
		standing, ok := standingOf(s, &models[i])
		if !ok {
			continue
		}
		seeing++
		if !standing.Exact {
			doubtful = append(doubtful, fmt.Sprint(models[i].Name))
		}
	}
	n := len(doubtful)
	if n > mostNamed {
		doubtful = append(doubtful[:mostNamed], fmt.Sprintf("and %d more", n-mostNamed))
	}
	switch {
	case n > 0:
		d.add(Check{
			Name: "families", Status: "note",
			Remedy: `their answers about pictures may be worse than they could be; "eyelet show" tells why, docs/families.md what is compared`,
			Detail: fmt.Sprintf("%d of %d models that see get pictures that were not compared with those of their training: %s", n, seeing, strings.Join(doubtful, ", ")),
		})
	case seeing > 0:
		d.add(Check{Name: "families", Status: "ok",
			Detail: fmt.Sprintf("all models that see (%d) get pictures as in their training",
				seeing)})
	}
}

// standingOf returns the standing of a stored model's projector; ok is false for a model without
// one that can be read.
func standingOf(s *store.Store, m *store.Model) (standing layout.Standing, ok bool) {
	r, err := s.OpenModel(m)
	if err != nil || r.Projector == "" {
		return standing, false
	}
	f, err := gguf.Open(r.Projector)
	if err != nil {
		return standing, false
	}
	defer f.Close()
	return layout.StandingOf(f), true
}

package chat

import "strings"

// Split readies parts for a tokenizer that knows the given special tokens (the vocabulary's control
// and user-defined tokens, as text). In the result a text part with Special set is exactly one such
// token; all other text between two of them or a picture, whoever wrote it, is one part without
// Special, to be tokenized with special tokens off. So words that straddle the seam between
// template and user are tokenized as in the joined string, and a token spelled by the user, or half
// by the user, is never one. Where several tokens match at a place the longest wins.
func Split(parts []Part, special []string) []Part {
	byFirst := map[byte][]string{}
	for _, tok := range special {
		if tok != "" {
			byFirst[tok[0]] = append(byFirst[tok[0]], tok)
		}
	}
	var out []Part
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			out = append(out, Part{Text: plain.String()})
			plain.Reset()
		}
	}
	for _, p := range parts {
		if p.Kind == KindImage {
			flush()
			out = append(out, p)
			continue
		}
		if !p.Special {
			plain.WriteString(p.Text)
			continue
		}
		from := 0
		for i := 0; i < len(p.Text); {
			best := ""
			for _, tok := range byFirst[p.Text[i]] {
				if len(tok) > len(best) && strings.HasPrefix(p.Text[i:], tok) {
					best = tok
				}
			}
			if best == "" {
				i++
				continue
			}
			plain.WriteString(p.Text[from:i])
			flush()
			out = append(out, Part{Text: best, Special: true})
			i += len(best)
			from = i
		}
		plain.WriteString(p.Text[from:])
	}
	flush()
	return out
}

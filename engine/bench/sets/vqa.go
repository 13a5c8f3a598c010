package sets

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// vqaAccuracy is the accuracy of VQA (Antol et al. 2015), which TextVQA (Singh et al. 2019) uses:
// over all choices of all but one of the ten people's answers, the mean of min(1, agreeing answers
// / 3), after the normalisation of EvalAI.
func vqaAccuracy(said string, q *Question) float64 {
	if len(q.Answers) == 0 {
		return 0
	}
	text := evalAI(said)
	agree := make([]bool, len(q.Answers))
	count := 0
	for i, right := range q.Answers {
		if agree[i] = evalAI(right) == text; agree[i] {
			count++
		}
	}
	sum := 0.0
	for _, own := range agree {
		others := count
		if own {
			others--
		}
		sum += min(1, float64(others)/3)
	}
	return sum / float64(len(q.Answers))
}

// evalAI normalises an answer as EvalAI does for TextVQA: class EvalAIAnswerProcessor of
// facebookresearch/mmf (pythia/tasks/processors.py), which lmms-eval uses as well.
func evalAI(s string) string {
	s = lower(s)
	s = strings.ReplaceAll(strings.ReplaceAll(s, ",", ""), "?", "")
	s = strings.TrimSpace(strings.ReplaceAll(s, "'s", " 's"))
	s = strings.TrimSpace(strings.NewReplacer("\n", " ", "\t", " ").Replace(s))
	s = withoutPunctuation(s)
	words := strings.Fields(lower(s))
	kept := words[:0]
	for _, w := range words {
		if n, ok := numberWords[w]; ok {
			w = n
		}
		if w == "a" || w == "an" || w == "the" {
			continue
		}
		if full, ok := contractions[w]; ok {
			w = full
		}
		kept = append(kept, w)
	}
	return strings.Join(kept, " ")
}

// punctuation are the marks that do not count. Commas and question marks are gone before.
const punctuation = ";/[]\"{}()=+\\_-><@`!"

// mostStops is how many full stops the normalisation takes away at most: its script hands a flag of
// 32 to a parameter that counts.
const mostStops = 32

// withoutPunctuation drops a mark where it stands beside a space anywhere in the text, and else
// makes it a space. Full stops go unless a digit follows.
func withoutPunctuation(s string) string {
	out := s
	for _, p := range strings.Split(punctuation, "") {
		with := " "
		if strings.Contains(s, p+" ") || strings.Contains(s, " "+p) {
			with = ""
		}
		out = strings.ReplaceAll(out, p, with)
	}
	var b strings.Builder
	stops := 0
	for i := range len(out) {
		if out[i] == '.' && stops < mostStops && !startsWithDigit(out[i+1:]) &&
			!strings.HasSuffix(out[:i], "<=d") {
			stops++
			continue
		}
		b.WriteByte(out[i])
	}
	return b.String()
}

func startsWithDigit(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsDigit(r)
}

// numberWords are numbers in words, as digits.
var numberWords = map[string]string{
	"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
	"six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}

// contractions give back the apostrophe that a contraction lacks: each of its forms with one left
// out.
var contractions = func() map[string]string {
	table := map[string]string{"somebody'd": "somebodyd"} // so it stands in VQA's own table
	for _, full := range strings.Fields(contracted) {
		for i := range len(full) {
			if full[i] == '\'' {
				table[full[:i]+full[i+1:]] = full
			}
		}
	}
	return table
}()

// contracted are the contractions that VQA's evaluation knows.
const contracted = `
'ow's'at 'twas ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't
hadn't've hasn't haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am
might've mightn't mightn't've must've mustn't needn't not've o'clock oughtn't shan't she'd've
should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've
someone'll someone's something'd something'd've something'll that's there'd there'd've there're
there's they'd they'd've they'll they're they've wasn't we'd've we've weren't what'll what're
what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're
you've`

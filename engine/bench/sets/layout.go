package sets

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Layout is how a public set is published, and how answers to it are scored.
type Layout struct {
	Name      string // as --layout takes it
	Title     string // for people
	Metric    Metric
	MaxTokens int      // the longest answer that is asked for
	Splits    []string // those that are taken, the first that is there, where none is named

	columns []string // that are read, beside the common ones and pictures
	// fits reports whether columns are this set's and no other's.
	fits func(has func(column string) bool) bool
	read func(r record, s *source) ([]Question, error)
}

// reads reports whether a column takes part.
func (l *Layout) reads(column string) bool {
	return slices.Contains(l.columns, column) || slices.Contains(idNames, column) ||
		slices.Contains(questionNames, column) || slices.Contains(answerNames, column) ||
		slices.Contains(kindNames, column) || pictureColumn(column) ||
		slices.Contains(pictureNames, column) || column == "split"
}

// accepts reports whether a set can be read of columns that do not tell it from others: where its
// name is known, of a question and an answer under any of their usual names.
func (l *Layout) accepts(has func(column string) bool) bool {
	switch {
	case l.fits(has):
		return true
	case l.Name == "refcoco":
		return slices.ContainsFunc(sentenceNames, has) && slices.ContainsFunc(boxNames, has)
	case l.Name == "choice" && !has("options") && !has("choices") && !(has("A") && has("B")):
		return false
	}
	return slices.ContainsFunc(questionNames, has) && slices.ContainsFunc(answerNames, has)
}

// The usual names of columns, by what they hold; the first that is there counts.
var (
	idNames       = []string{"question_id", "questionId", "id", "index"}
	questionNames = []string{"question", "query"}
	answerNames   = []string{"answers", "answer", "label"}
	kindNames     = []string{"category", "dataset_name"}
	sentenceNames = []string{"answer", "answers", "sent", "sents", "expression", "captions",
		"caption", "sentences", "question"}
	boxNames = []string{"bbox", "box", "bbox_x1"}
)

// titles tell a set by the name of a file or folder, in small letters.
var titles = []struct{ part, layout string }{
	{"textvqa", "textvqa"}, {"docvqa", "docvqa"}, {"infovqa", "docvqa"},
	{"infographicvqa", "docvqa"}, {"infographicsvqa", "docvqa"}, {"chartqa", "chartqa"},
	{"ocrbench_v2", ""}, {"ocrbenchv2", ""}, {"ocrbench-v2", ""}, {"ocrbench", "ocrbench"},
	{"mmmu", "mmmu"}, {"refcoco", "refcoco"}, {"ai2d", "choice"}, {"mmbench", "choice"},
	{"scienceqa", "choice"}, {"mmstar", "choice"}, {"seedbench", "choice"},
}

// layoutOf finds the layout of a file by its columns; where several sets have them, as in tables
// between tabs, by the name of the file or of a folder that it lies in. It is nil for none.
func layoutOf(has func(column string) bool, path string, want *Layout, table bool) *Layout {
	if want != nil {
		if want.accepts(has) {
			return want
		}
		return nil
	}
	named := layoutByName(path)
	if table && named != nil && named.accepts(has) {
		return named
	}
	for _, l := range Layouts {
		if l.fits(has) {
			return l
		}
	}
	if named != nil && named.accepts(has) {
		return named
	}
	return nil
}

// layoutByName finds a layout by the parts of a path, the last first.
func layoutByName(path string) *Layout {
	parts := strings.Split(lower(filepath.ToSlash(path)), "/")
	for _, part := range slices.Backward(parts) {
		for _, t := range titles {
			if strings.Contains(part, t.part) {
				return LayoutNamed(t.layout)
			}
		}
	}
	return nil
}

// A Question is a message about pictures, with what is right.
type Question struct {
	ID      string // the same for the same question in every run
	Kind    string
	Parts   []Part
	Answers []string // of multiple choice, letters
	Choices []string // of multiple choice
	Box     Box      // of questions for a box

	pixels  bool // Box is in pixels until the picture's size is known
	formula bool // spaces do not count
}

// Text is what a question says, without its pictures.
func (q *Question) Text() string {
	var texts []string
	for _, p := range q.Parts {
		if p.Picture == nil {
			texts = append(texts, p.Text)
		}
	}
	return strings.Join(texts, "\n")
}

// A Part of a question is a text or a picture.
type Part struct {
	Text    string
	Picture *Picture
}

// Prompts as lmms-eval 0.7.3 words them, whose scores others publish. A model was often trained
// with these very words.
const (
	shortAnswer  = "\nAnswer the question using a single word or phrase."
	singleWord   = "\nAnswer the question with a single word."
	letterAnswer = "Answer with the option's letter from the given choices directly."
	boxQuestion  = "Bounding box coordinates are specified in the format (top-left x, " +
		"top-left y, bottom-right x, bottom-right y). All values are floating point numbers " +
		"bounded between 0 and 1. " +
		"Please provide the bounding box coordinate of the region this sentence describes: "
)

// The splits that are taken where none is named: those with published answers.
var usualSplits = []string{"validation", "val", "test", "testA", "lite", "dev", "train", ""}

// choiceColumns hold a choice each.
var choiceColumns = []string{"A", "B", "C", "D", "E", "F", "G", "H", "I", "J"}

// Layouts are those that are read.
var Layouts = []*Layout{
	{
		Name: "textvqa", Title: "TextVQA", MaxTokens: 128, Splits: usualSplits,
		Metric: single("vqa_accuracy", "Antol et al. 2015; Singh et al. 2019", vqaAccuracy),
		fits: func(has func(string) bool) bool {
			return has("question_id") && has("image_id") && has("question") && has("answers")
		},
		read: readTextVQA,
	}, {
		Name: "docvqa", Title: "DocVQA", MaxTokens: 32, Splits: usualSplits,
		Metric:  single("anls", "Biten et al. 2019; Mathew et al. 2021", anlsScore),
		columns: []string{"question_types", "answer_type"},
		fits: func(has func(string) bool) bool {
			return has("questionId") && has("question") &&
				has("answers")
		},
		read: readDocVQA,
	}, {
		Name: "chartqa", Title: "ChartQA", MaxTokens: 16, Splits: []string{"test", "validation",
			"val", "lite", "train", ""},
		Metric:  single("relaxed_accuracy", "Masry et al. 2022", relaxedAccuracy),
		columns: []string{"type", "human_or_machine"},
		fits: func(has func(string) bool) bool {
			return has("query") && has("label") || has("type") && has("question") &&
				has("answer") && !has("dataset") && !has("dataset_name") && !has("question_type")
		},
		read: readChartQA,
	}, {
		Name: "ocrbench", Title: "OCRBench", MaxTokens: 128, Splits: []string{"test", "lite", ""},
		Metric:  single("ocrbench_accuracy", "Liu et al. 2023", containment),
		columns: []string{"dataset", "question_type", "type"},
		fits: func(has func(string) bool) bool {
			// the second edition, which is scored otherwise, has these beside
			if has("eval") || has("bbox_list") || has("image_shape") {
				return false
			}
			return (has("dataset") || has("dataset_name")) && has("question") &&
				(has("question_type") || has("type")) && (has("answer") || has("answers"))
		},
		read: readOCRBench,
	}, {
		Name: "mmmu", Title: "MMMU", MaxTokens: 128, Splits: usualSplits,
		Metric:  single("accuracy", "Yue et al. 2024", choiceAccuracy),
		columns: slices.Concat([]string{"options", "question_type"}, choiceColumns),
		fits: func(has func(string) bool) bool {
			return has("options") && has("answer") && has("question") && (has("image_1") ||
				has("question_type"))
		},
		read: readMMMU,
	}, {
		Name: "choice", Title: "multiple choice", MaxTokens: 16, Splits: []string{"test",
			"validation", "val", "dev", "lite", "train", ""},
		Metric:  single("exact_match", "the letter, as lmms-eval scores AI2D", plainLetter),
		columns: slices.Concat([]string{"hint", "options", "choices"}, choiceColumns),
		fits: func(has func(string) bool) bool {
			return has("question") && has("answer") && (has("options") || has("choices") ||
				has("A") && has("B"))
		},
		read: readChoice,
	}, {
		Name: "refcoco", Title: "RefCOCO", MaxTokens: 256, Splits: usualSplits,
		Metric: Metric{Names: []string{"accuracy_at_iou_0.5", "mean_iou"},
			Source: "Kazemzadeh et al. 2014; Yu et al. 2016", score: boxMetric},
		columns: slices.Concat([]string{"width", "height", "raw_anns", "bbox_y1", "bbox_x2",
			"bbox_y2"}, boxNames, sentenceNames),
		fits: func(has func(string) bool) bool {
			return has("bbox") && slices.ContainsFunc(sentenceNames, func(c string) bool {
				return has(c) && c != "question" && c != "answers"
			})
		},
		read: readRefCOCO,
	},
}

// LayoutNamed finds a layout by its name. It returns nil for one that does not exist.
func LayoutNamed(name string) *Layout {
	for _, l := range Layouts {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// ask is the usual question: the picture, then the text.
func ask(id, kind string, picture *Picture, text string, answers []string) Question {
	return Question{ID: id, Kind: kind, Parts: []Part{{Picture: picture}, {Text: text}},
		Answers: answers}
}

// noAnswers is the error for a split whose answers are not published.
func noAnswers(id string) error {
	return fmt.Errorf("%w: question %s has no answer; the answers of test splits are often not "+
		"published: name another split", ErrSet, id)
}

// fewestPeople is how many answers VQA accuracy takes: one that three others gave is right.
const fewestPeople = 4

// questionText is what a row asks. id names the question in errors.
func questionText(r record, id string) (string, error) {
	text := r.text(questionNames...)
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%w: question %s has no text", ErrSet, id)
	}
	return text, nil
}

// answersOf are the right answers of a row. id names the question in errors.
func answersOf(r record, id string) (list []string, err error) {
	if list = r.texts(answerNames...); !slices.ContainsFunc(list, func(a string) bool {
		return strings.TrimSpace(a) != ""
	}) {
		return nil, noAnswers(id)
	}
	return list, nil
}

// plainQuestion reads what most sets have: a question about a picture, and its answers. Where rows
// have no names, id is that of the row.
func plainQuestion(r record, s *source, id string) (q Question, text string, err error) {
	q.ID = cmp.Or(id, s.rowID())
	if text, err = questionText(r, q.ID); err != nil {
		return q, "", err
	}
	if q.Answers, err = answersOf(r, q.ID); err != nil {
		return q, "", err
	}
	p, err := s.picture(r)
	q.Parts = []Part{{Picture: p}}
	return q, text, err
}

// asked adds the words of a question behind its picture.
func asked(q Question, text string) []Question {
	q.Parts = append(q.Parts, Part{Text: text})
	return []Question{q}
}

// readTextVQA reads lmms-lab/textvqa and the authors' TextVQA_0.5.1_*.json, whose pictures are
// named by image_id, and lines with "image" whose people's answers stand in another file by
// question_id, as for VQA.
func readTextVQA(r record, s *source) ([]Question, error) {
	q, text, err := plainQuestion(r, s, r.text(idNames...))
	if err != nil {
		return nil, err
	}
	if n := len(q.Answers); n < fewestPeople {
		return nil, fmt.Errorf("%w: question %s has %d of ten people's answers, by which it is "+
			"scored", ErrSet, q.ID, n)
	}
	return asked(q, capitalized(text)+shortAnswer), nil
}

// capitalized is a text in small letters with a capital first, as lmms-eval asks TextVQA's
// questions.
func capitalized(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToTitle(first)) + lower(s[size:])
}

// readDocVQA reads lmms-lab/DocVQA, InfographicVQA in the same folder, and the authors'
// val_v1.0.json.
func readDocVQA(r record, s *source) ([]Question, error) {
	q, text, err := plainQuestion(r, s, r.text("questionId", "question_id", "index", "id"))
	if err != nil {
		return nil, err
	}
	q.Kind = strings.Join(append(r.texts("question_types"), r.texts("answer_type")...), ", ")
	return asked(q, text+shortAnswer), nil
}

// readChartQA reads lmms-lab/ChartQA, HuggingFaceM4/ChartQA, and the authors' test_human.json and
// test_augmented.json.
func readChartQA(r record, s *source) ([]Question, error) {
	q, text, err := plainQuestion(r, s, r.text("index"))
	if err != nil {
		return nil, err
	}
	about := lower(r.text("split")) + " " + s.base()
	q.Kind = strings.TrimSuffix(r.text("type"), "_test")
	switch {
	case r.text("human_or_machine") == "0" || strings.Contains(about, "human"):
		q.Kind = "human"
	case r.has("human_or_machine") || strings.Contains(about, "augmented"):
		q.Kind = "augmented"
	}
	return asked(q, text+singleWord), nil
}

// readOCRBench reads echo840/OCRBench and the authors' OCRBench.json.
func readOCRBench(r record, s *source) ([]Question, error) {
	q, text, err := plainQuestion(r, s, r.text("index"))
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(q.Answers, func(a string) bool { return strings.TrimSpace(a) == "" }) {
		return nil, noAnswers(q.ID)
	}
	from := r.text("dataset")
	q.Kind = r.text("question_type", "category", "type")
	if r.has("dataset_name") {
		from, q.Kind = r.text("dataset_name"), r.text("type")
	}
	q.formula = from == "HME100k" ||
		strings.EqualFold(q.Kind, "Handwritten Mathematical Expression Recognition")
	return asked(q, strings.TrimSpace(text)), nil
}

var (
	imageMark   = regexp.MustCompile(`<image (\d)>`)
	mmmuSubject = regexp.MustCompile(`^[^_]+_(.+)_\d+$`)
)

// readMMMU reads MMMU/MMMU and lmms-lab/MMMU: pictures stand where the text names them. In tables
// between tabs choices stand in columns, and pictures that no text names come first.
func readMMMU(r record, s *source) ([]Question, error) {
	q := Question{ID: cmp.Or(r.text("id", "index"), s.rowID())}
	var err error
	if q.Answers, err = answersOf(r, q.ID); err != nil {
		return nil, err
	}
	if strings.HasPrefix(q.Answers[0], "[") { // several right answers to an open question
		if list, err := pythonList(q.Answers[0]); err == nil && len(list) > 0 {
			q.Answers = list
		}
	}
	if q.Answers[0] == "?" || q.Answers[0] == "" {
		return nil, noAnswers(q.ID)
	}
	if m := mmmuSubject.FindStringSubmatch(q.ID); m != nil {
		q.Kind = m[1]
	}
	q.Kind = cmp.Or(q.Kind, r.text("category"))
	text, err := questionText(r, q.ID)
	if err != nil {
		return nil, err
	}
	if kind := r.text("question_type"); kind == "multiple-choice" || kind == "" {
		if q.Choices, err = choicesOf(r); err != nil {
			return nil, err
		}
		text += "\n" + choiceLines(q.Choices) + "\n\n" + letterAnswer
	} else {
		text += "\n\n" + strings.TrimPrefix(shortAnswer, "\n")
	}
	q.Parts, err = interleave(text, func(n string) (*Picture, error) {
		return s.numberedPicture(r, n)
	})
	if err == nil && !imageMark.MatchString(text) && r.has("image") {
		var p *Picture
		p, err = s.picture(r)
		q.Parts = slices.Insert(q.Parts, 0, Part{Picture: p})
	}
	return []Question{q}, err
}

// interleave puts pictures where a text names them as <image 1>.
func interleave(text string, picture func(n string) (*Picture, error)) (parts []Part, err error) {
	at := 0
	add := func(piece string) {
		if piece = strings.TrimSpace(piece); piece != "" {
			parts = append(parts, Part{Text: piece})
		}
	}
	for _, m := range imageMark.FindAllStringSubmatchIndex(text, -1) {
		add(text[at:m[0]])
		p, err := picture(text[m[2]:m[3]])
		if err != nil {
			return nil, err
		}
		parts = append(parts, Part{Picture: p})
		at = m[1]
	}
	add(text[at:])
	return parts, nil
}

// choicesOf are the choices of a question: as a list, as Python prints one, or in columns A, B, C
// and so on.
func choicesOf(r record) (list []string, err error) {
	list = r.texts("options", "choices")
	if len(list) == 1 && strings.HasPrefix(strings.TrimSpace(list[0]), "[") {
		if list, err = pythonList(list[0]); err != nil {
			return nil, err
		}
	}
	if list == nil {
		for _, c := range choiceColumns {
			if r.text(c) == "" || r.text(c) == "nan" {
				break
			}
			list = append(list, r.text(c))
		}
	}
	if len(list) < 2 || len(list) > 26 {
		return nil, fmt.Errorf("%w: a question has %d choices", ErrSet, len(list))
	}
	return list, nil
}

// choiceLines are the choices with their letters, a line each.
func choiceLines(choices []string) string {
	lines := make([]string, len(choices))
	for i, c := range choices {
		lines[i] = letterOf(i) + ". " + c
	}
	return strings.Join(lines, "\n")
}

// readChoice reads AI2D and its like: choices in a list, or in columns A, B, C and so on; the
// answer as a letter, as a number from 0, or as the words of a choice.
func readChoice(r record, s *source) ([]Question, error) {
	choices, err := choicesOf(r)
	if err != nil {
		return nil, err
	}
	q, text, err := plainQuestion(r, s, "")
	if err != nil {
		return nil, err
	}
	answer := strings.TrimSpace(q.Answers[0])
	if len(answer) == 3 && answer[0] == '(' && answer[2] == ')' {
		answer = answer[1:2]
	}
	if n, err := strconv.Atoi(answer); err == nil && n >= 0 && n < len(choices) {
		answer = letterOf(n)
	} else if at := slices.Index(choices, answer); at >= 0 && len(answer) != 1 {
		answer = letterOf(at)
	}
	if len(answer) != 1 || answer[0] < 'A' || int(answer[0]-'A') >= len(choices) {
		return nil, fmt.Errorf("%w: the answer %.20q is no choice", ErrSet, answer)
	}
	q.Kind, q.Choices, q.Answers = r.text("category"), choices, []string{answer}
	text += "\n" + choiceLines(choices) + "\n" + letterAnswer
	if hint := r.text("hint"); hint != "" && hint != "nan" {
		text = hint + "\n" + text
	}
	return asked(q, text), nil
}

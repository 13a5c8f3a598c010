package sets

import (
	"fmt"
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

	columns []string // that are read, pictures aside
	fits    func(has func(column string) bool) bool
	read    func(r record, s *source) ([]Question, error)
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
	boxQuestion  = "Bounding box coordinates are specified in the format (top-left x, top-left y, bottom-right x, bottom-right y). All values are floating point numbers bounded between 0 and 1. " +
		"Please provide the bounding box coordinate of the region this sentence describes: "
)

// The splits that are taken where none is named: those with published answers.
var usualSplits = []string{"validation", "val", "test", "testA", "lite", "dev", "train", ""}

// Layouts are those that are read.
var Layouts = []*Layout{
	{
		Name: "textvqa", Title: "TextVQA", MaxTokens: 128, Splits: usualSplits,
		Metric:  single("vqa_accuracy", "Antol et al. 2015; Singh et al. 2019", vqaAccuracy),
		columns: []string{"question_id", "image_id", "question", "answers"},
		fits: func(has func(string) bool) bool {
			return has("question_id") && has("image_id") && has("question") && has("answers")
		},
		read: readTextVQA,
	}, {
		Name: "docvqa", Title: "DocVQA", MaxTokens: 32, Splits: usualSplits,
		Metric: single("anls", "Biten et al. 2019; Mathew et al. 2021", anlsScore),
		columns: []string{"questionId", "question", "answers", "question_types", "answer_type",
			"image_local_name"},
		fits: func(has func(string) bool) bool {
			return has("questionId") && has("question") &&
				has("answers")
		},
		read: readDocVQA,
	}, {
		Name: "chartqa", Title: "ChartQA", MaxTokens: 16, Splits: []string{"test", "validation",
			"val", "lite", "train", ""},
		Metric: single("relaxed_accuracy", "Masry et al. 2022", relaxedAccuracy),
		columns: []string{"type", "question", "answer", "query", "label", "imgname",
			"human_or_machine"},
		fits: func(has func(string) bool) bool {
			return has("query") && has("label") || has("type") && has("question") &&
				has("answer") && !has("dataset") && !has("dataset_name") && !has("question_type")
		},
		read: readChartQA,
	}, {
		Name: "ocrbench", Title: "OCRBench", MaxTokens: 128, Splits: []string{"test", "lite", ""},
		Metric: single("ocrbench_accuracy", "Liu et al. 2023", containment),
		columns: []string{"dataset", "dataset_name", "question", "question_type", "type", "answer",
			"answers", "image_path", "id"},
		fits: func(has func(string) bool) bool {
			return (has("dataset") || has("dataset_name")) && has("question") &&
				(has("question_type") || has("type")) && (has("answer") || has("answers"))
		},
		read: readOCRBench,
	}, {
		Name: "mmmu", Title: "MMMU", MaxTokens: 128, Splits: usualSplits,
		Metric:  single("accuracy", "Yue et al. 2024", choiceAccuracy),
		columns: []string{"id", "question", "options", "answer", "question_type"},
		fits: func(has func(string) bool) bool {
			return has("options") && has("answer") && has("question") && (has("image_1") ||
				has("question_type"))
		},
		read: readMMMU,
	}, {
		Name: "choice", Title: "multiple choice", MaxTokens: 16, Splits: []string{"test",
			"validation", "val", "dev", "lite", "train", ""},
		Metric: single("exact_match", "the letter, as lmms-eval scores AI2D", plainLetter),
		columns: []string{"id", "index", "question", "hint", "options", "choices", "answer", "A",
			"B", "C", "D", "E", "F", "category"},
		fits: func(has func(string) bool) bool {
			return has("question") && has("answer") && (has("options") || has("choices") ||
				has("A") && has("B"))
		},
		read: readChoice,
	}, {
		Name: "refcoco", Title: "RefCOCO", MaxTokens: 256, Splits: usualSplits,
		Metric: Metric{Names: []string{"accuracy_at_iou_0.5", "mean_iou"},
			Source: "Kazemzadeh et al. 2014; Yu et al. 2016", score: boxMetric},
		columns: []string{"question_id", "question", "answer", "bbox", "sent", "width", "height",
			"file_name"},
		fits: func(has func(string) bool) bool {
			return has("bbox") && (has("answer") ||
				has("sent"))
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
	return fmt.Errorf("%w: question %s has no answer; the answers of test splits are often not published: name another split", ErrSet, id)
}

// readTextVQA reads lmms-lab/textvqa and the authors' TextVQA_0.5.1_*.json, whose pictures are
// named by image_id.
func readTextVQA(r record, s *source) ([]Question, error) {
	id, answers := r.text("question_id"), r.texts("answers")
	if len(answers) == 0 || !slices.ContainsFunc(answers, func(a string) bool { return a != "" }) {
		return nil, noAnswers(id)
	}
	p, err := s.picture(r, "image", r.text("image_id"))
	if err != nil {
		return nil, err
	}
	return []Question{ask(id, "", p, capitalized(r.text("question"))+shortAnswer, answers)}, nil
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
	id, answers := r.text("questionId"), r.texts("answers")
	if len(answers) == 0 {
		return nil, noAnswers(id)
	}
	p, err := s.picture(r, "image", r.text("image_local_name"))
	if err != nil {
		return nil, err
	}
	kinds := append(r.texts("question_types"), r.texts("answer_type")...)
	return []Question{ask(id, strings.Join(kinds, ", "), p, r.text("question")+shortAnswer,
		answers)}, nil
}

// readChartQA reads lmms-lab/ChartQA, HuggingFaceM4/ChartQA, and the authors' test_human.json and
// test_augmented.json.
func readChartQA(r record, s *source) ([]Question, error) {
	question, answers, kind := r.text("question"), r.texts("answer"), r.text("type")
	if r.has("query") {
		question, answers = r.text("query"), r.texts("label")
	}
	switch {
	case r.text("human_or_machine") == "0" || strings.Contains(s.base(), "human"):
		kind = "human"
	case r.has("human_or_machine") || strings.Contains(s.base(), "augmented"):
		kind = "augmented"
	}
	kind = strings.TrimSuffix(kind, "_test")
	if len(answers) == 0 {
		return nil, noAnswers(s.rowID())
	}
	p, err := s.picture(r, "image", r.text("imgname"))
	if err != nil {
		return nil, err
	}
	return []Question{ask(s.rowID(), kind, p, question+singleWord, answers)}, nil
}

// readOCRBench reads echo840/OCRBench and the authors' OCRBench.json.
func readOCRBench(r record, s *source) ([]Question, error) {
	kind, answers, from := r.text("question_type"), r.texts("answer"), r.text("dataset")
	if r.has("dataset_name") {
		kind, answers, from = r.text("type"), r.texts("answers"), r.text("dataset_name")
	}
	if len(answers) == 0 || slices.ContainsFunc(answers, func(a string) bool {
		return strings.TrimSpace(a) == ""
	}) {
		return nil, noAnswers(s.rowID())
	}
	p, err := s.picture(r, "image", r.text("image_path"))
	if err != nil {
		return nil, err
	}
	q := ask(s.rowID(), kind, p, strings.TrimSpace(r.text("question")), answers)
	q.formula = from == "HME100k"
	return []Question{q}, nil
}

var (
	imageMark   = regexp.MustCompile(`<image (\d)>`)
	mmmuSubject = regexp.MustCompile(`^[^_]+_(.+)_\d+$`)
)

// readMMMU reads MMMU/MMMU and lmms-lab/MMMU: pictures stand where the text names them.
func readMMMU(r record, s *source) ([]Question, error) {
	id, answers := r.text("id"), r.texts("answer")
	if id == "" {
		id = s.rowID()
	}
	if strings.HasPrefix(r.text("answer"), "[") { // several right answers to an open question
		if list, err := pythonList(r.text("answer")); err == nil {
			answers = list
		}
	}
	if len(answers) == 0 || answers[0] == "?" || answers[0] == "" {
		return nil, noAnswers(id)
	}
	q := Question{ID: id, Answers: answers}
	if m := mmmuSubject.FindStringSubmatch(id); m != nil {
		q.Kind = m[1]
	}
	text := r.text("question")
	if kind := r.text("question_type"); kind == "multiple-choice" || kind == "" {
		var err error
		if q.Choices, err = choicesOf(r, "options"); err != nil {
			return nil, err
		}
		text += "\n" + choiceLines(q.Choices) + "\n\n" + letterAnswer
	} else {
		text += "\n\n" + strings.TrimPrefix(shortAnswer, "\n")
	}
	var err error
	q.Parts, err = interleave(text, func(n string) (*Picture, error) {
		return s.picture(r, "image_"+n, "")
	})
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

// choicesOf are the choices of a question, as a list or as Python prints one.
func choicesOf(r record, column string) (list []string, err error) {
	if list = r.texts(column); len(list) == 1 && strings.HasPrefix(strings.TrimSpace(list[0]),
		"[") {
		if list, err = pythonList(list[0]); err != nil {
			return nil, err
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
// answer as a letter, or as a number from 0.
func readChoice(r record, s *source) ([]Question, error) {
	var choices []string
	var err error
	switch {
	case r.has("options"):
		choices, err = choicesOf(r, "options")
	case r.has("choices"):
		choices, err = choicesOf(r, "choices")
	default:
		for c := 'A'; c <= 'F' && r.text(string(c)) != "" && r.text(string(c)) != "nan"; c++ {
			choices = append(choices, r.text(string(c)))
		}
		if len(choices) < 2 {
			err = fmt.Errorf("%w: a question has %d choices", ErrSet, len(choices))
		}
	}
	if err != nil {
		return nil, err
	}
	answer := strings.TrimSpace(r.text("answer"))
	if n, err := strconv.Atoi(answer); err == nil && n >= 0 && n < len(choices) {
		answer = letterOf(n)
	}
	if len(answer) != 1 || answer[0] < 'A' || int(answer[0]-'A') >= len(choices) {
		return nil, fmt.Errorf("%w: the answer %.20q is no choice", ErrSet, answer)
	}
	p, err := s.picture(r, "image", "")
	if err != nil {
		return nil, err
	}
	text := r.text("question") + "\n" + choiceLines(choices) + "\n" + letterAnswer
	if hint := r.text("hint"); hint != "" && hint != "nan" {
		text = hint + "\n" + text
	}
	q := ask(s.rowID(), r.text("category"), p, text, []string{answer})
	q.Choices = choices
	return []Question{q}, nil
}

// readRefCOCO reads lmms-lab/RefCOCO and its sisters, whose boxes are left, top, width and height
// and whose rows have several sentences, and lines with "sent", "bbox" as left, top, right and
// bottom, and the picture's size, as Qwen-VL's evaluation takes them.
func readRefCOCO(r record, s *source) ([]Question, error) {
	b, err := r.numbers("bbox", 4)
	if err != nil {
		return nil, err
	}
	sentences, id := r.texts("answer"), r.text("question_id")
	box, pixels := Box{b[0], b[1], b[0] + b[2], b[1] + b[3]}, true
	if r.has("sent") {
		w, errW := r.number("width")
		h, errH := r.number("height")
		if errW != nil || errH != nil || w <= 0 || h <= 0 {
			return nil, fmt.Errorf("%w: the size of the picture is missing", ErrSet)
		}
		sentences, box, pixels = []string{r.text("sent")}, Box{b[0] / w, b[1] / h, b[2] / w,
			b[3] / h}, false
	}
	if !(box[2] > box[0] && box[3] > box[1]) {
		return nil, fmt.Errorf("%w: a box is empty", ErrSet)
	}
	p, err := s.picture(r, "image", r.text("file_name"))
	if err != nil {
		return nil, err
	}
	if id == "" {
		id = s.rowID()
	}
	var list []Question
	for i, sentence := range sentences {
		q := ask(fmt.Sprintf("%s-%d", id, i+1), "", p, boxQuestion+sentence, []string{sentence})
		q.Box, q.pixels = box, pixels
		list = append(list, q)
	}
	return list, nil
}

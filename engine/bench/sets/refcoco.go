package sets

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// readRefCOCO reads sentences and boxes as they are published:
//   - lmms-lab/RefCOCO and its sisters, and MDETR's COCO files: left, top, width and height in
//     pixels;
//   - lines with "sent" as Qwen-VL's evaluation takes them, or with "expression" as Shikra's, and
//     jxu124/refcoco: left, top, right and bottom in pixels;
//   - VLMEvalKit's tables, with columns bbox_x1 to bbox_y2, and the sentence between <ref> marks.
//
// A row with several sentences is as many questions.
func readRefCOCO(r record, s *source) ([]Question, error) {
	sentences := r.texts(sentenceNames...)
	for i, sentence := range sentences {
		if m := refMark.FindStringSubmatch(sentence); m != nil {
			sentences[i] = m[1]
		}
	}
	sentences = slices.DeleteFunc(sentences, func(x string) bool {
		return strings.TrimSpace(x) == ""
	})
	if len(sentences) == 0 {
		return nil, fmt.Errorf("%w: there is no sentence for the box", ErrSet)
	}
	box, pixels, err := boxOf(r)
	if err != nil {
		return nil, err
	}
	if !(box[2] > box[0] && box[3] > box[1]) {
		return nil, fmt.Errorf("%w: a box is empty", ErrSet)
	}
	p, err := s.picture(r)
	if err != nil {
		return nil, err
	}
	id := r.text("question_id", "ref_id", "index")
	if id == "" {
		id = s.rowID()
	}
	kind := r.text("dataset_name")
	if split := r.text("split"); kind == "" && strings.Contains(lower(split), "ref") {
		kind = split
	}
	var list []Question
	for i, sentence := range sentences {
		q := ask(fmt.Sprintf("%s-%d", id, i+1), kind, p, boxQuestion+sentence, []string{sentence})
		q.Box, q.pixels = box, pixels
		list = append(list, q)
	}
	return list, nil
}

var refMark = regexp.MustCompile(`<ref>(.*?)</ref>`)

// boxOf reads the box of a row, and reports whether it is in pixels of the picture, whose size the
// row does not tell.
func boxOf(r record) (box Box, pixels bool, err error) {
	var b []float64
	corners := r.has("sent") || r.has("expression") || r.has("captions") || r.has("bbox_x1")
	var annotation struct {
		Box []float64 `json:"bbox"`
	}
	switch {
	case json.Unmarshal([]byte(r.text("raw_anns")), &annotation) == nil && len(annotation.Box) == 4:
		b, corners = annotation.Box, false // COCO's own
	case r.has("bbox_x1"):
		r = record{"bbox": []any{r["bbox_x1"], r["bbox_y1"], r["bbox_x2"], r["bbox_y2"]},
			"width": r["width"], "height": r["height"]}
		fallthrough
	case r.has("bbox"):
		b, err = r.numbers("bbox", 4)
	default:
		b, err = r.numbers("box", 4)
	}
	if err != nil {
		return box, false, err
	}
	box = Box{b[0], b[1], b[2], b[3]}
	if !corners {
		box = Box{b[0], b[1], b[0] + b[2], b[1] + b[3]}
	}
	w, errW := r.number("width")
	h, errH := r.number("height")
	if errW != nil || errH != nil || !corners {
		return box, true, nil
	}
	if w <= 0 || h <= 0 {
		return box, false, fmt.Errorf("%w: the picture is %v by %v large", ErrSet, w, h)
	}
	return Box{box[0] / w, box[1] / h, box[2] / w, box[3] / h}, false, nil
}

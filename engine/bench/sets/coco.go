package sets

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cocoImage is what a COCO file says of a picture.
type cocoImage struct {
	File    string `json:"file_name"`
	Caption string `json:"caption"`
	Set     string `json:"dataset_name"`
}

// joined is an annotation of a COCO file with what belongs to its picture, as MDETR's
// finetune_refcoco_val.json has RefCOCO: the sentence is the picture's caption.
func joined(annotation record, images map[string]cocoImage) record {
	image, ok := images[annotation.text("image_id")]
	if !ok {
		return annotation
	}
	for name, value := range map[string]any{"file_name": image.File, "caption": image.Caption,
		"dataset_name": image.Set} {
		if value != "" && annotation[name] == nil {
			annotation[name] = value
		}
	}
	return annotation
}

// isRefs reports whether a file is one of REFER's: RefCOCO as its authors publish it, refs(unc).p
// beside instances.json.
func isRefs(path string) bool {
	base := strings.ToLower(filepath.Base(path))
	return strings.HasPrefix(base, "refs(") && strings.HasSuffix(base, ".p")
}

// readRefs reads a file of REFER's as records of lmms-lab/RefCOCO: the sentences of an object, its
// box of left, top, width and height, and its picture.
func readRefs(path string) (rows []tableRow, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxPickle {
		return nil, fmt.Errorf("%w: it is no regular file of at most %d bytes", ErrSet, maxPickle)
	}
	value, err := readPickle(f)
	if err != nil {
		return nil, err
	}
	refs, ok := value.([]any)
	if !ok || len(refs) > maxQuestions {
		return nil, fmt.Errorf("%w: it is no list of references", ErrSet)
	}
	boxes, images, err := readInstances(filepath.Join(filepath.Dir(path), "instances.json"), refs)
	if err != nil {
		return nil, err
	}
	for i, v := range refs {
		ref, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%w: reference %d is no dictionary", ErrSet, i+1)
		}
		r := record(ref)
		name := images[r.text("image_id")].File
		if name == "" { // its own ends with the number of the object
			name = r.text("file_name")
		}
		rows = append(rows, tableRow{i + 1, record{"question_id": r.text("ref_id"),
			"answer": r["sentences"], "bbox": boxes[r.text("ann_id")], "file_name": name,
			"split": r.text("split")}})
	}
	return rows, nil
}

// readInstances finds the boxes of objects and the names of pictures that references speak of.
func readInstances(path string, refs []any) (boxes map[string]any, images map[string]cocoImage,
	err error) {
	wanted := map[string]bool{}
	for _, v := range refs {
		if ref, ok := v.(map[string]any); ok {
			wanted[textOf(ref["ann_id"])] = true
		}
	}
	boxes, images = map[string]any{}, map[string]cocoImage{}
	err = eachOfCOCO(path, images, func(r record) error {
		if id := r.text("id"); wanted[id] {
			if list, ok := r["bbox"].([]any); ok && len(list) == 4 {
				boxes[id] = slices.Clone(list)
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("instances.json, which has the boxes of refs(…).p: %w", err)
	}
	return boxes, images, nil
}

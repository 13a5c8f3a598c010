package openai

import "github.com/eyelet-engine/eyelet/engine/server/internal/failure"

// Batch is a batch as OpenAI describes it.
type Batch struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"`
	Endpoint   string            `json:"endpoint"`
	Errors     *BatchFault       `json:"errors"`
	Input      string            `json:"input_file_id"`
	Window     string            `json:"completion_window"`
	Status     string            `json:"status"`
	Output     *string           `json:"output_file_id"`
	ErrorFile  *string           `json:"error_file_id"`
	Created    int64             `json:"created_at"`
	Begun      *int64            `json:"in_progress_at"`
	Expires    *int64            `json:"expires_at"`
	Finalizing *int64            `json:"finalizing_at"`
	Completed  *int64            `json:"completed_at"`
	Failed     *int64            `json:"failed_at"`
	Expired    *int64            `json:"expired_at"`
	Cancelling *int64            `json:"cancelling_at"`
	Cancelled  *int64            `json:"cancelled_at"`
	Counts     BatchCounts       `json:"request_counts"`
	Metadata   map[string]string `json:"metadata"`

	Owner string `json:"owner,omitempty"` // as of a file
	// OutputLife is for how many seconds the files of results are kept; 0 for good.
	OutputLife int64 `json:"output_life,omitempty"`
}

// Expiry is how clients say for how long a file is kept.
type Expiry struct {
	Anchor  string `json:"anchor"` // from when: created_at
	Seconds int64  `json:"seconds"`
}

// Bounds of an Expiry's seconds, OpenAI's own: an hour, and thirty days.
const (
	minLife = 60 * 60
	maxLife = 30 * 24 * minLife
)

// Life is for how many seconds a file is kept; 0 for good, which no expiry at all means. name is
// the field's, for the error.
func (e *Expiry) Life(name string) (int64, error) {
	switch {
	case e == nil:
		return 0, nil
	case e.Anchor != "created_at":
		return 0, failure.Wrong(name+".anchor", "is %.40q; give created_at", e.Anchor)
	case e.Seconds < minLife || e.Seconds > maxLife:
		return 0, failure.Wrong(name+".seconds", "is %d; give %d to %d", e.Seconds, minLife,
			maxLife)
	}
	return e.Seconds, nil
}

// BatchCounts counts the requests of a batch.
type BatchCounts struct {
	Total     int `json:"total"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
}

// BatchFault says why a batch was not begun.
type BatchFault struct {
	Object string           `json:"object"`
	Data   []BatchFaultLine `json:"data"`
}

// BatchFaultLine says what is wrong with a line of a batch's file.
type BatchFaultLine struct {
	Code    string  `json:"code"`
	Line    *int    `json:"line"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
}

// States of a batch.
const (
	BatchValidating = "validating"
	BatchFailed     = "failed"
	BatchRunning    = "in_progress"
	BatchFinalizing = "finalizing"
	BatchCompleted  = "completed"
	BatchCancelling = "cancelling"
	BatchCancelled  = "cancelled"
)

// Ended reports whether nothing more happens to the batch.
func (o *Batch) Ended() bool {
	return o.Status == BatchFailed || o.Status == BatchCompleted || o.Status == BatchCancelled
}

// Place returns what lists of batches are ordered by.
func (o *Batch) Place() (created int64, id string) { return o.Created, o.ID }

// Shown returns the batch as clients see it.
func (o *Batch) Shown() *Batch {
	c := *o
	c.Owner, c.OutputLife = "", 0
	return &c
}

// FileObject is a file that a client has uploaded, or that a batch has made, as OpenAI
// describes it.
type FileObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Bytes   int64  `json:"bytes"`
	Created int64  `json:"created_at"`
	Expires *int64 `json:"expires_at,omitempty"` // when it is removed; nil for never
	Name    string `json:"filename"`
	Purpose string `json:"purpose"`
	Status  string `json:"status"`

	Owner string `json:"owner,omitempty"` // the name of the API key; left out of what clients see
}

// Place returns what lists of files are ordered by.
func (f *FileObject) Place() (created int64, id string) { return f.Created, f.ID }

// Keep has the file removed after so many seconds; 0 for never.
func (f *FileObject) Keep(seconds int64) {
	if seconds > 0 {
		end := f.Created + seconds
		f.Expires = &end
	}
}

// Shown returns the file as clients see it.
func (f *FileObject) Shown() *FileObject {
	c := *f
	c.Owner = ""
	return &c
}

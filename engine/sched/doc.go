// Package sched decides what a model computes next: it owns the model's context and lets many
// requests share it.
//
// One invariant carries all: there are only items of prompts that stand in the memory and items
// that do not. A drawn token is the next item of its task's prompt; an answer that runs is a task
// with one item missing. What is computed, shared, put aside or read from disk changes how many
// items stand and never what a task says.
//
// A request is a [Task]: a prompt of tokens and pictures, and an [Answer] that draws tokens. One
// goroutine runs the loop; everybody else sends it messages. A turn of the loop is planned,
// executed and applied:
//
//	admit      tasks for which there are cells, fairly among clients; what stands of their prompts is shared
//	view       what each task needs next, in numbers: a pure function, plan, makes a step of it (plan.go)
//	execute    the step: some layers of the vision tower; rows of a picture; some of the reader's work; and last one decode of tokens,
//	           the next one of every running answer and items of prompts
//	apply      what was computed goes into the books of the cache, tokens are drawn, tasks end
//
// While answers are running, all that is not theirs is held to the longest time that may pass
// between two tokens (Config.MaxGap), by the measured cost of each part, and goes to the task that
// is first by arrival and estimated work: short prompts do not wait for long ones, and long ones
// not for ever. A prompt that does not fit one gap is computed by the [Reader], a second memory of
// the same model, in portions as large as they are efficient, which pause between nodes of their
// graph for the answers' tokens; what it has computed moves over into the task's sequence. While no
// answer is running, portions are large and there is no need of it.
//
// Two tasks with the same beginning compute it once: the later one waits while the earlier one
// reads what both need, and shares its cells as they come. When cells run out, finished sequences
// go first; then the youngest task is put aside, its cells saved or left to be computed again,
// whichever is cheaper, and goes on later with the same text. What will be given up next is written
// to disk before, if there is one, in steps of the plan; copies of cells are made only where they
// fit the gap and a bound of memory.
package sched

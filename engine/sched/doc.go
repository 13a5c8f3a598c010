// Package sched decides what a model computes next: it owns the model's context and lets many
// requests share it.
//
// One invariant carries all: there are only items of prompts that stand in the memory and items
// that do not. A drawn token is the next item of its task's prompt; an answer that runs is a task
// with one item missing. What is computed, shared, preempted or read from disk changes how many
// items stand and never what a task says.
//
// A request is a [Task]: a prompt of tokens and pictures, and an [Answer] that draws tokens. One
// goroutine, the loop, owns tasks and books, and others send it messages; whatever computes or
// copies cells, and the drawing of tokens with it, is a function that the loop hands to the compute
// thread (Config.Run) and waits for. A turn of the loop is planned, executed and applied:
//
//	admit      tasks for which there are cells, fairly among clients; what stands of their prompts
//	           is shared
//	view       what each task needs next, in numbers, of which a pure function, plan, makes a step
//	execute    the step: some layers of the vision tower; rows of a picture; some of the reader's
//	           work; and last one decode of tokens, the next one of every running answer and items
//	           of prompts. Or, in its place, what makes room: a task is preempted
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
// Where the tower has the CPU for itself, since the model lies on devices, it encodes on a second
// compute thread beside the turns (Config.Tower), which takes nothing of the answers' time.
//
// Two tasks with the same beginning compute it once: the later one waits while the earlier one
// reads what both need, and shares its cells as they come. When cells run out, finished sequences
// are evicted first; then the plan preempts the youngest task (room.go), its cells saved or left
// to be computed again, whichever is cheaper, and it goes on later with the same text. What will be
// evicted next is written to disk before, if there is one. All copies of cells, those that callers
// asked for included, are steps of the plan and counted against one bound of memory.
package sched

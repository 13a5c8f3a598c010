// Package sched decides what a model computes next: it owns the model's context and lets many requests share it.
//
// A request is a [Task]: a prompt of tokens and pictures, and an [Answer] that draws tokens. One goroutine runs the loop; everybody else
// sends it messages. A turn of the loop is
//
//	admit      tasks for which there are cells, fairly among clients; what stands of their prompts is shared
//	tokens     one decode: the next token of every running answer, and as much prompt as fits the budget
//	rows       one decode: rows of a picture, whose embeddings are there
//	encode     some layers of the vision tower, for pictures that are waited for
//
// While answers are running, the last three together are held to the longest time that may pass between two tokens
// (Config.MaxGap), by the measured cost of each; while none is, chunks are as large as they are efficient. Prompts are
// computed in the order of arrival plus estimated work, so that short ones do not wait for long ones, and long ones not for ever.
//
// Two tasks with the same beginning compute it once: the later one waits while the earlier one reads what both need, and shares its
// cells as they come. When cells run out, finished sequences go first; then the youngest task is put aside, its cells saved
// or left to be computed again, whichever is cheaper, and goes on later with the same text.
package sched

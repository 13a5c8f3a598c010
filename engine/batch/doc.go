// Package batch runs many requests as jobs of a queue that outlives programs: each ends with
// exactly one result, whoever dies meanwhile.
//
//	q, err := batch.Embed("answers.queue", batch.EmbedOptions{})
//	defer q.Close()
//	w := batch.NewWorker(q, batch.WorkerOptions{Models: models, Answer: answer})
//	go w.Run(ctx)
//	count, err := q.Submit(ctx, batch.Submission{Batch: "b1", Items: items, Resolve: resolve})
//	result, ok, err := q.Result(ctx, "b1", "the first")
//
// The queue is NATS JetStream: a server of its own inside the program, or a cluster that a site
// runs. Delivery, retries, replication and the refusal of doubles are JetStream's, not ours:
//
//   - The jobs of a model lie in a stream of their own with work-queue retention. A subject stands
//     for one item of one batch and holds one message at most, so that a job which is submitted
//     again while it waits is refused.
//   - A job is delivered to one worker. It is delivered again if the worker neither acknowledges it
//     nor says in time that it still works.
//   - The results of a batch lie in a stream of their own, again one message a subject at most: of
//     a job that was done twice, the first result stays. A worker acknowledges a job only after its
//     result is stored.
//   - Large bodies and pictures lie in an object store of the batch.
//
// [Local] carries a batch out in one process without any of this, for callers that keep results
// themselves.
//
// A submitter keeps a bounded number of items under way, so that neither memory nor the store grows
// with the batch but for the results.
package batch

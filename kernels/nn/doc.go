// Package nn computes transformers over packed weights, as fast as the processor's matrix kernels
// allow: linear layers with bias, activation and residual fused, multi-head attention within
// stretches of rows, rotary positions, gates, layer and RMS norms.
//
//	plan, err := nn.NewPlan(nn.Config{Rows: 577, Hidden: 1024, Heads: 16, FF: 4096, Eps: 1e-5, Activation: onednn.QuickGELU})
//	block, err := plan.NewBlock(weights)   // packs them; the float32 copy can go
//	state, err := plan.NewState(577)                 // the activations of one tile
//	all, err := plan.NewAttention([]int{577})        // all of whose rows attend to each other
//	err = plan.RunBlockPart(block, state, all, nil, 0, 1) // all of it, in place
//
// # How a block runs
//
// Rows (tokens) are cut into blocks of some 128, and a thread takes a block of rows through
// everything that needs no other rows. A transformer block is three loops over that, in one OpenMP
// parallel region (nn.c):
//
//	for each block of rows:    q, k, v = linear(norm(x))
//	for each stretch and head: attention, a block of queries at a time
//	for each block of rows:    x += linear(attention); x += linear(act(linear(norm(x))))
//
// The products are oneDNN's, planned for one thread (cgo/onednn), or, where the widest arithmetic
// is AVX2, our own (panels.c); norms, softmax, quantization and activations that stand between them
// are loops in C (rows.c) over rows that are still in the cache. At most one block of attention
// scores exists for each thread, and the wide rows of the feed-forward network never leave their
// thread.
//
// # Precisions
//
// [F32] computes in float32. [BF16] stores weights and activations as bfloat16 and adds up in
// float32; residuals, norms and softmax stay float32. [Int8] has 8-bit weights with a scale for
// each output channel, and activations that are quantized on the fly with a scale and a zero point
// for each row; attention runs in BF16 where the processor has it, else in F32. A row whose numbers
// are so uneven that 8 bits are too few for them gets 8 more, which a second product reads. Where
// the widest arithmetic is AVX2, activations have 16 bits in the first place, since products of 16
// and 8 bits are about as fast there as those of 8. (Processors with AVX-512 and no VNNI add pairs
// of 8-bit products in 16 bits, which overflow; there, activations get 7 bits.) [Int16] has weights
// of 10 bits and activations of 14, so that sums fit in 32; attention runs in F32. It is nearer to
// F32 than BF16 is, and needs AVX2; elsewhere F32 takes its place. A processor without bfloat16
// products carries BF16 out in float32 arithmetic over rounded numbers: the same results up to the
// order of additions, at the speed of F32.
//
// # Threads
//
// Run methods compute on an OpenMP team and must be called from the compute thread of the process.
// Making blocks packs weights on the calling goroutine and may be done on several at once.
package nn

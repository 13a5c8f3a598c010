// Sampling with a grammar without asking it about every token.
#ifndef EYELET_LLAMA_SHORTCUT_H
#define EYELET_LLAMA_SHORTCUT_H

#include <llama.h>

#include "shim.h"

// Applies a chain to candidates, of which the grammar sees the best alone, as far as that leaves
// enough of them. What is left is what the chain leaves; only which of equals a stage keeps that
// does not say it may differ.
void apply_shortcut(struct llama_sampler *chain, const shim_shortcut &cut,
                    llama_token_data_array *candidates);

#endif

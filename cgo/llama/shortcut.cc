#include "shortcut.h"

#include <algorithm>
#include <cmath>

namespace {

// How many candidates a grammar is asked about at once where the best is not allowed. To ask about
// one takes some hundred nanoseconds, and a vocabulary has up to 200,000.
constexpr size_t some = 256;

using Array = llama_token_data_array;

bool better(const llama_token_data &a, const llama_token_data &b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

bool allowed(const llama_token_data &t) { return t.logit != -INFINITY; }

void apply_stages(llama_sampler *chain, int from, int to, int except, Array *candidates) {
  for (int i = from; i < to; i++)
    if (i != except) llama_sampler_apply(llama_sampler_chain_get(chain, i), candidates);
}

// Asks the grammar about candidates [from, from + n).
void forbid(llama_sampler *grammar, const Array *candidates, size_t from, size_t n) {
  Array part = {candidates->data + from, n, -1, false};
  llama_sampler_apply(grammar, &part);
}

// Leaves the best of candidates, of equals the first in the order of tokens.
void keep_best(Array *candidates) {
  candidates->data[0] =
      *std::min_element(candidates->data, candidates->data + candidates->size, better);
  candidates->size = 1;
}

// Whether the best of all is allowed. If so, it is the only one left.
bool take_best(llama_sampler *grammar, Array *candidates) {
  llama_token_data best =
      *std::min_element(candidates->data, candidates->data + candidates->size, better);
  Array alone = {&best, 1, -1, false};
  llama_sampler_apply(grammar, &alone);
  if (!allowed(best)) return false;
  candidates->data[0] = best;
  candidates->size = 1;
  return true;
}

// Leaves the best candidates that are allowed, as many as are to be kept or more, and all where
// there are not as many.
void take_some(llama_sampler *grammar, size_t keeps, Array *candidates) {
  auto *data = candidates->data;
  const size_t n = candidates->size, few = std::min(n, std::max(some, 4 * keeps));
  std::nth_element(data, data + few - 1, data + n, better);
  forbid(grammar, candidates, 0, few);
  const auto *end = std::partition(data, data + few, allowed);
  if (static_cast<size_t>(end - data) >= keeps)
    candidates->size = end - data;
  else
    forbid(grammar, candidates, few, n - few);
}

}  // namespace

void apply_shortcut(llama_sampler *chain, const shim_shortcut &cut, Array *candidates) {
  const size_t keeps = cut.keeps;
  llama_sampler *grammar = llama_sampler_chain_get(chain, cut.grammar);
  apply_stages(chain, 0, cut.narrows, cut.grammar, candidates);
  if (keeps != 1 || !take_best(grammar, candidates)) {
    take_some(grammar, keeps, candidates);
    if (keeps == 1) keep_best(candidates);
  }
  apply_stages(chain, cut.narrows, llama_sampler_chain_n(chain), -1, candidates);
}

// The regions of a transformer: each nn_run_ function is one OpenMP parallel region. Rows are split into blocks of a fixed height, for
// which the products are planned; a thread takes a block through everything that needs no other rows.
#ifndef EYELET_NN_H
#define EYELET_NN_H

#include "../../cgo/onednn/primitive.h"
#include "panels.h"
#include "rows.h"

// A linear layer over blocks of rows: y = act(x W' + b).
typedef struct {
  int in, out;
  nn_activation activation;
  const float *bias; // out numbers; never NULL
  const void *packed;
  // The library's products, NULL where weights are packed in panels. Over float weights, one product stores its result itself, bias and
  // activation fused (and x added, for a residual). Over 8-bit weights there are products over chunks of columns, packed one after the
  // other, whose 32-bit sums stay in the cache until they are scaled.
  const eyelet_matmul *product;
  const eyelet_matmul *narrow; // the last chunk, where it is narrower
  int chunks, chunk;
  // 8-bit weights only: the scale of each column, and the sum of its weights.
  const float *column;
  const int32_t *sum;
} nn_linear;

typedef struct {
  int heads, head_dim, tokens; // tokens of a tile
  int block;                   // query rows of a block, at most tokens
  int stride;                  // elements from row to row of q, k and v
  const eyelet_matmul *scores, *mix; // NULL where k and v are packed in panels
  const eyelet_reorder *pack_k, *pack_v;
} nn_attention;

// What all regions share.
typedef struct {
  int threads;
  int block;      // rows of a block
  nn_store store; // of activations
  int limit8;     // the largest 8-bit activation
  char *scratch;  // threads times scratch_bytes
  size_t scratch_bytes;
} nn_team;

typedef struct {
  const float *gain, *bias;
} nn_norm;

typedef struct {
  nn_norm ln1, ln2;
  nn_linear qkv, out, up, down; // out and down add to the residual stream
} nn_block;

// The activations of a batch of tiles.
typedef struct {
  int tiles;
  int rows; // tiles * tokens; the buffers have room for whole blocks
  float *x; // rows * hidden: the residual stream
  void *qkv, *mixed;
} nn_state;

// These return the first failure of a primitive, dnnl_success if there was none.

// x = x + out(attention(qkv(norm x))); x = x + down(act(up(norm x))).
int nn_run_block(const nn_team *t, const nn_attention *a, const nn_block *b, float eps, nn_state *s);

// y = linears[n-1](... linears[0](norm(x))), the norm left out where its gain is NULL. Row r of the input is row
// (r / group) * group_stride + skip + r % group of x: the patches of each tile without its class token. y has room for whole blocks;
// the last linear stores float32 and the one before it activations.
int nn_run_mlp(const nn_team *t, const nn_norm *norm, float eps, const nn_linear *linears, int n, const float *x, int rows, int group,
               int group_stride, int skip, float *y);

int nn_run_attention(const nn_team *t, const nn_attention *a, const void *qkv, int tiles, void *mixed);
int nn_run_norm(const nn_team *t, const nn_norm *norm, float eps, float *x, int rows, int n);

// Bytes of scratch memory that a thread needs.
size_t nn_block_scratch(const nn_team *t, const nn_block *b);
size_t nn_mlp_scratch(const nn_team *t, const nn_linear *linears, int n);
size_t nn_attention_scratch(const nn_team *t, const nn_attention *a);

#endif

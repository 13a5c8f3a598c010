// Sums for importance matrices, taken from the inputs of matrix products while a graph is computed.
#include "collector.h"

#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <ggml-backend.h>

namespace {

struct sums {
    std::vector<float> squares;  // of the columns, matrix after matrix
    std::vector<float> values;   // the same of the inputs themselves
    std::vector<float> counts;   // rows seen, one for each matrix
};

}  // namespace

struct shim_collector {
    std::map<std::string, sums> entries;
    std::vector<char> copy;  // of inputs that are not in the CPU's memory
    bool tower = false;      // of a vision tower with its projector, and not of a language model
    bool failed = false;     // an input could not be read
};

namespace {

// name_of leaves out what the scheduler adds to the names of copies: "CPU#name#0".
std::string name_of(const ggml_tensor * t) {
    const char * from = std::strchr(t->name, '#');
    if (from == nullptr) {
        return t->name;
    }
    const char * to = std::strchr(from + 1, '#');
    return to == nullptr ? std::string(from + 1) : std::string(from + 1, to);
}

// wanted tells products of a layer's weights with activations; the output matrix, which every
// mixture treats apart, is left out. Of a tower, the projector's matrices are wanted too.
bool wanted(const shim_collector * c, const ggml_tensor * t) {
    if (t->op != GGML_OP_MUL_MAT && t->op != GGML_OP_MUL_MAT_ID) {
        return false;
    }
    // add reads rows of floats one after the other.
    if (t->src[1]->type != GGML_TYPE_F32 || t->src[1]->nb[0] != sizeof(float)) {
        return false;
    }
    const std::string name = name_of(t->src[0]);
    if (c->tower) {
        return name.compare(0, 6, "v.blk.") == 0 || name.compare(0, 3, "mm.") == 0;
    }
    return name.compare(0, 4, "blk.") == 0;
}

// host returns a tensor's bytes in the CPU's memory.
const char * host(const ggml_tensor * t, std::vector<char> & copy) {
    if (t->data == nullptr || t->buffer == nullptr) {
        throw std::runtime_error("a tensor without memory");  // ggml would abort
    }
    if (ggml_backend_buffer_is_host(t->buffer)) {
        return static_cast<const char *>(t->data);
    }
    copy.resize(ggml_nbytes(t));
    ggml_backend_tensor_get(t, copy.data(), 0, copy.size());
    return copy.data();
}

void add(sums & s, size_t matrix, const char * row, size_t columns) {
    const float * x = reinterpret_cast<const float *>(row);
    float * squares = s.squares.data() + matrix * columns;
    float * values = s.values.data() + matrix * columns;
    for (size_t i = 0; i < columns; i++) {
        squares[i] += x[i] * x[i];
        values[i] += x[i];
    }
    s.counts[matrix]++;
}

void collect(shim_collector * c, const ggml_tensor * t) {
    const ggml_tensor * weights = t->src[0];
    const ggml_tensor * in = t->src[1];
    const size_t columns = in->ne[0];
    const size_t matrices = weights->ne[2] * weights->ne[3];
    const char * data = host(in, c->copy);
    sums & s = c->entries[name_of(weights)];
    if (s.squares.empty()) {
        s.squares.assign(columns * matrices, 0.0f);
        s.values.assign(columns * matrices, 0.0f);
        s.counts.assign(matrices, 0.0f);
    }
    if (s.squares.size() != columns * matrices || s.counts.size() != matrices) {
        throw std::runtime_error("a matrix of another shape has the same name");
    }
    if (t->op == GGML_OP_MUL_MAT) {
        // Where there are more inputs than matrices, as with heads that share keys, neighbours go
        // through the same one.
        const int64_t share2 = in->ne[2] / weights->ne[2], share3 = in->ne[3] / weights->ne[3];
        for (int64_t i3 = 0; i3 < in->ne[3]; i3++) {
            for (int64_t i2 = 0; i2 < in->ne[2]; i2++) {
                for (int64_t i1 = 0; i1 < in->ne[1]; i1++) {
                  add(s, i3 / share3 * weights->ne[2] + i2 / share2,
                      data + i1 * in->nb[1] + i2 * in->nb[2] + i3 * in->nb[3], columns);
                }
            }
        }
        return;
    }
    // Experts: ids has, for each token, the matrices that it goes through.
    const ggml_tensor * ids = t->src[2];
    std::vector<char> ids_copy;
    const char * chosen = host(ids, ids_copy);
    for (int64_t token = 0; token < ids->ne[1]; token++) {
        for (int64_t k = 0; k < ids->ne[0]; k++) {
            int32_t expert;
            std::memcpy(&expert, chosen + k * ids->nb[0] + token * ids->nb[1], sizeof expert);
            if (expert >= 0 && static_cast<size_t>(expert) < matrices) {
                add(s, expert, data + (k % in->ne[1]) * in->nb[1] + token * in->nb[2], columns);
            }
        }
    }
}

}  // namespace

extern "C" {

// ggml asks before it computes a node whether its result is wanted, and shows it afterwards.
bool shim_collect(struct ggml_tensor * t, bool ask, void * collector) {
    auto * c = static_cast<shim_collector *>(collector);
    try {
        if (ask) {
            return wanted(c, t);
        }
        if (wanted(c, t)) {
            collect(c, t);
        }
    } catch (...) {
        c->failed = true;  // an exception must not unwind through the C code of the scheduler
    }
    return true;
}

shim_collector * shim_collector_new(bool tower) {
    try {
        auto * c = new shim_collector;
        c->tower = tower;
        return c;
    } catch (...) {
        return nullptr;
    }
}

void shim_collector_free(shim_collector * c) { delete c; }

size_t shim_collector_size(const shim_collector * c, bool * failed) {
    *failed = c->failed;
    return c->entries.size();
}

void shim_collector_entry(const shim_collector *c, size_t i, const char **name,
                          const float **squares, const float **values, size_t *n_squares,
                          const float **counts, size_t *n_counts) {
  auto at = c->entries.begin();
  for (; i > 0; i--) {
    ++at;
  }
  *name = at->first.c_str();
  *squares = at->second.squares.data();
  *values = at->second.values.data();
  *n_squares = at->second.squares.size();
  *counts = at->second.counts.data();
  *n_counts = at->second.counts.size();
}

void * shim_collector_callback(void) { return reinterpret_cast<void *>(shim_collect); }

}  // extern "C"

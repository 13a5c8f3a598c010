// States what the bindings under cgo/ need of libllama, libmtmd and libggml. scripts/setup compiles
// it against the headers that it found (g++ -std=c++17 -fsyntax-only), so that a library which no
// longer fits is reported by the name of what changed.
//
// cgo converts between integers of any width and drops const, so a changed signature could compile
// in Go and go wrong at run time: here types must be the same to the letter. Add a line for
// whatever a binding starts to use.
#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>
#include <mtmd-helper.h>
#include <mtmd.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#define FUNCTION(name, ...)                                                                        \
  static_assert(std::is_same_v<decltype(name), __VA_ARGS__>, #name " has another signature")
#define FIELD(of, type, name)                                                                      \
  static_assert(std::is_same_v<decltype(of::name), type>, #of "::" #name " has another type")
#define VALUE(name, value) static_assert(name == value, #name " is no longer " #value)

// FUNCTIONS(type, a, b ...) states FUNCTION(a, type); FUNCTION(b, type); and so on, and FIELDS does
// likewise. A macro is not expanded within itself: EXPAND scans the result again for the next name.
#define EXPAND(...) EXPAND4(EXPAND4(EXPAND4(__VA_ARGS__)))
#define EXPAND4(...) EXPAND1(EXPAND1(EXPAND1(EXPAND1(__VA_ARGS__))))
#define EXPAND1(...) __VA_ARGS__
#define NOTHING
#define FUNCTIONS(...) EXPAND(FUNCTIONS_OF(__VA_ARGS__))
#define FUNCTIONS_OF(type, name, ...)                                                              \
  FUNCTION(name, type);                                                                            \
  __VA_OPT__(FUNCTIONS_AGAIN NOTHING()(type, __VA_ARGS__))
#define FUNCTIONS_AGAIN() FUNCTIONS_OF
#define FIELDS(...) EXPAND(FIELDS_OF(__VA_ARGS__))
#define FIELDS_OF(of, type, name, ...)                                                             \
  FIELD(of, type, name);                                                                           \
  __VA_OPT__(FIELDS_AGAIN NOTHING()(of, type, __VA_ARGS__))
#define FIELDS_AGAIN() FIELDS_OF

// Functions of graphs (cgo/ggml/graph).
FUNCTION(ggml_backend_alloc_ctx_tensors,
         ggml_backend_buffer_t(struct ggml_context*, ggml_backend_t));
FUNCTION(ggml_backend_dev_init, ggml_backend_t(ggml_backend_dev_t, const char*));
FUNCTION(ggml_backend_sched_alloc_graph, bool(ggml_backend_sched_t, struct ggml_cgraph*));
FUNCTION(ggml_backend_sched_get_n_splits, int(ggml_backend_sched_t));
FUNCTION(ggml_backend_sched_graph_compute,
         enum ggml_status(ggml_backend_sched_t, struct ggml_cgraph*));
FUNCTION(ggml_backend_sched_new,
         ggml_backend_sched_t(ggml_backend_t*, ggml_backend_buffer_type_t*, int, size_t, bool,
                              bool));
FUNCTION(ggml_backend_sched_reset, void(ggml_backend_sched_t));
FUNCTION(ggml_backend_supports_op, bool(ggml_backend_t, const struct ggml_tensor*));
FUNCTION(ggml_backend_tensor_set, void(struct ggml_tensor*, const void*, size_t, size_t));
FUNCTION(ggml_build_forward_expand, void(struct ggml_cgraph*, struct ggml_tensor*));
FUNCTION(ggml_concat,
         struct ggml_tensor*(struct ggml_context*, struct ggml_tensor*, struct ggml_tensor*, int));
FUNCTION(ggml_mul_mat,
         struct ggml_tensor*(struct ggml_context*, struct ggml_tensor*, struct ggml_tensor*));
FUNCTION(ggml_norm, struct ggml_tensor*(struct ggml_context*, struct ggml_tensor*, float));
FUNCTION(ggml_permute,
         struct ggml_tensor*(struct ggml_context*, struct ggml_tensor*, int, int, int, int));
FUNCTION(ggml_prec_set_acc, bool(struct ggml_tensor*, enum ggml_prec));
FUNCTION(ggml_scale_bias,
         struct ggml_tensor*(struct ggml_context*, struct ggml_tensor*, float, float));
FUNCTION(ggml_soft_max_ext,
         struct ggml_tensor*(struct ggml_context*, struct ggml_tensor*, struct ggml_tensor*, float,
                             float));

// Functions of ggml.h and ggml-backend.h.
FUNCTION(ggml_backend_load_all, void());
FUNCTIONS(const char*(), ggml_commit, ggml_version);
FUNCTION(ggml_quantize_requires_imatrix, bool(enum ggml_type));
FUNCTION(ggml_backend_buffer_is_host, bool(ggml_backend_buffer_t));
FUNCTION(ggml_backend_dev_backend_reg, ggml_backend_reg_t(ggml_backend_dev_t));
FUNCTION(ggml_backend_dev_by_type, ggml_backend_dev_t(enum ggml_backend_dev_type));
FUNCTION(ggml_backend_dev_count, size_t());
FUNCTION(ggml_backend_dev_get, ggml_backend_dev_t(size_t));
FUNCTION(ggml_backend_dev_get_props, void(ggml_backend_dev_t, ggml_backend_dev_props*));
FUNCTION(ggml_backend_load, ggml_backend_reg_t(const char*));
FUNCTION(ggml_backend_reg_get_proc_address, void*(ggml_backend_reg_t, const char*));
FUNCTION(ggml_backend_reg_name, const char*(ggml_backend_reg_t));
FUNCTION(ggml_backend_tensor_get, void(const struct ggml_tensor*, void*, size_t, size_t));
FUNCTION(ggml_blck_size, int64_t(enum ggml_type));
FUNCTION(ggml_log_set, void(ggml_log_callback, void*));
FUNCTION(ggml_nbytes, size_t(const struct ggml_tensor*));
FUNCTION(ggml_quantize_chunk,
         size_t(enum ggml_type, const float *, void *, int64_t, int64_t, int64_t, const float *));
FUNCTION(ggml_set_abort_callback, ggml_abort_callback_t(ggml_abort_callback_t));
FUNCTION(ggml_type_name, const char*(enum ggml_type));
FUNCTION(ggml_type_size, size_t(enum ggml_type));

// Functions of llama.h.
FUNCTIONS(void(llama_context*), llama_free, llama_synchronize);
FUNCTIONS(size_t(), llama_max_devices, llama_max_parallel_sequences);
FUNCTIONS(bool(const llama_model*), llama_model_has_decoder, llama_model_has_encoder,
          llama_model_is_hybrid, llama_model_is_recurrent);
FUNCTIONS(int32_t(const llama_model*), llama_model_meta_count, llama_model_n_ctx_train,
          llama_model_n_embd, llama_model_n_embd_inp, llama_model_n_embd_out, llama_model_n_head,
          llama_model_n_head_kv, llama_model_n_layer, llama_model_n_swa);
FUNCTIONS(uint64_t(const llama_model*), llama_model_n_params, llama_model_size);
FUNCTIONS(uint32_t(const llama_context*), llama_n_batch, llama_n_ctx, llama_n_ctx_seq,
          llama_n_seq_max, llama_n_ubatch);
FUNCTIONS(int32_t(llama_context*), llama_n_threads, llama_n_threads_batch);
FUNCTIONS(void(llama_sampler*), llama_sampler_free, llama_sampler_reset);
FUNCTIONS(llama_token(const llama_vocab*), llama_vocab_bos, llama_vocab_eos, llama_vocab_eot,
          llama_vocab_nl);
FUNCTION(llama_adapter_lora_free, void(llama_adapter_lora*));
FUNCTION(llama_adapter_lora_init, llama_adapter_lora*(llama_model*, const char*));
FUNCTION(llama_adapter_meta_val_str,
         int32_t(const llama_adapter_lora *, const char *, char *, size_t));
FUNCTION(llama_backend_init, void());
FUNCTION(llama_context_default_params, llama_context_params());
FUNCTION(llama_decode, int32_t(llama_context*, llama_batch));
FUNCTION(llama_detokenize,
         int32_t(const llama_vocab *, const llama_token *, int32_t, char *, int32_t, bool, bool));
FUNCTION(llama_encode, int32_t(llama_context*, llama_batch));
FUNCTION(llama_ftype_name, const char*(enum llama_ftype));
FUNCTION(llama_get_causal_attn, bool(const llama_context*));
FUNCTION(llama_get_embeddings_ith, float*(llama_context*, int32_t));
FUNCTION(llama_get_embeddings_seq, float*(llama_context*, llama_seq_id));
FUNCTION(llama_get_logits_ith, float*(llama_context*, int32_t));
FUNCTION(llama_get_memory, llama_memory_t(const llama_context*));
FUNCTION(llama_init_from_model, llama_context*(llama_model*, llama_context_params));
FUNCTION(llama_log_set, void(ggml_log_callback, void*));
FUNCTION(llama_memory_can_shift, bool(llama_memory_t));
FUNCTION(llama_memory_clear, void(llama_memory_t, bool));
FUNCTION(llama_memory_seq_add, void(llama_memory_t, llama_seq_id, llama_pos, llama_pos, llama_pos));
FUNCTION(llama_memory_seq_cp,
         void(llama_memory_t, llama_seq_id, llama_seq_id, llama_pos, llama_pos));
FUNCTION(llama_memory_seq_pos_max, llama_pos(llama_memory_t, llama_seq_id));
FUNCTION(llama_memory_seq_pos_min, llama_pos(llama_memory_t, llama_seq_id));
FUNCTION(llama_memory_seq_rm, bool(llama_memory_t, llama_seq_id, llama_pos, llama_pos));
FUNCTION(llama_model_chat_template, const char*(const llama_model*, const char*));
FUNCTION(llama_model_default_params, llama_model_params());
FUNCTION(llama_model_desc, int32_t(const llama_model*, char*, size_t));
FUNCTION(llama_model_free, void(llama_model*));
FUNCTION(llama_model_ftype, enum llama_ftype(const llama_model*));
FUNCTION(llama_model_get_vocab, const llama_vocab*(const llama_model*));
FUNCTION(llama_model_load_from_file, llama_model*(const char*, llama_model_params));
FUNCTION(llama_model_meta_key_by_index, int32_t(const llama_model*, int32_t, char*, size_t));
FUNCTION(llama_model_meta_val_str, int32_t(const llama_model*, const char*, char*, size_t));
FUNCTION(llama_model_meta_val_str_by_index, int32_t(const llama_model*, int32_t, char*, size_t));
FUNCTION(llama_model_n_cls_out, uint32_t(const llama_model*));
FUNCTION(llama_model_quantize,
         uint32_t(const char *, const char *, const llama_model_quantize_params *));
FUNCTION(llama_model_quantize_default_params, llama_model_quantize_params());
FUNCTION(llama_model_rope_type, enum llama_rope_type(const llama_model*));
FUNCTION(llama_pooling_type, enum llama_pooling_type(const llama_context*));
FUNCTION(llama_sampler_accept, void(llama_sampler*, llama_token));
FUNCTION(llama_sampler_apply, void(llama_sampler*, llama_token_data_array*));
FUNCTION(llama_sampler_chain_add, void(llama_sampler*, llama_sampler*));
FUNCTION(llama_sampler_chain_default_params, llama_sampler_chain_params());
FUNCTION(llama_sampler_chain_get, llama_sampler*(llama_sampler*, int32_t));
FUNCTION(llama_sampler_chain_init, llama_sampler*(llama_sampler_chain_params));
FUNCTION(llama_sampler_chain_n, int32_t(const llama_sampler*));
FUNCTION(llama_sampler_clone, llama_sampler*(const llama_sampler*));
FUNCTION(llama_sampler_init_dist, llama_sampler*(uint32_t));
FUNCTION(llama_sampler_init_grammar, llama_sampler*(const llama_vocab*, const char*, const char*));
FUNCTION(llama_sampler_init_grammar_lazy_patterns,
         llama_sampler *(const llama_vocab *, const char *, const char *, const char **, size_t,
                         const llama_token *, size_t));
FUNCTION(llama_sampler_init_greedy, llama_sampler*());
FUNCTION(llama_sampler_init_logit_bias, llama_sampler*(int32_t, int32_t, const llama_logit_bias*));
FUNCTION(llama_sampler_init_min_p, llama_sampler*(float, size_t));
FUNCTION(llama_sampler_init_mirostat, llama_sampler*(int32_t, uint32_t, float, float, int32_t));
FUNCTION(llama_sampler_init_mirostat_v2, llama_sampler*(uint32_t, float, float));
FUNCTION(llama_sampler_init_penalties, llama_sampler*(int32_t, int32_t, float, float, float));
FUNCTION(llama_sampler_init_temp, llama_sampler*(float));
FUNCTION(llama_sampler_init_top_k, llama_sampler*(int32_t));
FUNCTION(llama_sampler_init_top_p, llama_sampler*(float, size_t));
FUNCTION(llama_sampler_init_typical, llama_sampler*(float, size_t));
FUNCTION(llama_sampler_name, const char*(const llama_sampler*));
FUNCTION(llama_set_adapters_lora, int32_t(llama_context*, llama_adapter_lora**, size_t, float*));
FUNCTION(llama_set_causal_attn, void(llama_context*, bool));
FUNCTION(llama_set_n_threads, void(llama_context*, int32_t, int32_t));
FUNCTION(llama_state_seq_get_data_ext,
         size_t(llama_context *, uint8_t *, size_t, llama_seq_id, llama_state_seq_flags));
FUNCTION(llama_state_seq_get_size_ext, size_t(llama_context*, llama_seq_id, llama_state_seq_flags));
FUNCTION(llama_state_seq_set_data_ext,
         size_t(llama_context *, const uint8_t *, size_t, llama_seq_id, llama_state_seq_flags));
FUNCTION(llama_supports_gpu_offload, bool());
FUNCTION(llama_token_to_piece,
         int32_t(const llama_vocab *, llama_token, char *, int32_t, int32_t, bool));
FUNCTION(llama_tokenize,
         int32_t(const llama_vocab *, const char *, int32_t, llama_token *, int32_t, bool, bool));
FUNCTION(llama_version, const char*());
FUNCTION(llama_vocab_get_add_bos, bool(const llama_vocab*));
FUNCTION(llama_vocab_get_attr, enum llama_token_attr(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_get_score, float(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_get_text, const char*(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_is_eog, bool(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_n_tokens, int32_t(const llama_vocab*));
FUNCTION(llama_vocab_type, enum llama_vocab_type(const llama_vocab*));

// Functions of mtmd.h and mtmd-helper.h.
FUNCTIONS(bool(const mtmd_context*), mtmd_decode_use_mrope, mtmd_support_audio,
          mtmd_support_vision);
FUNCTION(mtmd_bitmap_free, void(mtmd_bitmap*));
FUNCTION(mtmd_bitmap_init, mtmd_bitmap*(uint32_t, uint32_t, const unsigned char*));
FUNCTION(mtmd_bitmap_init_from_audio, mtmd_bitmap*(size_t, const float*));
FUNCTION(mtmd_bitmap_set_id, void(mtmd_bitmap*, const char*));
FUNCTION(mtmd_context_params_default, mtmd_context_params());
FUNCTION(mtmd_decode_use_non_causal, bool(const mtmd_context*, const mtmd_input_chunk*));
FUNCTION(mtmd_encode_chunk, int32_t(mtmd_context*, const mtmd_input_chunk*));
FUNCTION(mtmd_free, void(mtmd_context*));
FUNCTION(mtmd_get_audio_sample_rate, int(const mtmd_context*));
FUNCTION(mtmd_get_marker, const char*(const mtmd_context*));
FUNCTION(mtmd_get_output_embd, float*(mtmd_context*));
FUNCTION(mtmd_helper_log_set, void(ggml_log_callback, void*));
FUNCTION(mtmd_image_tokens_get_decoder_pos,
         mtmd_decoder_pos(const mtmd_image_tokens *, llama_pos, size_t));
FUNCTION(mtmd_init_from_file,
         mtmd_context *(const char *, const llama_model *, const mtmd_context_params));
FUNCTION(mtmd_input_chunk_get_id, const char*(const mtmd_input_chunk*));
FUNCTION(mtmd_input_chunk_get_n_pos, llama_pos(const mtmd_input_chunk*));
FUNCTION(mtmd_input_chunk_get_n_tokens, size_t(const mtmd_input_chunk*));
FUNCTION(mtmd_input_chunk_get_tokens_image, const mtmd_image_tokens*(const mtmd_input_chunk*));
FUNCTION(mtmd_input_chunk_get_tokens_text, const llama_token*(const mtmd_input_chunk*, size_t*));
FUNCTION(mtmd_input_chunk_get_type, enum mtmd_input_chunk_type(const mtmd_input_chunk*));
FUNCTION(mtmd_input_chunks_free, void(mtmd_input_chunks*));
FUNCTION(mtmd_input_chunks_get, const mtmd_input_chunk*(const mtmd_input_chunks*, size_t));
FUNCTION(mtmd_input_chunks_init, mtmd_input_chunks*());
FUNCTION(mtmd_input_chunks_size, size_t(const mtmd_input_chunks*));
FUNCTION(mtmd_tokenize, int32_t(const mtmd_context *, mtmd_input_chunks *, const mtmd_input_text *,
                                const mtmd_bitmap *const *, size_t));

// Fields of structs.
FIELDS(ggml_backend_dev_props, const char*, name, description, device_id);
FIELDS(ggml_backend_dev_props, size_t, memory_free, memory_total);
FIELD(ggml_backend_dev_props, enum ggml_backend_dev_type, type);
FIELD(ggml_backend_dev_props, ggml_backend_dev_caps, caps);
FIELDS(ggml_backend_dev_caps, bool, async, host_buffer, buffer_from_host_ptr, events);
FIELDS(ggml_backend_feature, const char*, name, value);
FIELD(llama_model_params, ggml_backend_dev_t*, devices);
FIELDS(llama_model_params, int32_t, n_gpu_layers, main_gpu);
FIELD(llama_model_params, enum llama_split_mode, split_mode);
FIELD(llama_model_params, enum llama_load_mode, load_mode);
FIELD(llama_model_params, const float*, tensor_split);
FIELD(llama_model_params, llama_progress_callback, progress_callback);
FIELD(llama_model_params, void*, progress_callback_user_data);
FIELD(llama_model_params, const llama_model_kv_override*, kv_overrides);
FIELDS(llama_model_params, bool, vocab_only, check_tensors, use_extra_bufts);
FIELD(llama_model_kv_override, enum llama_model_kv_override_type, tag);
FIELDS(llama_model_kv_override, char[128], key, val_str);
FIELD(llama_model_kv_override, int64_t, val_i64);
FIELD(llama_model_kv_override, double, val_f64);
FIELD(llama_model_kv_override, bool, val_bool);
FIELDS(llama_context_params, uint32_t, n_ctx, n_batch, n_ubatch, n_seq_max, n_rs_seq,
       n_outputs_max);
FIELDS(llama_context_params, int32_t, n_threads, n_threads_batch);
FIELD(llama_context_params, enum llama_pooling_type, pooling_type);
FIELD(llama_context_params, enum llama_attention_type, attention_type);
FIELD(llama_context_params, enum llama_flash_attn_type, flash_attn_type);
FIELDS(llama_context_params, float, rope_freq_base, rope_freq_scale, yarn_ext_factor);
FIELDS(llama_context_params, enum ggml_type, type_k, type_v);
FIELD(llama_context_params, ggml_abort_callback, abort_callback);
FIELDS(llama_context_params, void*, abort_callback_data, cb_eval_user_data);
FIELD(llama_context_params, ggml_backend_sched_eval_callback, cb_eval);
FIELDS(llama_context_params, bool, embeddings, offload_kqv, no_perf, op_offload, swa_full,
       kv_unified);
FIELD(ggml_tensor, enum ggml_op, op);
FIELD(ggml_tensor, enum ggml_type, type);
FIELD(ggml_tensor, void*, data);
FIELD(ggml_tensor, ggml_backend_buffer*, buffer);
FIELD(llama_batch, int32_t, n_tokens);
FIELD(llama_batch, llama_token*, token);
FIELD(llama_batch, float*, embd);
FIELD(llama_batch, llama_pos*, pos);
FIELD(llama_batch, int32_t*, n_seq_id);
FIELD(llama_batch, llama_seq_id**, seq_id);
FIELD(llama_batch, int8_t*, logits);
FIELD(llama_embd, const float*, data);
FIELDS(llama_embd, size_t, n_rows, n_embd);
FIELD(llama_token_data, llama_token, id);
FIELDS(llama_token_data, float, logit, p);
FIELD(llama_token_data_array, llama_token_data*, data);
FIELD(llama_token_data_array, size_t, size);
FIELD(llama_token_data_array, int64_t, selected);
FIELD(llama_token_data_array, bool, sorted);
FIELD(llama_logit_bias, llama_token, token);
FIELD(llama_logit_bias, float, bias);
FIELD(llama_model_quantize_params, int32_t, nthread);
FIELD(llama_model_quantize_params, enum llama_ftype, ftype);
FIELDS(llama_model_quantize_params, enum ggml_type, output_tensor_type, token_embedding_type);
FIELDS(llama_model_quantize_params, bool, allow_requantize, quantize_output_tensor, pure,
       keep_split, dry_run);
FIELD(llama_model_quantize_params, const llama_model_imatrix_data*, imatrix);
FIELD(llama_model_quantize_params, const llama_model_tensor_override*, tt_overrides);
FIELD(llama_model_imatrix_data, const char*, name);
FIELD(llama_model_imatrix_data, const float*, data);
FIELD(llama_model_imatrix_data, size_t, size);
FIELD(llama_model_tensor_override, const char*, pattern);
FIELD(llama_model_tensor_override, enum ggml_type, type);
FIELDS(mtmd_context_params, bool, use_gpu, print_timings, warmup);
FIELD(mtmd_context_params, ggml_backend_dev_t, device);
FIELDS(mtmd_context_params, int, n_threads, image_min_tokens, image_max_tokens);
FIELD(mtmd_context_params, const char*, media_marker);
FIELD(mtmd_context_params, enum llama_flash_attn_type, flash_attn_type);
FIELD(mtmd_context_params, mtmd_progress_callback, progress_callback);
FIELD(mtmd_context_params, void*, progress_callback_user_data);
FIELD(mtmd_input_text, const char*, text);
FIELD(mtmd_input_text, size_t, text_len);
FIELDS(mtmd_input_text, bool, add_special, parse_special);
FIELDS(mtmd_decoder_pos, uint32_t, t, x, y, z);

// Types that Go mirrors by size.
static_assert(sizeof(llama_token) == 4 && sizeof(llama_pos) == 4 && sizeof(llama_seq_id) == 4,
              "llama_token, llama_pos or llama_seq_id is no longer 32 bits wide");
static_assert(
    std::is_same_v<ggml_log_callback, void (*)(enum ggml_log_level, const char *, void *)>,
    "ggml_log_callback has another signature");
static_assert(std::is_same_v<ggml_abort_callback, bool (*)(void *)>,
              "ggml_abort_callback has another signature");
static_assert(std::is_same_v<ggml_abort_callback_t, void (*)(const char *)>,
              "ggml_abort_callback_t has another signature");
static_assert(std::is_same_v<llama_progress_callback, bool (*)(float, void *)>,
              "llama_progress_callback has another signature");

// Values that Go counts by itself.
VALUE(LLAMA_LOAD_MODE_AUTO, -1);
VALUE(LLAMA_LOAD_MODE_NONE, 0);
VALUE(LLAMA_LOAD_MODE_MMAP, 1);
VALUE(LLAMA_LOAD_MODE_MLOCK, 2);
VALUE(LLAMA_LOAD_MODE_MMAP_MLOCK, 3);
VALUE(LLAMA_LOAD_MODE_DIRECT_IO, 4);
VALUE(LLAMA_POOLING_TYPE_UNSPECIFIED, -1);
VALUE(LLAMA_POOLING_TYPE_NONE, 0);
VALUE(LLAMA_POOLING_TYPE_MEAN, 1);
VALUE(LLAMA_POOLING_TYPE_CLS, 2);
VALUE(LLAMA_POOLING_TYPE_LAST, 3);
VALUE(LLAMA_POOLING_TYPE_RANK, 4);
VALUE(LLAMA_TOKEN_NULL, -1);
VALUE(LLAMA_TOKEN_TYPE_UNUSED, 5);
VALUE(LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY, 1);

// Constants that must be there, whatever their value.
constexpr long long constants[] = {
    GGML_BACKEND_DEVICE_TYPE_ACCEL, GGML_BACKEND_DEVICE_TYPE_CPU, GGML_BACKEND_DEVICE_TYPE_GPU,
    GGML_BACKEND_DEVICE_TYPE_IGPU, GGML_BACKEND_DEVICE_TYPE_META,
    GGML_LOG_LEVEL_CONT, GGML_LOG_LEVEL_DEBUG, GGML_LOG_LEVEL_ERROR, GGML_LOG_LEVEL_WARN,
    GGML_MAX_N_THREADS,
    GGML_TYPE_BF16, GGML_TYPE_COUNT, GGML_TYPE_F16, GGML_TYPE_F32, GGML_TYPE_F64, GGML_TYPE_I16,
    GGML_TYPE_I32, GGML_TYPE_I64, GGML_TYPE_I8, GGML_TYPE_IQ1_M, GGML_TYPE_IQ1_S, GGML_TYPE_IQ2_S,
    GGML_TYPE_IQ2_XS, GGML_TYPE_IQ2_XXS, GGML_TYPE_IQ3_S, GGML_TYPE_IQ3_XXS, GGML_TYPE_IQ4_NL,
    GGML_TYPE_IQ4_XS, GGML_TYPE_MXFP4, GGML_TYPE_NVFP4, GGML_TYPE_Q1_0, GGML_TYPE_Q2_0,
    GGML_TYPE_Q2_K, GGML_TYPE_Q3_K, GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q4_K, GGML_TYPE_Q5_0,
    GGML_TYPE_Q5_1, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K, GGML_TYPE_Q8_0, GGML_TYPE_Q8_1, GGML_TYPE_Q8_K,
    GGML_TYPE_TQ1_0, GGML_TYPE_TQ2_0,
    LLAMA_ATTENTION_TYPE_NON_CAUSAL, LLAMA_DEFAULT_SEED, LLAMA_FLASH_ATTN_TYPE_AUTO,
    LLAMA_FLASH_ATTN_TYPE_DISABLED, LLAMA_FLASH_ATTN_TYPE_ENABLED, LLAMA_POOLING_TYPE_NONE,
    LLAMA_POOLING_TYPE_RANK, LLAMA_PROCESS_TYPE_DECODE, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY,
    LLAMA_FTYPE_ALL_F32, LLAMA_FTYPE_MOSTLY_BF16, LLAMA_FTYPE_MOSTLY_F16, LLAMA_FTYPE_MOSTLY_IQ1_M,
    LLAMA_FTYPE_MOSTLY_IQ1_S, LLAMA_FTYPE_MOSTLY_IQ2_M, LLAMA_FTYPE_MOSTLY_IQ2_S,
    LLAMA_FTYPE_MOSTLY_IQ2_XS, LLAMA_FTYPE_MOSTLY_IQ2_XXS, LLAMA_FTYPE_MOSTLY_IQ3_M,
    LLAMA_FTYPE_MOSTLY_IQ3_S, LLAMA_FTYPE_MOSTLY_IQ3_XS, LLAMA_FTYPE_MOSTLY_IQ3_XXS,
    LLAMA_FTYPE_MOSTLY_IQ4_NL, LLAMA_FTYPE_MOSTLY_IQ4_XS, LLAMA_FTYPE_MOSTLY_MXFP4_MOE,
    LLAMA_FTYPE_MOSTLY_Q1_0, LLAMA_FTYPE_MOSTLY_Q2_0, LLAMA_FTYPE_MOSTLY_Q2_K,
    LLAMA_FTYPE_MOSTLY_Q2_K_S, LLAMA_FTYPE_MOSTLY_Q3_K_L, LLAMA_FTYPE_MOSTLY_Q3_K_M,
    LLAMA_FTYPE_MOSTLY_Q3_K_S, LLAMA_FTYPE_MOSTLY_Q4_0, LLAMA_FTYPE_MOSTLY_Q4_1,
    LLAMA_FTYPE_MOSTLY_Q4_K_M, LLAMA_FTYPE_MOSTLY_Q4_K_S, LLAMA_FTYPE_MOSTLY_Q5_0,
    LLAMA_FTYPE_MOSTLY_Q5_1, LLAMA_FTYPE_MOSTLY_Q5_K_M, LLAMA_FTYPE_MOSTLY_Q5_K_S,
    LLAMA_FTYPE_MOSTLY_Q6_K, LLAMA_FTYPE_MOSTLY_Q8_0, LLAMA_FTYPE_MOSTLY_TQ1_0,
    LLAMA_FTYPE_MOSTLY_TQ2_0,
    LLAMA_KV_OVERRIDE_TYPE_BOOL, LLAMA_KV_OVERRIDE_TYPE_FLOAT, LLAMA_KV_OVERRIDE_TYPE_INT,
    LLAMA_KV_OVERRIDE_TYPE_STR,
    LLAMA_ROPE_TYPE_IMROPE, LLAMA_ROPE_TYPE_MROPE, LLAMA_ROPE_TYPE_NONE,
    LLAMA_SPLIT_MODE_LAYER, LLAMA_SPLIT_MODE_NONE, LLAMA_SPLIT_MODE_ROW, LLAMA_SPLIT_MODE_TENSOR,
    LLAMA_TOKEN_ATTR_BYTE, LLAMA_TOKEN_ATTR_CONTROL,
    LLAMA_TOKEN_ATTR_UNKNOWN, LLAMA_TOKEN_ATTR_USER_DEFINED,
    LLAMA_VOCAB_TYPE_NONE,
    MTMD_INPUT_CHUNK_TYPE_AUDIO, MTMD_INPUT_CHUNK_TYPE_COUNT, MTMD_INPUT_CHUNK_TYPE_IMAGE,
    MTMD_INPUT_CHUNK_TYPE_TEXT,
};

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
#define FIELD(type, of, name)                                                                      \
  static_assert(std::is_same_v<decltype(of::name), type>, #of "::" #name " has another type")
#define VALUE(name, value) static_assert(name == value, #name " is no longer " #value)

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
FUNCTION(ggml_backend_buffer_is_host, bool(ggml_backend_buffer_t));
FUNCTION(ggml_backend_dev_backend_reg, ggml_backend_reg_t(ggml_backend_dev_t));
FUNCTION(ggml_backend_dev_by_type, ggml_backend_dev_t(enum ggml_backend_dev_type));
FUNCTION(ggml_backend_dev_count, size_t());
FUNCTION(ggml_backend_dev_get, ggml_backend_dev_t(size_t));
FUNCTION(ggml_backend_dev_get_props, void(ggml_backend_dev_t, ggml_backend_dev_props*));
FUNCTION(ggml_backend_load, ggml_backend_reg_t(const char*));
FUNCTION(ggml_backend_load_all, void());
FUNCTION(ggml_backend_reg_get_proc_address, void*(ggml_backend_reg_t, const char*));
FUNCTION(ggml_backend_reg_name, const char*(ggml_backend_reg_t));
FUNCTION(ggml_backend_tensor_get, void(const struct ggml_tensor*, void*, size_t, size_t));
FUNCTION(ggml_blck_size, int64_t(enum ggml_type));
FUNCTION(ggml_commit, const char*());
FUNCTION(ggml_is_quantized, bool(enum ggml_type));
FUNCTION(ggml_log_set, void(ggml_log_callback, void*));
FUNCTION(ggml_nbytes, size_t(const struct ggml_tensor*));
FUNCTION(ggml_quantize_chunk,
         size_t(enum ggml_type, const float *, void *, int64_t, int64_t, int64_t, const float *));
FUNCTION(ggml_quantize_free, void());
FUNCTION(ggml_quantize_requires_imatrix, bool(enum ggml_type));
FUNCTION(ggml_set_abort_callback, ggml_abort_callback_t(ggml_abort_callback_t));
FUNCTION(ggml_type_name, const char*(enum ggml_type));
FUNCTION(ggml_type_size, size_t(enum ggml_type));
FUNCTION(ggml_version, const char*());

// Functions of llama.h.
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
FUNCTION(llama_free, void(llama_context*));
FUNCTION(llama_ftype_name, const char*(enum llama_ftype));
FUNCTION(llama_get_causal_attn, bool(const llama_context*));
FUNCTION(llama_get_embeddings_ith, float*(llama_context*, int32_t));
FUNCTION(llama_get_embeddings_seq, float*(llama_context*, llama_seq_id));
FUNCTION(llama_get_logits_ith, float*(llama_context*, int32_t));
FUNCTION(llama_get_memory, llama_memory_t(const llama_context*));
FUNCTION(llama_init_from_model, llama_context*(llama_model*, llama_context_params));
FUNCTION(llama_log_set, void(ggml_log_callback, void*));
FUNCTION(llama_max_devices, size_t());
FUNCTION(llama_max_parallel_sequences, size_t());
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
FUNCTION(llama_model_has_decoder, bool(const llama_model*));
FUNCTION(llama_model_has_encoder, bool(const llama_model*));
FUNCTION(llama_model_is_hybrid, bool(const llama_model*));
FUNCTION(llama_model_is_recurrent, bool(const llama_model*));
FUNCTION(llama_model_load_from_file, llama_model*(const char*, llama_model_params));
FUNCTION(llama_model_meta_count, int32_t(const llama_model*));
FUNCTION(llama_model_meta_key_by_index, int32_t(const llama_model*, int32_t, char*, size_t));
FUNCTION(llama_model_meta_val_str, int32_t(const llama_model*, const char*, char*, size_t));
FUNCTION(llama_model_meta_val_str_by_index, int32_t(const llama_model*, int32_t, char*, size_t));
FUNCTION(llama_model_n_cls_out, uint32_t(const llama_model*));
FUNCTION(llama_model_n_ctx_train, int32_t(const llama_model*));
FUNCTION(llama_model_n_embd, int32_t(const llama_model*));
FUNCTION(llama_model_n_embd_inp, int32_t(const llama_model*));
FUNCTION(llama_model_n_embd_out, int32_t(const llama_model*));
FUNCTION(llama_model_n_head, int32_t(const llama_model*));
FUNCTION(llama_model_n_head_kv, int32_t(const llama_model*));
FUNCTION(llama_model_n_layer, int32_t(const llama_model*));
FUNCTION(llama_model_n_params, uint64_t(const llama_model*));
FUNCTION(llama_model_n_swa, int32_t(const llama_model*));
FUNCTION(llama_model_quantize,
         uint32_t(const char *, const char *, const llama_model_quantize_params *));
FUNCTION(llama_model_quantize_default_params, llama_model_quantize_params());
FUNCTION(llama_model_rope_type, enum llama_rope_type(const llama_model*));
FUNCTION(llama_model_size, uint64_t(const llama_model*));
FUNCTION(llama_n_batch, uint32_t(const llama_context*));
FUNCTION(llama_n_ctx, uint32_t(const llama_context*));
FUNCTION(llama_n_ctx_seq, uint32_t(const llama_context*));
FUNCTION(llama_n_seq_max, uint32_t(const llama_context*));
FUNCTION(llama_n_threads, int32_t(llama_context*));
FUNCTION(llama_n_threads_batch, int32_t(llama_context*));
FUNCTION(llama_n_ubatch, uint32_t(const llama_context*));
FUNCTION(llama_pooling_type, enum llama_pooling_type(const llama_context*));
FUNCTION(llama_sampler_accept, void(llama_sampler*, llama_token));
FUNCTION(llama_sampler_apply, void(llama_sampler*, llama_token_data_array*));
FUNCTION(llama_sampler_chain_add, void(llama_sampler*, llama_sampler*));
FUNCTION(llama_sampler_chain_default_params, llama_sampler_chain_params());
FUNCTION(llama_sampler_chain_get, llama_sampler*(llama_sampler*, int32_t));
FUNCTION(llama_sampler_chain_init, llama_sampler*(llama_sampler_chain_params));
FUNCTION(llama_sampler_chain_n, int32_t(const llama_sampler*));
FUNCTION(llama_sampler_clone, llama_sampler*(const llama_sampler*));
FUNCTION(llama_sampler_free, void(llama_sampler*));
FUNCTION(llama_sampler_get_seed, uint32_t(const llama_sampler*));
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
FUNCTION(llama_sampler_reset, void(llama_sampler*));
FUNCTION(llama_set_adapters_lora, int32_t(llama_context*, llama_adapter_lora**, size_t, float*));
FUNCTION(llama_set_causal_attn, void(llama_context*, bool));
FUNCTION(llama_set_n_threads, void(llama_context*, int32_t, int32_t));
FUNCTION(llama_state_seq_get_data_ext,
         size_t(llama_context *, uint8_t *, size_t, llama_seq_id, llama_state_seq_flags));
FUNCTION(llama_state_seq_get_size_ext, size_t(llama_context*, llama_seq_id, llama_state_seq_flags));
FUNCTION(llama_state_seq_set_data_ext,
         size_t(llama_context *, const uint8_t *, size_t, llama_seq_id, llama_state_seq_flags));
FUNCTION(llama_supports_gpu_offload, bool());
FUNCTION(llama_synchronize, void(llama_context*));
FUNCTION(llama_token_to_piece,
         int32_t(const llama_vocab *, llama_token, char *, int32_t, int32_t, bool));
FUNCTION(llama_tokenize,
         int32_t(const llama_vocab *, const char *, int32_t, llama_token *, int32_t, bool, bool));
FUNCTION(llama_version, const char*());
FUNCTION(llama_vocab_bos, llama_token(const llama_vocab*));
FUNCTION(llama_vocab_eos, llama_token(const llama_vocab*));
FUNCTION(llama_vocab_eot, llama_token(const llama_vocab*));
FUNCTION(llama_vocab_get_add_bos, bool(const llama_vocab*));
FUNCTION(llama_vocab_get_attr, enum llama_token_attr(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_get_score, float(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_get_text, const char*(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_is_control, bool(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_is_eog, bool(const llama_vocab*, llama_token));
FUNCTION(llama_vocab_mask, llama_token(const llama_vocab*));
FUNCTION(llama_vocab_n_tokens, int32_t(const llama_vocab*));
FUNCTION(llama_vocab_nl, llama_token(const llama_vocab*));
FUNCTION(llama_vocab_pad, llama_token(const llama_vocab*));
FUNCTION(llama_vocab_type, enum llama_vocab_type(const llama_vocab*));

// Functions of mtmd.h and mtmd-helper.h.
FUNCTION(mtmd_bitmap_free, void(mtmd_bitmap*));
FUNCTION(mtmd_bitmap_init, mtmd_bitmap*(uint32_t, uint32_t, const unsigned char*));
FUNCTION(mtmd_bitmap_init_from_audio, mtmd_bitmap*(size_t, const float*));
FUNCTION(mtmd_bitmap_set_id, void(mtmd_bitmap*, const char*));
FUNCTION(mtmd_context_params_default, mtmd_context_params());
FUNCTION(mtmd_decode_use_mrope, bool(const mtmd_context*));
FUNCTION(mtmd_decode_use_non_causal, bool(const mtmd_context*, const mtmd_input_chunk*));
FUNCTION(mtmd_default_marker, const char*());
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
FUNCTION(mtmd_support_audio, bool(const mtmd_context*));
FUNCTION(mtmd_support_vision, bool(const mtmd_context*));
FUNCTION(mtmd_tokenize, int32_t(const mtmd_context *, mtmd_input_chunks *, const mtmd_input_text *,
                                const mtmd_bitmap *const *, size_t));

// Fields of structs.
FIELD(const char*, ggml_backend_dev_props, name);
FIELD(const char*, ggml_backend_dev_props, description);
FIELD(size_t, ggml_backend_dev_props, memory_free);
FIELD(size_t, ggml_backend_dev_props, memory_total);
FIELD(enum ggml_backend_dev_type, ggml_backend_dev_props, type);
FIELD(const char*, ggml_backend_dev_props, device_id);
FIELD(ggml_backend_dev_caps, ggml_backend_dev_props, caps);
FIELD(bool, ggml_backend_dev_caps, async);
FIELD(bool, ggml_backend_dev_caps, host_buffer);
FIELD(bool, ggml_backend_dev_caps, buffer_from_host_ptr);
FIELD(bool, ggml_backend_dev_caps, events);
FIELD(const char*, ggml_backend_feature, name);
FIELD(const char*, ggml_backend_feature, value);
FIELD(ggml_backend_dev_t*, llama_model_params, devices);
FIELD(int32_t, llama_model_params, n_gpu_layers);
FIELD(enum llama_split_mode, llama_model_params, split_mode);
FIELD(enum llama_load_mode, llama_model_params, load_mode);
FIELD(int32_t, llama_model_params, main_gpu);
FIELD(const float*, llama_model_params, tensor_split);
FIELD(llama_progress_callback, llama_model_params, progress_callback);
FIELD(void*, llama_model_params, progress_callback_user_data);
FIELD(const llama_model_kv_override*, llama_model_params, kv_overrides);
FIELD(bool, llama_model_params, vocab_only);
FIELD(bool, llama_model_params, check_tensors);
FIELD(bool, llama_model_params, use_extra_bufts);
FIELD(enum llama_model_kv_override_type, llama_model_kv_override, tag);
FIELD(char[128], llama_model_kv_override, key);
FIELD(int64_t, llama_model_kv_override, val_i64);
FIELD(double, llama_model_kv_override, val_f64);
FIELD(bool, llama_model_kv_override, val_bool);
FIELD(char[128], llama_model_kv_override, val_str);
FIELD(uint32_t, llama_context_params, n_ctx);
FIELD(uint32_t, llama_context_params, n_batch);
FIELD(uint32_t, llama_context_params, n_ubatch);
FIELD(uint32_t, llama_context_params, n_seq_max);
FIELD(uint32_t, llama_context_params, n_rs_seq);
FIELD(uint32_t, llama_context_params, n_outputs_max);
FIELD(int32_t, llama_context_params, n_threads);
FIELD(int32_t, llama_context_params, n_threads_batch);
FIELD(enum llama_pooling_type, llama_context_params, pooling_type);
FIELD(enum llama_attention_type, llama_context_params, attention_type);
FIELD(enum llama_flash_attn_type, llama_context_params, flash_attn_type);
FIELD(float, llama_context_params, rope_freq_base);
FIELD(float, llama_context_params, rope_freq_scale);
FIELD(float, llama_context_params, yarn_ext_factor);
FIELD(enum ggml_type, llama_context_params, type_k);
FIELD(enum ggml_type, llama_context_params, type_v);
FIELD(ggml_abort_callback, llama_context_params, abort_callback);
FIELD(void*, llama_context_params, abort_callback_data);
FIELD(ggml_backend_sched_eval_callback, llama_context_params, cb_eval);
FIELD(void*, llama_context_params, cb_eval_user_data);
FIELD(enum ggml_op, ggml_tensor, op);
FIELD(enum ggml_type, ggml_tensor, type);
FIELD(void*, ggml_tensor, data);
FIELD(ggml_backend_buffer*, ggml_tensor, buffer);
FIELD(bool, llama_context_params, embeddings);
FIELD(bool, llama_context_params, offload_kqv);
FIELD(bool, llama_context_params, no_perf);
FIELD(bool, llama_context_params, op_offload);
FIELD(bool, llama_context_params, swa_full);
FIELD(bool, llama_context_params, kv_unified);
FIELD(int32_t, llama_batch, n_tokens);
FIELD(llama_token*, llama_batch, token);
FIELD(float*, llama_batch, embd);
FIELD(llama_pos*, llama_batch, pos);
FIELD(int32_t*, llama_batch, n_seq_id);
FIELD(llama_seq_id**, llama_batch, seq_id);
FIELD(int8_t*, llama_batch, logits);
FIELD(const float*, llama_embd, data);
FIELD(size_t, llama_embd, n_rows);
FIELD(size_t, llama_embd, n_embd);
FIELD(llama_token, llama_token_data, id);
FIELD(float, llama_token_data, logit);
FIELD(float, llama_token_data, p);
FIELD(llama_token_data*, llama_token_data_array, data);
FIELD(size_t, llama_token_data_array, size);
FIELD(int64_t, llama_token_data_array, selected);
FIELD(bool, llama_token_data_array, sorted);
FIELD(llama_token, llama_logit_bias, token);
FIELD(float, llama_logit_bias, bias);
FIELD(int32_t, llama_model_quantize_params, nthread);
FIELD(enum llama_ftype, llama_model_quantize_params, ftype);
FIELD(enum ggml_type, llama_model_quantize_params, output_tensor_type);
FIELD(enum ggml_type, llama_model_quantize_params, token_embedding_type);
FIELD(bool, llama_model_quantize_params, allow_requantize);
FIELD(bool, llama_model_quantize_params, quantize_output_tensor);
FIELD(bool, llama_model_quantize_params, pure);
FIELD(bool, llama_model_quantize_params, keep_split);
FIELD(bool, llama_model_quantize_params, dry_run);
FIELD(const llama_model_imatrix_data*, llama_model_quantize_params, imatrix);
FIELD(const llama_model_tensor_override*, llama_model_quantize_params, tt_overrides);
FIELD(const char*, llama_model_imatrix_data, name);
FIELD(const float*, llama_model_imatrix_data, data);
FIELD(size_t, llama_model_imatrix_data, size);
FIELD(const char*, llama_model_tensor_override, pattern);
FIELD(enum ggml_type, llama_model_tensor_override, type);
FIELD(bool, mtmd_context_params, use_gpu);
FIELD(ggml_backend_dev_t, mtmd_context_params, device);
FIELD(bool, mtmd_context_params, print_timings);
FIELD(int, mtmd_context_params, n_threads);
FIELD(const char*, mtmd_context_params, media_marker);
FIELD(enum llama_flash_attn_type, mtmd_context_params, flash_attn_type);
FIELD(bool, mtmd_context_params, warmup);
FIELD(int, mtmd_context_params, image_min_tokens);
FIELD(int, mtmd_context_params, image_max_tokens);
FIELD(mtmd_progress_callback, mtmd_context_params, progress_callback);
FIELD(void*, mtmd_context_params, progress_callback_user_data);
FIELD(const char*, mtmd_input_text, text);
FIELD(size_t, mtmd_input_text, text_len);
FIELD(bool, mtmd_input_text, add_special);
FIELD(bool, mtmd_input_text, parse_special);
FIELD(uint32_t, mtmd_decoder_pos, t);
FIELD(uint32_t, mtmd_decoder_pos, x);
FIELD(uint32_t, mtmd_decoder_pos, y);
FIELD(uint32_t, mtmd_decoder_pos, z);

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
    GGML_BACKEND_DEVICE_TYPE_ACCEL,
    GGML_BACKEND_DEVICE_TYPE_CPU,
    GGML_BACKEND_DEVICE_TYPE_GPU,
    GGML_BACKEND_DEVICE_TYPE_IGPU,
    GGML_BACKEND_DEVICE_TYPE_META,
    GGML_LOG_LEVEL_CONT,
    GGML_LOG_LEVEL_DEBUG,
    GGML_LOG_LEVEL_ERROR,
    GGML_LOG_LEVEL_WARN,
    GGML_MAX_N_THREADS,
    GGML_TYPE_BF16,
    GGML_TYPE_COUNT,
    GGML_TYPE_F16,
    GGML_TYPE_F32,
    GGML_TYPE_F64,
    GGML_TYPE_I16,
    GGML_TYPE_I32,
    GGML_TYPE_I64,
    GGML_TYPE_I8,
    GGML_TYPE_IQ1_M,
    GGML_TYPE_IQ1_S,
    GGML_TYPE_IQ2_S,
    GGML_TYPE_IQ2_XS,
    GGML_TYPE_IQ2_XXS,
    GGML_TYPE_IQ3_S,
    GGML_TYPE_IQ3_XXS,
    GGML_TYPE_IQ4_NL,
    GGML_TYPE_IQ4_XS,
    GGML_TYPE_MXFP4,
    GGML_TYPE_NVFP4,
    GGML_TYPE_Q1_0,
    GGML_TYPE_Q2_0,
    GGML_TYPE_Q2_K,
    GGML_TYPE_Q3_K,
    GGML_TYPE_Q4_0,
    GGML_TYPE_Q4_1,
    GGML_TYPE_Q4_K,
    GGML_TYPE_Q5_0,
    GGML_TYPE_Q5_1,
    GGML_TYPE_Q5_K,
    GGML_TYPE_Q6_K,
    GGML_TYPE_Q8_0,
    GGML_TYPE_Q8_1,
    GGML_TYPE_Q8_K,
    GGML_TYPE_TQ1_0,
    GGML_TYPE_TQ2_0,
    LLAMA_ATTENTION_TYPE_NON_CAUSAL,
    LLAMA_DEFAULT_SEED,
    LLAMA_FLASH_ATTN_TYPE_AUTO,
    LLAMA_FLASH_ATTN_TYPE_DISABLED,
    LLAMA_FLASH_ATTN_TYPE_ENABLED,
    LLAMA_FTYPE_ALL_F32,
    LLAMA_FTYPE_MOSTLY_BF16,
    LLAMA_FTYPE_MOSTLY_F16,
    LLAMA_FTYPE_MOSTLY_IQ1_M,
    LLAMA_FTYPE_MOSTLY_IQ1_S,
    LLAMA_FTYPE_MOSTLY_IQ2_M,
    LLAMA_FTYPE_MOSTLY_IQ2_S,
    LLAMA_FTYPE_MOSTLY_IQ2_XS,
    LLAMA_FTYPE_MOSTLY_IQ2_XXS,
    LLAMA_FTYPE_MOSTLY_IQ3_M,
    LLAMA_FTYPE_MOSTLY_IQ3_S,
    LLAMA_FTYPE_MOSTLY_IQ3_XS,
    LLAMA_FTYPE_MOSTLY_IQ3_XXS,
    LLAMA_FTYPE_MOSTLY_IQ4_NL,
    LLAMA_FTYPE_MOSTLY_IQ4_XS,
    LLAMA_FTYPE_MOSTLY_MXFP4_MOE,
    LLAMA_FTYPE_MOSTLY_Q1_0,
    LLAMA_FTYPE_MOSTLY_Q2_0,
    LLAMA_FTYPE_MOSTLY_Q2_K,
    LLAMA_FTYPE_MOSTLY_Q2_K_S,
    LLAMA_FTYPE_MOSTLY_Q3_K_L,
    LLAMA_FTYPE_MOSTLY_Q3_K_M,
    LLAMA_FTYPE_MOSTLY_Q3_K_S,
    LLAMA_FTYPE_MOSTLY_Q4_0,
    LLAMA_FTYPE_MOSTLY_Q4_1,
    LLAMA_FTYPE_MOSTLY_Q4_K_M,
    LLAMA_FTYPE_MOSTLY_Q4_K_S,
    LLAMA_FTYPE_MOSTLY_Q5_0,
    LLAMA_FTYPE_MOSTLY_Q5_1,
    LLAMA_FTYPE_MOSTLY_Q5_K_M,
    LLAMA_FTYPE_MOSTLY_Q5_K_S,
    LLAMA_FTYPE_MOSTLY_Q6_K,
    LLAMA_FTYPE_MOSTLY_Q8_0,
    LLAMA_FTYPE_MOSTLY_TQ1_0,
    LLAMA_FTYPE_MOSTLY_TQ2_0,
    LLAMA_KV_OVERRIDE_TYPE_BOOL,
    LLAMA_KV_OVERRIDE_TYPE_FLOAT,
    LLAMA_KV_OVERRIDE_TYPE_INT,
    LLAMA_KV_OVERRIDE_TYPE_STR,
    LLAMA_POOLING_TYPE_NONE,
    LLAMA_POOLING_TYPE_RANK,
    LLAMA_PROCESS_TYPE_DECODE,
    LLAMA_ROPE_TYPE_IMROPE,
    LLAMA_ROPE_TYPE_MROPE,
    LLAMA_ROPE_TYPE_NEOX,
    LLAMA_ROPE_TYPE_NONE,
    LLAMA_ROPE_TYPE_NORM,
    LLAMA_ROPE_TYPE_VISION,
    LLAMA_SPLIT_MODE_LAYER,
    LLAMA_SPLIT_MODE_NONE,
    LLAMA_SPLIT_MODE_ROW,
    LLAMA_SPLIT_MODE_TENSOR,
    LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY,
    LLAMA_TOKEN_ATTR_BYTE,
    LLAMA_TOKEN_ATTR_CONTROL,
    LLAMA_TOKEN_ATTR_NORMAL,
    LLAMA_TOKEN_ATTR_UNKNOWN,
    LLAMA_TOKEN_ATTR_UNUSED,
    LLAMA_TOKEN_ATTR_USER_DEFINED,
    LLAMA_VOCAB_TYPE_BPE,
    LLAMA_VOCAB_TYPE_NONE,
    LLAMA_VOCAB_TYPE_RWKV,
    LLAMA_VOCAB_TYPE_SPM,
    LLAMA_VOCAB_TYPE_UGM,
    LLAMA_VOCAB_TYPE_WPM,
    MTMD_INPUT_CHUNK_TYPE_AUDIO,
    MTMD_INPUT_CHUNK_TYPE_COUNT,
    MTMD_INPUT_CHUNK_TYPE_IMAGE,
    MTMD_INPUT_CHUNK_TYPE_TEXT,
};

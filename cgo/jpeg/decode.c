//go:build !nojpegturbo

#include "decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

// On the heap, so that what setjmp's caller holds in registers does not matter.
typedef struct {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr         errors;
    struct jpeg_progress_mgr      progress;
    jmp_buf                       out;
    const eyelet_jpeg_params*     params;
    int                           status;
    char*                         text;
} decoder;

static _Noreturn void fail(decoder* d, int status, const char* text) {
    d->status = status;
    snprintf(d->text, EYELET_JPEG_TEXT, "%s", text);
    longjmp(d->out, 1);
}

static int status_of(int code) {
    switch (code) {
        case JWRN_JPEG_EOF:
        case JERR_INPUT_EMPTY:
        case JERR_INPUT_EOF:
            return EYELET_JPEG_TRUNCATED;
        case JERR_OUT_OF_MEMORY:
        case JERR_NO_BACKING_STORE:
        case JERR_IMAGE_TOO_BIG:
        case JERR_WIDTH_OVERFLOW:
            return EYELET_JPEG_TOO_LARGE;
        case JERR_NOT_COMPILED:
        case JERR_SOF_UNSUPPORTED:
        case JERR_BAD_PRECISION:
        case JERR_CONVERSION_NOTIMPL:
        case JERR_ARITH_NOTIMPL:
        case JERR_FRACT_SAMPLE_NOTIMPL:
        case JERR_CCIR601_NOTIMPL:
            return EYELET_JPEG_UNSUPPORTED;
    }
    return EYELET_JPEG_CORRUPT;
}

// In place of libjpeg's own, which calls exit.
static void on_error(j_common_ptr cinfo) {
    char text[JMSG_LENGTH_MAX];
    cinfo->err->format_message(cinfo, text);
    fail(cinfo->client_data, status_of(cinfo->err->msg_code), text);
}

// libjpeg fills what is missing with grey and warns. Where a warning means that pixels are lost, it
// is an error here.
static void on_message(j_common_ptr cinfo, int level) {
    if (level >= 0) return; // a trace
    switch (cinfo->err->msg_code) {
        case JWRN_JPEG_EOF:
        case JWRN_HIT_MARKER:
        case JWRN_HUFF_BAD_CODE:
        case JWRN_ARITH_BAD_CODE:
        case JWRN_MUST_RESYNC:
            on_error(cinfo);
    }
}

static void on_output(j_common_ptr cinfo) { (void) cinfo; }

// Called for each row of blocks, while coefficients are read and while pixels are written.
static void on_progress(j_common_ptr cinfo) {
    decoder* d = cinfo->client_data;
    if (__atomic_load_n(d->params->cancel, __ATOMIC_RELAXED))
      fail(d, EYELET_JPEG_CANCELLED, "cancelled");
    if (d->cinfo.input_scan_number > d->params->max_scans) {
        char text[EYELET_JPEG_TEXT];
        snprintf(text, sizeof text, "more than %d scans", (int) d->params->max_scans);
        fail(d, EYELET_JPEG_TOO_LARGE, text);
    }
}

// Called with d->out set.
static void read_header(decoder* d, const uint8_t* data, size_t size) {
    jpeg_create_decompress(&d->cinfo);
    d->cinfo.client_data = d;
    jpeg_mem_src(&d->cinfo, data, size);
    jpeg_read_header(&d->cinfo, TRUE);
}

// As Pillow's conversion of CMYK, whose products of two bytes are divided by 255 with rounding.
// Adobe's programs store these files inverted, and say so by their marker.
static void cmyk_to_rgb(uint8_t* dst, const uint8_t* src, int width, int inverted) {
    const unsigned flip = inverted ? 255 : 0;
    for (int x = 0; x < width; x++, src += 4, dst += 3) {
        const unsigned white = 255 - (src[3] ^ flip);
        for (int c = 0; c < 3; c++) {
            const unsigned product = (src[c] ^ flip) * white + 128;
            dst[c] = (uint8_t) (white - (((product >> 8) + product) >> 8));
        }
    }
}

static void read_rows(decoder* d, uint8_t* dst) {
    struct jpeg_decompress_struct* c      = &d->cinfo;
    const size_t                   stride = (size_t) c->output_width * 3;
    if (c->output_components == 3) {
        while (c->output_scanline < c->output_height) {
            JSAMPROW rows[8];
            JDIMENSION n = 0;
            for (; n < 8 && c->output_scanline + n < c->output_height; n++)
              rows[n] = dst + (c->output_scanline + n) * stride;
            jpeg_read_scanlines(c, rows, n);
        }
        return;
    }
    JSAMPARRAY row = c->mem->alloc_sarray((j_common_ptr) c, JPOOL_IMAGE, c->output_width * 4, 1);
    while (c->output_scanline < c->output_height) {
        uint8_t* to = dst + c->output_scanline * stride;
        if (jpeg_read_scanlines(c, row, 1) == 1)
          cmyk_to_rgb(to, row[0], (int)c->output_width, c->saw_Adobe_marker);
    }
}

// Called with d->out set.
static void decode(decoder* d, uint8_t* dst, int32_t width, int32_t height) {
    struct jpeg_decompress_struct* c = &d->cinfo;
    if (c->data_precision != 8) fail(d, EYELET_JPEG_UNSUPPORTED, "samples of more than 8 bits");
    switch (c->num_components) {
        case 1:
        case 3: c->out_color_space = JCS_RGB; break;
        case 4: c->out_color_space = JCS_CMYK; break;
        default: fail(d, EYELET_JPEG_UNSUPPORTED, "neither grey, colour nor CMYK");
    }
    d->progress.progress_monitor = on_progress;
    c->progress                  = &d->progress;
    c->mem->max_memory_to_use    = (long) d->params->max_memory;
    c->scale_num                 = (unsigned) d->params->eighths;
    c->scale_denom               = 8;
    jpeg_calc_output_dimensions(c);
    if (c->output_width != (JDIMENSION) width || c->output_height != (JDIMENSION) height)
        fail(d, EYELET_JPEG_UNSUPPORTED, "a picture that cannot be scaled so");
    jpeg_start_decompress(c); // of a progressive file, reads all of it
    read_rows(d, dst);
    jpeg_finish_decompress(c); // to the end marker, so that a file without one is found out
}

static decoder* new_decoder(char* text) {
    decoder* d = calloc(1, sizeof *d);
    if (!d) {
        snprintf(text, EYELET_JPEG_TEXT, "no memory");
        return NULL;
    }
    d->text                  = text;
    d->cinfo.err             = jpeg_std_error(&d->errors);
    d->errors.error_exit     = on_error;
    d->errors.emit_message   = on_message;
    d->errors.output_message = on_output;
    d->cinfo.client_data     = d;
    return d;
}

static int end(decoder* d) {
    const int status = d->status;
    jpeg_destroy_decompress(&d->cinfo);
    free(d);
    return status;
}

int eyelet_jpeg_read_header(const uint8_t *data, size_t size, eyelet_jpeg_header *header,
                            char text[EYELET_JPEG_TEXT]) {
  decoder *d = new_decoder(text);
  if (!d) return EYELET_JPEG_TOO_LARGE;
  if (setjmp(d->out) == 0) {
    read_header(d, data, size);
    header->width = (int32_t)d->cinfo.image_width;
    header->height = (int32_t)d->cinfo.image_height;
    header->components = d->cinfo.num_components;
    header->precision = d->cinfo.data_precision;
    header->progressive = d->cinfo.progressive_mode != 0;
  }
  return end(d);
}

int eyelet_jpeg_decode(const uint8_t *data, size_t size, const eyelet_jpeg_params *params,
                       uint8_t *dst, int32_t width, int32_t height, char text[EYELET_JPEG_TEXT]) {
  decoder *d = new_decoder(text);
  if (!d) return EYELET_JPEG_TOO_LARGE;
  d->params = params;
  if (setjmp(d->out) == 0) {
    read_header(d, data, size);
    decode(d, dst, width, height);
  }
  return end(d);
}

int eyelet_jpeg_version(void) { return LIBJPEG_TURBO_VERSION_NUMBER; }

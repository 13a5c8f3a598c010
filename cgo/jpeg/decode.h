// Decoding of one JPEG file with libjpeg-turbo. Every call is complete in itself: nothing of
// libjpeg outlives it, no jump leaves it, and no fault of the file ends the process.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum eyelet_jpeg_status {
    EYELET_JPEG_OK,
    EYELET_JPEG_CORRUPT,
    EYELET_JPEG_TRUNCATED,
    EYELET_JPEG_UNSUPPORTED,
    EYELET_JPEG_TOO_LARGE, // memory, sides, scans
    EYELET_JPEG_CANCELLED,
};

typedef struct {
    int32_t width, height;           // of the stored picture
    int32_t components, precision;   // 1 to 4; bits a sample
    int32_t progressive;             // 0 or 1
} eyelet_jpeg_header;

typedef struct {
    int32_t        eighths;    // scale: 1 to 8
    int32_t        max_scans;  // more of them are EYELET_JPEG_TOO_LARGE
    int64_t        max_memory; // bytes that libjpeg may take for coefficients
    const int32_t* cancel;     // not 0: stop, with EYELET_JPEG_CANCELLED
} eyelet_jpeg_params;

enum { EYELET_JPEG_TEXT = 256 }; // room for a text of a fault, at least libjpeg's JMSG_LENGTH_MAX

// Reads the markers before the first scan. text names the fault where the result is not
// EYELET_JPEG_OK.
int eyelet_jpeg_read_header(const uint8_t *data, size_t size, eyelet_jpeg_header *header,
                            char text[EYELET_JPEG_TEXT]);

// Decodes into dst: height rows of 3*width bytes, where these sides are those of the scaled
// picture, which libjpeg rounds up. Other sides than these are a fault.
int eyelet_jpeg_decode(const uint8_t *data, size_t size, const eyelet_jpeg_params *params,
                       uint8_t *dst, int32_t width, int32_t height, char text[EYELET_JPEG_TEXT]);

// Returns the version of the headers that this was compiled with, as in 3001003 for 3.1.3.
int eyelet_jpeg_version(void);

// sd-resident keeps one model of stable-diffusion.cpp loaded and draws what it is asked for on its
// standard input: the child of Eyelet's server. It is that project's own command-line program,
// sd-cli, called again and again in one process with the model left open between the calls, so what
// it draws is what sd-cli draws, byte for byte.
//
// There is no network and no address: only whoever started it holds the other ends of its pipes. A
// request is a count and so many strings, each a length and its bytes; counts and lengths are 32
// bits, least byte first. The first string is the folder to work in, the others are sd-cli's
// arguments. When the pictures lie in the folder, the byte '1' is written to file descriptor 3. A
// request that fails ends the process with sd-cli's exit code, and so does, with 0, the end of the
// standard input. Arguments about the model count in the first request alone.
//
// Beside the model itself sd-cli's memory is given back after each request. The text encoders and
// the VAE's encoder stay, which sd-cli alone frees or does not load.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "stable-diffusion.h"

namespace resident {

sd_ctx_t* context = nullptr;

sd_ctx_t* open(const sd_ctx_params_t* params) {
    if (context == nullptr) {
        sd_ctx_params_t kept         = *params;
        kept.free_params_immediately = false; // for the next picture
        kept.vae_decode_only         = false; // which may begin with a picture
        context                      = new_sd_ctx(&kept);
    }
    return context;
}

void leave(sd_ctx_t*) {}

// Bounds of a request, against a caller that writes something else.
constexpr uint32_t max_strings = 256;
constexpr uint32_t max_bytes   = 1 << 20;

// read_all returns false at the end of the input, which within a request is an error of the
// caller's.
bool read_all(void* to, size_t n) { return fread(to, 1, n, stdin) == n; }

bool read_number(uint32_t& n) {
    unsigned char b[4];
    if (!read_all(b, sizeof b)) {
        return false;
    }
    n = b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
    return true;
}

bool read_strings(std::vector<std::string>& strings) {
    uint32_t count = 0;
    if (!read_number(count) || count < 2 || count > max_strings) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = 0;
        if (!read_number(n) || n > max_bytes) {
            return false;
        }
        std::string s(n, '\0');
        if (n > 0 && !read_all(&s[0], n)) {
            return false;
        }
        strings.push_back(std::move(s));
    }
    return true;
}

}  // namespace resident

#define new_sd_ctx resident::open
#define free_sd_ctx resident::leave
#define main draw_once
#include "main.cpp"  // of sd-cli
#undef main

int main(int argc, const char** argv) {
    if (argc > 1) {  // "--version"
        return draw_once(argc, argv);
    }
    for (;;) {
        std::vector<std::string> strings;
        if (!resident::read_strings(strings)) {
            return 0;
        }
        if (chdir(strings[0].c_str()) != 0) {
            perror("[ERROR] the folder to work in");
            return 1;
        }
        std::vector<const char*> args = {"sd-cli"};
        for (size_t i = 1; i < strings.size(); i++) {
            args.push_back(strings[i].c_str());
        }
        const int code = draw_once(static_cast<int>(args.size()), args.data());
        fflush(stdout);
        if (code != 0) {
            return code;
        }
#ifdef __GLIBC__
        malloc_trim(0);
#endif
        if (chdir("/") != 0 || write(3, "1", 1) != 1) {
            return 1;
        }
    }
}

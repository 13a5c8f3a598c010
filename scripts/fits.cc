#include <llama.h>
#include <mtmd.h>

//go:build !linux

#include "bridge.h"

void eyelet_tune_malloc(void) {}

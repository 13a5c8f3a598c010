# Eyelet's make targets. "make help" lists them. Every target sets up what it needs first; a set-up that is in place costs
# nothing.

PREFIX   ?= /usr/local
FUZZTIME ?= 30s
# The module in engine/go-llama.cpp is part of this one.
everything := ./... github.com/go-skynet/go-llama.cpp/...
# Packages, tests or benchmarks to restrict a target to: make test PKG=./models/gguf, make bench BENCH=Decode
PKG   ?= $(everything)
BENCH ?= .
# Flags of make bench-server: make bench-server ARGS='-rounds 3 -scenarios text,gap'
ARGS  ?=

# The version comes from scripts/version and not from the Go tool, which fails in a checkout that another user owns. All
# that is built without the paths of this checkout, as scripts/bundle needs it, is compiled once.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false -trimpath)
env := eval "$$(scripts/env)"

# Under the race detector everything runs many times slower: these packages are where goroutines meet. Each process would also sleep
# for a second at its end, in case that goroutines go on meanwhile, which GORACE forbids below: the tests start hundreds.
# Those that take longest are first. Packages under these folders that start no goroutine, nor do their tests, are left out. So is
# the page, whose tests are a browser's, and whose packages would take longer to compile than all else.
race_packages := ./cmd/eyelet ./engine ./engine/server ./engine/sched ./models/vision ./models/builtin ./models/gguf ./models/store/... ./models/vision/libmtmd ./cgo/... ./engine/... ./cmd/... github.com/go-skynet/go-llama.cpp/...
not_raced     := cgo/(ggml/graph|isa|memory|peers|vulkan)|cmd/eyelet/internal/npy|engine/(batch/rows|bench/report|cores|page|prompt|sampling|server/internal/answer|tower)|models/store/(sbom|storetest)

.PHONY: help setup accel build run test test-go test-levels test-asan test-bundle test-air-gap test-race test-slow fuzz bench bench-server lint page screenshots install bundle clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS='	' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done
	@echo
	@echo '  e.g. make test PKG=./models/gguf   make fuzz FUZZTIME=10m   make install PREFIX=$$HOME/.local'

setup: ## bring the C libraries (no root needed; scripts/setup --help says more)
	@scripts/setup --quiet

accel: setup ## build the accelerator, build/accel/libggml-eyelet.so, which speeds up libllama and libmtmd
	@scripts/accel

build: accel ## build build/bin/eyelet
	@echo 'building build/bin/eyelet (the first time takes a minute)'
	@$(env) && go build -ldflags "-X main.version=$$(scripts/version)" -o build/bin/eyelet ./cmd/eyelet

run: build ## answer questions about the shipped pictures with the built-in model
	@build/bin/eyelet run --demo

test: ## all tests that CI runs; what ran, and what failed, is said at the end
	@scripts/test test-race test-go test-levels --beside test-bundle test-air-gap

test-go: ## the tests of the packages, those against llama.cpp's own programs included
	@scripts/setup --quiet --peers
	@scripts/npm-clients
	@scripts/npm-page
	@scripts/accel
	$(env) && EYELET_PEERS=require scripts/test-go $(PKG)
ifeq ($(PKG),$(everything))
	$(env) && go test -vet=off -tags=nodynamic,netgo,osusergo,nojpegturbo ./cgo/jpeg ./kernels/imaging # as built where libjpeg-turbo is absent
endif

# Compiling comes first, with less garbage collection than the tests shall have. So do decoders in WebAssembly, which programs with
# the race detector would take minutes to compile.
test-race: accel ## the tests of the packages with concurrency, under the race detector
	$(env) && go test -vet=off -run '^TestDecodersAreKeptCompiled$$' ./kernels/imaging/document
	$(env) && packages=$$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' $(race_packages) | grep -vE '/($(not_raced))$$') && \
		{ GOGC=400 go list -race -export -test -deps $$packages >/dev/null 2>&1 || true; } && \
		GORACE="atexit_sleep_ms=0 $$GORACE" go run ./scripts/tested "$${EYELET_TESTED:-build/tested}" go test -race -short -vet=off $$packages

test-levels: ## kernels, towers and the accelerator at each level of instruction sets that this processor has
	@scripts/setup --quiet --peers
	@scripts/accel
	@EYELET_PEERS=require scripts/test-levels

test-asan: accel ## the accelerator on random products, under AddressSanitizer
	$(env) && go test -asan -run 'WhatIsTaken|GraphProductsOfExperts|AttentionEqualsFloat64|Kept' ./kernels/accel

test-bundle: accel ## that the bundle runs away from here and with nothing around it
	@scripts/test-bundle

test-air-gap: accel ## that a bundle with program and model is all that a machine with nothing needs
	@scripts/test-air-gap

test-slow: test-asan build/synth/llama-1b-q4_k_m.gguf build/synth/mmproj-1b-f16.gguf ## tests that take minutes: leaks over thousands of cycles, scores of the built-in model
	@scripts/setup --quiet --peers
	@scripts/npm-clients
	-@scripts/python-clients # without them, two tests are skipped
	@scripts/npm-page
	@scripts/accel
	$(env) && EYELET_PEERS=require EYELET_SLOW=1 go test -count=1 -timeout=3h -v $(PKG)
	@scripts/test-air-gap build/synth/llama-1b-q4_k_m.gguf build/synth/mmproj-1b-f16.gguf

fuzz: accel ## each fuzz test for FUZZTIME
	@scripts/fuzz $(FUZZTIME) $(PKG)

bench: build build/synth/llama-1b-q4_k_m.gguf build/synth/mmproj-1b-f16.gguf ## benchmarks, against llama.cpp's own programs where there is a counterpart
	@scripts/setup --quiet --peers
	$(env) && EYELET_PEERS=require go test -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)
	$(env) && go run ./scripts/bench-decode models/builtin/eyelet-builtin-q8_0.gguf build/synth/llama-1b-q4_k_m.gguf
	$(env) && go run ./scripts/bench-accel -mmproj build/synth/mmproj-1b-f16.gguf build/synth/llama-1b-q4_k_m.gguf
	build/bin/eyelet bench vision --mmproj build/synth/mmproj-1b-f16.gguf

bench-server: build build/synth/llama-1b-q4_k_m.gguf build/synth/mmproj-1b-f16.gguf ## many conversations, against llama.cpp's llama-server (takes a quarter of an hour)
	@scripts/setup --quiet --peers
	$(env) && go run ./scripts/compare-server $(ARGS)

# A model of 1 B with random weights: it answers nonsense at the speed of a real one.
build/synth/llama-1b-q4_k_m.gguf: | setup
	$(env) && go run ./scripts/synth -shape 1b -type q4_k_m

# LLaVA 1.5's tower, CLIP ViT-L/14 at 336 pixels, with random weights.
build/synth/mmproj-1b-f16.gguf: | setup
	$(env) && go run ./scripts/synth -mmproj

lint: setup ## gofmt, go vet, staticcheck, the import rule, syntax of the scripts
	@scripts/lint

page: setup ## bundle the page's sources again, after changing engine/page/src
	@scripts/setup --quiet --peers
	@scripts/npm-page
	$(env) && go generate ./engine/page

screenshots: accel ## the pictures in docs/page, taken of the page in a browser
	@scripts/setup --quiet --peers
	@scripts/npm-page
	$(env) && EYELET_PEERS=require EYELET_SCREENSHOTS=$(CURDIR)/docs/page go test -count=1 -run Screenshots ./engine/page

bundle: accel ## build/dist/eyelet-VERSION-linux-ARCH.tar.gz, which runs where nothing is installed
	@scripts/bundle

install: accel ## install to PREFIX (default /usr/local), independent of this checkout
	@scripts/install '$(PREFIX)'

clean: ## remove what was built; the downloaded packages stay in the cache
	rm -rf build

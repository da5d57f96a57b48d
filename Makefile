# The front door; meson does the work. `make` alone builds. A fresh machine needs git, gcc and make:
# the rest is installed where a target needs it, or named where we may not install.
#
#   make build          the programs, in $(BUILD); no root
#   make demo           four hosts in namespaces, attested hops, unmodified programs through them, attacks
#                       (PLAIN=1: plaintext hops)
#   make demo-shell     the same, left running in tmux, a pane a host
#   make test           unit and namespace tests; ends with "N passed, N failed, N skipped"
#                       (WORKERS=2: as many in every program that a test does not say it of)
#   make check          unit tests only; no root
#   make san            the whole suite under AddressSanitizer and UndefinedBehaviorSanitizer
#   make fuzz           every fuzz target for $(FUZZ_SECONDS) s
#   make lint           clang-tidy, cppcheck, formatting, layers, headers, manual pages
#   make bench          bare chain, our chains, relays that do nothing and a stunnel chain, interleaved;
#                       handshakes and appraisals a second (BENCH_ARGS="--rounds 3 --seconds 2")
#   make bench-loss     a hop that loses packets and takes its time, with and without us
#   make bench-many     10,000 connections; requests a second; 1,000 agents on one gateway
#   make bench-workers  two workers in each program against one
#   make bench-plot     docs/speed.svg, of the last make bench
#   make count          instructions of the packet path (COUNT_ARGS=--update: write them down anew)
#   make entg-occlum    the gateway for an SGX enclave, in $(BUILD_OCCLUM); see docs/occlum.md
#   make check-occlum   whether Occlum would run it, and every gateway test with it in a jail
#   make bench-occlum   enclave exits, counted, under load and idle
#   make bench-flood    500 handshakes of strangers at once against one transfer
#   make install        DESTDIR= PREFIX=/usr/local
#   make clean

BUILD ?= build
BUILD_OCCLUM ?= build-occlum
SAN ?= build-san
FUZZ ?= build-fuzz
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 30
JOBS ?= $(shell nproc)

# Not the first python in PATH: Debian's, which has Debian's pytest.
PYTHON := /usr/bin/python3
# The root's PATH; an ordinary user's lacks the places of ip and nft.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# Which gateway the namespace tests and the demo run: host, or occlum (in the jail).
ENTG ?= host
export ENG_ENTG := $(ENTG)
WORKERS ?= $(ENG_WORKERS)
export ENG_WORKERS := $(WORKERS)
export ENG_BUILD_OCCLUM := $(BUILD_OCCLUM)

.PHONY: build demo demo-shell test check san fuzz lint bench bench-flood bench-loss bench-many bench-workers bench-plot count
.PHONY: install clean entg-occlum check-occlum bench-occlum gateway

build:
	@packaging/install-deps build
	@test -f $(BUILD)/build.ninja || { out=$$(meson setup $(BUILD) 2>&1) || { echo "$$out"; exit 1; }; }
	@ninja -C $(BUILD) -j $(JOBS)

# Whatever gateway is asked for.
gateway: build $(if $(filter occlum,$(ENTG)),entg-occlum)

entg-occlum:
	@packaging/install-deps occlum
	@test -f $(BUILD_OCCLUM)/build.ninja || { out=$$(meson setup $(BUILD_OCCLUM) -Dtarget=occlum 2>&1) || \
		{ echo "$$out"; exit 1; }; }
	@ninja -C $(BUILD_OCCLUM) -j $(JOBS)

demo: gateway
	@packaging/install-deps test
	@ENG_BUILD=$(BUILD) $(PYTHON) test/netns/demo.py $(if $(PLAIN),--plain)

demo-shell: gateway
	@packaging/install-deps test
	@ENG_BUILD=$(BUILD) $(PYTHON) test/netns/demo.py --shell $(if $(PLAIN),--plain)

test: gateway
	@packaging/install-deps test
	@$(PYTHON) test/run --build $(BUILD) $(TEST_ARGS)

check: build
	@packaging/install-deps test
	@$(PYTHON) test/run --build $(BUILD) --only unit

# gcc sees uninitialised variables where the sanitizers instrument: that warning is for the real build.
san:
	@packaging/install-deps build test
	@test -f $(SAN)/build.ninja || { out=$$(meson setup $(SAN) -Db_sanitize=address,undefined \
		-Db_lundef=false -Doptimization=1 -Dc_args=-Wno-maybe-uninitialized 2>&1) || { echo "$$out"; exit 1; }; }
	@ninja -C $(SAN) -j $(JOBS)
	@$(PYTHON) test/run --build $(SAN) --slow 3 $(TEST_ARGS)

fuzz:
	@packaging/install-deps build fuzz
	@test -f $(FUZZ)/build.ninja || { out=$$(CC=clang meson setup $(FUZZ) -Dfuzz=true \
		-Db_sanitize=address,undefined -Db_lundef=false 2>&1) || { echo "$$out"; exit 1; }; }
	@ninja -C $(FUZZ) -j $(JOBS)
	@$(PYTHON) test/run --build $(FUZZ) --only fuzz --seconds $(FUZZ_SECONDS)

lint: build
	@packaging/install-deps lint
	@$(PYTHON) test/lint --build $(BUILD)

bench: build
	@packaging/install-deps test
	@ENG_BUILD=$(BUILD) $(PYTHON) test/bench/bench.py $(BENCH_ARGS)
	@ENG_BUILD=$(BUILD) $(PYTHON) test/bench/appraisals.py

bench-loss bench-many bench-workers: bench-%: build
	@packaging/install-deps bench
	@ENG_BUILD=$(BUILD) $(PYTHON) test/bench/$*.py $(BENCH_ARGS)

bench-plot:
	@$(PYTHON) test/bench/plot.py

count: build
	@packaging/install-deps bench
	@ENG_BUILD=$(BUILD) $(PYTHON) test/bench/count.py $(COUNT_ARGS)

check-occlum: build entg-occlum
	@packaging/install-deps test
	@$(PYTHON) test/run --build $(BUILD) --only occlum $(TEST_ARGS)

bench-occlum: build entg-occlum
	@packaging/install-deps test
	@ENG_BUILD=$(BUILD) ENG_ENTG=occlum $(PYTHON) test/occlum/cost.py

bench-flood: build
	@packaging/install-deps test
	@ENG_BUILD=$(BUILD) $(PYTHON) test/bench/flood.py

install: build
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@DESTDIR="$(DESTDIR)" meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) $(BUILD_OCCLUM) $(SAN) $(FUZZ)

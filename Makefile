# argosy. `make help` lists the targets.
#
# Objects of one set of flags live in one folder: build/ for the product, build-asan/ and the like for the
# sanitizers. A change of compiler or flags rebuilds the folder (see $(BUILD)/flags).
VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
ifeq ($(origin CC),default)
CC := gcc
endif
PYTHON ?= /usr/bin/python3
JOBS ?= $(shell nproc)
FOLDERS := core compress net sched s3

# The programs; every other file of tools/ is a module that they link from libtools.a.
MAINS := argosy stowage wanlab

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wcast-align -Wwrite-strings -Wvla -Wundef -Wformat=2
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE \
	-D_FORTIFY_SOURCE=2
OPTIMISE ?= -O2 -g
MALLOC := -ljemalloc

# SANITIZE=address|undefined|thread: without jemalloc, which hides what the sanitizers look for.
ifneq ($(SANITIZE),)
HARDENING := -fPIE -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer \
	-DARGOSY_SLOW_CHECKS
OPTIMISE := -O1 -g
MALLOC :=
# gcc guesses worse through a sanitizer's code; the ordinary build warns of these.
WARNINGS += -Wno-format-truncation -Wno-maybe-uninitialized -Wno-unknown-warning-option
endif

CFLAGS_ALL := -std=gnu11 -I. -D_GNU_SOURCE -DARGOSY_VERSION='"$(VERSION)"' -pthread \
	-fno-strict-aliasing $(OPTIMISE) $(WARNINGS) $(HARDENING) $(CFLAGS)
LDFLAGS_ALL := -pthread -pie -Wl,-z,relro,-z,now -Wl,--as-needed \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
LIBS := -luring -lssl -lcrypto -lisal -lcares -lexpat -lcjson -lzstd -lsqlite3 -lm

# llhttp: the system's library where there is one, else compiled from Debian's node-llhttp.
LLHTTP ?= /usr/share/llhttp
LLHTTP_INCLUDE ?= /usr/share/include/llhttp
ifeq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),yes)
LLHTTP_CFLAGS := $(shell pkg-config --cflags libllhttp)
LIBS += $(shell pkg-config --libs libllhttp)
else
LLHTTP_CFLAGS := -isystem $(LLHTTP_INCLUDE)
LLHTTP_OBJECTS := $(patsubst $(LLHTTP)/%.c,$(BUILD)/llhttp/%.o,$(wildcard $(LLHTTP)/*.c))
endif

# AES-GCM of TLS records: beside OpenSSL's, that of libipsec-mb where it can be linked; IPSEC_MB= is
# without. On which CPUs it works is found out at run time.
ifeq ($(origin IPSEC_MB),undefined)
IPSEC_MB := $(shell echo '_Static_assert(IMB_VERSION_NUM >= 0x10000, "too old");' \
	'int main(void) { return !alloc_mb_mgr(0); }' | $(CC) -include intel-ipsec-mb.h -x c \
	-o /dev/null - -lIPSec_MB 2>/dev/null && echo yes)
endif
ifneq ($(IPSEC_MB),)
LIBS += -lIPSec_MB
endif

LIB_SOURCES := $(foreach f,$(FOLDERS),$(wildcard $(f)/*.c))
LIB_SOURCES := $(filter-out $(if $(IPSEC_MB),,net/gcm_mb.c),$(LIB_SOURCES))
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libargosy.a
MAIN_SOURCES := $(wildcard $(MAINS:%=tools/%.c))
PROGRAMS := $(MAIN_SOURCES:tools/%.c=$(BUILD)/%)
TOOL_SOURCES := $(filter-out $(MAIN_SOURCES),$(wildcard tools/*.c))
TOOL_OBJECTS := $(TOOL_SOURCES:%.c=$(BUILD)/%.o)
TOOL_LIBRARY := $(if $(TOOL_OBJECTS),$(BUILD)/libtools.a)
UNIT_SOURCES := $(wildcard tests/unit/*.c)
UNITS := $(UNIT_SOURCES:%.c=$(BUILD)/%)
RACE_SOURCES := $(wildcard tests/race/*.c)
RACES := $(RACE_SOURCES:%.c=$(BUILD)/%)
FUZZ_SOURCES := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
FUZZES := $(FUZZ_SOURCES:%.c=$(BUILD)/%)
SIM_SOURCES := $(wildcard tests/sim/*.c)
SIM_OBJECTS := $(SIM_SOURCES:%.c=$(BUILD)/%.o)
SIM := $(BUILD)/tests/sim/sim
PRELOADS := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/system/*.c))
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))
OBJECTS := $(LIB_OBJECTS) $(TOOL_OBJECTS) $(MAIN_SOURCES:%.c=$(BUILD)/%.o) $(UNITS:%=%.o) \
	$(RACES:%=%.o) $(FUZZES:%=%.o) $(BUILD)/tests/fuzz/replay.o $(BENCHES:%=%.o) $(SIM_OBJECTS)

# What a Debian 12 needs: to build, to check, and the servers and clients that the tests talk to.
DEPS := gcc clang clang-format make pkg-config liburing-dev libssl-dev libisal-dev libc-ares-dev \
	libexpat1-dev libcjson-dev libzstd-dev libsqlite3-dev libjemalloc-dev node-llhttp libcmocka-dev \
	python3 python3-boto3 openssl rclone s3cmd iproute2 \
	radosgw ceph-mon ceph-osd \
	swift-proxy swift-account swift-container swift-object memcached \
	$(if $(filter x86_64,$(shell uname -m)),libipsec-mb-dev)

comma := ,

# V=1 shows the commands whole.
Q := $(if $(V),,@)
SAY = $(if $(V),,@echo '  $(1)  $@')

all: $(PROGRAMS) $(LIBRARY) $(TOOL_LIBRARY) ## build/argosy, stowage and wanlab (the default)

# One ar of a fresh archive, so that no object of a removed source stays in it.
$(LIBRARY): $(LIB_OBJECTS) $(LLHTTP_OBJECTS)
$(BUILD)/libtools.a: $(TOOL_OBJECTS)
$(LIBRARY) $(BUILD)/libtools.a: $(BUILD)/flags
	$(call SAY,AR)
	@rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_OF) -MMD -MP -c -o $@ $<

$(BUILD)/net/http.o: CFLAGS_OF := $(LLHTTP_CFLAGS)
$(BUILD)/net/gcm.o: CFLAGS_OF := $(if $(IPSEC_MB),-DARGOSY_IPSEC_MB)
$(BUILD)/tools/cmd_version.o: CFLAGS_OF := $(LLHTTP_CFLAGS) \
	-DARGOSY_LIBURING_VERSION='"$(shell pkg-config --modversion liburing 2>/dev/null)"'

$(BUILD)/llhttp/%.o: $(LLHTTP)/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) -std=gnu11 -O2 -g $(HARDENING) -I$(LLHTTP_INCLUDE) -c -o $@ $<

$(PROGRAMS): $(BUILD)/%: $(BUILD)/tools/%.o $(TOOL_LIBRARY) $(LIBRARY)
	$(call SAY,LD)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(TOOL_LIBRARY) $(LIBRARY) $(LIBS) $(MALLOC)

$(UNITS) $(RACES) $(BENCHES): $(BUILD)/%: $(BUILD)/%.o $(TOOL_LIBRARY) $(LIBRARY)
	$(call SAY,LD)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< $(TOOL_LIBRARY) $(LIBRARY) -lcmocka $(LIBS) $(MALLOC)

# Each with the main() of libFuzzer, or with one that replays a corpus.
FUZZ_MAIN := $(if $(FUZZER),-fsanitize=fuzzer,$(BUILD)/tests/fuzz/replay.o)
$(FUZZES): $(BUILD)/%: $(BUILD)/%.o $(filter %.o,$(FUZZ_MAIN)) $(TOOL_LIBRARY) $(LIBRARY)
	$(call SAY,LD)
	$(Q)$(CC) $(LDFLAGS_ALL) $(FUZZ_MAIN) -o $@ $< $(TOOL_LIBRARY) $(LIBRARY) $(LIBS) $(MALLOC)

# The product on a simulated machine: tests/sim has the linker's other half of core/ring.h and the
# like; the few system calls that the product makes elsewhere are wrapped.
SIM_WRAPS := $(patsubst %,-Wl$(comma)--wrap=%,close fcntl ioctl statx fstatfs futimens fchmod fsync mkdirat syscall \
	mkdir open stat access chdir time getcwd getrandom mem_touch)
$(SIM): $(SIM_OBJECTS) $(TOOL_LIBRARY) $(LIBRARY)
	$(call SAY,LD)
	$(Q)$(CC) $(LDFLAGS_ALL) $(SIM_WRAPS) -o $@ $^ $(LIBS) $(MALLOC)

$(PRELOADS): $(BUILD)/%.so: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-builtin $(WARNINGS) -fPIC -shared -o $@ $< -ldl

# Rewritten only when the flags differ from last time: then everything in this folder is remade.
FLAGS_NOW := $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LIBS) $(MALLOC) $(LLHTTP_CFLAGS)
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS_NOW))' >$@
force:

# What the laboratory's baselines need besides.
DEPS_LAB := iperf3

# And the emulated machine, with what is in it.
DEPS_GUEST := qemu-system-x86 busybox-static cpio kmod iproute2 iperf3

deps: ## install the Debian packages that are missing
deps-lab: ## the same for `make lab`
deps-guest: ## the same for `make guest`
deps: PACKAGES := $(DEPS)
deps-lab: PACKAGES := $(DEPS_LAB)
deps-guest: PACKAGES := $(DEPS_GUEST)
deps deps-lab deps-guest:
	@missing=; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || \
		missing="$$missing $$p"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "make $@: these packages are missing:$$missing"; \
		echo "make $@: install them as root: apt-get install --no-install-recommends$$missing"; \
		exit 1; fi; \
	install="apt-get install -y --no-install-recommends$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	$$install </dev/null || { apt-get update </dev/null && $$install </dev/null; }

demo: ## move a real tree and a large file up and down over TLS, and compare
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@BUILD=$(BUILD) $(PYTHON) bench/demo.py

test: ## everything: check, the programs against real servers; ends with one line of counts
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$(JOBS) everything
	@BUILD=$(BUILD) $(PYTHON) tests/run unit corpora tidy clang sim system

check: everything ## before each commit: tidy, unit tests, corpora, simulation; under two minutes
	@BUILD=$(BUILD) SEEDS=1-60 $(PYTHON) tests/run unit corpora tidy sim

everything: all $(UNITS) $(FUZZES) $(PRELOADS) $(BENCHES) $(SIM)

# What a compiler warns of, it warns of before a test is linked.
compiled: all $(filter-out $(RACES:%=%.o),$(OBJECTS)) $(PRELOADS) $(SIM) ## all objects, and programs

tidy: all ## the rules of docs/style.md that a program can check
	@BUILD=$(BUILD) $(PYTHON) tools/tidy

fmt: ## format all sources with clang-format
	@$(PYTHON) tools/fmt $(wildcard $(addsuffix /*.[ch],$(FOLDERS) tools bench tests/*) core/err.def)

unit: all $(UNITS) ## unit tests; one of them: make unit && build/tests/unit/NAME
	@BUILD=$(BUILD) $(PYTHON) tests/run unit

system: all $(PRELOADS) ## the programs against real servers; some: tests/run system NAME…
	@BUILD=$(BUILD) $(PYTHON) tests/run system

sim: $(SIM) ## the product on a simulated machine; SEED=n one run (V=1: every event), SEEDS=a-b
	@$(SIM) $(SEED) $(SEEDS)

faults: all ## the fault matrix: every rule of stowage x 1, 5, 20 %; ~10 minutes; RULES='reset lost'
	@BUILD=$(BUILD) $(PYTHON) tests/faults $(RULES)

asan: ## unit tests under AddressSanitizer, LeakSanitizer and UBSan, in build-asan/
	@$(MAKE) --no-print-directory BUILD=build-asan SANITIZE=address$(comma)undefined unit

system-asan: ## the system tests with stowage under the same; some: NAMES='verify. files.'
	@$(MAKE) --no-print-directory BUILD=build-asan SANITIZE=address$(comma)undefined everything
	@BUILD=build-asan SERVERS='stowage stowage-dir stowage-null stowage-tls' \
		$(PYTHON) tests/run system $(NAMES)

ubsan: ## unit tests under UndefinedBehaviorSanitizer, in build-ubsan/
	@$(MAKE) --no-print-directory BUILD=build-ubsan SANITIZE=undefined unit

tsan: ## unit tests under ThreadSanitizer, in build-tsan/
	@$(MAKE) --no-print-directory BUILD=build-tsan SANITIZE=thread unit

race: ## stress of all that cores share, under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD=build-tsan SANITIZE=thread race-here

.PHONY: fuzz fuzz-here
fuzz: ## libFuzzer on each parser for FUZZ_SECONDS=60, in build-fuzz/; FUZZ='heads uris' these
	@$(MAKE) --no-print-directory BUILD=build-fuzz CC=clang FUZZER=yes \
		SANITIZE=fuzzer-no-link$(comma)address$(comma)undefined fuzz-here

fuzz-here: $(FUZZES)
	@BUILD=$(BUILD) $(PYTHON) tests/run fuzz $(FUZZ)

race-here: $(RACES)
	@BUILD=$(BUILD) $(PYTHON) tests/run race

bench-core: all ## CPU per GiB and memory against `stowage --null`, with the bars of the issue
	@BUILD=$(BUILD) $(PYTHON) bench/core.py

bench-cost: all ## client CPU, A B B A pairs: BASE=REV, or BASE_OPTS='…' OPTS='…'; PAIRS=12, ROWS=…
	@BUILD=$(BUILD) CC='$(CC)' $(PYTHON) bench/pairs.py \
		$(if $(BASE)$(BASE_OPTS)$(OPTS),$(BASE:%=--base %),--base main) \
		--a='$(BASE_OPTS)' --b='$(OPTS)' --pairs $(or $(PAIRS),12) $(ROWS)

.PHONY: crash
crash: all ## kill -9 at POINTS=200 seeded points of an up- and a download, and resume; SEED=1, FIRST=0
	@CRASH_POINTS=$(or $(POINTS),200) CRASH_SEED=$(or $(SEED),1) CRASH_FIRST=$(or $(FIRST),0) BUILD=$(BUILD) \
		$(PYTHON) tests/run system crash.

lab: all ## experiments on emulated paths, as root (docs/lab.md): QUICK=1, ONLY='NAME…'
	@$(MAKE) --no-print-directory deps-lab
	@BUILD=$(BUILD) $(PYTHON) bench/lab.py $(if $(QUICK),--quick) $(ONLY)

guest: all ## wanlab --netem, and argosy over it, on Debian's own kernel, emulated; minutes
	@$(MAKE) --no-print-directory deps-guest
	@BUILD=$(BUILD) $(PYTHON) tests/guest/run $(ONLY)

soak: all ## transfers with 2 % faults for MINUTES=30: memory, descriptors, counters
	@BUILD=$(BUILD) $(PYTHON) bench/soak.py --minutes $(or $(MINUTES),30)

scale: all ## 1,000,000 objects, and 10,000 parts: is memory flat? How large is the journal?
	@BUILD=$(BUILD) $(PYTHON) bench/scale.py $(SCALE)

bench-primitives: $(BUILD)/bench/primitives ## ns of a turn, an op, a message, a wake, a buffer
	@$(BUILD)/bench/primitives

bench-tls: $(BUILD)/bench/tls_cost ## CPU of TLS records and streams, per suite and side
	@$(BUILD)/bench/tls_cost

install: all ## into $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin/

clean: ## remove all that was built
	rm -rf build build-asan build-ubsan build-tsan build-clang build-fuzz $(BUILD)

help: ## this list
	@echo 'make TARGET, with CC=clang or CFLAGS= as you like:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

-include $(OBJECTS:.o=.d)
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all deps demo test check everything compiled tidy fmt unit system asan system-asan ubsan tsan race \
	race-here sim faults lab guest soak scale deps-lab deps-guest bench-core bench-cost bench-primitives bench-tls install clean help force

# sixlink: build, test, demo and install. `make help` lists the targets.
#
# Everything is built below $(BUILD); the source tree stays as it was checked out.

BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
SBINDIR  ?= $(PREFIX)/sbin
DATADIR  ?= $(PREFIX)/share/sixlink
MANDIR   ?= $(PREFIX)/share/man
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
CONFDIR  ?= $(SYSCONFDIR)/sixlink

VERSION  := 0.1.0
# linux, freebsd, netbsd, openbsd, darwin, sunos: platform/$(PLATFORM). GNU make (gmake) on all of them.
PLATFORM ?= $(shell uname -s | tr 'A-Z' 'a-z')
ifeq ($(origin CXX),default)
CXX      := $(if $(filter freebsd openbsd darwin,$(PLATFORM)),c++,g++)
endif
CXXFLAGS ?= -O2 -g1
SANITIZE ?=

# gcc 12 takes the coroutine frames of Boost.Asio for mismatched (GCC bug 103993).
WARNINGS  := -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wno-mismatched-new-delete
HARDENING := -fstack-protector-strong -fPIE -D_GLIBCXX_ASSERTIONS
ifneq ($(PLATFORM),darwin)
HARDENING += -fstack-clash-protection
endif
ifeq ($(SANITIZE),)
HARDENING += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ifneq ($(filter x86_64 amd64,$(shell uname -m)),)
HARDENING += -fcf-protection
endif
LIBRARIES := -DBOOST_ASIO_SEPARATE_COMPILATION -DBOOST_ASIO_NO_DEPRECATED -DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL
DEFINES   := -DSIXLINK_VERSION='"$(VERSION)"' -DSIXLINK_DATADIR='"$(DATADIR)"' -DSIXLINK_CONFDIR='"$(CONFDIR)"'

ALL_CXXFLAGS = -std=c++20 -I. $(WARNINGS) $(HARDENING) $(LIBRARIES) $(CXXFLAGS) $(SANITIZE) -pthread -MMD -MP
ALL_LDFLAGS  = $(PIE) $(LDFLAGS) $(SANITIZE) -pthread
LIBS         = -ltinyxml2 -lspdlog -lfmt -lsqlite3 -lqrencode -lcurl -lpq -lminiupnpc -lssl -lcrypto $(LIBS_$(PLATFORM))

# Apple's linker makes position-independent programs without being told, and knows none of these.
PIE := $(if $(filter darwin,$(PLATFORM)),,-pie -Wl,-z,relro,-z,now $(if $(filter sunos,$(PLATFORM)),,-Wl,--as-needed))
# Where the system's packages put headers and libraries, if not where the compiler looks.
PACKAGES_freebsd := /usr/local
PACKAGES_openbsd := /usr/local
PACKAGES_netbsd  := /usr/pkg
ifeq ($(PLATFORM),darwin)
PACKAGES_darwin  := $(shell brew --prefix 2>/dev/null) $(shell brew --prefix openssl@3 2>/dev/null)
endif
ALL_CXXFLAGS += $(foreach dir,$(PACKAGES_$(PLATFORM)),-isystem $(dir)/include)
ALL_LDFLAGS  += $(foreach dir,$(PACKAGES_$(PLATFORM)),-L$(dir)/lib -Wl,-rpath,$(dir)/lib)
LIBS_sunos   := -lsocket -lnsl -lkstat

# platform/posix is for all, platform/bsd for those that are alike. What a system lacks of either is named here.
SHARED_freebsd := $(wildcard platform/bsd/*.cc)
SHARED_netbsd  := $(SHARED_freebsd)
SHARED_openbsd := $(SHARED_freebsd)
SHARED_darwin  := platform/bsd/change_monitor.cc platform/bsd/random.cc
WITHOUT_linux  := platform/posix/carrier.cc platform/posix/default_gateway.cc platform/posix/kernel_wireguard.cc platform/posix/overlay.cc platform/posix/path_mtu.cc platform/posix/route_table.cc platform/posix/tun_queue.cc platform/posix/datagram_socket.cc platform/posix/thread_priority.cc
WITHOUT_sunos  := platform/posix/interface_mtu.cc
PLATFORM_SOURCES := $(sort $(filter-out $(WITHOUT_$(PLATFORM)),$(wildcard platform/posix/*.cc)) $(SHARED_$(PLATFORM)) $(wildcard platform/$(PLATFORM)/*.cc))
CORE_SOURCES     := $(filter-out src/client/main.cc,$(sort $(wildcard src/*/*.cc))) $(PLATFORM_SOURCES)
REGISTRY_SOURCES := $(filter-out registry/main.cc,$(sort $(wildcard registry/*.cc registry/*/*.cc)))
UNIT_TESTS       ?= $(sort $(wildcard tests/unit/*.cc tests/unit/*/*.cc tests/fuzz/*_fuzz.cc))
TEST_TOOLS       := $(patsubst tests/net/tools/%.cc,%,$(sort $(wildcard tests/net/tools/*.cc)))
SIM_SOURCES      := $(sort $(wildcard tests/sim/*.cc))
BENCH_TOOLS      := $(patsubst tests/bench/%.cc,%,$(sort $(wildcard tests/bench/*.cc)))

# One line a file; V=1 shows the commands.
quiet = $(if $(V),,@echo "  $(1) $(2)";)
# Builds that a target starts use every core, unless make was given -j itself.
JOBS     ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)
parallel  = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))

object = $(patsubst %.cc,$(BUILD)/obj/%.o,$(1))

SHELL_SCRIPTS = $(shell git ls-files '*.sh' 2>/dev/null || find . -name '*.sh') .ci/run
CXX_FILES     = $(shell git ls-files '*.cc' '*.h')

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all help deps demo demo-mesh check check-unit check-net check-template check-vm check-platform check-sim print-platform-sources asan soak sim fuzz lint bench bench-mesh bench-peers bench-figure install uninstall clean tests

all: $(BUILD)/sixlink $(BUILD)/sixlink-registry ## Build build/sixlink and build/sixlink-registry

help: ## List the targets
	@echo "sixlink $(VERSION). Targets:"
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'
	@echo "Variables: BUILD PREFIX DESTDIR CONFDIR CXX CXXFLAGS LDFLAGS PCH=1 (precompiled header) V=1 (show commands) KEEP=1 (demo) ONLY=name (check-net, check-vm)"
	@echo "           BENCH_ROUNDS BENCH_SECONDS BENCH_SUBJECTS BENCH_QUICK=1 (bench)"

deps: ## Install what is missing to build and test, with the system's package manager
	@sh tools/deps.sh

# The demo and the tests install what they need first, so that each is the only command a new user types.
demo: ## Build, then show a tunnel from a client behind NAT to an IPv6-only server (KEEP=1 leaves it up)
	@sh tools/deps.sh --demo
	@$(MAKE) --no-print-directory $(parallel) all
	@BUILD=$(BUILD) KEEP=$(KEEP) bash tests/net/demo.sh

demo-mesh: ## Build, then show eight nodes on eight kinds of networks form a mesh, and two of them die (root)
	@sh tools/deps.sh --demo
	@$(MAKE) --no-print-directory $(parallel) all
	@BUILD=$(BUILD) bash tests/mesh/demo.sh

check: deps ## Run all tests: unit, other systems, template, simulated networks, network namespaces and VM
	@$(MAKE) --no-print-directory $(parallel) all tests
	@BUILD=$(BUILD) bash tools/check.sh unit platform template sim net vm

check-unit: $(BUILD)/unit-tests ## Run the unit tests
	@BUILD=$(BUILD) bash tools/check.sh unit

check-template: ## Run the tests of the shell templates
	@BUILD=$(BUILD) bash tools/check.sh template

check-platform: ## Compile the parts for other systems, as far as that goes here
	@BUILD=$(BUILD) bash tools/check.sh platform

print-platform-sources:
	@printf '%s\n' $(PLATFORM_SOURCES)

check-sim: $(BUILD)/tools/sim ## Simulate small networks in trouble
	@BUILD=$(BUILD) bash tools/check.sh sim

check-net: all tests ## Run the scenarios in network namespaces (ONLY=name runs one)
	@BUILD=$(BUILD) ONLY=$(ONLY) bash tools/check.sh net

check-vm: all $(BUILD)/tools/mesh_files ## Run the scenarios on a kernel of their own under QEMU (ONLY=name runs one)
	@BUILD=$(BUILD) ONLY=$(ONLY) bash tools/check.sh vm

asan: ## Build with AddressSanitizer and UBSan and run the unit tests and the fuzz corpus
	@$(MAKE) --no-print-directory $(parallel) BUILD=$(BUILD)/asan CXXFLAGS="-O1 -g1 -fno-omit-frame-pointer" \
	  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all" check-unit

soak: $(BUILD)/tools/datapath_soak ## A day's packets (100,000,000; SOAK_PACKETS) through cutting and joining: none lost, no memory
	@$(BUILD)/tools/datapath_soak $(SOAK_PACKETS)

sim: ## Simulate networks of 100 to 100,000 nodes: tables, build/sim/sim.json, pictures (SIM_SIZES, SIM_SEEDS)
	@$(MAKE) --no-print-directory $(parallel) $(BUILD)/tools/sim
	@BUILD=$(BUILD) SIM_SIZES="$(SIM_SIZES)" SIM_SEEDS="$(SIM_SEEDS)" bash tests/sim/sim.sh

fuzz: ## Run each fuzzer for FUZZ_SECONDS (30) under libFuzzer (needs clang)
	@BUILD=$(BUILD) bash tools/fuzz.sh

lint: ## Check scripts, formatting, C++ and man pages
	@BUILD=$(BUILD) bash tools/lint.sh

# Two tables, of the datapath and of the registry; the second is measured even if the first could not be.
bench: ## Measure the datapath beside the bare cable and every installed peer, and the registry (root; BENCH_QUICK=1: a minute)
	@sh tools/deps.sh --bench
	@$(MAKE) --no-print-directory $(parallel) all $(addprefix $(BUILD)/tools/,$(BENCH_TOOLS))
	@status=0; for bench in datapath registry; do \
	  BUILD=$(BUILD) bash tests/bench/$$bench.sh || status=1; done; exit $$status

bench-mesh: ## Measure the mesh: gaps, joining, revocation, restarts, 50 nodes at once (root; half an hour; BENCH_QUICK=1: some minutes)
	@sh tools/deps.sh --bench
	@$(MAKE) --no-print-directory $(parallel) all
	@BUILD=$(BUILD) bash tests/bench/mesh.sh

bench-peers: ## Install iperf3 and the peers that bench measures from the distribution; none is started
	@sh tools/deps.sh --peers

bench-figure: ## Make the README's picture of the last bench
	@python3 tests/bench/datapath_report.py --figure $(BUILD)/bench/datapath.json > $(BUILD)/bench/figure.svg
	@mv $(BUILD)/bench/figure.svg tests/bench/datapath.svg

tests: $(BUILD)/unit-tests $(addprefix $(BUILD)/tools/,$(TEST_TOOLS) udp_flow) $(BUILD)/tools/sim

$(BUILD)/libsixlink.a: $(call object,$(CORE_SOURCES))
$(BUILD)/libsixlink-registry.a: $(call object,$(REGISTRY_SOURCES))
$(BUILD)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call quiet,AR ,$@)ar rcs $@ $^

$(BUILD)/sixlink: $(BUILD)/obj/src/client/main.o $(BUILD)/libsixlink.a
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/sixlink-registry: $(BUILD)/obj/registry/main.o $(BUILD)/libsixlink-registry.a $(BUILD)/libsixlink.a
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/unit-tests: $(call object,$(UNIT_TESTS)) $(BUILD)/libsixlink-registry.a $(BUILD)/libsixlink.a
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/tools/%: $(BUILD)/obj/tests/net/tools/%.o $(BUILD)/libsixlink-registry.a $(BUILD)/libsixlink.a
	@mkdir -p $(@D)
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
# Its figures are about what it measures, not about a library of ours: it uses none.
$(BUILD)/tools/udp_flow: $(BUILD)/obj/tests/bench/udp_flow.o
	@mkdir -p $(@D)
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^
$(BUILD)/tools/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libsixlink-registry.a $(BUILD)/libsixlink.a
	@mkdir -p $(@D)
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
# Of the library the mesh and what it needs: the rest takes longer to build than small networks to simulate.
$(BUILD)/libsixlink-mesh.a: $(call object,$(filter src/mesh/% src/pki/% src/tsp/% src/net/% src/config/% platform/%,$(CORE_SOURCES)))
$(BUILD)/tools/sim: $(call object,$(SIM_SOURCES)) $(BUILD)/libsixlink-mesh.a
	@mkdir -p $(@D)
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)
$(BUILD)/tools/%: $(BUILD)/obj/tests/soak/%.o $(BUILD)/libsixlink.a
	@mkdir -p $(@D)
	$(call quiet,LD ,$@)$(CXX) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# Paths and version are compiled into one file, so that changing them does not rebuild the rest.
$(BUILD)/obj/src/config/build_info.o: ALL_CXXFLAGS += $(DEFINES)
$(BUILD)/obj/src/config/build_info.o: $(BUILD)/build-info.stamp
$(BUILD)/build-info.stamp: FORCE
	@mkdir -p $(@D)
	@echo '$(DEFINES)' | cmp -s - $@ || echo '$(DEFINES)' > $@
FORCE:

# Unit tests take longer to compile than to run: a third less this way.
$(BUILD)/obj/tests/unit/%.o: ALL_CXXFLAGS += -O1 -g0

# With GCC and without ccache, which does not take it: a third less to compile. GCC 12 warns of std::string's own code when it
# comes from there.
ifneq ($(PCH),)
ALL_CXXFLAGS += -Wno-array-bounds
PRECOMPILED := $(BUILD)/precompiled/precompiled.h
$(PRECOMPILED).gch: src/precompiled.h
	@mkdir -p $(@D)
	$(call quiet,CXX,$<)$(CXX) $(ALL_CXXFLAGS) -x c++-header -o $@ $<
# It is linked without Boost's part.
$(BUILD)/obj/tests/bench/udp_flow.o: PRECOMPILED :=
endif

$(BUILD)/obj/%.o: %.cc $(addsuffix .gch,$(PRECOMPILED))
	@mkdir -p $(@D)
	$(call quiet,CXX,$<)$(CXX) $(ALL_CXXFLAGS) $(addprefix -include ,$(PRECOMPILED)) -c -o $@ $<

-include $(patsubst %.o,%.d,$(call object,$(CORE_SOURCES) $(REGISTRY_SOURCES) $(UNIT_TESTS) $(SIM_SOURCES) src/client/main.cc registry/main.cc) \
           $(patsubst %,$(BUILD)/obj/tests/net/tools/%.d,$(TEST_TOOLS)) $(patsubst %,$(BUILD)/obj/tests/bench/%.d,$(BENCH_TOOLS)) $(BUILD)/obj/tests/soak/datapath_soak.d)

install: all ## Install to DESTDIR/PREFIX; an existing configuration is kept
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(DATADIR)/template $(DESTDIR)$(DATADIR)/conf $(DESTDIR)$(CONFDIR) \
	  $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8
	install -m 755 $(BUILD)/sixlink $(BUILD)/sixlink-registry $(DESTDIR)$(SBINDIR)
	install -m 755 template/*.sh $(DESTDIR)$(DATADIR)/template
	install -m 644 template/*.ps1 $(DESTDIR)$(DATADIR)/template
	install -m 644 conf/sixlink.conf conf/sixlink-registry.conf $(DESTDIR)$(DATADIR)/conf
	install -m 644 CLIENT-LICENSE.txt $(DESTDIR)$(DATADIR)
	test -e $(DESTDIR)$(CONFDIR)/sixlink.conf || install -m 600 conf/sixlink.conf $(DESTDIR)$(CONFDIR)/sixlink.conf
	for page in man/*.[578]; do install -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/; done

uninstall: ## Remove what install put there; a configuration that was edited is kept
	rm -f $(DESTDIR)$(SBINDIR)/sixlink $(DESTDIR)$(SBINDIR)/sixlink-registry
	for file in template/*.sh template/*.ps1 conf/*.conf CLIENT-LICENSE.txt; do rm -f $(DESTDIR)$(DATADIR)/$$file; done
	for page in man/*.[578]; do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	if cmp -s conf/sixlink.conf $(DESTDIR)$(CONFDIR)/sixlink.conf; then rm -f $(DESTDIR)$(CONFDIR)/sixlink.conf; fi
	for dir in $(DATADIR)/template $(DATADIR)/conf $(DATADIR) $(CONFDIR); do \
	  rmdir $(DESTDIR)$$dir 2>/dev/null || true; done

clean: ## Remove everything that was built
	rm -rf $(BUILD)

# tests.mk - building and running the tests; included by the top Makefile, which sets CC, CXX,
# CFLAGS, CXXFLAGS, BUILD, LIB and Q
TEST_BUILD := $(BUILD)/tests
TEST_JOBS ?= 2
STRESS ?= 20

# The names of the sources that match the one pattern, without folder and ending.
test_names = $(notdir $(basename $(wildcard tests/$(1))))
TEST_PROGS := $(addprefix $(TEST_BUILD)/progs/,$(call test_names,progs/*.c) $(call test_names,progs/*.cc)) \
              $(addprefix $(TEST_BUILD)/small/,$(call test_names,small/*.c)) \
              $(patsubst %,$(TEST_BUILD)/progs/lib/%.so,$(call test_names,progs/lib/*.c))
TEST_HEADERS := $(wildcard tests/progs/*.h)

TEST_FLAGS = -D_GNU_SOURCE -pthread -Itests/progs
# Lazy binding, so that a thread's first call of a function goes through the dynamic linker.
TEST_LINK = -pthread -Wl,-z,lazy -Wl,-rpath,'$$ORIGIN/lib' $(TEST_LDLIBS) -lm
TEST_CC = $(CC) -std=gnu11 $(CFLAGS) $(TEST_FLAGS)
TEST_CXX = $(CXX) -std=gnu++17 $(CXXFLAGS) $(TEST_FLAGS)

$(TEST_BUILD)/%: tests/%.c $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(TEST_CC) -o $@ $< $(TEST_LINK)

$(TEST_BUILD)/%: tests/%.cc $(TEST_HEADERS)
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(TEST_CXX) -o $@ $< $(TEST_LINK)

$(TEST_BUILD)/progs/lib/%.so: tests/progs/lib/%.c
	@mkdir -p $(@D)
	@echo "  TEST  $<"
	$(Q)$(TEST_CC) -fPIC -shared -Wl,-soname,$(@F) -o $@ $<

# A program that is linked with a helper library, not only opens it.
$(TEST_BUILD)/progs/tls_linked: $(TEST_BUILD)/progs/lib/tls_dynamic.so
$(TEST_BUILD)/progs/tls_linked: TEST_LDLIBS = $(TEST_BUILD)/progs/lib/tls_dynamic.so

# What the library makes of a system call by its number, from the table that it has it from.
$(TEST_BUILD)/progs/waits_numbers: $(BUILD)/gen/syscalls.h $(BUILD)/gen/syscall_names.h
$(TEST_BUILD)/progs/waits_numbers: CFLAGS += -I$(BUILD)/gen

$(TEST_BUILD)/progs/x8_sanitizer: TEST_LDLIBS = -rdynamic

$(TEST_BUILD)/progs/s5_unwind_through_handler: CXXFLAGS += -fnon-call-exceptions

$(TEST_BUILD)/progs/std_20: CXXFLAGS += -std=gnu++20

# The harness: see tests/child.h for why the library is never preloaded into it.
$(TEST_BUILD)/run: tests/run.c tests/switches.c tests/tools.c tests/stats.c tests/quota.c tests/child.c \
                     tools/gthread/stats.c interpose/quota.c tests/child.h interpose/quota.h
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	$(Q)$(TEST_CC) -DTEST_SOURCES='"$(abspath tests)"' -I. -Iarch/$(ARCH) -Itools/gthread -o $@ $(filter %.c,$^) -lcriterion -lm

TEST_RUN = GTHREAD_TEST_LIB=$(abspath $(LIB)) $(TEST_BUILD)/run -j$(TEST_JOBS)
TEST_DRAW = draw=$$(tests/draw-config) && eval "$$draw"

.PHONY: tests check check-all check-nptl stress torture
tests: $(TEST_BUILD)/run $(TEST_PROGS) $(BUILD)/sanitize/gthread ## build the tests

check: all tests ## all tests on NPTL, with one P, with two, and as drawn for this commit
	@$(TEST_DRAW) && GTHREAD_TEST_CONFIGS="nptl p1 p2 drawn" $(TEST_RUN)

check-all: all tests ## all tests under every configuration
	@$(TEST_DRAW) && GTHREAD_TEST_CONFIGS="nptl p1 p2 p8 prctl preempt chaos1 chaos2 drawn" $(TEST_RUN)

check-nptl: tests ## the test programs on plain NPTL: are the tests themselves right?
	@GTHREAD_TEST_CONFIGS=nptl $(TEST_RUN)

stress: $(LIB) tests ## the quick programs STRESS times each, plain and under chaos with a seed each
	@GTHREAD_TEST_CONFIGS="p1 p2 prctl preempt chaos1 chaos2" GTHREAD_TEST_QUICK=1 GTHREAD_TEST_REPEAT=$(STRESS) \
		$(TEST_RUN) --filter 'programs/*'

TORTURE ?= 1000000000
torture: $(LIB) tests ## TORTURE counted operations over chaos seeds: no wake-up lost or invented
	@tests/torture.sh $(LIB) $(TORTURE)

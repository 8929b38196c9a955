/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Faults where they are a service's own and where they are not: in functions of libc that it calls
 * (with each implementation that libc has for this processor), in the runtime's functions for it,
 * and everywhere else, which ends the process.
 */
#include "unit/arch/guard/guards.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "utils/inside.h"

static struct vine__guard_region region;
static struct vine__guard_fault fault;

static int run(void (*fn)(void *), void *argument)
{
    fault = (struct vine__guard_fault){0};
    return vine__guard_run(&region, fn, argument, &fault);
}

/* ---- services -------------------------------------------------------------------------------- */

struct call {
    void *bad; /* an address where nothing is */
    size_t size;
    char good[4096];
};

/* Through pointers, so that it is the library's that is called. */
static void *(*volatile call_memcpy)(void *, const void *, size_t) = memcpy;
static void *(*volatile call_memmove)(void *, const void *, size_t) = memmove;
static void *(*volatile call_memset)(void *, int, size_t) = memset;
static int (*volatile call_memcmp)(const void *, const void *, size_t) = memcmp;
static void *(*volatile call_memchr)(const void *, int, size_t) = memchr;
static size_t (*volatile call_strlen)(const char *) = strlen;
static size_t (*volatile call_strnlen)(const char *, size_t) = strnlen;
static char *(*volatile call_strcpy)(char *, const char *) = strcpy;
static char *(*volatile call_strncpy)(char *, const char *, size_t) = strncpy;
static char *(*volatile call_strcat)(char *, const char *) = strcat;
static int (*volatile call_strcmp)(const char *, const char *) = strcmp;
static int (*volatile call_strncmp)(const char *, const char *, size_t) = strncmp;
static int (*volatile call_strcasecmp)(const char *, const char *) = strcasecmp;
static char *(*volatile call_strchr)(const char *, int) = strchr;
static char *(*volatile call_strrchr)(const char *, int) = strrchr;

#define LEAF(name, done)                                                                           \
    SERVICE static void name(void *context)                                                        \
    {                                                                                              \
        struct call *const self = context;                                                         \
        volatile uintptr_t result = (uintptr_t)(done);                                             \
                                                                                                   \
        (void)result;                                                                              \
    }

LEAF(leaf_memcpy_from, call_memcpy(self->good, self->bad, self->size))
LEAF(leaf_memcpy_to, call_memcpy(self->bad, self->good, self->size))
LEAF(leaf_memmove, call_memmove(self->good, self->bad, self->size))
LEAF(leaf_memset, call_memset(self->bad, 1, self->size))
LEAF(leaf_memcmp, call_memcmp(self->good, self->bad, self->size))
LEAF(leaf_memchr, call_memchr(self->bad, 1, self->size))
LEAF(leaf_strlen, call_strlen(self->bad))
LEAF(leaf_strnlen, call_strnlen(self->bad, self->size))
LEAF(leaf_strcpy, call_strcpy(self->good, self->bad))
LEAF(leaf_strcpy_to, call_strcpy(self->bad, self->good))
LEAF(leaf_strncpy, call_strncpy(self->good, self->bad, self->size))
LEAF(leaf_strcat, call_strcat(self->bad, self->good))
LEAF(leaf_strcmp, call_strcmp(self->good, self->bad))
LEAF(leaf_strncmp, call_strncmp(self->good, self->bad, self->size))
LEAF(leaf_strcasecmp, call_strcasecmp(self->good, self->bad))
LEAF(leaf_strchr, call_strchr(self->bad, 'a'))
LEAF(leaf_strrchr, call_strrchr(self->bad, 'a'))

static const struct {
    const char *name;
    void (*fn)(void *);
} leaves[] = {
    {"memcpy, reading", leaf_memcpy_from},
    {"memcpy, writing", leaf_memcpy_to},
    {"memmove", leaf_memmove},
    {"memset", leaf_memset},
    {"memcmp", leaf_memcmp},
    {"memchr", leaf_memchr},
    {"strlen", leaf_strlen},
    {"strnlen", leaf_strnlen},
    {"strcpy, reading", leaf_strcpy},
    {"strcpy, writing", leaf_strcpy_to},
    {"strncpy", leaf_strncpy},
    {"strcat", leaf_strcat},
    {"strcmp", leaf_strcmp},
    {"strncmp", leaf_strncmp},
    {"strcasecmp", leaf_strcasecmp},
    {"strchr", leaf_strchr},
    {"strrchr", leaf_strrchr},
};

VINE__INSIDE __attribute__((noinline, no_sanitize("address", "thread", "undefined"))) static void
ours_that_writes(void *address)
{
    *(volatile uint64_t *)address = 1;
}

SERVICE static void call_ours(void *address)
{
    ours_that_writes(address);
    *(volatile uint64_t *)address = 2;
}

/* It copies within a function of libc that is no leaf, and might hold a lock. */
static int (*volatile call_snprintf)(char *, size_t, const char *, ...) = snprintf;

SERVICE static void call_what_is_no_leaf(void *address)
{
    char text[16];

    (void)call_snprintf(text, sizeof(text), "%s", (const char *)address);
}

__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) static void
somebody_elses(void *address)
{
    *(volatile uint64_t *)address = 1;
}

SERVICE static void call_somebody_elses(void *address)
{
    somebody_elses(address);
    *(volatile uint64_t *)address = 2;
}

SERVICE static void do_nothing(void *context)
{
    (void)context;
}

static int fault_in_the_gate(struct vine__guard_region *its_region, uintptr_t argument)
{
    (void)its_region;
    somebody_elses((void *)argument);
    return 0;
}

SERVICE static void call_through_the_gate(void *address)
{
    (void)vine__guard_gate(fault_in_the_gate, (uintptr_t)address);
}

SERVICE static void send_a_signal(void *context)
{
    (void)context;
    (void)raise(SIGSEGV);
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static void check_leaves(void)
{
    static const size_t sizes[] = {1,   7,   8,   15,  31,  33,   63,  65,
                                   127, 129, 255, 257, 600, 1100, 4000};
    unsigned missed = 0;

    region = region_make(2, 0);
    assert_int_equal(vine__guard_open(&region), 0);

    struct call *const call = (struct call *)(void *)region.start;

    memset(call->good, 'x', sizeof(call->good) - 1);
    vine__guard_close(&region);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
            assert_int_equal(vine__guard_open(&region), 0);
            call->bad = region.start + 2 * PAGE;
            call->size = sizes[n];
            memset(call->good, 'x', sizeof(call->good) - 1);
            vine__guard_close(&region);
            if (run(leaves[i].fn, call) != -EFAULT || fault.signal != SIGSEGV) {
                print_message("%s of %zu bytes\n", leaves[i].name, sizes[n]);
                missed++;
            }
        }
    assert_int_equal(missed, 0);
    region_release(&region);
}

static void a_fault_in_a_leaf_is_its_callers(void **state)
{
    (void)state;
    guard_each(check_leaves);
}

static void it_is_with_each_implementation_that_libc_has(void **state)
{
    static const char *const tunings[] = {
        "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW",
        "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-RTM,-ERMS,-FSRM",
        "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2",
        "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-SSE4_2,-SSE4_1,-SSSE3",
        "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-Fast_Unaligned_Copy,-ERMS",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tunings) / sizeof(tunings[0]); i++) {
        const pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            (void)setenv("GLIBC_TUNABLES", tunings[i], 1);
            (void)execl("/proc/self/exe", "test_fault", "leaves", NULL);
            _exit(127);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("with %s", tunings[i]);
    }
}

/* ---- what is ours, and what is nobody's ------------------------------------------------------ */

static void check_ours(void)
{
    region = region_make(1, 0);
    assert_int_equal(run(call_ours, region.start + PAGE), -EFAULT);
    assert_ptr_equal(fault.address, region.start + PAGE);
    region_release(&region);
}

static void a_fault_in_the_runtimes_functions_for_inside_is_the_services(void **state)
{
    (void)state;
    guard_each(check_ours);
}

/* In a child that has nobody else to handle its faults. Returns how it ended, and what it said. */
static int end_of(void (*fn)(void *), bool is_inside, char *ret_said, size_t said_bytes)
{
    int ends[2], status;
    ssize_t size = 0, more;

    assert_int_equal(pipe(ends), 0);

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
        const enum vine__guard_kind kind = vine__guard_kind();

        (void)dup2(ends[1], STDERR_FILENO);
        vine__guard_thread_stop();
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
            (void)signal(signals[i], SIG_DFL);
        if (!guard_begin(kind))
            _exit(2);
        if (is_inside)
            (void)run(fn, region.start + PAGE);
        else
            fn(region.start + PAGE);
        _exit(0);
    }
    (void)close(ends[1]);
    while ((more = read(ends[0], ret_said + size, said_bytes - 1 - (size_t)size)) > 0)
        size += more;
    ret_said[size] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void expect_end(void (*fn)(void *), bool is_inside, bool has_address)
{
    char said[512], address[32];
    const int status = end_of(fn, is_inside, said, sizeof(said));

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    (void)snprintf(address, sizeof(address),
                   ", address 0x%lx:", (unsigned long)(uintptr_t)(region.start + PAGE));
    assert_non_null(strstr(said, "vine: SIGSEGV at 0x"));
    assert_non_null(strstr(said, "not in a service's own code, so the process ends\n"));
    if (has_address)
        assert_non_null(strstr(said, address));
}

static void check_ends(void)
{
    region = region_make(1, 0);
    expect_end(somebody_elses, false, true);
    expect_end(call_somebody_elses, true, true);
    expect_end(call_what_is_no_leaf, true, true);
    expect_end(call_through_the_gate, true, true);
    expect_end(send_a_signal, true, false);
    region_release(&region);
}

static void a_fault_anywhere_else_ends_the_process_with_a_line(void **state)
{
    (void)state;
    guard_each(check_ends);
}

static volatile sig_atomic_t handled;

static void handle_before(int number, siginfo_t *info, void *context)
{
    (void)context;
    handled = number;
    /* So that it goes on: the page is there now. */
    (void)mprotect((void *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)), PAGE,
                   PROT_READ | PROT_WRITE);
}

static void check_before(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO}, old;
    const enum vine__guard_kind kind = vine__guard_kind();
    void *page;

    vine__guard_thread_stop();
    action.sa_sigaction = handle_before;
    assert_int_equal(sigaction(SIGSEGV, &action, &old), 0);
    assert_true(guard_begin(kind));
    assert_int_equal(vine__guard_pages_reserve(PAGE, &page), 0);
    handled = 0;
    somebody_elses(page);
    assert_int_equal(handled, SIGSEGV);
    vine__guard_pages_release(page, PAGE);

    region = region_make(1, 0);
    handled = 0;
    assert_int_equal(run(call_ours, region.start + PAGE), -EFAULT);
    assert_int_equal(handled, 0);
    region_release(&region);
    assert_int_equal(sigaction(SIGSEGV, &old, NULL), 0);
}

static void who_handled_a_signal_before_still_does_so_for_the_rest(void **state)
{
    (void)state;
    guard_each(check_before);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void nothing_is_chosen_anew_while_a_thread_takes_part(void **state)
{
    const struct vine__guard_options options = {.wanted = VINE__GUARD_NONE};
    char why[VINE__GUARD_WHY_BYTES] = "as it was";

    (void)state;
    assert_true(guard_begin(VINE__GUARD_MPROTECT));
    assert_int_equal(vine__guard_choose(&options, why), -EBUSY);
    assert_string_equal(why, "as it was");
    assert_int_equal(vine__guard_kind(), VINE__GUARD_MPROTECT);
    guard_end();
}

static void the_best_guard_isolates_and_says_why_it_is_not_better(void **state)
{
    const struct vine__guard_options options = {.wanted = VINE__GUARD_BEST};
    char why[VINE__GUARD_WHY_BYTES] = "";

    (void)state;
    assert_int_equal(vine__guard_choose(&options, why), 0);
    if (vine__guard_kind() == VINE__GUARD_PKU) {
        assert_string_equal(why, "");
        assert_in_range(vine__guard_colour_count(), 2, VINE__GUARD_COLOURS_MAX);
    } else {
        assert_int_equal(vine__guard_kind(), VINE__GUARD_MPROTECT);
        assert_int_equal(vine__guard_colour_count(), 1);
        assert_string_not_equal(why, "");
    }
}

static void the_gate_is_closed_where_nothing_runs(void **state)
{
    (void)state;
    assert_int_equal(vine__guard_gate(fault_in_the_gate, 0), -EPERM);
    assert_true(guard_begin(VINE__GUARD_NONE));
    assert_int_equal(vine__guard_gate(fault_in_the_gate, 0), -EPERM);
    assert_false(vine__guard_is_inside());
    region = region_make(1, 0);
    assert_int_equal(run(do_nothing, NULL), 0);
    region_release(&region);
    guard_end();
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest leaf_tests[] = {
        cmocka_unit_test(a_fault_in_a_leaf_is_its_callers),
    };
    const struct CMUnitTest end_tests[] = {
        cmocka_unit_test(it_is_with_each_implementation_that_libc_has),
        cmocka_unit_test(a_fault_anywhere_else_ends_the_process_with_a_line),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fault_in_the_runtimes_functions_for_inside_is_the_services),
        cmocka_unit_test(who_handled_a_signal_before_still_does_so_for_the_rest),
        cmocka_unit_test(nothing_is_chosen_anew_while_a_thread_takes_part),
        cmocka_unit_test(the_best_guard_isolates_and_says_why_it_is_not_better),
        cmocka_unit_test(the_gate_is_closed_where_nothing_runs),
    };
    int failed = 0;

    if (argument_count > 1)
        return cmocka_run_group_tests(leaf_tests, NULL, NULL);
    /* What sanitizers put in the place of libc's functions is no leaf. */
    if (is_sanitized())
        print_message("skipped: libc's functions and signals are a sanitizer's\n");
    else
        failed = cmocka_run_group_tests(leaf_tests, NULL, NULL) +
                 cmocka_run_group_tests(end_tests, NULL, NULL);
    (void)arguments;
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}

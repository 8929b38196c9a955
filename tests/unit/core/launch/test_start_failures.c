/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Allocations that fail while a program on reactors starts: the first one, the second one, and so
 * on until there are none left to fail. Each time a child of fork starts a whole program. It comes
 * up all the same, or ends with a code and a sentence; it never crashes, hangs, or (under ASan)
 * leaves anything behind.
 */
#include <vine/runtime.h>

#include <dlfcn.h>
#include <errno.h>
#include <hwloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/failing_malloc.h"

#define HANG_S     60
#define TEXT_BYTES 65536

/* What a child tells its parent. */
struct told {
    uint64_t injected;
    bool has_begun;
};

static struct told *told;
static char said[TEXT_BYTES];

/* ---- hwloc ----------------------------------------------------------------------------------- */

/* It does not look whether its own memory could be had, and would crash. Its calls come through
 * here, where nothing that is allocated counts; it is their failure that is looked at instead. */
static int fails_of_hwloc; /* which of these calls fails next; 0: none */

static bool begin_hwloc(void)
{
    const bool was_armed = vine__load_relaxed_u32(&vine__arena_fail_armed) != 0;

    vine__store_relaxed_u32(&vine__arena_fail_armed, 0);
    return was_armed;
}

static void end_hwloc(bool was_armed)
{
    vine__store_relaxed_u32(&vine__arena_fail_armed, was_armed);
}

#define AS_HWLOC(name, ...)                                                                        \
    do {                                                                                           \
        const bool was_armed = begin_hwloc();                                                      \
        typeof(&name) next;                                                                        \
        int result = -1;                                                                           \
                                                                                                   \
        *(void **)&next = dlsym(RTLD_NEXT, #name);                                                 \
        if (fails_of_hwloc > 0 && --fails_of_hwloc == 0)                                           \
            errno = ENOMEM;                                                                        \
        else                                                                                       \
            result = next(__VA_ARGS__);                                                            \
        end_hwloc(was_armed);                                                                      \
        return result;                                                                             \
    } while (0)

__attribute__((visibility("default"))) int hwloc_topology_init(hwloc_topology_t *ret_topology)
{
    AS_HWLOC(hwloc_topology_init, ret_topology);
}

__attribute__((visibility("default"))) int hwloc_topology_load(hwloc_topology_t topology)
{
    AS_HWLOC(hwloc_topology_load, topology);
}

__attribute__((visibility("default"))) int hwloc_topology_set_synthetic(hwloc_topology_t topology,
                                                                        const char *text)
{
    AS_HWLOC(hwloc_topology_set_synthetic, topology, text);
}

/* ---- programs -------------------------------------------------------------------------------- */

static int begin(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    told->has_begun = true;
    return 0;
}

static void live(uint64_t nth, int hwloc_call, char **argv)
{
    int argc = 0;

    while (argv[argc] != NULL)
        argc++;
    (void)alarm(HANG_S);
    fails_of_hwloc = hwloc_call;
    vine__arena_fail_nth_of_all(nth);

    const int code = vine_main(argc, argv, NULL, begin);

    vine__arena_fail_nth_of_all(0);
    told->injected = vine__arena_injected_failures();
    exit(code);
}

/* Returns the child's status; `said` is what it wrote. */
static int run(uint64_t nth, int hwloc_call, char **argv)
{
    int ends[2], status;
    size_t length = 0;
    ssize_t got;

    memset(told, 0, sizeof(*told));
    assert_int_equal(pipe(ends), 0);

    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        live(nth, hwloc_call, argv);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* More than cmocka would tell of a failure. */
static void give_up(int status, const char *what, uint64_t number)
{
    (void)fprintf(stderr, "%s\n", said);
    fail_msg("%s %llu: status %x, %s", what, (unsigned long long)number, (unsigned int)status,
             told->has_begun ? "has begun" : "has not begun");
}

static void check(int status, const char *what, uint64_t number)
{
    const char *const sentence = strstr(said, "program: ");
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    if (code < 0 || code > 2 || strstr(said, "Sanitizer") != NULL || (code == 0) != told->has_begun)
        give_up(status, what, number);
    /* Something is named, and not just a word. */
    if (code != 0 && (sentence == NULL || strchr(sentence + strlen("program: "), ' ') == NULL))
        give_up(status, what, number);
}

#define STARTS_MAX 5000

static void fail_each_allocation(char **argv)
{
    uint64_t failed = 0, nth = 1;

    for (; nth < STARTS_MAX; nth++) {
        const int status = run(nth, 0, argv);

        check(status, "allocation", nth);
        failed += WEXITSTATUS(status) != 0;
        if (told->injected == 0)
            break;
    }
    assert_true(nth < STARTS_MAX);
    assert_true(failed > 20);
    print_message("%llu allocations, of which %llu ended the start\n", (unsigned long long)nth - 1,
                  (unsigned long long)failed);
}

#define EACH_ALLOCATION(...) fail_each_allocation((char *[]){"program", __VA_ARGS__, NULL})

static void a_start_without_memory_is_told_in_a_sentence_or_goes_well(void **state)
{
    (void)state;
    EACH_ALLOCATION("--smp=2", "--overprovisioned", "--memory=64M", "--explain-start");
}

static void so_is_one_by_epoll_with_a_single_queue(void **state)
{
    (void)state;
    EACH_ALLOCATION("--smp=2", "--overprovisioned", "--memory=64M", "--reactor-backend=epoll",
                    "--num-io-queues=1", "--logger-log-level=file=debug");
}

static void another_machine_is_shown_or_it_is_told_why_not(void **state)
{
    static char *argv[] = {"program", "--topology", "pack:2 [numa(memory=64GB)] core:16 pu:2",
                           NULL};
    uint64_t nth = 1;

    (void)state;
    for (; nth < STARTS_MAX; nth++) {
        const int status = run(nth, 0, argv);

        told->has_begun = WIFEXITED(status) && WEXITSTATUS(status) == 0; /* it never begins */
        check(status, "allocation", nth);
        if (told->injected == 0)
            break;
    }
    assert_in_range(nth, 10, STARTS_MAX - 1);
}

static void what_hwloc_cannot_do_is_told_or_done_without(void **state)
{
    static char *argv[] = {"program", "--smp=1", "--memory=32M", NULL};
    static char *described[] = {"program", "--topology=core:2 pu:2", NULL};

    (void)state;
    check(run(0, 1, argv), "call of hwloc", 1);
    assert_false(told->has_begun);
    /* Where it knows nothing of this machine, what the kernel says of the process does. */
    check(run(0, 2, argv), "call of hwloc", 2);
    assert_true(told->has_begun);
    for (int call = 1; call <= 3; call++) {
        check(run(0, call, described), "call of hwloc", (uint64_t)call);
        assert_non_null(strstr(said, "program: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_hwloc_cannot_do_is_told_or_done_without),
        cmocka_unit_test(a_start_without_memory_is_told_in_a_sentence_or_goes_well),
        cmocka_unit_test(so_is_one_by_epoll_with_a_single_queue),
        cmocka_unit_test(another_machine_is_shown_or_it_is_told_why_not),
    };

    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return told == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

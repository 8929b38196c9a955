/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Programs that start as their options say, on this machine or on what hwloc takes for it; each is
 * a child of fork, of which is looked at what it writes and how it ends. */
#include <vine/reactor.h>
#include <vine/runtime.h>

#include <hwloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/arena/arena.h"
#include "harness/fake_root.h"
#include "utils/assert.h"

#define HANG_S     60
#define TEXT_BYTES 65536

static char said[TEXT_BYTES];

static int end_at_once(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

/* Returns the exit code; `said` is what it wrote. */
static int start_as(const struct vine_options *program, int (*app_main)(int argc, char **argv),
                    char **argv)
{
    int ends[2], status, argc = 0;
    size_t length = 0;
    ssize_t got;

    while (argv[argc] != NULL)
        argc++;
    assert_int_equal(pipe(ends), 0);

    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(HANG_S);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        exit(vine_main(argc, argv, program, app_main));
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], said + length, sizeof(said) - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define START(app_main, ...) start_as(NULL, app_main, (char *[]){"program", __VA_ARGS__, NULL})

static void has(const char *what)
{
    if (strstr(said, what) == NULL)
        fail_msg("'%s' is not in:\n%s", what, said);
}

/* This one, if it has two processors; but the second one is of a node without memory. */
static void write_machine_with_a_node_without_memory(const char *path)
{
    hwloc_topology_t topology;

    assert_int_equal(hwloc_topology_init(&topology), 0);
    assert_int_equal(hwloc_topology_set_synthetic(topology, "numa:2(memory=1GiB) core:1 pu:1"), 0);
    assert_int_equal(hwloc_topology_load(topology), 0);
    hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, 1)->attr->numanode.local_memory = 0;
    assert_int_equal(hwloc_topology_export_xml(topology, path, 0), 0);
    hwloc_topology_destroy(topology);
}

static void a_machine_with_a_node_without_memory_starts(void **state)
{
    char path[1024];

    (void)state;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || access("/sys/devices/system/node/node1", F_OK) == 0) {
        print_message("skipped: this machine has one processor, or a second node\n");
        skip();
    }
    assert_true(snprintf(path, sizeof(path), "%s/machine.xml", fake_root) < (int)sizeof(path));
    write_machine_with_a_node_without_memory(path);
    assert_int_equal(setenv("HWLOC_XMLFILE", path, 1), 0);
    assert_int_equal(setenv("HWLOC_THISSYSTEM", "1", 1), 0);

    const int code = START(end_at_once, "--explain-start", "--memory=64M");

    assert_int_equal(unsetenv("HWLOC_XMLFILE"), 0);
    assert_int_equal(unsetenv("HWLOC_THISSYSTEM"), 0);
    if (strstr(said, "may not be used") != NULL || strstr(said, "filter forbids") != NULL) {
        print_message("skipped: %s\n", said);
        skip();
    }
    if (code != 0)
        fail_msg("it ended with %d:\n%s", code, said);
    has("32 MiB of node 0\n"); /* the core of node 1 */
}

/* Ends with what its last operand says, or goes on. */
static int check_operands(int argc, char **argv)
{
    (void)fprintf(stderr, "checked: %d words, the last is %s\n", argc, argv[argc - 1]);
    return strcmp(argv[argc - 1], "5") == 0 ? 5 : VINE_MAIN_GOES_ON;
}

static int end_with_operands(int argc, char **argv)
{
    (void)argv;
    return 20 + argc;
}

static void who_checks_before_the_start_may_end_it(void **state)
{
    const struct vine_options program = {.size_bytes = sizeof(program),
                                         .name = "program",
                                         .operands = "CODE",
                                         .check = check_operands};

    (void)state;
    assert_int_equal(start_as(&program, end_with_operands,
                              (char *[]){"program", "--memory=64M", "--explain-start", "5", NULL}),
                     5);
    has("checked: 2 words, the last is 5\n");
    assert_null(strstr(said, "signals"));
    assert_int_equal(
        start_as(&program, end_with_operands, (char *[]){"program", "--memory=64M", "6", NULL}),
        22);
    has("checked: 2 words, the last is 6\n");
    /* Not if the command line is wrong, and not if nothing is to be started. */
    assert_int_equal(
        start_as(&program, end_with_operands, (char *[]){"program", "--nonsense", "5", NULL}), 2);
    assert_null(strstr(said, "checked: "));
    assert_int_equal(
        start_as(&program, end_with_operands, (char *[]){"program", "--help", "5", NULL}), 0);
    assert_null(strstr(said, "checked: "));
    assert_int_equal(start_as(&program, end_with_operands,
                              (char *[]){"program", "--topology=core:2 pu:1", "5", NULL}),
                     0);
    assert_null(strstr(said, "checked: "));
}

static void the_main_thread_says_where_it_is_bound(void **state)
{
    char expected[64];
    unsigned int cpu;

    (void)state;
    assert_int_equal(START(end_at_once, "--explain-start", "--smp=1", "--memory=32M"), 0);
    const char *const chosen = strstr(said, "chosen ");

    assert_non_null(chosen);
    assert_int_equal(sscanf(chosen, "chosen %u", &cpu), 1);
    assert_true(snprintf(expected, sizeof(expected), ", on processor %u\n", cpu) > 0);
    has(expected);
}

/* Exits with 0: malloc gives the core's memory; 10: the process's. */
static int tell_whose_malloc_is(int argc, char **argv)
{
    void *volatile block = malloc(100);
    const bool is_own = vine__arena_of(block) != NULL;

    (void)argc;
    (void)argv;
    free(block);
    return is_own ? 0 : 10;
}

static void malloc_gives_the_cores_memory_or_the_processs(void **state)
{
    (void)state;
    assert_int_equal(START(tell_whose_malloc_is, "--smp=1", "--memory=32M", "--malloc=nobody"), 2);
    has("core or process");
    assert_int_equal(START(tell_whose_malloc_is, "--smp=1", "--memory=32M", "--malloc=process"),
                     10);
    if (vine__arena_is_used_for_malloc()) {
        assert_int_equal(START(tell_whose_malloc_is, "--smp=1", "--memory=32M"), 0);
        assert_int_equal(START(tell_whose_malloc_is, "--smp=1", "--memory=32M", "--malloc=core"),
                         0);
    } else { /* a sanitizer's */
        assert_int_equal(START(tell_whose_malloc_is, "--smp=1", "--memory=32M"), 10);
        assert_int_equal(START(tell_whose_malloc_is, "--smp=1", "--memory=32M", "--malloc=core"),
                         1);
        has("--malloc core: malloc is another library's");
    }
}

#define WORKS 64

static struct vine_work works[WORKS];
static uint32_t works_done;
static bool is_in_order;

static void run_one(struct vine_work *work)
{
    is_in_order &= work == &works[works_done];
    if (++works_done == WORKS)
        vine_stop(is_in_order ? 0 : 11);
}

/* Exits with 0: work ran as it came; 11: all of it ran, in another order. */
static int post_many(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    is_in_order = true;
    for (uint32_t i = 0; i < WORKS; i++) {
        vine_work_init(&works[i], run_one);
        vine_work_post(&works[i]);
    }
    return VINE_MAIN_GOES_ON;
}

static void work_is_shuffled_by_a_seed_that_is_told_and_without_one_it_is_not(void **state)
{
    (void)state;
    assert_int_equal(START(post_many, "--smp=1", "--memory=32M", "--shuffle-seed=0",
                           "--explain-start", "--default-log-level=debug"),
                     0);
    assert_null(strstr(said, "--shuffle-seed"));
    assert_int_equal(START(post_many, "--smp=1", "--memory=32M", "--shuffle-seed=42",
                           "--explain-start", "--default-log-level=debug"),
                     11);
    has("\n    shuffled   --shuffle-seed 42\n");
    has("launch: work is shuffled: --shuffle-seed 42\n");
}

static void in_debug_builds_alone_work_is_shuffled_by_itself(void **state)
{
    unsigned int seed = 0;

    (void)state;
    assert_int_equal(START(post_many, "--smp=1", "--memory=32M", "--explain-start"),
                     VINE_BUILD_IS_DEBUG ? 11 : 0);
    const char *const told = strstr(said, "--shuffle-seed ");

    assert_int_equal(told != NULL, VINE_BUILD_IS_DEBUG);
    if (told != NULL)
        assert_int_equal(sscanf(told, "--shuffle-seed %u\n", &seed), 1);
    assert_int_equal(seed != 0, VINE_BUILD_IS_DEBUG);
}

static void the_steps_say_what_becomes_of_signals_and_of_the_network(void **state)
{
    (void)state;
    assert_int_equal(
        START(end_at_once, "--explain-start", "--smp=1", "--memory=32M", "--network-stack=posix"),
        0);
    has(" 1. signals: SIGINT and SIGTERM stop the program and SIGUSR1 asks for its state, "
        "unless it handles them itself; SIGRTMAX asks a core");
    has("18. low-resolution clock: each core reads it as");
    has("17. network: posix: the kernel's; it starts on a core with what is first opened there\n");
    assert_int_equal(START(end_at_once, "--network-stack=vhost"), 2);
    has("--network-stack");
    has("posix");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_machine_with_a_node_without_memory_starts, fake_root_make,
                                        fake_root_remove),
        cmocka_unit_test(malloc_gives_the_cores_memory_or_the_processs),
        cmocka_unit_test(work_is_shuffled_by_a_seed_that_is_told_and_without_one_it_is_not),
        cmocka_unit_test(in_debug_builds_alone_work_is_shuffled_by_itself),
        cmocka_unit_test(the_steps_say_what_becomes_of_signals_and_of_the_network),
        cmocka_unit_test(who_checks_before_the_start_may_end_it),
        cmocka_unit_test(the_main_thread_says_where_it_is_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

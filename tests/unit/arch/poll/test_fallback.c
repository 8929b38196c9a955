/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Where io_uring is forbidden or not there: this program runs itself as on such a kernel.
 */
#include "poll_tests.h"

static const char *itself;

/* What `NAME: WHY` is where `lacking` are not to be had; -1: there are no filters here. */
static int ask(const char *lacking, const char *backend, char *ret_line, size_t size)
{
    const char *without = getenv("VINE_WITHOUT");
    char command[512];

    if (without == NULL)
        return -1;
    (void)snprintf(command, sizeof(command), "'%s' %s -- '%s' %s", without, lacking, itself,
                   backend);
    FILE *stream = popen(command, "r");

    assert_non_null(stream);
    if (fgets(ret_line, (int)size, stream) == NULL)
        ret_line[0] = '\0';
    const int status = pclose(stream);

    return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? -1 : 0;
}

static void expect(const char *lacking, const char *backend, const char *expected)
{
    char line[256];

    if (ask(lacking, backend, line, sizeof(line)) != 0) {
        print_message("skipped: no filters of system calls here\n");
        skip();
    }
    assert_string_equal(line, expected);
}

static void who_insists_on_io_uring_has_the_error(void **state)
{
    (void)state;
    expect("io_uring", "uring", "error 38: this kernel has no io_uring\n");
    expect("--denied io_uring", "uring",
           "error 1: io_uring is forbidden here, as by the system call filter of a container\n");
}

static void who_takes_any_has_epoll_and_is_told_why(void **state)
{
    (void)state;
    expect("io_uring", "any", "epoll: this kernel has no io_uring\n");
    expect("--denied io_uring", "any",
           "epoll: io_uring is forbidden here, as by the system call filter of a container\n");
}

static void too_little_memory_to_lock_is_told_as_such(void **state)
{
    (void)state;
    char line[256];

    if (ask("io_uring_memory", "any", line, sizeof(line)) != 0) {
        print_message("skipped: no filters of system calls here\n");
        skip();
    }
    assert_non_null(strstr(line, "epoll: io_uring gets no memory: RLIMIT_MEMLOCK is "));
}

static void who_asks_for_epoll_has_it(void **state)
{
    (void)state;
    struct vine__poller *poller = NULL;
    char why[VINE__POLL_WHY_BYTES] = "";

    assert_int_equal(vine__poller_create(&poller,
                                         &(struct vine__poller_options){
                                             .backend = VINE__POLL_BACKEND_EPOLL, .ret_why = why}),
                     0);
    assert_string_equal(vine__poller_name(poller), "epoll");
    assert_string_equal(why, "epoll was asked for");
    vine__poller_destroy(poller);
}

static void io_uring_has_no_why(void **state)
{
    (void)state;
    struct vine__poller *poller = NULL;
    char why[VINE__POLL_WHY_BYTES] = "?";

    if (!has_uring()) {
        print_message("skipped: this kernel has no io_uring\n");
        skip();
    }
    assert_int_equal(vine__poller_create(&poller, &(struct vine__poller_options){.ret_why = why}),
                     0);
    assert_string_equal(vine__poller_name(poller), "io_uring");
    assert_string_equal(why, "");
    vine__poller_destroy(poller);
}

/* As the child: what there is here, in a line. */
static int tell(const char *backend)
{
    struct vine__poller *poller = NULL;
    char why[VINE__POLL_WHY_BYTES] = "";
    const int error = vine__poller_create(
        &poller, &(struct vine__poller_options){.backend = strcmp(backend, "uring") == 0
                                                               ? VINE__POLL_BACKEND_URING
                                                               : VINE__POLL_BACKEND_ANY,
                                                .ret_why = why});

    if (error != 0)
        printf("error %d: %s\n", -error, why);
    else
        printf("%s: %s\n", vine__poller_name(poller), why);
    vine__poller_destroy(poller);
    return 0;
}

int main(int argument_count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_insists_on_io_uring_has_the_error),
        cmocka_unit_test(who_takes_any_has_epoll_and_is_told_why),
        cmocka_unit_test(too_little_memory_to_lock_is_told_as_such),
        cmocka_unit_test(who_asks_for_epoll_has_it),
        cmocka_unit_test(io_uring_has_no_why),
    };

    if (argument_count > 1)
        return tell(arguments[1]);
    itself = arguments[0];
    return cmocka_run_group_tests(tests, NULL, NULL);
}

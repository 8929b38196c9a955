/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* A long range of memory: what is refused and with which words, then what it is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/reservation/reservation.h"

#define MIB  (UINT64_C(1) << 20)
#define PART (UINT64_C(1) << 30)

static int open_with(struct vine__reservation_options options, const char *expected)
{
    struct vine__reservation reservation = {.size_bytes = 77};
    const char *what = NULL;
    const int error = vine__reservation_open(&options, &reservation, &what);

    assert_true(error < 0);
    assert_int_equal(reservation.size_bytes, 77);
    assert_non_null(what);
    if (strstr(what, expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", what, expected);
    /* Nobody has to listen. */
    assert_int_equal(vine__reservation_open(&options, &reservation, NULL), error);
    return error;
}

static struct vine__reservation_options plain(void)
{
    return (struct vine__reservation_options){
        .size_bytes = 4 * MIB, .alignment_bytes = PART, .node = VINE__RESERVATION_NODE_ANY};
}

static void impossible_options_are_refused(void **state)
{
    struct vine__reservation_options options = plain();

    (void)state;
    options.size_bytes = 0;
    assert_int_equal(open_with(options, "size"), -EINVAL);
    options.size_bytes = UINT64_MAX;
    assert_int_equal(open_with(options, "size"), -EINVAL);
    options = plain();
    options.alignment_bytes = 3 * 4096;
    assert_int_equal(open_with(options, "alignment"), -EINVAL);
    options.alignment_bytes = 8;
    assert_int_equal(open_with(options, "alignment"), -EINVAL);
    options = plain();
    options.node = -2;
    assert_int_equal(open_with(options, "NUMA"), -EINVAL);
    options.node = 1 << 20;
    assert_int_equal(open_with(options, "NUMA"), -EINVAL);
}

static void a_node_that_is_not_there_is_refused(void **state)
{
    struct vine__reservation_options options = plain();

    (void)state;
    options.node = 1000;
    assert_true(open_with(options, "NUMA") < 0);
}

static void a_folder_that_holds_no_huge_pages_is_refused(void **state)
{
    struct vine__reservation_options options = plain();

    (void)state;
    options.huge_page_folder = "/nothing/here";
    assert_int_equal(open_with(options, "cannot be opened"), -ENOENT);
    options.huge_page_folder = "/proc/self/status";
    assert_int_equal(open_with(options, "cannot be opened"), -ENOTDIR);
    options.huge_page_folder = "/proc";
    assert_int_equal(open_with(options, "hugetlbfs"), -EMEDIUMTYPE);
}

static void more_huge_pages_than_there_are_are_refused(void **state)
{
    struct vine__reservation_options options = plain();
    struct vine__reservation reservation;

    (void)state;
    options.size_bytes = 64 * PART;
    options.huge_pages = true;
    if (vine__reservation_open(&options, &reservation, NULL) == 0) {
        print_message("skipped: this machine has that many\n");
        vine__reservation_close(&reservation);
        skip();
    }
    assert_int_equal(open_with(options, "huge pages"), -ENOMEM);
}

/* In a child, since a limit that was taken off is off. */
static void more_than_may_be_locked_is_refused(void **state)
{
    (void)state;

    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit little = {.rlim_cur = 65536, .rlim_max = 65536};
        struct vine__reservation_options options = plain();
        struct vine__reservation reservation;
        const char *what = "";

        /* Who is root may lock all it likes. */
        if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || (geteuid() == 0 && setuid(65534) != 0))
            _exit(77);
        options.lock = true;
        _exit(vine__reservation_open(&options, &reservation, &what) == -ENOMEM &&
                      strstr(what, "ulimit -l") != NULL
                  ? 0
                  : 1);
    }

    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: limits and users cannot be changed here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void what_is_asked_for_is_there_aligned_and_zero(void **state)
{
    const struct vine__reservation_options options = plain();
    struct vine__reservation reservation;

    (void)state;
    assert_int_equal(vine__reservation_open(&options, &reservation, NULL), 0);
    assert_int_equal((uintptr_t)reservation.base % PART, 0);
    assert_int_equal(reservation.size_bytes, 4 * MIB);
    assert_int_equal(reservation.mapped_bytes, PART);
    for (uint64_t at = 0; at < reservation.size_bytes; at += 4096)
        assert_int_equal(reservation.base[at], 0);
    reservation.base[reservation.size_bytes - 1] = 1;
    vine__reservation_close(&reservation);
    assert_null(reservation.base);
    vine__reservation_close(&reservation);
}

static void pages_that_were_touched_are_counted(void **state)
{
    const struct vine__reservation_options options = plain();
    struct vine__reservation reservation;

    (void)state;
    assert_int_equal(vine__reservation_open(&options, &reservation, NULL), 0);
    assert_int_equal(madvise(reservation.base, reservation.size_bytes, MADV_NOHUGEPAGE), 0);
    assert_int_equal(vine__reservation_touched(&reservation), 0);
    reservation.base[0] = 1;
    reservation.base[4 * MIB - 1] = 1;
    assert_int_equal(vine__reservation_touched(&reservation), 2 * (uint64_t)sysconf(_SC_PAGESIZE));
    vine__reservation_close(&reservation);
}

static void what_is_locked_is_all_there(void **state)
{
    struct vine__reservation_options options = plain();
    struct vine__reservation reservation;

    (void)state;
    options.lock = true;
    const int error = vine__reservation_open(&options, &reservation, NULL);

    if (error == -ENOMEM) {
        print_message("skipped: RLIMIT_MEMLOCK does not allow it here\n");
        skip();
    }
    assert_int_equal(error, 0);
    assert_int_equal(vine__reservation_touched(&reservation), 4 * MIB);
    vine__reservation_close(&reservation);
}

static void memory_is_bound_to_a_node_that_is_there(void **state)
{
    struct vine__reservation_options options = plain();
    struct vine__reservation reservation;

    (void)state;
    options.node = 0;
    if (access("/sys/devices/system/node/node0", F_OK) != 0) {
        print_message("skipped: this kernel knows no nodes\n");
        skip();
    }

    const int error = vine__reservation_open(&options, &reservation, NULL);

    if (error == -EPERM) {
        print_message("skipped: a container's filter forbids binding\n");
        skip();
    }
    assert_int_equal(error, 0);
    memset(reservation.base, 1, reservation.size_bytes);
    vine__reservation_close(&reservation);
}

static void pieces_that_cannot_be_are_refused(void **state)
{
    static const struct vine__reservation_piece bad[][2] = {
        {{.node = -1, .size_bytes = 2 * MIB}, {.node = 0, .size_bytes = 2 * MIB}},
        {{.node = 0, .size_bytes = 2 * MIB}, {.node = 1 << 20, .size_bytes = 2 * MIB}},
        {{.node = 0, .size_bytes = 0}, {.node = 0, .size_bytes = 2 * MIB}},
        {{.node = 0, .size_bytes = 100}, {.node = 0, .size_bytes = 2 * MIB}},
        {{.node = 0, .size_bytes = 4 * MIB}, {.node = 0, .size_bytes = 2 * MIB}},
    };
    struct vine__reservation_options options = plain();
    struct vine__reservation reservation;

    (void)state;
    options.piece_count = 2;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *what = NULL;

        options.pieces = bad[i];
        assert_int_equal(vine__reservation_open(&options, &reservation, &what), -EINVAL);
        assert_non_null(what);
    }
}

/* Which node the kernel prefers there; -1: it knows no policy of it. */
static int preferred_at(unsigned char *address)
{
    uint64_t nodes[16] = {0};
    int policy = -1;

    if (syscall(SYS_get_mempolicy, &policy, nodes, 8 * sizeof(nodes), address, 2 /* at it */) != 0)
        return -1;
    return policy == 1 /* preferred */ && nodes[0] == 1 ? 0 : -1;
}

static void pieces_are_preferred_from_their_nodes_and_the_rest_from_any(void **state)
{
    static const struct vine__reservation_piece pieces[] = {{.node = 0, .size_bytes = MIB},
                                                            {.node = 0, .size_bytes = 2 * MIB}};
    struct vine__reservation_options options = plain();
    struct vine__reservation reservation;

    (void)state;
    if (access("/sys/devices/system/node/node0", F_OK) != 0) {
        print_message("skipped: this kernel knows no nodes\n");
        skip();
    }
    options.pieces = pieces;
    options.piece_count = 2;

    const int error = vine__reservation_open(&options, &reservation, NULL);

    if (error == -EPERM) {
        print_message("skipped: a container's filter forbids binding\n");
        skip();
    }
    assert_int_equal(error, 0);
    memset(reservation.base, 1, reservation.size_bytes);
    assert_int_equal(preferred_at(reservation.base), 0);
    assert_int_equal(preferred_at(reservation.base + 3 * MIB - 1), 0);
    assert_int_equal(preferred_at(reservation.base + 3 * MIB), -1);
    vine__reservation_close(&reservation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(a_node_that_is_not_there_is_refused),
        cmocka_unit_test(a_folder_that_holds_no_huge_pages_is_refused),
        cmocka_unit_test(more_huge_pages_than_there_are_are_refused),
        cmocka_unit_test(more_than_may_be_locked_is_refused),
        cmocka_unit_test(what_is_asked_for_is_there_aligned_and_zero),
        cmocka_unit_test(pages_that_were_touched_are_counted),
        cmocka_unit_test(what_is_locked_is_all_there),
        cmocka_unit_test(memory_is_bound_to_a_node_that_is_there),
        cmocka_unit_test(pieces_that_cannot_be_are_refused),
        cmocka_unit_test(pieces_are_preferred_from_their_nodes_and_the_rest_from_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

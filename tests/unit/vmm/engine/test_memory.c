/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/* How much memory a link may have, on machines and in control groups that are files here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/folder.h"
#include "vmm/engine/description.h"
#include "vmm/engine/link.h"
#include "vmm/engine/memory.h"

#define KIB UINT64_C(1024)
#define GIB (KIB * KIB * KIB)

static char root[64];

static void write_file(const char *name, const char *text)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *const file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/vine-test-XXXXXX");
    if (folder_make(root) != 0)
        return -1;
    write_file("proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n");
    return 0;
}

static void what_nothing_says_is_no_bound(void **state)
{
    (void)state;
    assert_int_equal(vine__machine_memory_available("/nowhere"), UINT64_MAX);
}

static void what_the_kernel_deems_available_is_a_bound(void **state)
{
    (void)state;
    assert_int_equal(vine__machine_memory_available(root), 4 * GIB);
    write_file("proc/self/cgroup", "0::/a/b\n");
    write_file("sys/fs/cgroup/a/memory.max", "max\n");
    write_file("sys/fs/cgroup/a/memory.current", "1\n");
    assert_int_equal(vine__machine_memory_available(root), 4 * GIB);
}

static void a_control_group_above_ours_is_a_bound(void **state)
{
    (void)state;
    write_file("proc/self/cgroup", "0::/a/b\n");
    write_file("sys/fs/cgroup/a/b/memory.max", "3221225472\n"); /* 3 GiB */
    write_file("sys/fs/cgroup/a/b/memory.current", "0\n");
    assert_int_equal(vine__machine_memory_available(root), 3 * GIB);
    write_file("sys/fs/cgroup/a/memory.max", "2147483648\n");
    write_file("sys/fs/cgroup/a/memory.current", "1610612736\n");
    assert_int_equal(vine__machine_memory_available(root), GIB / 2);
    /* What it has of files is given up for others. */
    write_file("sys/fs/cgroup/a/memory.stat", "inactive_file 536870912\nactive_file 1024\n");
    assert_int_equal(vine__machine_memory_available(root), GIB + KIB);
    write_file("sys/fs/cgroup/a/memory.current", "3221225472\n");
    assert_int_equal(vine__machine_memory_available(root), 0);
}

static void a_container_sees_the_top_alone(void **state)
{
    (void)state;
    write_file("proc/self/cgroup", "7:cpu:/x\n6:freezer,memory:/docker/1234\n0::/\n");
    write_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
    write_file("sys/fs/cgroup/memory/memory.usage_in_bytes", "536870912\n");
    write_file("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1024\n");
    assert_int_equal(vine__machine_memory_available(root), GIB / 2 + KIB);
}

static void a_link_that_does_not_fit_fills_nothing(void **state)
{
    /* And what others may give back meanwhile. */
    const uint64_t available = vine__machine_memory_available("") / 8 * 9;
    uint64_t size = VINE__MACHINE_LINK_BYTES_MAX;
    struct vine__machine_link *link = NULL;

    (void)state;
    if (available >= 2 * size) {
        print_message("skipped: this machine has memory for the largest link\n");
        skip();
    }
    /* Both do not fit, and each does, unless it just does not: the least such size. */
    while (size > available / 2)
        size /= 2;
    size *= 2;
    assert_int_equal(vine__machine_link_create("large", (uint64_t[]){size, size}, &link), -ENOMEM);
    assert_null(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nothing_says_is_no_bound),
        cmocka_unit_test_setup(what_the_kernel_deems_available_is_a_bound, set_up),
        cmocka_unit_test_setup(a_control_group_above_ours_is_a_bound, set_up),
        cmocka_unit_test_setup(a_container_sees_the_top_alone, set_up),
        cmocka_unit_test(a_link_that_does_not_fit_fills_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

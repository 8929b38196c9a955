/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and mapping the memory of a PCI device, in trees of files that look like sysfs. */
#include "fake_sysfs.h"
#include "memory_tests.h"

#include <sys/prctl.h>

#define BYTES (UINT64_C(1) << 16)

static char root[] = "/tmp/vine-sysfs-XXXXXX";

static const struct fake_device devices[] = {
    {"0000:00:01.0", 0x8086, 0x1110, BYTES, BYTES, 0, 1},
    {"0000:00:02.0", 0x1af4, 0x1000, BYTES, BYTES, 0, 1},
    {"0000:00:04.0", 0x1af4, 0x1110, BYTES, BYTES, 1, 0},
    {"0000:00:05.0", 0x1af4, 0x1110, 2 * BYTES, 2 * BYTES, 0, 1},
    {"0000:00:06.0", 0x1af4, 0x1110, BYTES, BYTES / 2, 0, 1},
    {"0000:00:07.0", 0x1af4, 0x1110, 0, 0, 0, 1},
    {"0001:7f:1f.7", 0x1af4, 0x1110, BYTES, BYTES, 0, 1},
};

static int make_tree(void **state)
{
    (void)state;
    int error = fake_sysfs_create(root);
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]) && error == 0; i++)
        error = fake_sysfs_add(root, &devices[i]);
    return error;
}

static int remove_tree(void **state)
{
    (void)state;
    return fake_sysfs_destroy(root);
}

static struct vine__memory_options device_options(const char *name)
{
    struct vine__memory_options options = options_for(VINE__MEMORY_IVSHMEM, 0);
    options.name = name;
    options.sysfs_root = root;
    return options;
}

static void what_is_no_pci_address_is_refused(void **state)
{
    (void)state;
    const char *const names[] = {
        "0000:00:04",   "0000:00:04.8",    "0000:00:20.0",
        "../../../etc", "0000:00:04.0/..", "0000:00:04.0 ",
        "00:04.0x",     "autos",           "0",
        ":::::",        "00000:00:04.0",   "0000:000:04.0",
    };
    struct vine__memory *memory = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vine__memory_options options = device_options(names[i]);
        assert_int_equal(vine__memory_open(&options, &memory), -VINE_ECONFIG);
    }
}

static void devices_of_other_kinds_and_none_are_refused(void **state)
{
    (void)state;
    const char *const names[] = {"0000:00:01.0", "00:02.0", "00:03.0"};
    struct vine__memory *memory = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vine__memory_options options = device_options(names[i]);
        assert_int_equal(vine__memory_open(&options, &memory), -ENODEV);
    }
}

static void memory_that_is_missing_or_too_short_is_refused(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = device_options("00:06.0");
    assert_int_equal(vine__memory_open(&options, &memory), -VINE_ETRUNCATED);
    options = device_options("00:07.0");
    assert_int_equal(vine__memory_open(&options, &memory), -ENODEV);
    options = device_options("00:05.0");
    options.size_bytes = 2 * BYTES + 1;
    assert_int_equal(vine__memory_open(&options, &memory), -VINE_ETRUNCATED);
    options.size_bytes = BYTES;
    options.offset_bytes = BYTES + PAGE;
    assert_int_equal(vine__memory_open(&options, &memory), -VINE_ETRUNCATED);
    options.offset_bytes = 2 * BYTES;
    options.size_bytes = 0;
    assert_int_equal(vine__memory_open(&options, &memory), -VINE_ETRUNCATED);
}

static void a_malformed_resource_table_is_refused(void **state)
{
    (void)state;
    const char *const tables[] = {
        "",
        "\n",
        "0x0 0x0 0x0\n0x0 0x0 0x0\n",
        "0x0 0x0 0x0\n0x0 0x0 0x0\nnonsense\n",
        "0x0 0x0 0x0\n0x0 0x0 0x0\n0x2000 0x1fff 0x200\n",
        "0x0 0x0 0x0\n0x0 0x0 0x0\n0x0 0xffffffffffffffff 0x200\n",
    };
    struct fake_device device = {"0000:00:08.0", 0x1af4, 0x1110, BYTES, BYTES, 0, 1};
    struct vine__memory *memory = NULL;
    assert_int_equal(fake_sysfs_add(root, &device), 0);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        struct vine__memory_options options = device_options("00:08.0");
        assert_int_equal(fake_sysfs_put(root, device.bdf, "resource", tables[i]), 0);
        const int error = vine__memory_open(&options, &memory);
        assert_true(error == -EINVAL || error == -ENODEV);
    }
}

static void a_tree_without_devices_has_none(void **state)
{
    (void)state;
    char empty[] = "/tmp/vine-sysfs-XXXXXX";
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = device_options("auto");
    char why[256];
    options.why = why;
    options.why_size = sizeof(why);
    options.sysfs_root = empty;
    assert_int_equal(vine__memory_open(&options, &memory), -ENODEV);
    assert_int_equal(fake_sysfs_create(empty), 0);
    assert_int_equal(vine__memory_open(&options, &memory), -ENODEV);
    assert_int_equal(fake_sysfs_add(empty, &devices[0]), 0);
    assert_int_equal(vine__memory_open(&options, &memory), -ENODEV);
    assert_non_null(strstr(why, "1af4:1110"));
    assert_int_equal(fake_sysfs_destroy(empty), 0);
}

static void a_device_is_enabled_and_mapped_write_combining_if_asked_for_and_offered(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = device_options("00:04.0");
    char path[FAKE_SYSFS_PATH_MAX];
    char text[4] = "";
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    assert_int_equal(vine__memory_fence_of(memory), VINE__MEMORY_FENCE_NONE);
    vine__memory_close(memory);
    options.write_combining = true;
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    assert_int_equal(vine__memory_size(memory), BYTES);
    assert_int_equal(vine__memory_fence_of(memory), VINE__MEMORY_FENCE_STORE);
    assert_string_equal(vine__memory_label(memory), "pci:0000:00:04.0");
    vine__memory_publish_fence(memory);
    (void)snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:00:04.0/enable", root);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, 1) == 1 && text[0] == '1');
    (void)close(fd);
    vine__memory_close(memory);

    options = device_options("0000:00:05.0");
    options.write_combining = true;
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    assert_int_equal(vine__memory_fence_of(memory), VINE__MEMORY_FENCE_NONE);
    vine__memory_close(memory);
    options = device_options("0001:7f:1f.7");
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    vine__memory_close(memory);
}

static void a_device_is_found_by_the_path_of_its_memory_too(void **state)
{
    (void)state;
    const char *const wrong[] = {"00:04.0/resource0", "resource2", "00:04.0/", "00:04.9/resource2",
                                 "00:01.0/resource2/resource2"};
    char path[FAKE_SYSFS_PATH_MAX];
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = device_options(path);
    options.sysfs_root = "/nowhere";
    (void)snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:00:05.0/resource2", root);
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    assert_string_equal(vine__memory_label(memory), "pci:0000:00:05.0");
    vine__memory_close(memory);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:%s", root, wrong[i]);
        assert_int_equal(vine__memory_open(&options, &memory), -VINE_ECONFIG);
    }
    (void)snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:00:02.0/resource2", root);
    assert_int_equal(vine__memory_open(&options, &memory), -ENODEV);
}

static void auto_takes_the_first_that_is_free(void **state)
{
    (void)state;
    struct vine__memory *first = NULL;
    struct vine__memory *second = NULL;
    struct vine__memory *third = NULL;
    struct vine__memory *fourth = NULL;
    struct vine__memory_options options = device_options("auto");
    options.exclusive = true;
    assert_int_equal(vine__memory_open(&options, &first), 0);
    assert_string_equal(vine__memory_label(first), "pci:0000:00:04.0");
    assert_int_equal(vine__memory_open(&options, &second), 0);
    assert_string_equal(vine__memory_label(second), "pci:0000:00:05.0");
    assert_int_equal(vine__memory_open(&options, &third), 0);
    assert_string_equal(vine__memory_label(third), "pci:0001:7f:1f.7");
    assert_int_equal(vine__memory_open(&options, &fourth), -EBUSY);
    vine__memory_close(second);
    assert_int_equal(vine__memory_open(&options, &fourth), 0);
    assert_string_equal(vine__memory_label(fourth), "pci:0000:00:05.0");
    vine__memory_close(first);
    vine__memory_close(third);
    vine__memory_close(fourth);
}

static void the_lock_of_a_device_ends_with_its_process(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = device_options("00:05.0");
    options.exclusive = true;
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int error = vine__memory_open(&options, &memory);
        (void)!write(ready[1], error == 0 ? "1" : "0", 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, '1');
    assert_int_equal(vine__memory_open(&options, &memory), -EBUSY);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    vine__memory_close(memory);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void a_forked_child_neither_ends_the_lock_of_a_device_nor_keeps_it(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory *other = NULL;
    struct vine__memory_options options = device_options("00:05.0");
    options.exclusive = true;
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    pid_t child = fork();
    if (child == 0) {
        vine__memory_close(memory);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(vine__memory_open(&options, &other), -EBUSY);
    child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    vine__memory_close(memory);
    assert_int_equal(vine__memory_open(&options, &other), 0);
    vine__memory_close(other);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* It has all descriptors of a process that was killed. */
static void a_forked_child_that_outlives_its_parent_keeps_no_device(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = device_options("00:05.0");
    options.exclusive = true;
    int ready[2];
    int leash[2];
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(leash, O_CLOEXEC), 0);
    const pid_t parent = fork();
    if (parent == 0) {
        const int error = vine__memory_open(&options, &memory);
        (void)close(leash[1]);
        if (fork() == 0) {
            (void)!write(ready[1], error == 0 ? "1" : "0", 1);
            (void)!read(leash[0], &byte, 1);
            (void)!write(ready[1], "e", 1);
            _exit(0);
        }
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, '1');
    assert_int_equal(vine__memory_open(&options, &memory), -EBUSY);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    /* It lived until now. */
    (void)close(leash[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'e');
    vine__memory_close(memory);
    (void)close(leash[0]);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static int open_in_a_child(const struct vine__memory_options *options)
{
    struct vine__memory *memory = NULL;
    int status = 0;
    const pid_t child = fork();
    if (child == 0)
        _exit(-vine__memory_open(options, &memory));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

/* The kernel ends a process's locks of a file when the process closes any descriptor of it. */
static void nothing_that_a_process_opens_besides_ends_its_lock_of_a_device(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory *other = NULL;
    struct vine__memory_options options = device_options("00:05.0");
    struct vine__memory_options shared = options;
    options.exclusive = true;
    assert_int_equal(vine__memory_open(&options, &memory), 0);
    assert_int_equal(vine__memory_open(&options, &other), -EBUSY);
    assert_int_equal(open_in_a_child(&options), -EBUSY);
    assert_int_equal(vine__memory_open(&shared, &other), 0);
    vine__memory_close(other);
    assert_int_equal(open_in_a_child(&options), -EBUSY);
    vine__memory_close(memory);
    assert_int_equal(open_in_a_child(&options), 0);
}

static void two_trees_share_memory_as_two_guests_do(void **state)
{
    (void)state;
    char other[] = "/tmp/vine-sysfs-XXXXXX";
    struct fake_device device = {"0000:00:09.0", 0x1af4, 0x1110, BYTES, BYTES, 0, 1};
    struct vine__memory *here = NULL;
    struct vine__memory *there = NULL;
    struct vine__memory_options options = device_options("0000:00:05.0");
    assert_int_equal(fake_sysfs_create(other), 0);
    assert_int_equal(fake_sysfs_add(other, &device), 0);
    assert_int_equal(fake_sysfs_share(root, "0000:00:05.0", other, device.bdf), 0);
    options.exclusive = true;
    options.size_bytes = BYTES;
    assert_int_equal(vine__memory_open(&options, &here), 0);
    options.sysfs_root = other;
    options.name = "auto";
    options.protection = VINE__MEMORY_READ;
    assert_int_equal(vine__memory_open(&options, &there), 0);
    memcpy(vine__memory_base(here), "through the wall", 16);
    assert_memory_equal(vine__memory_base(there), "through the wall", 16);
    vine__memory_close(here);
    vine__memory_close(there);
    assert_int_equal(fake_sysfs_destroy(other), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_pci_address_is_refused),
        cmocka_unit_test(devices_of_other_kinds_and_none_are_refused),
        cmocka_unit_test(memory_that_is_missing_or_too_short_is_refused),
        cmocka_unit_test(a_malformed_resource_table_is_refused),
        cmocka_unit_test(a_tree_without_devices_has_none),
        cmocka_unit_test(a_device_is_enabled_and_mapped_write_combining_if_asked_for_and_offered),
        cmocka_unit_test(a_device_is_found_by_the_path_of_its_memory_too),
        cmocka_unit_test(auto_takes_the_first_that_is_free),
        cmocka_unit_test(the_lock_of_a_device_ends_with_its_process),
        cmocka_unit_test(a_forked_child_neither_ends_the_lock_of_a_device_nor_keeps_it),
        cmocka_unit_test(a_forked_child_that_outlives_its_parent_keeps_no_device),
        cmocka_unit_test(nothing_that_a_process_opens_besides_ends_its_lock_of_a_device),
        cmocka_unit_test(two_trees_share_memory_as_two_guests_do),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}

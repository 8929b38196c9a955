/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=keys */
/*
 * A folder of keys: one that somebody else could have written or can read is refused by name, and
 * so is what is no key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vine/error.h>

#include "harness/folder.h"
#include "unit/keys/ring_of.h"

static char folder[64];
static int folder_fd;
static char reason[KEYRING_REASON_MAX];

static void put_file(const char *name, const void *bytes, size_t size, mode_t mode)
{
    const int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int prepare(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/vine-test-keys-XXXXXX", sizeof "/tmp/vine-test-keys-XXXXXX");
    if (folder_make(folder) != 0)
        return 1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    reason[0] = '\0';
    return folder_fd >= 0 && fchmod(folder_fd, 0700) == 0 ? 0 : 1;
}

static int clear(void **state)
{
    (void)state;
    close(folder_fd); /* the folder goes with the test */
    return 0;
}

/* It is refused with this error, and the reason has these words. */
static void refused(int error, const char *words)
{
    struct keyring keyring = {0};

    assert_int_equal(keyring_read(folder_fd, &keyring, reason), error);
    if (strstr(reason, words) == NULL)
        fail_msg("it says '%s'", reason);
    assert_null(keyring.keys);
}

static const char bytes32[] = "0123456789abcdef0123456789abcdef";

static void an_empty_folder_has_no_key(void **state)
{
    (void)state;
    put_file(".hidden", bytes32, 32, 0600);
    refused(-ENOENT, "no key in it");
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
    (void)state;
    put_file("good", bytes32, 32, 0600);
    assert_int_equal(fchmod(folder_fd, 0720), 0);
    refused(-EACCES, "others may write it");
}

static void a_file_that_others_may_read_is_refused_by_name(void **state)
{
    (void)state;
    put_file("good", bytes32, 32, 0400);
    put_file("open", bytes32, 32, 0640);
    refused(-EACCES, "open: others may read");
}

static void a_file_of_somebody_else_is_refused(void **state)
{
    (void)state;
    put_file("theirs", bytes32, 32, 0600);
    if (fchownat(folder_fd, "theirs", 12345, (gid_t)-1, 0) != 0) {
        print_message("skipped: only root can give a file away\n");
        skip();
    }
    refused(-EACCES, "theirs: it belongs to user 12345");
}

static void links_and_folders_are_no_keys(void **state)
{
    (void)state;
    put_file("one", bytes32, 32, 0600);
    assert_int_equal(symlinkat("one", folder_fd, "link"), 0);
    refused(-VINE_ECONFIG, "link: a symbolic link");
    assert_int_equal(unlinkat(folder_fd, "link", 0), 0);
    assert_int_equal(mkdirat(folder_fd, "below", 0700), 0);
    refused(-VINE_ECONFIG, "below: not a regular file");
    assert_int_equal(unlinkat(folder_fd, "below", AT_REMOVEDIR), 0);
    assert_int_equal(mkfifoat(folder_fd, "fifo", 0600), 0);
    refused(-VINE_ECONFIG, "fifo: not a regular file");
    assert_int_equal(unlinkat(folder_fd, "fifo", 0), 0);
    assert_int_equal(linkat(folder_fd, "one", folder_fd, ".two", 0), 0);
    refused(-EACCES, "one: it has another name");
    assert_int_equal(unlinkat(folder_fd, ".two", 0), 0);
}

static void what_is_no_key_is_refused_and_not_shown(void **state)
{
    static const struct {
        const char *text;
        size_t size;
    } bad[] = {
        {"", 0},
        {"secret-secret-secret-secret-sec", 31},
        {"secret-secret-secret-secret-secret", 33},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeef", 63},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeegg", 64},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff ", 65},
        {"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\n", 66},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_file("bad", bad[i].text, bad[i].size, 0600);
        refused(-VINE_ECONFIG, "bad: neither 32 bytes nor 64 hexadecimal digits");
        assert_null(strstr(reason, "secret"));
        assert_null(strstr(reason, "0011"));
    }
}

static void names_are_of_few_letters_and_short(void **state)
{
    static const char *const bad[] = {
        "a b", "a\nb", "caf\xc3\xa9", "a~",
        "12345678901234567890123456789012345678901234567890123456789012345"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_file(bad[i], bytes32, 32, 0600);
        refused(-VINE_ECONFIG, "a file whose name is no key's");
        assert_int_equal(unlinkat(folder_fd, bad[i], 0), 0);
    }
}

static void keys_are_found_by_name_and_by_id(void **state)
{
    static const char name[] = "1234567890.ABCxyz_-90123456789012345678901234567890123456789-123";
    struct keyring keyring;
    uint8_t id[VINE_SEAL_ID_BYTES];

    (void)state;
    put_file("raw", bytes32, 32, 0600);
    put_file("lower", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 64, 0400);
    put_file(name, "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEE00\n", 65, 0600);
    assert_int_equal(keyring_read(folder_fd, &keyring, reason), 0);
    assert_int_equal(keyring.count, 3);
    assert_memory_equal(keyring_find(&keyring, "raw", 3)->bytes, bytes32, 32);
    assert_memory_equal(keyring_find(&keyring, "lower", 5)->bytes, "\x00\x11\x22\x33", 4);
    assert_int_equal(keyring_find(&keyring, name, sizeof name - 1)->bytes[31], 0);
    assert_int_equal(keyring_find(&keyring, "lower", 5)->bytes[31], 0xff);
    assert_null(keyring_find(&keyring, "raw\0", 4));
    assert_null(keyring_find(&keyring, "ra", 2));
    assert_null(keyring_find(&keyring, "../raw", 6));
    assert_null(keyring_find(&keyring, "", 0));
    assert_int_equal(seal_key_id((const uint8_t *)bytes32, id), 0);
    assert_ptr_equal(keyring_find_id(&keyring, id), keyring_find(&keyring, "raw", 3));
    id[15] ^= 1;
    assert_null(keyring_find_id(&keyring, id));
    keyring_free(&keyring);
}

/* By whoever may look into processes at all, ourselves first. */
static void hidden_memory_is_not_read_from_outside(void **state)
{
    uint8_t *memory = hidden_allocate(100), copy[100];
    struct iovec here = {copy, sizeof copy}, there = {memory, 100};

    (void)state;
    memset(memory, 7, 100);

    const ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);

    hidden_free(memory);
    if (got == 100) {
        print_message("skipped: this kernel has no memory that it does not read itself\n");
        skip();
    }
    assert_int_equal(got, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_folder_has_no_key, prepare, clear),
        cmocka_unit_test_setup_teardown(a_folder_that_others_may_write_is_refused, prepare, clear),
        cmocka_unit_test_setup_teardown(a_file_that_others_may_read_is_refused_by_name, prepare,
                                        clear),
        cmocka_unit_test_setup_teardown(a_file_of_somebody_else_is_refused, prepare, clear),
        cmocka_unit_test_setup_teardown(links_and_folders_are_no_keys, prepare, clear),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused_and_not_shown, prepare, clear),
        cmocka_unit_test_setup_teardown(names_are_of_few_letters_and_short, prepare, clear),
        cmocka_unit_test_setup_teardown(keys_are_found_by_name_and_by_id, prepare, clear),
        cmocka_unit_test(hidden_memory_is_not_read_from_outside),
    };

    if (keys_prepared() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * A file that is replaced as a whole or not at all, on a full disk and by who is killed; and where
 * such files are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/folder.h"
#include "vmm/server/clients.h"
#include "vmm/server/places.h"
#include "vmm/server/state_file.h"

#define LARGE_BYTES (256 * 1024)

static char folder[] = "/tmp/vine-state-XXXXXX";
static char path[64], new_path[64];

static int set_up(void **state)
{
    (void)state;
    if (folder_make(folder) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/file", folder);
    (void)snprintf(new_path, sizeof(new_path), "%s/file.new", folder);
    return 0;
}

static void put(const char *text)
{
    assert_int_equal(vine__state_file_replace(path, text, strlen(text)), 0);
}

static void expect(const char *text)
{
    char *bytes;
    size_t size;

    assert_int_equal(vine__state_file_read(path, &bytes, &size), 0);
    assert_string_equal(bytes, text);
    assert_int_equal(size, strlen(text));
    assert_int_equal(access(new_path, F_OK), -1);
    free(bytes);
}

static void what_was_put_is_read(void **state)
{
    char *bytes;
    size_t size;
    struct stat status;

    (void)state;
    (void)unlink(path);
    assert_int_equal(vine__state_file_read(path, &bytes, &size), -ENOENT);
    put("");
    expect("");
    put("one");
    expect("one");
    put("another");
    expect("another");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void what_is_no_file_is_refused(void **state)
{
    char *bytes;
    size_t size;

    (void)state;
    (void)unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(vine__state_file_read(path, &bytes, &size), -EINVAL);
    (void)unlink(path);
    assert_int_equal(vine__state_file_read(folder, &bytes, &size), -EINVAL);
    assert_int_equal(vine__state_file_replace("/tmp/no such folder/file", "x", 1), -ENOENT);
}

static void nothing_is_written_through_a_link(void **state)
{
    char victim[64];
    struct stat status;

    (void)state;
    (void)snprintf(victim, sizeof(victim), "%s/victim", folder);
    assert_int_equal(symlink(victim, new_path), 0);
    put("text");
    expect("text");
    assert_int_equal(stat(victim, &status), -1);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
}

static void what_its_writer_gives_up_leaves_the_former_one(void **state)
{
    FILE *stream;

    (void)state;
    put("former");
    assert_int_equal(vine__state_file_begin(path, &stream), 0);
    assert_true(fputs("half of", stream) >= 0);
    assert_int_equal(vine__state_file_end(path, stream, -ENOMEM), -ENOMEM);
    expect("former");
    assert_int_equal(vine__state_file_begin(path, &stream), 0);
    assert_true(fprintf(stream, "%s %d", "in", 2) > 0 && fputs(" pieces", stream) >= 0);
    assert_int_equal(vine__state_file_end(path, stream, 0), 0);
    expect("in 2 pieces");
}

/* In a process of its own, since a limit of a file's size stays. */
static void a_full_disk_leaves_the_former_one(void **state)
{
    pid_t child;
    int status;

    (void)state;
    put("former");
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
        static char large[1000];

        (void)signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                      vine__state_file_replace(path, large, sizeof(large)) == -EFBIG
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect("former");
}

/* Two texts in turn, each of one letter; a byte to who kills after each. */
static void replace_for_ever(int told)
{
    static char text[LARGE_BYTES];

    for (char letter = 'a';; letter = letter == 'a' ? 'b' : 'a') {
        memset(text, letter, LARGE_BYTES);
        if (vine__state_file_replace(path, text, letter == 'a' ? LARGE_BYTES : LARGE_BYTES / 2) !=
                0 ||
            write(told, "", 1) != 1)
            _exit(1);
    }
}

static void whoever_is_killed_leaves_one_that_is_whole(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int ends[2];
        pid_t child;
        char *bytes;
        char byte;
        size_t size;

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            replace_for_ever(ends[1]);
        (void)close(ends[1]);
        for (int i = 0; i <= round % 5; i++)
            assert_int_equal(read(ends[0], &byte, 1), 1);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        (void)close(ends[0]);
        assert_int_equal(vine__state_file_read(path, &bytes, &size), 0);
        assert_true(size == (bytes[0] == 'a' ? LARGE_BYTES : LARGE_BYTES / 2));
        for (size_t at = 1; at < size; at++)
            assert_true(bytes[at] == bytes[0]);
        free(bytes);
    }
    put("the next one");
    expect("the next one");
}

static json_t *load(char why[VINE__STATE_FILE_WHY_BYTES])
{
    return vine__state_file_load(path, 1, "vms", why);
}

static void what_is_none_of_ours_is_set_aside(void **state)
{
    static const char *const texts[] = {"", "{\"version\": 1}", "{\"version\": 2, \"vms\": []}",
                                        "{\"version\": 1, \"vms\": [], \"vms\": []}"};
    char why[VINE__STATE_FILE_WHY_BYTES], aside[100];
    json_t *root;

    (void)state;
    (void)unlink(path);
    assert_null(load(why));
    assert_string_equal(why, "");
    put("{\"version\": 1, \"vms\": [7]}");
    root = load(why);
    assert_int_equal(json_array_size(json_object_get(root, "vms")), 1);
    assert_string_equal(why, "");
    json_decref(root);
    /* Each stays, but for the last of many. */
    for (int i = 1; i <= 12; i++) {
        put(texts[i % 4]);
        assert_null(load(why));
        if (i == 1)
            (void)snprintf(aside, sizeof(aside), "; it is kept as %s.bad", path);
        else
            (void)snprintf(aside, sizeof(aside), "; it is kept as %s.bad%d", path, i < 9 ? i : 9);
        assert_string_equal(strstr(why, "; it is"), aside);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(access(strrchr(aside, ' ') + 1, F_OK), 0);
    }
    /* Nor is one that cannot be read an empty one. */
    assert_int_equal(mkdir(path, 0700), 0);
    assert_null(load(why));
    assert_true(why[0] != '\0');
    assert_int_equal(rmdir(path), 0);
}

static void clients_are_kept(void **state)
{
    struct vine__clients clients = {.count = 0}, again;
    struct vine__client client = {.name = "alice", .path = "/run/vine/alice", .mode = 0660};
    char why[VINE__CLIENTS_WHY_BYTES] = "", *text;

    (void)state;
    (void)unlink(path);
    assert_int_equal(vine__clients_load(path, &again, why), 0);
    assert_int_equal(again.count, 0);
    assert_int_equal(vine__clients_add(&clients, &client, why), 0);
    text = vine__clients_print_file(&clients);
    assert_int_equal(vine__state_file_replace(path, text, strlen(text)), 0);
    free(text);
    assert_int_equal(vine__clients_load(path, &again, why), 0);
    assert_int_equal(again.count, 1);
    assert_int_equal(again.all[0]->mode, 0660);
    vine__clients_fini(&again);
    vine__clients_fini(&clients);
    put("{\"version\":1");
    assert_int_equal(vine__clients_load(path, &again, why), -EINVAL);
    assert_non_null(strstr(why, path));
    assert_int_equal(vine__clients_load(folder, &again, why), -EINVAL);
    assert_non_null(strstr(why, folder));
}

static void places_are_roots_or_a_users(void **state)
{
    struct vine__places places;

    (void)state;
    assert_int_equal(vine__places_find(true, &places), 0);
    assert_string_equal(places.configuration, "/etc/vine/server.conf");
    assert_string_equal(places.state, "/var/lib/vine");
    assert_string_equal(places.runtime, "/run/vine");

    (void)setenv("HOME", "/home/alice", 1);
    (void)unsetenv("XDG_CONFIG_HOME");
    (void)unsetenv("XDG_STATE_HOME");
    (void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    assert_int_equal(vine__places_find(false, &places), 0);
    assert_string_equal(places.configuration, "/home/alice/.config/vine/server.conf");
    assert_string_equal(places.state, "/home/alice/.local/state/vine");
    assert_string_equal(places.runtime, "/run/user/7/vine");

    (void)setenv("XDG_CONFIG_HOME", "/c", 1);
    (void)setenv("XDG_STATE_HOME", "/s", 1);
    (void)unsetenv("HOME");
    assert_int_equal(vine__places_find(false, &places), 0);
    assert_string_equal(places.configuration, "/c/vine/server.conf");
    assert_string_equal(places.state, "/s/vine");

    (void)setenv("XDG_STATE_HOME", "relative", 1);
    assert_int_equal(vine__places_find(false, &places), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_read),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(nothing_is_written_through_a_link),
        cmocka_unit_test(what_its_writer_gives_up_leaves_the_former_one),
        cmocka_unit_test(a_full_disk_leaves_the_former_one),
        cmocka_unit_test(whoever_is_killed_leaves_one_that_is_whole),
        cmocka_unit_test(what_is_none_of_ours_is_set_aside),
        cmocka_unit_test(clients_are_kept),
        cmocka_unit_test(places_are_roots_or_a_users),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}

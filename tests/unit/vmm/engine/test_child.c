/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * A child becomes what it should once its parent has noted it; or it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/folder.h"
#include "vmm/engine/child.h"

static char folder[] = "/tmp/vine-child-XXXXXX";
static char mark[64]; /* which it makes when it has become what it should */

static struct vine__child_options options_for(int (*is_there)(void *context, pid_t pid),
                                              void *context)
{
    static char touch[] = "touch";
    static char *words[] = {touch, mark, NULL};

    (void)snprintf(mark, sizeof(mark), "%s/mark", folder);
    (void)unlink(mark);
    return (struct vine__child_options){.words = words, .is_there = is_there, .context = context};
}

static bool has_become(void)
{
    return access(mark, F_OK) == 0;
}

static int note(void *context, pid_t pid)
{
    *(pid_t *)context = pid;
    assert_false(has_become());
    return 0;
}

static void one_that_was_noted_goes_on(void **state)
{
    struct vine__child child;
    pid_t noted = 0;
    const struct vine__child_options options = options_for(note, &noted);

    (void)state;
    assert_int_equal(vine__child_start(&options, &child), 0);
    assert_int_equal(child.pid, noted);
    while (!vine__child_reap(&child))
        (void)poll(&(struct pollfd){.fd = child.pidfd, .events = POLLIN}, 1, -1);
    assert_true(has_become());
    vine__child_close(&child);
}

static int refuse(void *context, pid_t pid)
{
    *(pid_t *)context = pid;
    return -ENOSPC;
}

static void one_that_cannot_be_noted_is_not_there(void **state)
{
    struct vine__child child;
    pid_t refused = 0;
    const struct vine__child_options options = options_for(refuse, &refused);

    (void)state;
    assert_int_equal(vine__child_start(&options, &child), -ENOSPC);
    assert_int_equal(waitpid(refused, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_false(has_become());
}

static int end_at_once(void *context, pid_t pid)
{
    (void)context;
    (void)pid;
    _exit(0);
}

static void one_whose_parent_ends_meanwhile_ends_too(void **state)
{
    const struct vine__child_options options = options_for(end_at_once, NULL);
    struct vine__child child;
    int ends[2];
    char byte;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    const pid_t parent = fork();

    assert_true(parent >= 0);
    if (parent == 0)
        _exit(vine__child_start(&options, &child) != 0);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* both are gone */
    assert_int_equal(close(ends[0]), 0);
    assert_false(has_become());
}

/* ---- what another user may read -------------------------------------------------------------- */

#define NOBODY 65534

static int look(const char *path, char closed[64])
{
    return vine__child_may_read(NOBODY, NOBODY, path, closed, 64);
}

static void what_is_closed_to_its_user_is_named(void **state)
{
    char inner[64], file[96], closed[64] = "";

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root can be another user\n");
        skip();
    }
    (void)snprintf(inner, sizeof(inner), "%s/inner", folder);
    (void)snprintf(file, sizeof(file), "%s/kernel", inner);
    assert_int_equal(mkdir(inner, 0755), 0);
    FILE *const kernel = fopen(file, "we");

    assert_non_null(kernel);
    assert_int_equal(fclose(kernel), 0);
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(look(file, closed), -EACCES);
    assert_string_equal(closed, folder);
    assert_int_equal(chmod(folder, 0711), 0);
    assert_int_equal(chmod(inner, 0700), 0);
    assert_int_equal(look(file, closed), -EACCES);
    assert_string_equal(closed, inner);
    assert_int_equal(chmod(inner, 0711), 0);
    assert_int_equal(look(file, closed), -EACCES);
    assert_string_equal(closed, file);
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(look(file, closed), 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(look(file, closed), 0); /* who opens it says so */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_was_noted_goes_on),
        cmocka_unit_test(one_that_cannot_be_noted_is_not_there),
        cmocka_unit_test(one_whose_parent_ends_meanwhile_ends_too),
        cmocka_unit_test(what_is_closed_to_its_user_is_named),
    };

    if (folder_make(folder) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

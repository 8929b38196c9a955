/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime */
/*
 * Which pools come back: what was written is read the same, and nothing of what is bad is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/folder.h"
#include "vmm/server/pools_file.h"
#include "vmm/server/state_file.h"

static char folder[] = "/tmp/vine-pools-XXXXXX";
static char path[64];
static char why[VINE__POOL_PATHS_WHY_BYTES];

static void write_text(const char *text)
{
    FILE *const file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void what_was_written_is_read_the_same(void **state)
{
    struct vine__pool_paths paths = {.count = 0}, again;
    char *text;

    (void)state;
    assert_int_equal(vine__pool_paths_load(path, &again, why), 0);
    assert_int_equal(again.count, 0);
    assert_int_equal(vine__pool_paths_add(&paths, "/srv/pools/farm"), 0);
    assert_int_equal(vine__pool_paths_add(&paths, "/srv/\"odd\" \n/x y"), 0);
    assert_int_equal(vine__pool_paths_add(&paths, "/srv/pools/farm"), 0);
    assert_int_equal(paths.count, 2);
    text = vine__pool_paths_print(&paths);
    assert_int_equal(vine__state_file_replace(path, text, strlen(text)), 0);
    free(text);
    assert_int_equal(vine__pool_paths_load(path, &again, why), 0);
    assert_int_equal(again.count, 2);
    assert_string_equal(again.all[1], "/srv/\"odd\" \n/x y");
    vine__pool_paths_remove(&again, "/srv/pools/other");
    vine__pool_paths_remove(&again, "/srv/pools/farm");
    assert_int_equal(again.count, 1);
    assert_string_equal(again.all[0], paths.all[1]);
    vine__pool_paths_fini(&again);
    vine__pool_paths_fini(&paths);
}

static void there_are_no_more_than_may_be(void **state)
{
    struct vine__pool_paths paths = {.count = 0};
    char text[32];

    (void)state;
    for (int i = 0; i < VINE__POOL_PATHS_MAX; i++) {
        (void)snprintf(text, sizeof(text), "/p/%d", i);
        assert_int_equal(vine__pool_paths_add(&paths, text), 0);
    }
    assert_int_equal(vine__pool_paths_add(&paths, "/p/more"), -ENOSPC);
    vine__pool_paths_fini(&paths);
}

static void nothing_of_a_bad_file_is_taken(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", ":1: "},
        {"{\"version\": 1, \"pools\": [", ":1: "},
        {"{\"version\": 2, \"pools\": []}", "version: it is not 1"},
        {"{\"version\": 1, \"pools\": {}}", "pools: it is a list"},
        {"{\"version\": 1, \"pools\": [], \"more\": 1}", "more"},
        {"{\"version\": 1, \"version\": 1, \"pools\": []}", "duplicate"},
        {"{\"version\": 1, \"pools\": [\"/a/b\", 7]}", "pools[1]: it is an absolute"},
        {"{\"version\": 1, \"pools\": [\"a/b\"]}", "pools[0]: it is an absolute"},
        {"{\"version\": 1, \"pools\": [\"/a/..\"]}", "pools[0]: it is an absolute"},
        {"{\"version\": 1, \"pools\": [\"/a: b/c\"]}", "pools[0]: it is an absolute"},
    };
    struct vine__pool_paths paths;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_text(bad[i].text);
        assert_int_equal(vine__pool_paths_load(path, &paths, why), -EINVAL);
        if (strstr(why, bad[i].why) == NULL)
            fail_msg("%s: `%s` has no `%s`", bad[i].text, why, bad[i].why);
    }
}

static int begin(void **state)
{
    (void)state;
    if (folder_make(folder) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/pools.json", folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_the_same),
        cmocka_unit_test(there_are_no_more_than_may_be),
        cmocka_unit_test(nothing_of_a_bad_file_is_taken),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}

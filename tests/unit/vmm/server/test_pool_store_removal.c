/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=200 */
/*
 * What was taken out of a VM that is removed, and what a server that was killed has left of it.
 */
#include "pool_world.h"

/* As a server leaves it that was killed between two of the things that a removal is. */
static void set_going(const char *uid)
{
    char command[2 * PATH_MAX];

    (void)snprintf(command, sizeof(command),
                   "sed -i 's/\"going\": false/\"going\": true/' %s/machines/%s/taken.json",
                   pool_world.state, uid);
    assert_int_equal(system(command), 0);
}

/* By somebody else, while no store has it. */
static void remove_offline(const char *vm)
{
    struct vine__problem problem = {.text = ""};
    const struct vine__pool_contents *contents;
    struct vine__pool_change *change;
    struct vine__pool *pool;
    char path[PATH_MAX];

    pool_file("farm", "json", path);
    assert_int_equal(truncate(path, 0), 0);
    write_to(path, "{\"version\": 1}", 14, 0); /* without the link to it */
    assert_int_equal(vine__pool_open(pool_world.folder, "farm", VINE__POOL_OWN, &pool, &problem),
                     0);
    assert_int_equal(vine__pool_mount(pool, NULL, &problem), 0);
    assert_int_equal(vine__pool_load(pool, &contents, &problem), 0);
    assert_int_equal(vine__pool_change_begin(pool, &change, &problem), 0);
    pool_step(change, vine__pool_change_remove(change, vm, &problem), &problem);
    pool_step(change, vine__pool_change_end(change, true, &problem), &problem);
    vine__pool_close(pool);
}

static void what_was_taken_out_of_one_that_is_removed_goes_behind_it(void **state)
{
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("app")->uid);
    write_to(boot->disks[0].path, "written", 7, 0);
    close_store();
    /* The pool has it still: it is not removed, and its disks are its own. */
    set_going(boot->uid);
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_true(vm_named("app")->facts.is_taken_out);
    assert_true(begins_with(boot->disks[0].path, "written"));
    close_store();
    /* Nobody has told this server to remove it. */
    remove_offline("app");
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_true(begins_with(boot->disks[0].path, "written"));
    close_store();
    set_going(boot->uid);
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_false(is_there(boot->kernel));
    vine__boot_free(boot);
}

static void what_was_not_written_down_goes_when_the_next_one_begins(void **state)
{
    struct vine__boot *boot;
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("app")->uid);
    close_store();
    open_store();
    assert_true(is_there(boot->kernel));
    close_store();
    /* Whichever pool had it, and whether it is ever opened again. */
    (void)snprintf(path, sizeof(path), "%s/machines/%s/taken.json", pool_world.state, boot->uid);
    assert_int_equal(unlink(path), 0);
    *strrchr(path, '/') = '\0';
    open_store();
    assert_false(is_there(path));
    vine__boot_free(boot);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_world_begin, pool_world_end)
    const struct CMUnitTest tests[] = {
        TEST(what_was_taken_out_of_one_that_is_removed_goes_behind_it),
        TEST(what_was_not_written_down_goes_when_the_next_one_begins),
    };

    if (!has_pool_tools())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

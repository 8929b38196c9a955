/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * Files of state on a disk that takes as long as the test wants: the last text is what stays, who
 * waits is told when it is there, and nobody else waits.
 */
#include "held_disk.h"
#include "service_world.h"

#include <sys/stat.h>
#include <sys/syscall.h>

/* ---- the disk -------------------------------------------------------------------------------- */

static uint32_t file_count; /* that were flushed, since it was held */

/* In the place of the system's. */
int fsync(int fd)
{
    struct stat status;

    stand_still(-1);
    file_count += fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    return (int)syscall(SYS_fsync, fd);
}

/* ---- files ----------------------------------------------------------------------------------- */

#define SAVINGS 4

static struct vine__saver *saver;
static struct vine__saved_file file;
static struct vine__saving savings[SAVINGS];
static int told[SAVINGS]; /* in this order */
static uint32_t told_count, end_count;
static const struct vine__saving *order[SAVINGS];

static void is_told(struct vine__saving *saving, int error)
{
    assert_true(told_count < SAVINGS);
    order[told_count] = saving;
    told[told_count++] = error;
}

static void is_ended(void *context)
{
    (void)context;
    end_count++;
}

static void end_saver(void)
{
    const uint32_t before = end_count;

    vine__saver_destroy(saver, is_ended, NULL);
    until(end_count > before);
}

static int begin(void **state)
{
    if (world_begin(state) != 0)
        return -1;
    told_count = 0;
    for (uint32_t i = 0; i < SAVINGS; i++)
        savings[i].done = is_told;
    return 0;
}

static void begin_files(const struct world *world)
{
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    assert_int_equal(vine__saver_create(&saver), 0);
    vine__saved_file_init(&file, saver, world->clients_path);
}

static void end_files(void)
{
    end_saver();
    vine__mesh_open_to_aliens(NULL);
    close_cores();
}

static void file_says(const char *text)
{
    char *bytes;
    size_t size;

    assert_int_equal(vine__state_file_read(file.path, &bytes, &size), 0);
    assert_string_equal(bytes, text);
    free(bytes);
}

static void the_last_text_stays_and_all_who_wait_are_told(void **state)
{
    begin_files(*state);
    file_count = 0;
    hold_disk();
    vine__save(&file, strdup("first"), &savings[0]);
    await_held();
    vine__save(&file, strdup("second"), &savings[1]);
    vine__save(&file, strdup("third"), NULL);
    vine__save(&file, strdup("last"), &savings[2]);
    step_all();
    assert_int_equal(told_count, 0);
    let_disk_go_on();
    until(told_count == 3);
    for (uint32_t i = 0; i < told_count; i++)
        assert_true(order[i] == &savings[i] && told[i] == 0);
    file_says("last");
    assert_int_equal(file_count, 2);
    end_files();
}

/* It takes back what it has changed. */
static void is_taken_back(struct vine__saving *saving, int error)
{
    is_told(saving, error);
    if (error != 0)
        vine__save(&file, strdup("without it"), NULL);
}

static void what_cannot_be_written_is_told_and_may_be_taken_back(void **state)
{
    const char *const path = ((const struct world *)*state)->clients_path;

    begin_files(*state);
    file.path = "/nowhere/file";
    savings[0].done = is_taken_back;
    vine__save(&file, strdup("with it"), &savings[0]);
    file.path = path;
    vine__save(&file, strdup("with it and more"), &savings[1]);
    assert_int_equal(told_count, 0);
    until(told_count == 2);
    assert_int_equal(told[0], -ENOENT);
    assert_int_equal(told[1], 0);
    file_says("without it");
    vine__save(&file, NULL, &savings[2]); /* there was no memory for it */
    until(told_count == 3);
    assert_int_equal(told[2], -ENOMEM);
    file_says("without it");
    end_files();
}

static void what_was_handed_over_is_written_before_the_end(void **state)
{
    begin_files(*state);
    hold_disk();
    vine__save(&file, strdup("first"), &savings[0]);
    await_held();
    vine__save(&file, strdup("second"), &savings[1]);
    end_count = 0;
    vine__saved_file_close(&file, is_ended, NULL);
    vine__save(&file, strdup("too late"), &savings[2]);
    assert_int_equal(told_count + end_count, 0);
    let_disk_go_on();
    until(end_count == 1);
    until(told_count == 3);
    file_says("second");
    for (uint32_t i = 0; i < told_count; i++)
        assert_int_equal(told[i], order[i] == &savings[2] ? -ESHUTDOWN : 0);
    end_files();
}

/* ---- a server -------------------------------------------------------------------------------- */

static void others_are_answered_while_a_write_is_held(void **state)
{
    struct world *const world = *state;
    char uid[VINE__CLIENT_UID_BYTES];
    int alice, other;

    open_server(world, NULL);
    vine__mesh_open_to_aliens(stepped.mesh);
    assert_int_equal(vine__saver_create(&saver), 0);
    vine__saved_file_init(&world->registry.clients_file, saver, world->clients_path);
    alice = connect_as(world, "alice");
    other = connect_as(world, "alice");
    make_one(alice, uid);
    hold_disk();
    say(alice, "6,1\n3,new\n");
    while (!is_disk_held())
        turn();
    say_of(other, "11,1\n32,%s\n", uid);
    expect(other, "11,1\n0\n3,off\n0,\n0,\n0\n");
    say(other, "6,1\n3,app\n");
    expect_silence(other);
    expect_silence(alice);
    assert_int_equal(world->registry.count, 1);
    let_disk_go_on();
    (void)hear(alice, strlen("6,1\n32,") + 33);
    (void)hear(other, strlen("6,1\n32,") + 33);
    assert_int_equal(world->registry.count, 3);
    close(alice);
    close(other);
    end_saver();
    vine__mesh_open_to_aliens(NULL);
    close_server();
    world->registry.clients_file.saver = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(the_last_text_stays_and_all_who_wait_are_told),
        TEST(what_cannot_be_written_is_told_and_may_be_taken_back),
        TEST(what_was_handed_over_is_written_before_the_end),
        TEST(others_are_answered_while_a_write_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

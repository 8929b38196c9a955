/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=200 */
/*
 * Work at pools that takes long, on a disk that stands still: what waits for it, and what does not.
 */
#include "pool_world.h"

#include <pthread.h>
#include <sys/syscall.h>

/* A disk on which the next sync stands still, or the closing of a file, until it is let go on. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_shut, is_held;
    int closing_fd; /* -1: a sync */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .closing_fd = -1};

static void stand_still(int closing_fd)
{
    (void)pthread_mutex_lock(&disk.lock);
    if (disk.is_shut && !disk.is_held && disk.closing_fd == closing_fd) {
        disk.is_held = true;
        (void)pthread_cond_broadcast(&disk.changed);
        while (disk.is_shut)
            (void)pthread_cond_wait(&disk.changed, &disk.lock);
    }
    (void)pthread_mutex_unlock(&disk.lock);
}

/* In the place of the system's. */
int fdatasync(int fd)
{
    stand_still(-1);
    return (int)syscall(SYS_fdatasync, fd);
}

int close(int fd)
{
    stand_still(fd);
    return (int)syscall(SYS_close, fd);
}

static void hold_closing(int fd)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.closing_fd = fd;
    disk.is_held = false;
    disk.is_shut = true;
    (void)pthread_mutex_unlock(&disk.lock);
}

static void hold_disk(void)
{
    hold_closing(-1);
}

static void await_held(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    while (!disk.is_held)
        (void)pthread_cond_wait(&disk.changed, &disk.lock);
    (void)pthread_mutex_unlock(&disk.lock);
}

static void let_disk_go_on(void)
{
    (void)pthread_mutex_lock(&disk.lock);
    disk.is_shut = false;
    (void)pthread_cond_broadcast(&disk.changed);
    (void)pthread_mutex_unlock(&disk.lock);
}

static void is_created(struct vine__vm_store_work *work)
{
    pool_done_count++;
    vine__vm_facts_fini(&work->facts);
}

static void work_at_one_pool_waits_for_no_other(void **state)
{
    struct vine__vm_store_work held = creation("farm", "alice.held");
    struct vine__vm_store_work last = creation("farm", "alice.last");
    struct vine__vm_store_work other = creation("other", "alice.new");
    struct vine__pool_work listing = {.done = pool_work_is_done};
    char why[VINE__PROBLEM_BYTES];

    (void)state;
    pool_make("other");
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    pool_done_count = 0;
    hold_disk();
    held.done = is_created;
    pool_world.store->begin(pool_world.store, &held);
    await_held();
    /* Another one is opened, changed and closed, and one that is not there is told. */
    assert_int_equal(open_pool("other", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(do_vm(&other), VINE_SERVER_E_DONE);
    vine__vm_facts_fini(&other.facts);
    assert_int_equal(close_pool("other", why), VINE_SERVER_E_DONE);
    assert_int_equal(do_vm(&other), VINE_SERVER_E_FAILED);
    assert_string_equal(other.why, "the pool of this client is not open");
    assert_int_equal(pool_done_count, 4);
    /* What is asked of the held one comes behind that, in its order. */
    last.done = is_created;
    pool_world.store->begin(pool_world.store, &last);
    step_all();
    assert_int_equal(pool_done_count, 4);
    /* How it was is told at once. */
    vine__pool_store_list(pool_world.store, &pool_world.registry, &listing);
    until(pool_done_count == 5);
    assert_int_equal(listing.pool_count, 1);
    assert_int_equal(listing.pools[0].vm_count, 2);
    vine__pool_states_free(listing.pools, listing.pool_count);
    let_disk_go_on();
    until(pool_done_count == 7);
    assert_int_equal(held.error, VINE_SERVER_E_DONE);
    assert_int_equal(last.error, VINE_SERVER_E_DONE);
    listing = list_pools();
    assert_int_equal(listing.pools[0].vm_count, 4);
    vine__pool_states_free(listing.pools, listing.pool_count);
    assert_true(pool_is_clean("farm"));
}

/* It frees gigabytes, perhaps. */
static void core_0_does_not_close_what_was_uploaded(void **state)
{
    struct vine__vm_store_work put = {
        .task = VINE__VM_PUT, .done = is_created, .pool = "farm", .upload = VINE__UPLOAD_KERNEL};

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    put.uid = vm_named("zip")->uid;
    put.size_bytes = KERNEL_BYTES;
    put.fd = file_with("a kernel", put.size_bytes);
    pool_done_count = 0;
    hold_closing(put.fd);
    pool_world.store->begin(pool_world.store, &put);
    await_held();
    step_all();
    let_disk_go_on();
    until(pool_done_count == 1);
    assert_int_equal(put.error, VINE_SERVER_E_DONE);
}

static void a_pool_is_opened_again_behind_its_closing(void **state)
{
    struct vine__vm_store_work held = creation("farm", "alice.held");
    struct vine__pool_work closing = {.done = pool_work_is_done, .name = "farm"};
    struct vine__pool_work opening = {
        .done = pool_work_is_done, .folder = pool_world.folder, .name = "farm"};

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    pool_done_count = 0;
    hold_disk();
    held.done = is_created;
    pool_world.store->begin(pool_world.store, &held);
    await_held();
    vine__pool_store_close(pool_world.store, &pool_world.registry, &closing);
    vine__pool_store_open(pool_world.store, &pool_world.registry, &opening);
    let_disk_go_on();
    until(pool_done_count == 3);
    assert_int_equal(closing.error, VINE_SERVER_E_DONE);
    assert_int_equal(opening.error, VINE_SERVER_E_DONE);
    assert_int_equal(pool_world.registry.count, 3);
}

static void what_was_asked_is_done_before_the_store_ends(void **state)
{
    struct vine__vm_store_work held = creation("farm", "alice.held");
    struct vine__pool_work opening = {
        .done = pool_work_is_done, .folder = pool_world.folder, .name = "farm"};
    struct vine__pool_work listing = {.done = pool_work_is_done};

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    pool_done_count = 0;
    hold_disk();
    held.done = is_created;
    pool_world.store->begin(pool_world.store, &held);
    await_held();
    vine__pool_store_open(pool_world.store, &pool_world.registry, &opening);
    vine__pool_store_list(pool_world.store, &pool_world.registry, &listing);
    pool_world.closed_count = 0;
    vine__pool_store_destroy(pool_world.store, store_is_closed, &pool_world);
    let_disk_go_on();
    until(pool_world.closed_count == 1);
    assert_int_equal(pool_done_count, 3);
    assert_int_equal(held.error, VINE_SERVER_E_DONE);
    assert_int_equal(opening.error, VINE_SERVER_E_EXISTS);
    assert_int_equal(listing.pool_count, 1);
    vine__pool_states_free(listing.pools, listing.pool_count);
    vine__registry_fini(&pool_world.registry);
    vine__mesh_open_to_aliens(NULL);
    close_cores();
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(pool_world.registry.count, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_world_begin, pool_world_end)
    const struct CMUnitTest tests[] = {
        TEST(work_at_one_pool_waits_for_no_other),
        TEST(core_0_does_not_close_what_was_uploaded),
        TEST(a_pool_is_opened_again_behind_its_closing),
        TEST(what_was_asked_is_done_before_the_store_ends),
    };

    if (!has_pool_tools())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

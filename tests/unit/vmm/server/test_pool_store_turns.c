/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=200 */
/*
 * Work at pools that takes long, on a disk that stands still: what waits for it, and what does not.
 */
#include "held_disk.h"
#include "pool_world.h"

#include <sys/syscall.h>

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

/* Else its VMs would come when it has gone. */
static void a_pool_is_not_closed_while_it_is_opened(void **state)
{
    struct vine__pool_work opening = {
        .done = pool_work_is_done, .folder = pool_world.folder, .name = "farm"};
    struct vine__pool_work closing = {.done = pool_work_is_done, .name = "farm"};
    char why[VINE__PROBLEM_BYTES];

    (void)state;
    pool_done_count = 0;
    vine__pool_store_open(pool_world.store, &pool_world.registry, &opening);
    vine__pool_store_close(pool_world.store, &pool_world.registry, &closing);
    until(pool_done_count == 2);
    assert_int_equal(opening.error, VINE_SERVER_E_DONE);
    assert_int_equal(closing.error, VINE_SERVER_E_BUSY);
    assert_int_equal(pool_world.registry.count, 2);
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_DONE);
    assert_int_equal(pool_world.registry.count, 0);
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

/* ---- work at one pool that takes long -------------------------------------------------------- */

#define LONG_BYTES (UINT64_C(20) << 20) /* more than is done at a time */

/* No two blocks of it are the same, and most of it is holes. */
static void fill_long(int fd, char seed)
{
    static char block[4096];

    assert_int_equal(ftruncate(fd, (off_t)LONG_BYTES), 0);
    for (off_t at = 0; at < (off_t)LONG_BYTES; at += 1 << 17) {
        memset(block, seed, sizeof(block));
        memcpy(block, &at, sizeof(at));
        assert_int_equal(pwrite(fd, block, sizeof(block), at), (ssize_t)sizeof(block));
    }
}

static void assert_long(const char *path, char seed)
{
    static char block[4096], found[4096];

    for (off_t at = 0; at < (off_t)LONG_BYTES; at += 1 << 17) {
        memset(block, seed, sizeof(block));
        memcpy(block, &at, sizeof(at));
        read_from(path, found, sizeof(found), at);
        assert_memory_equal(found, block, sizeof(block));
        memset(block, 0, sizeof(block));
        read_from(path, found, sizeof(found), at + (1 << 16));
        assert_memory_equal(found, block, sizeof(block));
    }
}

static const struct vine__vm_store_work *done_works[8];
static uint32_t done_work_count;

static void is_done_in_order(struct vine__vm_store_work *work)
{
    done_works[done_work_count++] = work;
    vine__vm_facts_fini(&work->facts);
}

static struct vine__vm_store_work creation_in_order(const char *name)
{
    struct vine__vm_store_work work = creation("farm", name);

    work.done = is_done_in_order;
    return work;
}

static struct vine__vm_store_work put_of(const char *vm, enum vine__vm_upload upload, int fd,
                                         uint64_t size_bytes)
{
    return (struct vine__vm_store_work){.task = VINE__VM_PUT,
                                        .done = is_done_in_order,
                                        .uid = vm_named(vm)->uid,
                                        .pool = "farm",
                                        .upload = upload,
                                        .fd = fd,
                                        .size_bytes = size_bytes};
}

static void begin(struct vine__vm_store_work *work)
{
    pool_world.store->begin(pool_world.store, work);
}

/* While a disk is put into a pool others are made and changed, and get no block of it. */
static void let_others_go_on(void)
{
    struct vine__vm_store_work make = creation_in_order("alice.new");
    struct vine__vm_store_work root, kernel;
    struct vine__pool_work listing;
    struct vine__boot *boot;
    const int fd = file_with("", 0);

    fill_long(fd, 'l');
    root = put_of("zip", VINE__UPLOAD_DISK, fd, LONG_BYTES);
    kernel = put_of("app", VINE__UPLOAD_KERNEL, file_with("kernel of another", KERNEL_BYTES),
                    KERNEL_BYTES);
    done_work_count = 0;
    hold_disk();
    begin(&root);
    await_held();
    /* The first piece is there. Whoever is killed now leaves the pool as it was. */
    assert_true(pool_is_clean("farm"));
    begin(&make);
    begin(&kernel);
    let_disk_go_on();
    until(done_work_count == 3);
    assert_ptr_equal(done_works[0], &make);
    assert_ptr_equal(done_works[1], &kernel);
    assert_ptr_equal(done_works[2], &root);
    assert_int_equal(make.error, VINE_SERVER_E_DONE);
    assert_int_equal(kernel.error, VINE_SERVER_E_DONE);
    assert_int_equal(root.error, VINE_SERVER_E_DONE);
    assert_true(pool_is_clean("farm"));
    listing = list_pools();
    assert_int_equal(listing.pools[0].finding_count, 0);
    vine__pool_states_free(listing.pools, listing.pool_count);
    boot = take_out(vm_named("zip")->uid);
    assert_long(boot->disks[0].path, 'l');
    vine__boot_free(boot);
    boot = take_out(vm_named("app")->uid);
    assert_true(begins_with(boot->kernel, "kernel of another"));
    assert_true(begins_with(boot->disks[0].path, "as it was"));
    vine__boot_free(boot);
}

static void what_takes_long_lets_the_rest_of_its_pool_go_on(void **state)
{
    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    let_others_go_on();
}

/* It is not mounted meanwhile, and is when all of that is done. */
static void what_takes_long_lets_the_rest_of_a_mounted_pool_go_on(void **state)
{
    char point[PATH_MAX / 2], path[PATH_MAX], why[VINE__PROBLEM_BYTES];

    (void)state;
    if (!open_mounted(point))
        return;
    (void)snprintf(path, sizeof(path), "%s/vms.json", point);
    assert_true(is_there(path));
    let_others_go_on();
    assert_true(is_there(path));
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_DONE);
    assert_false(is_there(path));
    assert_true(pool_is_clean("farm"));
}

/* So does what is taken out, and put back. */
static void a_disk_on_its_way_out_or_back_lets_the_rest_of_its_pool_go_on(void **state)
{
    struct vine__vm_store_work out = {
        .task = VINE__VM_TAKE_OUT, .done = is_done_in_order, .pool = "farm"};
    struct vine__vm_store_work back = {
        .task = VINE__VM_PUT_BACK, .done = is_done_in_order, .pool = "farm"};
    struct vine__vm_store_work one = creation_in_order("alice.one");
    struct vine__vm_store_work two = creation_in_order("alice.two");
    struct vine__vm_store_work root;
    const int fd = file_with("", 0);
    int written;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    fill_long(fd, 'o');
    root = put_of("zip", VINE__UPLOAD_DISK, fd, LONG_BYTES);
    out.uid = back.uid = root.uid;
    done_work_count = 0;
    begin(&root);
    until(done_work_count == 1);
    hold_disk();
    begin(&out);
    await_held();
    begin(&one);
    let_disk_go_on();
    until(done_work_count == 3);
    assert_ptr_equal(done_works[1], &one);
    assert_int_equal(out.error, VINE_SERVER_E_DONE);
    assert_long(out.boot->disks[0].path, 'o');
    written = open(out.boot->disks[0].path, O_RDWR | O_CLOEXEC);
    assert_true(written >= 0);
    fill_long(written, 'b');
    close(written);
    hold_disk();
    begin(&back);
    await_held();
    begin(&two);
    let_disk_go_on();
    until(done_work_count == 5);
    assert_ptr_equal(done_works[3], &two);
    assert_int_equal(back.error, VINE_SERVER_E_DONE);
    assert_false(is_there(out.boot->disks[0].path));
    vine__boot_free(out.boot);
    assert_true(pool_is_clean("farm"));
    out.boot = take_out(vm_named("zip")->uid);
    assert_long(out.boot->disks[0].path, 'b');
    vine__boot_free(out.boot);
}

/* Two that come at once do not fit: one is told so, and the other has its room. */
static void what_is_on_its_way_and_finds_no_room_leaves_the_others_theirs(void **state)
{
    static char noise[1 << 20];
    struct vine__vm_store_work works[2];
    const int fds[] = {file_with("", 0), file_with("", 0)};

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    memset(noise, 'n', sizeof(noise));
    for (int i = 0; i < 2; i++)
        for (off_t at = 0; at < 18 << 20; at += (off_t)sizeof(noise))
            assert_int_equal(pwrite(fds[i], noise, sizeof(noise), at), (ssize_t)sizeof(noise));
    works[0] = put_of("zip", VINE__UPLOAD_DISK, fds[0], 18 << 20);
    works[1] = put_of("app", VINE__UPLOAD_DISK, fds[1], 18 << 20);
    done_work_count = 0;
    begin(&works[0]);
    begin(&works[1]);
    until(done_work_count == 2);
    assert_int_equal(done_works[0]->error, VINE_SERVER_E_FULL);
    assert_non_null(strstr(done_works[0]->why, "the pool is full"));
    assert_int_equal(done_works[1]->error, VINE_SERVER_E_DONE);
    assert_true(pool_is_clean("farm"));
}

/* Who is refused something meanwhile, as often as he likes, holds up nobody: what has come is not
 * read a second time. */
static void what_is_refused_meanwhile_begins_nothing_anew(void **state)
{
    static const char bad[] = "{\"version\": 1, \"memory\": \"none\"}";
    struct vine__vm_store_work refused = {.task = VINE__VM_CONFIGURE,
                                          .done = is_done_in_order,
                                          .pool = "farm",
                                          .json = bad,
                                          .json_bytes = sizeof(bad) - 1};
    struct vine__vm_store_work root;
    const int fd = file_with("", 0);
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    fill_long(fd, 'r');
    root = put_of("zip", VINE__UPLOAD_DISK, fd, LONG_BYTES);
    refused.uid = vm_named("app")->uid;
    done_work_count = 0;
    hold_disk();
    begin(&root);
    await_held();
    assert_int_equal(pwrite(fd, "another", 7, 0), 7);
    begin(&refused);
    let_disk_go_on();
    until(done_work_count == 2);
    assert_ptr_equal(done_works[0], &refused);
    assert_int_equal(refused.error, VINE_SERVER_E_BAD_VALUE);
    assert_int_equal(root.error, VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    assert_long(boot->disks[0].path, 'r');
    vine__boot_free(boot);
    assert_true(pool_is_clean("farm"));
}

/* The store ends behind what it has begun. */
static void what_takes_long_is_done_before_the_store_ends(void **state)
{
    struct vine__vm_store_work root;
    const int fd = file_with("", 0);
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    fill_long(fd, 'e');
    root = put_of("zip", VINE__UPLOAD_DISK, fd, LONG_BYTES);
    done_work_count = 0;
    hold_disk();
    begin(&root);
    await_held();
    pool_world.closed_count = 0;
    vine__pool_store_destroy(pool_world.store, store_is_closed, &pool_world);
    let_disk_go_on();
    until(pool_world.closed_count == 1);
    assert_int_equal(done_work_count, 1);
    assert_int_equal(root.error, VINE_SERVER_E_DONE);
    vine__registry_fini(&pool_world.registry);
    vine__mesh_open_to_aliens(NULL);
    close_cores();
    assert_true(pool_is_clean("farm"));
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    assert_long(boot->disks[0].path, 'e');
    vine__boot_free(boot);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_world_begin, pool_world_end)
    const struct CMUnitTest tests[] = {
        TEST(work_at_one_pool_waits_for_no_other),
        TEST(core_0_does_not_close_what_was_uploaded),
        TEST(a_pool_is_opened_again_behind_its_closing),
        TEST(a_pool_is_not_closed_while_it_is_opened),
        TEST(what_was_asked_is_done_before_the_store_ends),
        TEST(what_takes_long_lets_the_rest_of_its_pool_go_on),
        TEST(what_takes_long_lets_the_rest_of_a_mounted_pool_go_on),
        TEST(a_disk_on_its_way_out_or_back_lets_the_rest_of_its_pool_go_on),
        TEST(what_is_on_its_way_and_finds_no_room_leaves_the_others_theirs),
        TEST(what_is_refused_meanwhile_begins_nothing_anew),
        TEST(what_takes_long_is_done_before_the_store_ends),
    };

    if (!has_pool_tools())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

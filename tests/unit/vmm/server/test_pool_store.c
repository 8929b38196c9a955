/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=200 */
/*
 * VMs of real pools: found, made, changed, taken out and put back, and nothing that a guest has
 * written is lost.
 */
#include "pool_world.h"

#include <signal.h>
#include <sys/resource.h>

#include "vmm/server/control_pools.h"

/* ---- pools ----------------------------------------------------------------------------------- */

static void a_pool_fills_the_registry(void **state)
{
    const struct vine__vm *vm;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(pool_world.registry.count, 2);
    vm = vm_named("zip");
    assert_string_equal(vm->facts.pool, "farm");
    /* With both halves of the link of which it is the application; not of the other's. */
    assert_int_equal(vm->facts.memory_bytes, (128 << 20) + 2 * (1 << 20));
    assert_int_equal(vm_named("app")->facts.memory_bytes, (128 << 20) + 2 * (64 << 20));
    assert_int_equal(vm->facts.upload_bytes[VINE__UPLOAD_KERNEL], KERNEL_BYTES);
    assert_int_equal(vm->facts.upload_bytes[VINE__UPLOAD_INITRD], 0);
    assert_int_equal(vm->facts.upload_bytes[VINE__UPLOAD_DISK], DISK_BYTES + 4096);
    assert_null(vm->facts.problem);
    assert_false(vm->facts.is_taken_out);
    assert_non_null(strstr(vm->facts.configuration, "\"memory\":\"128M\""));
}

static void bad_pools_and_bad_vms_are_told_and_the_others_are_there(void **state)
{
    char why[VINE__PROBLEM_BYTES], path[PATH_MAX], command[2 * PATH_MAX];
    struct vine__pool_work listed;

    (void)state;
    assert_int_equal(open_pool("nowhere", why), VINE_SERVER_E_FAILED);
    assert_non_null(strstr(why, "nowhere"));
    assert_int_equal(open_pool("../farm", why), VINE_SERVER_E_BAD_VALUE);
    pool_make("torn");
    pool_file("torn", "img", path);
    write_to(path, "no ext4", 7, 1024 + 56);
    assert_int_equal(open_pool("torn", why), VINE_SERVER_E_FAILED);
    assert_non_null(strstr(why, "superblock"));
    /* A copy has machines that there are already. */
    (void)snprintf(command, sizeof(command),
                   "cd %s && cp farm.img twin.img && cp farm.json twin.json", pool_world.folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(open_pool("twin", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(open_pool("farm", why), VINE_SERVER_E_EXISTS);
    assert_int_equal(pool_world.registry.count, 2);
    listed = list_pools();
    assert_int_equal(listed.pool_count, 4);
    assert_string_equal(listed.pools[0].name, "nowhere");
    assert_false(listed.pools[0].is_open);
    assert_string_equal(listed.pools[1].name, "torn");
    assert_false(listed.pools[1].is_open);
    assert_non_null(strstr(listed.pools[1].findings[0].text, "superblock"));
    assert_string_equal(listed.pools[2].name, "farm");
    assert_true(listed.pools[2].is_open);
    assert_int_equal(listed.pools[2].finding_count, 0);
    assert_int_equal(listed.pools[2].usable_count, 2);
    assert_true(listed.pools[2].free_bytes > 0);
    assert_int_equal(listed.pools[3].finding_count, 2);
    assert_string_equal(listed.pools[3].findings[0].vm, "zip");
    assert_non_null(strstr(listed.pools[3].findings[0].text, "UID"));
    vine__pool_states_free(listed.pools, listed.pool_count);
}

static void a_configuration_that_cannot_be_read_is_none(void **state)
{
    const struct vine__vm *vm;

    (void)state;
    pool_spoil("farm", "app",
               "{\"version\": 1, \"name\": \"app\", \"memory\": \"1M\", "
               "\"autostart\": \"always\", \"links\": [{\"appliance\": \"zip\"}]}");
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    vm = vm_named("app");
    assert_null(vm->facts.configuration);
    assert_non_null(strstr(vm->facts.problem, "memory"));
    assert_null(vm_named("zip")->facts.problem);
}

static void a_pool_is_closed_when_nothing_of_it_runs(void **state)
{
    char why[VINE__PROBLEM_BYTES];
    struct vine__vm *vm;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    vm = (struct vine__vm *)vm_named("zip");
    vm->state = VINE__VM_RUNNING;
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_BAD_STATE);
    assert_string_equal(why, "it has a VM that is not off: zip");
    assert_int_equal(pool_world.registry.count, 2);
    vm->state = VINE__VM_OFF;
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_DONE);
    assert_int_equal(pool_world.registry.count, 0);
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_BAD_VALUE);
    /* And it may be opened again, by anybody. */
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(pool_world.registry.count, 2);
}

static void a_pool_is_closed_when_its_disks_are_back_in_it(void **state)
{
    char why[VINE__PROBLEM_BYTES];
    const struct vine__vm *vm;
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    write_to(boot->disks[0].path, "written", 7, 0);
    close_store();
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    vm = vm_named("zip");
    vine__registry_settle(&pool_world.registry);
    assert_int_equal(vm->phase, VINE__VM_PUTTING_BACK);
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_BAD_STATE);
    assert_string_equal(why, "something is being done with a VM of it: zip");
    assert_int_equal(pool_world.registry.count, 2);
    until(vm->phase == VINE__VM_IDLE);
    assert_false(vm->facts.is_taken_out);
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_DONE);
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
    boot = take_out(vm_named("zip")->uid);
    assert_true(begins_with(boot->disks[0].path, "written"));
    vine__boot_free(boot);
}

static void a_pool_that_another_store_has_is_its_own_until_it_is_closed(void **state)
{
    struct vine__vm_store *const first = pool_world.store;
    char why[VINE__PROBLEM_BYTES];

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(vine__pool_store_create(pool_world.state, &pool_world.store), 0);
    assert_int_equal(open_pool("farm", why), VINE_SERVER_E_FAILED);
    assert_non_null(strstr(why, "farm.img: somebody else is changing it, or serves it"));
    assert_int_equal(pool_world.registry.count, 2);
    pool_world.closed_count = 0;
    vine__pool_store_destroy(pool_world.store, store_is_closed, &pool_world);
    until(pool_world.closed_count == 1);
    pool_world.store = first;
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_DONE);
}

static void there_are_so_many_pools_and_no_more(void **state)
{
    char name[VINE__POOL_NAME_BYTES], why[VINE__PROBLEM_BYTES];

    (void)state;
    for (uint32_t i = 0; i < VINE__POOLS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "none%u", i);
        assert_int_equal(open_pool(name, NULL), VINE_SERVER_E_FAILED);
    }
    assert_int_equal(open_pool("farm", why), VINE_SERVER_E_LIMIT);
    assert_string_equal(why, "as many pools as there may be");
    /* One that is closed makes room, when its thread is gone. */
    assert_int_equal(close_pool("none7", why), VINE_SERVER_E_DONE);
    until(open_pool("farm", NULL) == VINE_SERVER_E_DONE);
}

/* ---- opened by the control socket ------------------------------------------------------------ */

static uint32_t opened_count, answered_count;

static void hear_of_opened(struct vine__control *control, const char *pool)
{
    (void)control;
    assert_string_equal(pool, "farm");
    opened_count++;
}

static void is_answered(struct vine__control_asked *asked)
{
    (void)asked;
    answered_count++;
}

static void who_opens_a_pool_is_answered_when_its_vms_that_run_already_are_known(void **state)
{
    struct vine__control control = {
        .store = pool_world.store, .registry = &pool_world.registry, .opened = hear_of_opened};
    char path[PATH_MAX], why[VINE__SERVER_WHY_BYTES] = "";
    const struct vine__control_pools_wish wish = {
        .action = VINE_SERVER_OPEN_POOL, .folder = pool_world.folder, .name = "farm"};
    struct vine__control_asked *asked;
    struct vine__saver *saver;

    (void)state;
    opened_count = answered_count = 0;
    (void)snprintf(path, sizeof(path), "%s/pools.json", pool_world.state);
    assert_int_equal(vine__saver_create(&saver), 0);
    vine__saved_file_init(&control.pools_file, saver, path);
    assert_int_equal(vine__control_ask_pools(&control, &wish, &asked, why), VINE_SERVER_E_DONE);
    asked->done = is_answered;
    until(opened_count > 0);
    assert_int_equal(pool_world.registry.count, 2);
    assert_int_equal(answered_count, 0);
    vine__control_pools_settled(&control);
    assert_int_equal(answered_count, 1);
    assert_int_equal(asked->error, VINE_SERVER_E_DONE);
    vine__control_pools_settled(&control); /* nobody waits */
    vine__control_leave(asked);
    vine__pool_paths_fini(&control.pools);
    pool_world.closed_count = 0;
    vine__saver_destroy(saver, store_is_closed, &pool_world);
    until(pool_world.closed_count == 1);
    assert_true(is_there(path));
}

static void a_mounted_pool_is_changed_like_others(void **state)
{
    char point[PATH_MAX / 2], path[PATH_MAX], why[VINE__PROBLEM_BYTES];
    struct vine__pool_work listed;
    struct vine__boot *boot;

    (void)state;
    if (!open_mounted(point))
        return;
    (void)snprintf(path, sizeof(path), "%s/vms.json", point);
    assert_true(is_there(path));
    boot = take_out(vm_named("zip")->uid);
    assert_true(begins_with(boot->kernel, "kernel of this one"));
    write_to(boot->disks[0].path, "written", 7, 0);
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
    assert_true(is_there(path));
    boot = take_out(vm_named("zip")->uid);
    assert_true(begins_with(boot->disks[0].path, "written"));
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
    listed = list_pools();
    assert_string_equal(listed.pools[0].mount_point, point);
    vine__pool_states_free(listed.pools, listed.pool_count);
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_DONE);
    assert_false(is_there(path));
    assert_true(pool_is_clean("farm"));
}

/* ---- changes --------------------------------------------------------------------------------- */

static enum vine_server_error change(struct vine__vm_store_work work, struct vine__vm_facts *facts)
{
    const enum vine_server_error told = do_vm(&work);

    vine__vm_facts_fini(facts);
    *facts = work.facts;
    if (told != VINE_SERVER_E_DONE)
        *facts = (struct vine__vm_facts){.uid = ""};
    return told;
}

static enum vine_server_error put(const char *uid, enum vine__vm_upload upload, const char *text,
                                  uint64_t size, struct vine__vm_facts *facts)
{
    const int fd = file_with(text, size);
    enum vine_server_error told;

    assert_true(lseek(fd, 0, SEEK_END) > 0); /* where who has written it is */
    told = change(
        (struct vine__vm_store_work){
            .task = VINE__VM_PUT, .uid = uid, .upload = upload, .fd = fd, .size_bytes = size},
        facts);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* the store's, as a whole */
    return told;
}

static enum vine_server_error configure(const char *uid, const char *json,
                                        struct vine__vm_facts *facts)
{
    return change(
        (struct vine__vm_store_work){
            .task = VINE__VM_CONFIGURE, .uid = uid, .json = json, .json_bytes = strlen(json)},
        facts);
}

static void vms_are_made_changed_and_removed(void **state)
{
    const struct vine__vm_store_work create = creation("farm", "alice.new");
    struct vine__vm_store_work same = creation("farm", "alice.new");
    struct vine__vm_facts facts = {.uid = ""};
    char uid[VINE__VM_UID_BYTES];
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(change(create, &facts), VINE_SERVER_E_DONE);
    assert_string_equal(facts.name, "alice.new");
    assert_string_equal(facts.pool, "farm");
    assert_string_equal(facts.uid, create.uid);
    memcpy(uid, facts.uid, sizeof(uid));
    assert_int_equal(change(same, &facts), VINE_SERVER_E_EXISTS);
    same.uid = uid;
    same.name = "alice.other";
    assert_int_equal(change(same, &facts), VINE_SERVER_E_EXISTS);
    assert_int_equal(put(uid, VINE__UPLOAD_KERNEL, "its kernel", 5000, &facts), VINE_SERVER_E_DONE);
    assert_int_equal(facts.upload_bytes[VINE__UPLOAD_KERNEL], 5000);
    assert_int_equal(put(uid, VINE__UPLOAD_DISK, "its disk", DISK_BYTES, &facts),
                     VINE_SERVER_E_DONE);
    assert_int_equal(facts.upload_bytes[VINE__UPLOAD_DISK], DISK_BYTES);
    assert_non_null(strstr(facts.configuration, "\"root\""));
    assert_int_equal(
        configure(uid, "{\"memory\": \"256M\", \"disks\": [{\"name\": \"root\"}]}", &facts),
        VINE_SERVER_E_DONE);
    assert_int_equal(facts.memory_bytes, 256 << 20);
    /* What is no configuration changes nothing. */
    assert_int_equal(configure(uid, "{\"memory\": 1}", &facts), VINE_SERVER_E_BAD_VALUE);
    assert_int_equal(configure(uid, "[]", &facts), VINE_SERVER_E_BAD_VALUE);
    assert_int_equal(configure(uid, "{", &facts), VINE_SERVER_E_BAD_VALUE);
    assert_int_equal(configure(uid, "{\"links\": [{\"appliance\": \"none\"}]}", &facts),
                     VINE_SERVER_E_BAD_VALUE);
    boot = take_out(uid);
    assert_int_equal(boot->configuration->memory_bytes, 256 << 20);
    assert_true(begins_with(boot->kernel, "its kernel"));
    assert_int_equal(boot->disk_count, 1);
    assert_true(begins_with(boot->disks[0].path, "its disk"));
    assert_int_equal(
        change((struct vine__vm_store_work){.task = VINE__VM_REMOVE, .uid = uid}, &facts),
        VINE_SERVER_E_DONE);
    assert_false(is_there(boot->kernel));
    vine__boot_free(boot);
    assert_int_equal(
        change((struct vine__vm_store_work){.task = VINE__VM_REMOVE, .uid = uid}, &facts),
        VINE_SERVER_E_FAILED);
    vine__vm_facts_fini(&facts);
    close_store();
    assert_true(pool_is_clean("farm"));
    open_store();
}

/* ---- taken out ------------------------------------------------------------------------------- */

static void a_boot_has_all_that_a_vm_starts_from(void **state)
{
    struct stat status;
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    assert_string_equal(boot->uid, vm_named("zip")->uid);
    assert_string_equal(boot->name, "zip");
    assert_string_equal(boot->pool, "farm");
    assert_int_equal(boot->configuration->memory_bytes, 128 << 20);
    assert_true(begins_with(boot->kernel, "kernel of this one"));
    assert_null(boot->initrd);
    assert_int_equal(boot->disk_count, 2);
    assert_string_equal(boot->disks[0].name, "root");
    assert_false(boot->disks[0].is_read_only);
    assert_true(begins_with(boot->disks[0].path, "as it was"));
    assert_true(boot->disks[1].is_read_only);
    assert_int_equal(stat(boot->disks[0].path, &status), 0);
    assert_int_equal(status.st_size, DISK_BYTES);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true((uint64_t)status.st_blocks * 512 < DISK_BYTES / 4);
    /* Of both of its ends, from both places. */
    assert_int_equal(boot->link_count, 2);
    assert_string_equal(boot->links[0].name, "zip");
    assert_string_equal(boot->links[0].application, "app");
    assert_string_equal(boot->links[0].application_uid, vm_named("app")->uid);
    assert_string_equal(boot->links[0].appliance_uid, boot->uid);
    assert_int_equal(boot->links[0].size_bytes, 64 << 20);
    assert_string_equal(boot->links[1].name, "back");
    assert_string_equal(boot->links[1].application_uid, boot->uid);
    assert_int_equal(boot->links[1].size_bytes, 1 << 20);
    vine__boot_free(boot);
}

static void what_a_guest_writes_is_back_in_the_pool(void **state)
{
    struct vine__boot *boot;
    struct stat before, after;
    char path[PATH_MAX], byte;
    const char *uid;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    uid = vm_named("zip")->uid;
    pool_file("farm", "img", path);
    /* Where nothing was written nothing is put back. */
    assert_int_equal(stat(path, &before), 0);
    boot = take_out(uid);
    read_from(boot->disks[0].path, &byte, 1, 0);
    assert_int_equal(put_back(uid), VINE_SERVER_E_DONE);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    assert_false(is_there(boot->disks[0].path));
    vine__boot_free(boot);
    boot = take_out(uid);
    write_to(boot->disks[0].path, "written", 7, 0);
    write_to(boot->disks[0].path, "far away", 8, (off_t)DISK_BYTES - 8);
    assert_int_equal(put_back(uid), VINE_SERVER_E_DONE);
    assert_false(is_there(boot->disks[0].path));
    vine__boot_free(boot);
    close_store();
    assert_true(pool_is_clean("farm"));
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_false(vm_named("zip")->facts.is_taken_out);
    boot = take_out(vm_named("zip")->uid);
    assert_true(begins_with(boot->disks[0].path, "written"));
    read_from(boot->disks[0].path, path, 8, (off_t)DISK_BYTES - 8);
    assert_memory_equal(path, "far away", 8);
    assert_true(begins_with(boot->disks[1].path, "data"));
    vine__boot_free(boot);
}

/* As it is behind a power cut: what was flushed is there, and the time of it is not. */
static void cut_power(const struct vine__boot *boot)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    char path[PATH_MAX], record[2048] = "", *scope;
    int fd;

    close_store();
    assert_int_equal(utimensat(AT_FDCWD, boot->disks[0].path, times, 0), 0);
    (void)snprintf(path, sizeof(path), "%s/machines/%s/taken.json", pool_world.state, boot->uid);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, record, sizeof(record) - 1) > 0);
    scope = strstr(record, "\"scope\": \"");
    assert_non_null(scope);
    scope[10] = scope[10] == '0' ? '1' : '0';
    assert_true(pwrite(fd, record, strlen(record), 0) > 0);
    close(fd);
    open_store();
}

static void what_a_guest_has_flushed_before_a_power_cut_is_back_in_the_pool(void **state)
{
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    write_to(boot->disks[0].path, "flushed", 7, 0);
    cut_power(boot);
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
    boot = take_out(vm_named("zip")->uid);
    assert_true(begins_with(boot->disks[0].path, "flushed"));
    vine__boot_free(boot);
}

static void what_was_taken_out_is_found_and_used_again(void **state)
{
    struct vine__boot *boot, *again;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    write_to(boot->disks[0].path, "written", 7, 0);
    /* The server ends, or is killed; the guest goes on. */
    close_store();
    write_to(boot->disks[0].path, "WRITTEN", 7, 0);
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_true(vm_named("zip")->facts.is_taken_out);
    assert_false(vm_named("app")->facts.is_taken_out);
    again = take_out(vm_named("zip")->uid);
    assert_string_equal(again->disks[0].path, boot->disks[0].path);
    assert_true(begins_with(again->disks[0].path, "WRITTEN"));
    assert_int_equal(put_back(again->uid), VINE_SERVER_E_DONE);
    vine__boot_free(again);
    again = take_out(boot->uid);
    assert_true(begins_with(again->disks[0].path, "WRITTEN"));
    vine__boot_free(again);
    vine__boot_free(boot);
}

static void what_a_machine_has_locked_is_not_put_back(void **state)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct vine__boot *boot, *again;
    int fd;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    fd = open(boot->disks[0].path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0);
    /* Written or not: it may write later. */
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_BUSY);
    write_to(boot->disks[0].path, "written", 7, 0);
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_BUSY);
    assert_true(begins_with(boot->disks[0].path, "written"));
    again = take_out(boot->uid); /* what it runs from */
    assert_string_equal(again->disks[0].path, boot->disks[0].path);
    vine__boot_free(again);
    close(fd);
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
}

static void a_change_puts_back_first_what_a_guest_has_written(void **state)
{
    struct vine__vm_facts facts = {.uid = ""};
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    write_to(boot->disks[0].path, "written", 7, 0);
    assert_int_equal(put(boot->uid, VINE__UPLOAD_KERNEL, "another kernel", 5000, &facts),
                     VINE_SERVER_E_DONE);
    assert_false(facts.is_taken_out);
    vine__vm_facts_fini(&facts);
    vine__boot_free(boot);
    boot = take_out(vm_named("zip")->uid);
    assert_true(begins_with(boot->disks[0].path, "written"));
    assert_true(begins_with(boot->kernel, "another kernel"));
    vine__boot_free(boot);
}

/* ---- what does not fit ----------------------------------------------------------------------- */

static void what_does_not_fit_into_the_pool_is_kept(void **state)
{
    struct vine__vm_store_work work = {.task = VINE__VM_PUT_BACK};
    struct vine__vm_facts facts = {.uid = ""};
    static char noise[1 << 20];
    struct vine__boot *boot;

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    /* No hole, and nothing twice: the pool has 24 MiB. */
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(i * 2654435761U >> 13 | 1);
    memcpy(noise, "noise", 5);
    boot = take_out(vm_named("app")->uid);
    for (off_t at = 0; at < 30 << 20; at += (off_t)sizeof(noise))
        write_to(boot->disks[0].path, noise, sizeof(noise), at);
    work.uid = boot->uid;
    assert_int_equal(do_vm(&work), VINE_SERVER_E_FULL);
    assert_non_null(strstr(work.why, "full"));
    assert_true(is_there(boot->disks[0].path));
    assert_true(pool_is_clean("farm"));
    /* Nor is anything else changed, which would not know of it. */
    assert_int_equal(put(boot->uid, VINE__UPLOAD_KERNEL, "k", 100, &facts), VINE_SERVER_E_FULL);
    /* As soon as it fits it is put back. */
    assert_int_equal(truncate(boot->disks[0].path, (off_t)DISK_BYTES), 0);
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
    boot = take_out(vm_named("app")->uid);
    assert_true(begins_with(boot->disks[0].path, "noise"));
    vine__boot_free(boot);
}

/* No file may be written beyond so many bytes: a disk that takes no more. */
static void let_files_grow_to(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_the_host_has_no_room_for_is_told_and_kept(void **state)
{
    struct vine__vm_store_work work = {.task = VINE__VM_TAKE_OUT};
    struct vine__boot *boot;
    char folder[PATH_MAX];

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    work.uid = vm_named("zip")->uid;
    (void)snprintf(folder, sizeof(folder), "%s/machines/%s", pool_world.state, work.uid);
    let_files_grow_to(1000);
    assert_int_not_equal(do_vm(&work), VINE_SERVER_E_DONE);
    let_files_grow_to(RLIM_INFINITY);
    assert_false(is_there(folder)); /* nothing is left of it */
    boot = take_out(work.uid);
    write_to(boot->disks[0].path, "written", 7, 0);
    let_files_grow_to(1000);
    assert_int_not_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    let_files_grow_to(RLIM_INFINITY);
    assert_true(begins_with(boot->disks[0].path, "written"));
    assert_true(pool_is_clean("farm"));
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
    boot = take_out(work.uid);
    assert_true(begins_with(boot->disks[0].path, "written"));
    vine__boot_free(boot);
    assert_true(pool_is_clean("farm"));
}

static void a_record_that_cannot_be_read_keeps_its_vm_from_running(void **state)
{
    struct vine__vm_store_work work = {.task = VINE__VM_TAKE_OUT};
    struct vine__boot *boot;
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(vm_named("zip")->uid);
    write_to(boot->disks[0].path, "written", 7, 0);
    (void)snprintf(path, sizeof(path), "%s/machines/%s/taken.json", pool_world.state, boot->uid);
    write_to(path, "[", 1, 0);
    close_store();
    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_non_null(strstr(vm_named("zip")->facts.problem, "taken.json"));
    work.uid = boot->uid;
    assert_int_equal(do_vm(&work), VINE_SERVER_E_BAD_VALUE);
    assert_non_null(strstr(work.why, "taken.json"));
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_BAD_VALUE);
    assert_true(begins_with(boot->disks[0].path, "written"));
    write_to(path, "{", 1, 0);
    assert_int_equal(put_back(boot->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
}

/* Whoever may write to an image may cut it while it is served: that is his pool's end alone. */
static void a_pool_that_is_cut_while_it_is_open_is_told_and_the_others_go_on(void **state)
{
    struct vine__vm_store_work cut = creation("farm", "alice.cut"),
                               again = creation("farm", "alice.again"),
                               other = creation("other", "alice.other");
    char path[PATH_MAX], why[VINE__PROBLEM_BYTES];
    struct vine__pool_work listing;
    char *const image = malloc(POOL_BYTES);

    (void)state;
    assert_non_null(image);
    pool_make("other");
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_int_equal(open_pool("other", NULL), VINE_SERVER_E_DONE);
    pool_file("farm", "img", path);
    read_from(path, image, POOL_BYTES, 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_not_equal(do_vm(&cut), VINE_SERVER_E_DONE);
    assert_non_null(strstr(cut.why, "no ext4"));
    assert_int_equal(do_vm(&other), VINE_SERVER_E_DONE);
    vine__vm_facts_fini(&other.facts);
    listing = list_pools();
    assert_int_equal(listing.pool_count, 2);
    assert_false(listing.pools[0].is_open);
    assert_true(listing.pools[1].is_open);
    vine__pool_states_free(listing.pools, listing.pool_count);
    /* It is whole again, and opened. */
    write_to(path, image, POOL_BYTES, 0);
    free(image);
    assert_int_equal(open_pool("farm", why), VINE_SERVER_E_DONE);
    assert_int_equal(do_vm(&again), VINE_SERVER_E_DONE);
    vine__vm_facts_fini(&again.facts);
    assert_true(pool_is_clean("farm"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_world_begin, pool_world_end)
    const struct CMUnitTest tests[] = {
        TEST(a_pool_fills_the_registry),
        TEST(bad_pools_and_bad_vms_are_told_and_the_others_are_there),
        TEST(a_configuration_that_cannot_be_read_is_none),
        TEST(a_pool_is_closed_when_nothing_of_it_runs),
        TEST(a_pool_is_closed_when_its_disks_are_back_in_it),
        TEST(a_pool_that_another_store_has_is_its_own_until_it_is_closed),
        TEST(who_opens_a_pool_is_answered_when_its_vms_that_run_already_are_known),
        TEST(there_are_so_many_pools_and_no_more),
        TEST(a_pool_that_is_cut_while_it_is_open_is_told_and_the_others_go_on),
        TEST(a_mounted_pool_is_changed_like_others),
        TEST(vms_are_made_changed_and_removed),
        TEST(a_boot_has_all_that_a_vm_starts_from),
        TEST(what_a_guest_writes_is_back_in_the_pool),
        TEST(what_a_guest_has_flushed_before_a_power_cut_is_back_in_the_pool),
        TEST(what_was_taken_out_is_found_and_used_again),
        TEST(what_a_machine_has_locked_is_not_put_back),
        TEST(a_change_puts_back_first_what_a_guest_has_written),
        TEST(what_does_not_fit_into_the_pool_is_kept),
        TEST(what_the_host_has_no_room_for_is_told_and_kept),
        TEST(a_record_that_cannot_be_read_keeps_its_vm_from_running),
    };

    if (!has_pool_tools())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

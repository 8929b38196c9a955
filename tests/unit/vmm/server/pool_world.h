/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_world.h - pools on disk, a store of them with its thread, and a registry, on a reactor that
 * is stepped.
 *
 * Owns:     all of it, and a folder.
 * Threads:  the test's, which is core 0; and the store's.
 * Blocking: a call waits for the store's work.
 */
#ifndef VINE_TESTS_POOL_WORLD_H
#define VINE_TESTS_POOL_WORLD_H

#include "../../core/network/network_tests.h"

#include <limits.h>
#include <sys/stat.h>

#include "harness/folder.h"
#include "vmm/pool/change.h"
#include "vmm/server/pool_store.h"

#define POOL_BYTES   (UINT64_C(24) << 20)
#define KERNEL_BYTES 100000
#define DISK_BYTES   (UINT64_C(4) << 20) /* a hole, but for its first bytes */

struct pool_world {
    char folder[32];
    char state[64];
    struct vine__clients clients;
    struct vine__registry registry;
    struct vine__vm_store *store;
    uint32_t closed_count;
};

static struct pool_world pool_world;

/* ---- pools ----------------------------------------------------------------------------------- */

static inline void pool_file(const char *name, const char *suffix, char ret_path[PATH_MAX])
{
    (void)snprintf(ret_path, PATH_MAX, "%s/%s.%s", pool_world.folder, name, suffix);
}

static inline bool has_pool_tools(void)
{
    const bool has =
        access("/usr/sbin/mkfs.ext4", X_OK) == 0 || access("/sbin/mkfs.ext4", X_OK) == 0;

    if (!has)
        print_message("skipped: no e2fsprogs\n");
    return has;
}

/* Whether it is an ext4 that e2fsck has nothing to say about. */
static inline bool pool_is_clean(const char *name)
{
    char command[2 * PATH_MAX];

    (void)snprintf(command, sizeof(command),
                   "PATH=$PATH:/usr/sbin:/sbin e2fsck -fn %s/%s.img >%s/fsck 2>&1",
                   pool_world.folder, name, pool_world.folder);
    return system(command) == 0;
}

static inline void pool_step(struct vine__pool_change *change, int error,
                             const struct vine__problem *problem)
{
    (void)change;
    if (error != 0)
        fail_msg("%s", problem->text);
}

/* A file of so many bytes, the first of which are these, and the others holes. */
static inline int file_with(const char *text, uint64_t size)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/source-XXXXXX", pool_world.folder);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static inline void pool_put(struct vine__pool_change *change, const char *vm,
                            enum vine__vm_file file, const char *disk, const char *text,
                            uint64_t size)
{
    struct vine__problem problem = {.text = ""};
    const struct vine__source source = {.name = text, .fd = file_with(text, size)};

    pool_step(change, vine__pool_change_put(change, vm, file, disk, &source, &problem), &problem);
    close(source.fd);
}

/* A machine with a kernel, and the disks `root`, which may be written, and `data`, which may not
 * be. */
static inline void pool_add(struct vine__pool_change *change, const char *vm, const char *link)
{
    struct vine__problem problem = {.text = ""};
    json_t *const json = json_pack("{s:i, s:s, s:s, s:[{s:s}, {s:s, s:b}], s:[]}", "version", 1,
                                   "name", vm, "memory", "128M", "disks", "name", "root", "name",
                                   "data", "read_only", 1, "links");

    assert_non_null(json);
    if (link != NULL)
        assert_int_equal(json_array_append_new(json_object_get(json, "links"),
                                               json_pack("{s:s}", "appliance", link)),
                         0);
    pool_step(change, vine__pool_change_add(change, vm, NULL, &problem), &problem);
    pool_put(change, vm, VINE__VM_KERNEL, NULL, "kernel of this one", KERNEL_BYTES);
    pool_put(change, vm, VINE__VM_DISK, "root", "as it was", DISK_BYTES);
    pool_put(change, vm, VINE__VM_DISK, "data", "data", 4096);
    pool_step(change, vine__pool_change_configure(change, vm, json, &problem), &problem);
    json_decref(json);
}

/* What it says of a machine, which nobody has checked, as by the hand of who knows ext4. */
static inline void pool_spoil(const char *pool, const char *vm, const char *json)
{
    char command[3 * PATH_MAX], hash[VINE__VM_HASH_BYTES];

    vine__vm_hash(vm, hash);
    (void)snprintf(command, sizeof(command),
                   "cd %s && echo '%s' >spoilt && PATH=$PATH:/usr/sbin:/sbin && "
                   "debugfs -w -R 'rm %s_vmcfg.cfg' %s.img 2>said && "
                   "debugfs -w -R 'write spoilt %s_vmcfg.cfg' %s.img >said 2>&1",
                   pool_world.folder, json, hash, pool, hash, pool);
    assert_int_equal(system(command), 0);
}

/* A pool with `zip` and `app`, which is linked to it. */
static inline void pool_make(const char *name)
{
    static const char settings[] =
        "{\"version\": 1, \"links\": [{\"application\": \"zip\", \"appliance\": \"app\", "
        "\"name\": \"back\", \"size\": \"1M\"}]}";
    struct vine__problem problem = {.text = ""};
    const struct vine__pool_contents *contents;
    struct vine__pool_change *change;
    struct vine__pool *pool;

    char path[PATH_MAX];
    FILE *file;

    if (vine__pool_create(pool_world.folder, name, POOL_BYTES, NULL, &problem) != 0)
        fail_msg("%s", problem.text);
    assert_int_equal(vine__pool_open(pool_world.folder, name, VINE__POOL_OWN, &pool, &problem), 0);
    assert_int_equal(vine__pool_mount(pool, NULL, &problem), 0);
    assert_int_equal(vine__pool_load(pool, &contents, &problem), 0);
    assert_int_equal(vine__pool_change_begin(pool, &change, &problem), 0);
    pool_add(change, "zip", NULL);
    pool_add(change, "app", "zip");
    pool_step(change, vine__pool_change_end(change, true, &problem), &problem);
    vine__pool_close(pool);
    pool_file(name, "json", path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(settings, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- the store ------------------------------------------------------------------------------- */

static uint32_t pool_done_count;

static inline void vm_work_is_done(struct vine__vm_store_work *work)
{
    (void)work;
    pool_done_count++;
}

static inline void pool_work_is_done(struct vine__pool_work *work)
{
    (void)work;
    pool_done_count++;
}

/* A VM that is to be made, with a UID of its own. */
static inline struct vine__vm_store_work creation(const char *pool, const char *name)
{
    static char uids[16][VINE__VM_UID_BYTES];
    static uint32_t next;
    char *const uid = uids[next++ % 16];

    assert_int_equal(vine__vm_new_uid(uid), 0);
    return (struct vine__vm_store_work){
        .task = VINE__VM_CREATE, .uid = uid, .pool = pool, .name = name};
}

/* Work at a VM, to its end; of `farm`, where nothing else is said. */
static inline enum vine_server_error do_vm(struct vine__vm_store_work *work)
{
    const uint32_t before = pool_done_count;

    if (work->pool == NULL)
        work->pool = "farm";
    work->done = vm_work_is_done;
    pool_world.store->begin(pool_world.store, work);
    assert_int_equal(pool_done_count, before);
    until(pool_done_count > before);
    return work->error;
}

static inline enum vine_server_error open_pool(const char *name, char *why)
{
    struct vine__pool_work work = {
        .done = pool_work_is_done, .folder = pool_world.folder, .name = name};
    const uint32_t before = pool_done_count;

    vine__pool_store_open(pool_world.store, &pool_world.registry, &work);
    until(pool_done_count > before);
    if (why != NULL)
        (void)snprintf(why, sizeof(work.why), "%s", work.why);
    return work.error;
}

static inline enum vine_server_error close_pool(const char *name, char *why)
{
    struct vine__pool_work work = {.done = pool_work_is_done, .name = name};
    const uint32_t before = pool_done_count;

    vine__pool_store_close(pool_world.store, &pool_world.registry, &work);
    until(pool_done_count > before);
    (void)snprintf(why, sizeof(work.why), "%s", work.why);
    return work.error;
}

static inline struct vine__pool_work list_pools(void)
{
    struct vine__pool_work work = {.done = pool_work_is_done};
    const uint32_t before = pool_done_count;

    vine__pool_store_list(pool_world.store, &pool_world.registry, &work);
    until(pool_done_count > before);
    assert_int_equal(work.error, VINE_SERVER_E_DONE);
    return work;
}

static inline void store_is_closed(void *context)
{
    ((struct pool_world *)context)->closed_count++;
}

/* A server begins, and ends. */
static inline void open_store(void)
{
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    vine__registry_init(&pool_world.registry, &pool_world.clients, NULL, NULL);
    assert_int_equal(vine__pool_store_create(pool_world.state, &pool_world.store), 0);
    pool_world.registry.store = pool_world.store;
}

static inline void close_store(void)
{
    pool_world.closed_count = 0;
    vine__pool_store_destroy(pool_world.store, store_is_closed, &pool_world);
    until(pool_world.closed_count == 1);
    vine__registry_fini(&pool_world.registry);
    vine__mesh_open_to_aliens(NULL);
    close_cores();
}

/* A machine that was adopted, by its name in its pool. */
static inline const struct vine__vm *vm_named(const char *name)
{
    VINE_LIST_FOR_EACH(node, &pool_world.registry.vms)
    {
        const struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (strcmp(vm->facts.name, name) == 0)
            return vm;
    }
    fail_msg("no machine %s", name);
    return NULL;
}

/* ---- what is taken out ----------------------------------------------------------------------- */

static inline struct vine__boot *take_out(const char *uid)
{
    struct vine__vm_store_work work = {.task = VINE__VM_TAKE_OUT, .uid = uid};

    if (do_vm(&work) != VINE_SERVER_E_DONE)
        fail_msg("%s", work.why);
    assert_non_null(work.boot);
    return work.boot;
}

static inline enum vine_server_error put_back(const char *uid)
{
    struct vine__vm_store_work work = {.task = VINE__VM_PUT_BACK, .uid = uid};
    const enum vine_server_error told = do_vm(&work);

    vine__vm_facts_fini(&work.facts);
    return told;
}

/* As a guest does. */
static inline void write_to(const char *path, const void *bytes, size_t size, off_t offset)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, offset), (ssize_t)size);
    close(fd);
}

static inline void read_from(const char *path, void *bytes, size_t size, off_t offset)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, size, offset), (ssize_t)size);
    close(fd);
}

static inline bool begins_with(const char *path, const char *text)
{
    char bytes[64];

    read_from(path, bytes, strlen(text), 0);
    return memcmp(bytes, text, strlen(text)) == 0;
}

static inline bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static inline int pool_world_begin(void **state)
{
    (void)state;
    memset(&pool_world, 0, sizeof(pool_world));
    memcpy(pool_world.folder, "/tmp/vine-pools-XXXXXX", 23);
    if (folder_make(pool_world.folder) != 0)
        return -1;
    (void)snprintf(pool_world.state, sizeof(pool_world.state), "%s/state", pool_world.folder);
    if (mkdir(pool_world.state, 0700) != 0)
        return -1;
    pool_make("farm");
    open_store();
    return 0;
}

static inline int pool_world_end(void **state)
{
    (void)state;
    close_store();
    vine__clients_fini(&pool_world.clients);
    return 0;
}

/* `farm`, mounted. Returns false where the system may mount no image. */
static inline bool open_mounted(char ret_point[PATH_MAX / 2])
{
    struct vine__pool_work work = {
        .done = pool_work_is_done, .folder = pool_world.folder, .name = "farm", .is_mounted = true};
    const uint32_t before = pool_done_count;
    char settings[PATH_MAX], command[3 * PATH_MAX], path[PATH_MAX];

    (void)snprintf(ret_point, PATH_MAX / 2, "%s/point", pool_world.folder);
    assert_int_equal(mkdir(ret_point, 0700), 0);
    (void)snprintf(command, sizeof(command),
                   "mount -o loop,ro %s/farm.img %s 2>/dev/null && umount %s", pool_world.folder,
                   ret_point, ret_point);
    if (geteuid() != 0 || system(command) != 0) {
        print_message("note: nothing can be mounted here\n");
        return false;
    }
    (void)snprintf(settings, sizeof(settings), "{\"version\": 1, \"mount\": \"%s\"}", ret_point);
    pool_file("farm", "json", path);
    assert_int_equal(truncate(path, (off_t)strlen(settings)), 0);
    write_to(path, settings, strlen(settings), 0);
    vine__pool_store_open(pool_world.store, &pool_world.registry, &work);
    until(pool_done_count > before);
    if (work.error != VINE_SERVER_E_DONE)
        fail_msg("%s", work.why);
    return true;
}

#endif

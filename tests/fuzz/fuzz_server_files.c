/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime */
/*
 * What a VM server reads back of what was written before: the first byte of the input says whether
 * the rest is server.conf, pools.json, the taken.json of a VM, or the machines.json of what a
 * former server has left running. Whatever it is: what is taken of it is within the limits, and
 * written down again the same; or what is wrong is said.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/folder.h"

#include "utils/assert.h"
#include "vmm/engine/adoption.h"
#include "vmm/server/engine_internal.h"
#include "vmm/server/pools_file.h"
#include "vmm/server/server_conf.h"
#include "vmm/server/state_file.h"
#include "vmm/server/taken.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

#define UID "9f86d081884c7d659a2feaa0c55ad015"

static char folder[] = "/dev/shm/vine-fuzz-XXXXXX";

static void make_folder(void)
{
    static bool is_made;
    char path[128];

    if (is_made)
        return;
    is_made = true;
    VINE_ASSERT(folder_make(folder) == 0);
    (void)snprintf(path, sizeof(path), "%s/" UID, folder);
    VINE_ASSERT(mkdir(path, 0700) == 0);
}

/* The file of this name, with these bytes in it. */
static void write_file(const char *name, const uint8_t *bytes, size_t size, char ret_path[128])
{
    FILE *file;

    (void)snprintf(ret_path, 128, "%s/%s", folder, name);
    file = fopen(ret_path, "w");
    VINE_ASSERT(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* ---- one each -------------------------------------------------------------------------------- */

static void read_conf(const uint8_t *bytes, size_t size)
{
    struct vine__server_conf conf;
    struct vine__problem problem = {.text = ""};

    if (vine__server_conf_parse("f", bytes, size, &conf, &problem) != 0) {
        VINE_ASSERT(problem.text[0] != '\0');
        return;
    }
    VINE_ASSERT(conf.pool_count <= VINE__SERVER_CONF_POOLS_MAX);
    for (uint32_t i = 0; i < conf.pool_count; i++)
        VINE_ASSERT(vine__server_conf_is_pool(conf.pools[i]));
    VINE_ASSERT(conf.console_links == NULL || conf.console_links[0] == '/');
    VINE_ASSERT(conf.accelerator <= VINE__SERVER_ACCELERATOR_TCG);
    VINE_ASSERT(conf.log_bytes >= 4 << 10 && conf.log_bytes <= 1 << 30);
    vine__server_conf_fini(&conf);
}

static void read_pools(const uint8_t *bytes, size_t size)
{
    char why[VINE__POOL_PATHS_WHY_BYTES] = "", path[128];
    struct vine__pool_paths paths = {.count = 0}, again = {.count = 0};
    char *text;

    write_file("pools.json", bytes, size, path);
    if (vine__pool_paths_load(path, &paths, why) != 0) {
        VINE_ASSERT(why[0] != '\0' && strlen(why) < sizeof(why) && paths.count == 0);
        return;
    }
    VINE_ASSERT(paths.count <= VINE__POOL_PATHS_MAX);
    for (uint32_t i = 0; i < paths.count; i++) {
        VINE_ASSERT(vine__server_conf_is_pool(paths.all[i]));
        for (uint32_t other = 0; other < i; other++)
            VINE_ASSERT(strcmp(paths.all[i], paths.all[other]) != 0);
    }
    text = vine__pool_paths_print(&paths);
    VINE_ASSERT(text != NULL && vine__state_file_replace(path, text, strlen(text)) == 0);
    free(text);
    VINE_ASSERT(vine__pool_paths_load(path, &again, why) == 0 && again.count == paths.count);
    for (uint32_t i = 0; i < paths.count; i++)
        VINE_ASSERT(strcmp(paths.all[i], again.all[i]) == 0);
    vine__pool_paths_fini(&paths);
    vine__pool_paths_fini(&again);
}

/* No file of it lies elsewhere than in its folder. */
static void check_taken_file(const struct vine__taken *taken, const struct vine__taken_file *file)
{
    char path[VINE__TAKEN_BYTES];
    const size_t length = strlen(taken->folder);

    VINE_ASSERT(file->file == VINE__VM_KERNEL || file->file == VINE__VM_INITRD ||
                file->file == VINE__VM_DISK);
    VINE_ASSERT(file->file != VINE__VM_DISK || vine__vm_is_name(file->disk));
    VINE_ASSERT(vine__taken_path(taken, file->file, file->disk, path));
    VINE_ASSERT(strncmp(path, taken->folder, length) == 0 && path[length] == '/');
    VINE_ASSERT(strchr(path + length + 1, '/') == NULL);
}

static void read_taken(const uint8_t *bytes, size_t size)
{
    static struct vine__taken taken, again;
    struct vine__problem problem = {.text = ""};
    char path[128];

    write_file(UID "/taken.json", bytes, size, path);
    if (vine__taken_load(folder, UID, &taken, &problem) != 0) {
        VINE_ASSERT(problem.text[0] != '\0');
        return;
    }
    VINE_ASSERT(taken.is_there && taken.file_count <= VINE__TAKEN_FILES_MAX);
    for (uint32_t i = 0; i < taken.file_count; i++) {
        const struct vine__taken_file *const file = &taken.files[i];

        check_taken_file(&taken, file);
        VINE_ASSERT(vine__taken_find(&taken, file->file, file->disk) == file);
    }
    VINE_ASSERT(vine__taken_save(&taken, &problem) == 0);
    VINE_ASSERT(vine__taken_load(folder, UID, &again, &problem) == 0);
    VINE_ASSERT(strcmp(again.name, taken.name) == 0 && strcmp(again.pool, taken.pool) == 0);
    VINE_ASSERT(strcmp(again.scope, taken.scope) == 0 && again.is_going == taken.is_going);
    VINE_ASSERT(again.file_count == taken.file_count);
    for (uint32_t i = 0; i < taken.file_count; i++) {
        VINE_ASSERT(again.files[i].size_bytes == taken.files[i].size_bytes);
        VINE_ASSERT(again.files[i].may_be_written == taken.files[i].may_be_written);
        VINE_ASSERT(strcmp(again.files[i].digest, taken.files[i].digest) == 0);
    }
}

static void check_left(const json_t *saved)
{
    struct vine__machine_identity identity, again;
    json_t *json;
    char why[256] = "";

    if (vine__machine_identity_load(json_object_get(saved, "identity"), &identity, why,
                                    sizeof(why)) != 0) {
        VINE_ASSERT(why[0] != '\0' && strlen(why) < sizeof(why));
        return;
    }
    VINE_ASSERT(identity.pid > 0 && identity.links_max <= VINE_STATUS_LINKS_MAX);
    json = vine__machine_identity_save(&identity);
    VINE_ASSERT(json != NULL);
    VINE_ASSERT(vine__machine_identity_load(json, &again, why, sizeof(why)) == 0);
    VINE_ASSERT(again.pid == identity.pid && again.start_ticks == identity.start_ticks &&
                again.scope == identity.scope && again.links_max == identity.links_max &&
                strcmp(again.qmp_path, identity.qmp_path) == 0);
    json_decref(json);
}

static void pass_over(void *context, const char *uid, const char *name, const char *text)
{
    (void)context, (void)uid, (void)name, (void)text;
}

static void read_machines(const uint8_t *bytes, size_t size)
{
    struct vine__engine engine = {.options = {.runtime = folder, .note = pass_over}};
    char path[128];

    write_file("machines.json", bytes, size, path);
    vine__engine_load(&engine);
    VINE_ASSERT(engine.left_count == json_array_size(engine.left));
    for (uint32_t i = 0; i < engine.left_count; i++) {
        VINE_ASSERT(vine__vm_is_uid(engine.left_uids[i]));
        VINE_ASSERT(vine__engine_is_left(&engine, engine.left_uids[i]));
        for (uint32_t other = 0; other < i; other++)
            VINE_ASSERT(strcmp(engine.left_uids[i], engine.left_uids[other]) != 0);
        check_left(json_array_get(engine.left, i));
    }
    json_decref(engine.left);
    json_decref(engine.left_links);
    free(engine.left_uids);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    make_folder();
    if (size_bytes == 0)
        return 0;
    if (bytes[0] == 's')
        read_conf(bytes + 1, size_bytes - 1);
    else if (bytes[0] == 'p')
        read_pools(bytes + 1, size_bytes - 1);
    else if (bytes[0] == 't')
        read_taken(bytes + 1, size_bytes - 1);
    else if (bytes[0] == 'm')
        read_machines(bytes + 1, size_bytes - 1);
    return 0;
}

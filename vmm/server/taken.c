/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/taken.c - see taken.h. */

#include "vmm/server/taken.h"

#include "arch/peer/identity.h"
#include "vmm/pool/json.h"
#include "vmm/server/state_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD "taken.json"

static const char *const words[] = {
    [VINE__VM_KERNEL] = "kernel", [VINE__VM_INITRD] = "initrd", [VINE__VM_DISK] = "disk"};

static int say(struct vine__problem *problem, int error, const char *path)
{
    return vine__problem_set(problem, error, "%s: %s", path, strerror(-error));
}

static bool join(char path[VINE__TAKEN_BYTES], const char *folder, const char *name)
{
    const int size = snprintf(path, VINE__TAKEN_BYTES, "%s/%s", folder, name);

    return size >= 0 && size < VINE__TAKEN_BYTES;
}

bool vine__taken_path(const struct vine__taken *taken, enum vine__vm_file file, const char *disk,
                      char ret_path[VINE__TAKEN_BYTES])
{
    char name[sizeof("disk-") + VINE__VM_NAME_BYTES];

    (void)snprintf(name, sizeof(name), "%s%s%s", words[file], file == VINE__VM_DISK ? "-" : "",
                   file == VINE__VM_DISK ? disk : "");
    return join(ret_path, taken->folder, name);
}

struct vine__taken_file *vine__taken_find(struct vine__taken *taken, enum vine__vm_file file,
                                          const char *disk)
{
    for (uint32_t i = 0; i < taken->file_count; i++)
        if (taken->files[i].file == file &&
            (file != VINE__VM_DISK || strcmp(taken->files[i].disk, disk) == 0))
            return &taken->files[i];
    return NULL;
}

/* ---- the record ------------------------------------------------------------------------------ */

/* A text of the record that fits, or the record is wrong. */
static void read_text(struct vine__json_reader *reader, const json_t *object, const char *key,
                      const char *otherwise, char *ret_text, size_t room)
{
    const char *const text = vine__json_text(reader, object, key, otherwise);

    if (text != NULL && strlen(text) >= room)
        vine__json_wrong(reader, key, "is too long");
    else
        (void)snprintf(ret_text, room, "%s", text != NULL ? text : "");
}

static void read_file(struct vine__json_reader *reader, const json_t *value,
                      struct vine__taken_file *file)
{
    static const char *const keys[] = {"file", "name", "size", "xxh3", "may_be_written", NULL};
    char word[8] = "";

    if (!vine__json_expect(reader, value, keys))
        return;
    read_text(reader, value, "file", NULL, word, sizeof(word));
    read_text(reader, value, "name", "", file->disk, sizeof(file->disk));
    read_text(reader, value, "xxh3", "", file->digest, sizeof(file->digest));
    file->size_bytes = vine__json_size(reader, value, "size", 0);
    file->may_be_written = vine__json_flag(reader, value, "may_be_written", false);
    for (int i = VINE__VM_KERNEL; i <= VINE__VM_DISK; i++)
        if (strcmp(words[i], word) == 0)
            file->file = (enum vine__vm_file)i;
    if (file->file == VINE__VM_CONFIGURATION)
        vine__json_wrong(reader, "file", "is none of kernel, initrd, disk");
    else if (file->file == VINE__VM_DISK && !vine__vm_is_name(file->disk))
        vine__json_wrong(reader, "name", VINE__VM_NAME_RULE);
}

/* The next one; not one that is there already, of which one may be written and the other not. */
static void add_file(struct vine__json_reader *reader, const json_t *value,
                     struct vine__taken *taken)
{
    struct vine__taken_file file = {.disk = ""};

    read_file(reader, value, &file);
    if (vine__json_is_well(reader) && vine__taken_find(taken, file.file, file.disk) != NULL)
        vine__json_wrong(reader, "file", "is there twice");
    taken->files[taken->file_count++] = file;
}

static void read_record(struct vine__json_reader *reader, const json_t *root,
                        struct vine__taken *taken)
{
    static const char *const keys[] = {"version", "uid",   "name",  "pool",
                                       "scope",   "going", "files", NULL};
    char uid[VINE__VM_UID_BYTES] = "";
    const json_t *list;

    if (!vine__json_expect(reader, root, keys))
        return;
    vine__json_version(reader, root, VINE__TAKEN_VERSION);
    read_text(reader, root, "uid", NULL, uid, sizeof(uid));
    read_text(reader, root, "name", NULL, taken->name, sizeof(taken->name));
    read_text(reader, root, "pool", NULL, taken->pool, sizeof(taken->pool));
    read_text(reader, root, "scope", "", taken->scope, sizeof(taken->scope));
    taken->is_going = vine__json_flag(reader, root, "going", false);
    if (vine__json_is_well(reader) && strcmp(uid, taken->uid) != 0)
        vine__json_wrong(reader, "uid", "is not that of its folder");
    list = vine__json_list(reader, root, "files", VINE__TAKEN_FILES_MAX);
    for (size_t i = 0; list != NULL && i < json_array_size(list); i++) {
        vine__json_stand_at(reader, "files[%zu]", i);
        add_file(reader, json_array_get(list, i), taken);
    }
}

int vine__taken_load(const char *machines, const char *uid, struct vine__taken *ret_taken,
                     struct vine__problem *problem)
{
    struct vine__json_reader reader = {.problem = problem};
    struct vine__taken taken = {.is_there = false};
    char path[VINE__TAKEN_BYTES];
    char *bytes = NULL;
    size_t size = 0;
    json_t *root;
    int error;

    memcpy(taken.uid, uid, sizeof(taken.uid));
    if (!join(taken.folder, machines, uid) || !join(path, taken.folder, RECORD))
        return say(problem, -ENAMETOOLONG, machines);
    error = vine__state_file_read(path, &bytes, &size);
    if (error != 0 && error != -ENOENT)
        return say(problem, error, path);
    if (error == 0) {
        reader.file = path;
        root = vine__json_parse(&reader, bytes, size);
        if (root != NULL)
            read_record(&reader, root, &taken);
        json_decref(root);
        free(bytes);
        if (!vine__json_is_well(&reader))
            return -EINVAL;
        taken.is_there = true;
    }
    *ret_taken = taken;
    return 0;
}

static json_t *print(const struct vine__taken *taken)
{
    json_t *const list = json_array();

    for (uint32_t i = 0; list != NULL && i < taken->file_count; i++) {
        const struct vine__taken_file *const file = &taken->files[i];
        json_t *const object =
            json_pack("{s:s, s:s, s:I, s:s, s:b}", "file", words[file->file], "name", file->disk,
                      "size", (json_int_t)file->size_bytes, "xxh3", file->digest, "may_be_written",
                      (int)file->may_be_written);

        if (json_array_append_new(list, object) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:b, s:o}", "version", VINE__TAKEN_VERSION, "uid",
                     taken->uid, "name", taken->name, "pool", taken->pool, "scope", taken->scope,
                     "going", (int)taken->is_going, "files", list);
}

/* The names that are in a folder stand a power cut. */
static int sync_folder(const char *folder)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error;

    if (fd < 0)
        return -errno;
    error = fsync(fd) != 0 ? -errno : 0;
    (void)close(fd);
    return error;
}

int vine__taken_save(struct vine__taken *taken, struct vine__problem *problem)
{
    json_t *const root = print(taken);
    char *const text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
    char path[VINE__TAKEN_BYTES];
    int error = text == NULL || !join(path, taken->folder, RECORD) ? -ENOMEM : 0;

    json_decref(root);
    if (error == 0)
        error = sync_folder(taken->folder);
    if (error == 0)
        error = vine__state_file_replace(path, text, strlen(text));
    free(text);
    if (error != 0)
        return say(problem, error, taken->folder);
    taken->is_there = true;
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

int vine__taken_begin(const struct vine__taken *taken, struct vine__problem *problem)
{
    char parent[VINE__TAKEN_BYTES];
    int error = 0;

    memcpy(parent, taken->folder, sizeof(parent));
    *strrchr(parent, '/') = '\0';
    if ((mkdir(parent, 0700) != 0 && errno != EEXIST) ||
        (mkdir(taken->folder, 0700) != 0 && errno != EEXIST))
        error = -errno;
    if (error == 0)
        error = sync_folder(parent);
    return error != 0 ? say(problem, error, taken->folder) : 0;
}

/* Whoever writes to a file gives it another time than this one, which is long ago. */
static const struct timespec untouched = {.tv_sec = 1};

int vine__taken_mark(int fd)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, untouched};

    return futimens(fd, times) != 0 || fsync(fd) != 0 ? -errno : 0;
}

static void name_scope(char scope[VINE__TAKEN_SCOPE_BYTES])
{
    struct vine__identity self;

    vine__identity_of_self(&self);
    (void)snprintf(scope, VINE__TAKEN_SCOPE_BYTES, "%016llx", (unsigned long long)self.scope);
}

void vine__taken_begin_scope(struct vine__taken *taken)
{
    name_scope(taken->scope);
}

/* A time is on the disk later than what was written then, even if that was synced: behind a power
 * cut the one may be there without the other. */
bool vine__taken_is_changed(const struct vine__taken *taken, const char *path)
{
    char scope[VINE__TAKEN_SCOPE_BYTES];
    struct stat status;

    name_scope(scope);
    return strcmp(taken->scope, scope) != 0 || lstat(path, &status) != 0 ||
           status.st_mtim.tv_sec != untouched.tv_sec || status.st_mtim.tv_nsec != untouched.tv_nsec;
}

void vine__taken_for_each(const char *machines, vine__taken_fn work, void *context)
{
    DIR *const folder = opendir(machines);

    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct vine__problem unused = {.text = ""};
        struct vine__taken taken;

        if (vine__vm_is_uid(entry->d_name) &&
            vine__taken_load(machines, entry->d_name, &taken, &unused) == 0)
            work(context, &taken);
    }
    (void)closedir(folder);
}

static bool is_ours(const char *name)
{
    return strcmp(name, "kernel") == 0 || strcmp(name, "initrd") == 0 ||
           strncmp(name, "disk-", 5) == 0 || strcmp(name, "new") == 0 ||
           strcmp(name, RECORD ".new") == 0;
}

void vine__taken_discard(struct vine__taken *taken)
{
    DIR *folder;

    folder = opendir(taken->folder);
    if (folder != NULL) {
        (void)unlinkat(dirfd(folder), RECORD, 0);
        (void)fsync(dirfd(folder));
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
            if (is_ours(entry->d_name))
                (void)unlinkat(dirfd(folder), entry->d_name, 0);
        (void)closedir(folder);
        (void)rmdir(taken->folder);
    }
    taken->is_there = false;
    taken->file_count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/roll.h"

#include "vmm/pool/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void read_digits(struct vine__json_reader *reader, const json_t *object, const char *key,
                        const char *otherwise, char *ret_text, size_t size)
{
    const char *const text = vine__json_text(reader, object, key, otherwise);

    ret_text[0] = '\0';
    if (text == NULL)
        return;
    if (strnlen(text, size) != size - 1 || strspn(text, "0123456789abcdef") != size - 1)
        vine__json_wrong(reader, key, "is no %zu lower-case hexadecimal digits", size - 1);
    else
        memcpy(ret_text, text, size);
}

static void read_file(struct vine__json_reader *reader, const json_t *value, const char *where,
                      struct vine__pool_file *ret_file)
{
    static const char *const keys[] = {"size", "xxh3", NULL};
    char outside[VINE__JSON_AT_BYTES];

    if (value == NULL)
        return;
    memcpy(outside, reader->at, sizeof(outside));
    vine__json_stand_at(reader, "%.40s.%.40s", outside, where);
    if (vine__json_expect(reader, value, keys)) {
        if (!json_is_integer(json_object_get(value, "size")))
            vine__json_wrong(reader, "size", "is no number of bytes");
        ret_file->is_there = true;
        ret_file->size_bytes = vine__json_size(reader, value, "size", 0);
        read_digits(reader, value, "xxh3", "", ret_file->digest, sizeof(ret_file->digest));
    }
    memcpy(reader->at, outside, sizeof(outside));
}

static void read_disks(struct vine__json_reader *reader, const json_t *object,
                       struct vine__pool_entry *entry)
{
    json_t *const disks = json_object_get(object, "disks");
    const char *name;
    json_t *value;

    if (disks == NULL)
        return;
    if (!json_is_object(disks) || json_object_size(disks) > VINE__VM_DISKS_MAX) {
        vine__json_wrong(reader, "disks", "is no object of at most %d disks", VINE__VM_DISKS_MAX);
        return;
    }
    json_object_foreach(disks, name, value)
    {
        struct vine__pool_disk *const disk = &entry->disks[entry->disk_count];

        if (!vine__vm_is_name(name)) {
            vine__json_wrong(reader, "disks", VINE__VM_NAME_RULE);
            return;
        }
        memcpy(disk->name, name, strlen(name) + 1);
        read_file(reader, value, disk->name, &disk->file);
        entry->disk_count++;
    }
}

static void read_entry(const json_t *value, uint32_t index, struct vine__pool_entry *entry)
{
    static const char *const keys[] = {"name", "uid", "hash", "kernel", "initrd", "disks", NULL};
    struct vine__json_reader reader = {.file = VINE__POOL_ROLL, .problem = &entry->problem};
    char hash[VINE__VM_HASH_BYTES];

    vine__json_stand_at(&reader, "vms[%u]", index);
    /* First, so that whatever else is wrong is told with it. */
    const char *const name = json_string_value(json_object_get(value, "name"));
    if (name != NULL && vine__vm_is_name(name))
        memcpy(entry->name, name, strlen(name) + 1);
    if (!vine__json_expect(&reader, value, keys))
        return;
    if (entry->name[0] == '\0') {
        vine__json_wrong(&reader, "name", VINE__VM_NAME_RULE);
        return;
    }
    read_digits(&reader, value, "uid", NULL, entry->uid, sizeof(entry->uid));
    read_digits(&reader, value, "hash", NULL, entry->hash, sizeof(entry->hash));
    vine__vm_hash(entry->name, hash);
    if (strcmp(hash, entry->hash) != 0)
        vine__json_wrong(&reader, "hash", "is not %s, the hash of \"%s\"", hash, entry->name);
    read_file(&reader, json_object_get(value, "kernel"), "kernel", &entry->kernel);
    read_file(&reader, json_object_get(value, "initrd"), "initrd", &entry->initrd);
    read_disks(&reader, value, entry);
}

/* Of two entries with one name, hash or UID, neither can be told which files are its own. */
static void compare(struct vine__pool_roll *roll, const char *what, size_t offset)
{
    for (uint32_t i = 0; i < roll->count; i++) {
        struct vine__pool_entry *const one = &roll->entries[i];
        const char *const text = (const char *)one + offset;

        for (uint32_t j = 0; j < i && text[0] != '\0'; j++) {
            struct vine__pool_entry *const other = &roll->entries[j];

            if (strcmp((const char *)other + offset, text) != 0)
                continue;
            (void)vine__problem_set(&one->problem, -EINVAL,
                                    VINE__POOL_ROLL ": vms[%u].%s: is that of vms[%u], \"%s\"", i,
                                    what, j, other->name);
            (void)vine__problem_set(&other->problem, -EINVAL,
                                    VINE__POOL_ROLL ": vms[%u].%s: is that of vms[%u], \"%s\"", j,
                                    what, i, one->name);
        }
    }
}

static int read_entries(struct vine__json_reader *reader, struct vine__pool_roll *roll)
{
    static const char *const keys[] = {"version", "vms", NULL};

    vine__json_version(reader, roll->json, VINE__ROLL_VERSION);
    if (!vine__json_expect(reader, roll->json, keys))
        return -EINVAL;
    const json_t *const list = vine__json_list(reader, roll->json, "vms", VINE__POOL_VMS_MAX);
    if (list == NULL)
        vine__json_wrong(reader, "vms", "is missing");
    if (!vine__json_is_well(reader))
        return -EINVAL;
    const size_t count = json_array_size(list);
    roll->entries = calloc(count + 1, sizeof(*roll->entries));
    if (roll->entries == NULL)
        return -ENOMEM;
    roll->count = (uint32_t)count;
    for (uint32_t i = 0; i < roll->count; i++)
        read_entry(json_array_get(list, i), i, &roll->entries[i]);
    compare(roll, "name", offsetof(struct vine__pool_entry, name));
    compare(roll, "hash", offsetof(struct vine__pool_entry, hash));
    compare(roll, "uid", offsetof(struct vine__pool_entry, uid));
    return 0;
}

int vine__pool_roll_parse(const void *bytes, size_t size, struct vine__pool_roll *ret_roll,
                          struct vine__problem *problem)
{
    struct vine__json_reader reader = {.file = VINE__POOL_ROLL, .problem = problem};
    struct vine__pool_roll roll = {.json = vine__json_parse(&reader, bytes, size)};

    if (roll.json == NULL)
        return -EINVAL;
    const int error = read_entries(&reader, &roll);

    if (error != 0) {
        vine__pool_roll_fini(&roll);
        return error;
    }
    *ret_roll = roll;
    return 0;
}

int vine__pool_roll_init(struct vine__pool_roll *ret_roll)
{
    struct vine__pool_roll roll = {
        .json = json_pack("{s:i, s:[]}", "version", VINE__ROLL_VERSION, "vms"),
        .entries = calloc(1, sizeof(*roll.entries)),
    };

    if (roll.json == NULL || roll.entries == NULL) {
        vine__pool_roll_fini(&roll);
        return -ENOMEM;
    }
    *ret_roll = roll;
    return 0;
}

void vine__pool_roll_fini(struct vine__pool_roll *roll)
{
    json_decref(roll->json);
    free(roll->entries);
    *roll = (struct vine__pool_roll){0};
}

const struct vine__pool_entry *vine__pool_roll_find(const struct vine__pool_roll *roll,
                                                    const char *name)
{
    for (uint32_t i = 0; i < roll->count; i++)
        if (strcmp(roll->entries[i].name, name) == 0)
            return &roll->entries[i];
    return NULL;
}

const struct vine__pool_entry *vine__pool_roll_find_hash(const struct vine__pool_roll *roll,
                                                         const char *hash, const char *name)
{
    for (uint32_t i = 0; i < roll->count; i++)
        if (strcmp(roll->entries[i].hash, hash) == 0 && strcmp(roll->entries[i].name, name) != 0)
            return &roll->entries[i];
    return NULL;
}

/* ---- written --------------------------------------------------------------------------------- */

static json_t *file_json(const struct vine__pool_file *file)
{
    json_t *const object = json_pack("{s:I}", "size", (json_int_t)file->size_bytes);

    if (object != NULL && file->digest[0] != '\0')
        (void)json_object_set_new(object, "xxh3", json_string(file->digest));
    return object;
}

json_t *vine__pool_entry_json(const struct vine__pool_entry *entry)
{
    json_t *const object =
        json_pack("{s:s, s:s, s:s}", "name", entry->name, "uid", entry->uid, "hash", entry->hash);
    bool is_well = object != NULL;

    if (is_well && entry->kernel.is_there)
        is_well = json_object_set_new(object, "kernel", file_json(&entry->kernel)) == 0;
    if (is_well && entry->initrd.is_there)
        is_well = json_object_set_new(object, "initrd", file_json(&entry->initrd)) == 0;
    if (is_well && entry->disk_count > 0) {
        json_t *const disks = json_object();

        for (uint32_t i = 0; is_well && i < entry->disk_count; i++)
            is_well = json_object_set_new(disks, entry->disks[i].name,
                                          file_json(&entry->disks[i].file)) == 0;
        is_well = json_object_set_new(object, "disks", disks) == 0 && is_well;
    }
    if (!is_well) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int vine__pool_roll_put(struct vine__pool_roll *roll, const struct vine__pool_entry *entry)
{
    json_t *const list = json_object_get(roll->json, "vms");
    json_t *const value = vine__pool_entry_json(entry);
    struct vine__pool_entry *const old =
        (struct vine__pool_entry *)(uintptr_t)vine__pool_roll_find(roll, entry->name);

    if (value == NULL)
        return -ENOMEM;
    if (old != NULL) {
        const size_t index = (size_t)(old - roll->entries);

        if (json_array_set_new(list, index, value) != 0)
            return -ENOMEM;
        *old = *entry;
        return 0;
    }
    struct vine__pool_entry *const entries =
        realloc(roll->entries, (roll->count + 2) * sizeof(*entries));

    if (entries == NULL) {
        json_decref(value);
        return -ENOMEM;
    }
    roll->entries = entries;
    if (json_array_append_new(list, value) != 0)
        return -ENOMEM;
    entries[roll->count++] = *entry;
    return 0;
}

void vine__pool_roll_remove(struct vine__pool_roll *roll, const char *name)
{
    const struct vine__pool_entry *const entry = vine__pool_roll_find(roll, name);

    if (entry == NULL)
        return;
    const size_t index = (size_t)(entry - roll->entries);

    (void)json_array_remove(json_object_get(roll->json, "vms"), index);
    roll->count--;
    memmove(&roll->entries[index], &roll->entries[index + 1],
            (roll->count - index) * sizeof(*roll->entries));
}

char *vine__pool_roll_print(const struct vine__pool_roll *roll)
{
    return json_dumps(roll->json, JSON_INDENT(1));
}

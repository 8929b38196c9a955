/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/store_memory.c - see store_memory.h. */

#include "vmm/server/store_memory.h"

#include "arch/peer/random.h"
#include "utils/config.h"
#include "utils/container_of.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stored {
    struct stored *next;
    char uid[VINE__CLIENT_UID_BYTES];
    char *configuration;
    uint64_t memory_bytes;
    int files[VINE__UPLOAD_COUNT]; /* -1: none */
};

struct store_memory {
    struct vine__store base;
    struct stored *first;
};

static enum vine_server_error refuse(char why[VINE__SERVER_WHY_BYTES], enum vine_server_error error,
                                     const char *text)
{
    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "%s", text);
    return error;
}

static void forget(struct stored *stored)
{
    for (int i = 0; i < VINE__UPLOAD_COUNT; i++)
        if (stored->files[i] >= 0)
            (void)close(stored->files[i]);
    free(stored->configuration);
    free(stored);
}

/* Where it is linked, or where the last one ends. */
static struct stored **find(const struct vine__store *store, const char *uid)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);
    struct stored **at = &memory->first;

    while (*at != NULL && strcmp((*at)->uid, uid) != 0)
        at = &(*at)->next;
    return at;
}

static void tell_facts(const struct stored *stored, struct vine__store_facts *ret_facts)
{
    *ret_facts = (struct vine__store_facts){
        .configuration = stored->configuration,
        .configuration_bytes = strlen(stored->configuration),
        .memory_bytes = stored->memory_bytes,
    };
}

/* ---- configurations -------------------------------------------------------------------------- */

/* A number of bytes, or a text as "64M". */
static bool read_memory(const json_t *value, uint64_t *ret_bytes)
{
    if (value == NULL)
        *ret_bytes = VINE__STORE_MEMORY_BYTES;
    else if (json_is_integer(value) && json_integer_value(value) > 0)
        *ret_bytes = (uint64_t)json_integer_value(value);
    else if (!json_is_string(value) || vine__parse_size(json_string_value(value), ret_bytes) != 0 ||
             *ret_bytes == 0)
        return false;
    return true;
}

static enum vine_server_error take(struct stored *stored, json_t *root, char *why)
{
    uint64_t memory_bytes;
    char *text;

    if (!json_is_object(root))
        return refuse(why, VINE_SERVER_E_BAD_VALUE, "a configuration is a JSON object");
    if (!read_memory(json_object_get(root, "memory"), &memory_bytes))
        return refuse(why, VINE_SERVER_E_BAD_VALUE, "memory: it is a size, as \"256M\"");
    text = json_dumps(root, JSON_COMPACT);
    if (text == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    free(stored->configuration);
    stored->configuration = text;
    stored->memory_bytes = memory_bytes;
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error configure(struct vine__store *store, const char *uid,
                                        const char *json, size_t size,
                                        struct vine__store_facts *ret_facts,
                                        char why[VINE__SERVER_WHY_BYTES])
{
    struct stored *const stored = *find(store, uid);
    enum vine_server_error told;
    json_error_t error;
    json_t *root;

    if (stored == NULL)
        return VINE_SERVER_E_NO_VM;
    if (size > VINE__STORE_CONFIGURATION_BYTES_MAX)
        return refuse(why, VINE_SERVER_E_TOO_LONG, "a configuration has at most 65536 bytes");
    root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        (void)snprintf(why, VINE__SERVER_WHY_BYTES, "the configuration, line %d: %s", error.line,
                       error.text);
        return VINE_SERVER_E_BAD_VALUE;
    }
    told = take(stored, root, why);
    json_decref(root);
    if (told == VINE_SERVER_E_DONE)
        tell_facts(stored, ret_facts);
    return told;
}

/* ---- VMs ------------------------------------------------------------------------------------- */

static int make_uid(char uid[VINE__CLIENT_UID_BYTES])
{
    unsigned char random[(VINE__CLIENT_UID_BYTES - 1) / 2];
    const int error = vine__random_bytes(random, sizeof(random));

    for (size_t i = 0; error == 0 && i < sizeof(random); i++)
        (void)snprintf(uid + 2 * i, 3, "%02x", random[i]);
    return error;
}

static enum vine_server_error create(struct vine__store *store, const char *name,
                                     char ret_uid[VINE__CLIENT_UID_BYTES],
                                     struct vine__store_facts *ret_facts,
                                     char why[VINE__SERVER_WHY_BYTES])
{
    struct stored *const stored = calloc(1, sizeof(*stored));
    json_t *const root = json_pack("{s:s}", "name", name);
    enum vine_server_error told = VINE_SERVER_E_DONE;

    if (stored == NULL || root == NULL || make_uid(stored->uid) != 0)
        told = refuse(why, VINE_SERVER_E_FAILED, "no memory");
    for (int i = 0; stored != NULL && i < VINE__UPLOAD_COUNT; i++)
        stored->files[i] = -1;
    if (told == VINE_SERVER_E_DONE)
        told = take(stored, root, why);
    json_decref(root);
    if (told != VINE_SERVER_E_DONE) {
        free(stored);
        return told;
    }
    *find(store, stored->uid) = stored;
    memcpy(ret_uid, stored->uid, sizeof(stored->uid));
    tell_facts(stored, ret_facts);
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error remove_vm(struct vine__store *store, const char *uid,
                                        char why[VINE__SERVER_WHY_BYTES])
{
    struct stored **const at = find(store, uid);
    struct stored *const stored = *at;

    (void)why;
    if (stored == NULL)
        return VINE_SERVER_E_NO_VM;
    *at = stored->next;
    forget(stored);
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error put(struct vine__store *store, const char *uid,
                                  enum vine__vm_upload upload, int fd, uint64_t size,
                                  char why[VINE__SERVER_WHY_BYTES])
{
    struct stored *const stored = *find(store, uid);
    const int copy = stored != NULL ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

    (void)size;
    if (stored == NULL)
        return VINE_SERVER_E_NO_VM;
    if (copy < 0)
        return refuse(why, VINE_SERVER_E_FAILED, "too many open files");
    if (stored->files[upload] >= 0)
        (void)close(stored->files[upload]);
    stored->files[upload] = copy;
    return VINE_SERVER_E_DONE;
}

static const struct vine__store_calls calls = {
    .create = create, .remove = remove_vm, .configure = configure, .put = put};

int vine__store_memory_create(struct vine__store **ret_store)
{
    struct store_memory *const memory = calloc(1, sizeof(*memory));

    if (memory == NULL)
        return -ENOMEM;
    memory->base.calls = &calls;
    *ret_store = &memory->base;
    return 0;
}

void vine__store_memory_destroy(struct vine__store *store)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);

    while (memory->first != NULL) {
        struct stored *const stored = memory->first;

        memory->first = stored->next;
        forget(stored);
    }
    free(memory);
}

int vine__store_memory_file(const struct vine__store *store, const char *uid,
                            enum vine__vm_upload upload)
{
    const struct stored *const stored = *find(store, uid);

    return stored != NULL ? stored->files[upload] : -1;
}

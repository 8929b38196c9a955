/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory.c - see store_memory.h. */

#include "store_memory.h"

#include "utils/config.h"
#include "utils/container_of.h"
#include "vmm/server/clients.h"

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
    char name[VINE__VM_NAME_BYTES];
    char pool[VINE__POOL_NAME_BYTES];
    char *configuration;
    uint64_t memory_bytes;
    int files[VINE__UPLOAD_COUNT]; /* -1: none */
    uint64_t sizes[VINE__UPLOAD_COUNT];
    bool is_out;
};

struct store_memory {
    struct vine__vm_store base;
    struct stored *first;
    struct vine__errand *asked, **asked_end;
    enum vine__vm_store_task failing;
    enum vine_server_error failure; /* DONE: none fails */
    bool is_silent;                 /* it is done, and nobody hears of that */
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
static struct stored **find_stored(const struct vine__vm_store *store, const char *uid)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);
    struct stored **at = &memory->first;

    while (*at != NULL && strcmp((*at)->uid, uid) != 0)
        at = &(*at)->next;
    return at;
}

static enum vine_server_error tell_facts(const struct stored *stored, struct vine__vm_facts *facts,
                                         char why[VINE__SERVER_WHY_BYTES])
{
    *facts = (struct vine__vm_facts){
        .configuration = strdup(stored->configuration),
        .configuration_bytes = strlen(stored->configuration),
        .memory_bytes = stored->memory_bytes,
        .is_taken_out = stored->is_out,
    };
    if (facts->configuration == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    memcpy(facts->uid, stored->uid, sizeof(facts->uid));
    memcpy(facts->name, stored->name, sizeof(facts->name));
    memcpy(facts->pool, stored->pool, sizeof(facts->pool));
    memcpy(facts->upload_bytes, stored->sizes, sizeof(facts->upload_bytes));
    return VINE_SERVER_E_DONE;
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

static enum vine_server_error configure(struct stored *stored, struct vine__vm_store_work *work)
{
    enum vine_server_error told;
    json_error_t error;
    json_t *root;

    if (work->json_bytes > VINE__STORE_CONFIGURATION_BYTES_MAX)
        return refuse(work->why, VINE_SERVER_E_TOO_LONG, "a configuration has at most 65536 bytes");
    root = json_loadb(work->json, work->json_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        (void)snprintf(work->why, VINE__SERVER_WHY_BYTES, "the configuration, line %d: %s",
                       error.line, error.text);
        return VINE_SERVER_E_BAD_VALUE;
    }
    told = take(stored, root, work->why);
    json_decref(root);
    return told;
}

/* ---- VMs ------------------------------------------------------------------------------------- */

static enum vine_server_error create(struct store_memory *memory, struct vine__vm_store_work *work)
{
    struct stored *const stored = calloc(1, sizeof(*stored));
    json_t *const root = json_pack("{s:s}", "name", work->name);
    enum vine_server_error told = VINE_SERVER_E_DONE;

    if (stored == NULL || root == NULL)
        told = refuse(work->why, VINE_SERVER_E_FAILED, "no memory");
    for (int i = 0; stored != NULL && i < VINE__UPLOAD_COUNT; i++)
        stored->files[i] = -1;
    if (told == VINE_SERVER_E_DONE)
        told = take(stored, root, work->why);
    json_decref(root);
    if (told == VINE_SERVER_E_DONE) {
        (void)snprintf(stored->uid, sizeof(stored->uid), "%s", work->uid);
        (void)snprintf(stored->name, sizeof(stored->name), "%s", work->name);
        (void)snprintf(stored->pool, sizeof(stored->pool), "%s", work->pool);
        told = tell_facts(stored, &work->facts, work->why);
    }
    if (told != VINE_SERVER_E_DONE) {
        free(stored != NULL ? stored->configuration : NULL);
        free(stored);
        return told;
    }
    *find_stored(&memory->base, stored->uid) = stored;
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error put(struct stored *stored, struct vine__vm_store_work *work)
{
    if (stored->files[work->upload] >= 0)
        (void)close(stored->files[work->upload]);
    stored->files[work->upload] = work->fd;
    stored->sizes[work->upload] = work->size_bytes;
    return VINE_SERVER_E_DONE;
}

/* Nothing can run out of this store: a boot has names, and no files. */
static enum vine_server_error take_out(struct stored *stored, struct vine__vm_store_work *work)
{
    struct vine__boot *const boot = calloc(1, sizeof(*boot));

    if (boot == NULL)
        return refuse(work->why, VINE_SERVER_E_FAILED, "no memory");
    memcpy(boot->uid, stored->uid, sizeof(boot->uid));
    memcpy(boot->name, stored->name, sizeof(boot->name));
    memcpy(boot->pool, stored->pool, sizeof(boot->pool));
    stored->is_out = true;
    work->boot = boot;
    return VINE_SERVER_E_DONE;
}

static enum vine_server_error act_on(struct stored **at, struct vine__vm_store_work *work)
{
    struct stored *const stored = *at;
    enum vine_server_error told = VINE_SERVER_E_DONE;

    if (work->task == VINE__VM_REMOVE) {
        *at = stored->next;
        forget(stored);
        return VINE_SERVER_E_DONE;
    }
    if (work->task == VINE__VM_TAKE_OUT)
        return take_out(stored, work);
    if (work->task == VINE__VM_CONFIGURE)
        told = configure(stored, work);
    else if (work->task == VINE__VM_PUT)
        told = put(stored, work);
    else
        stored->is_out = false;
    return told == VINE_SERVER_E_DONE ? tell_facts(stored, &work->facts, work->why) : told;
}

static enum vine_server_error do_it(struct store_memory *memory, struct vine__vm_store_work *work)
{
    struct stored **at;

    if (work->task == VINE__VM_CREATE)
        return create(memory, work);
    at = find_stored(&memory->base, work->uid);
    return *at != NULL ? act_on(at, work)
                       : refuse(work->why, VINE_SERVER_E_NO_VM, "the store has no such VM");
}

static enum vine_server_error act(struct store_memory *memory, struct vine__vm_store_work *work)
{
    if (memory->failure == VINE_SERVER_E_DONE || memory->failing != work->task)
        return do_it(memory, work);
    if (memory->is_silent && do_it(memory, work) == VINE_SERVER_E_DONE)
        vine__vm_facts_fini(&work->facts);
    work->is_in_doubt = memory->is_silent;
    return refuse(work->why, memory->failure, "the store was told to fail");
}

/* ---- work ------------------------------------------------------------------------------------ */

static void begin_work(struct vine__vm_store *store, struct vine__vm_store_work *work)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);

    work->errand.next = NULL;
    *memory->asked_end = &work->errand;
    memory->asked_end = &work->errand.next;
}

bool vine__store_memory_step(struct vine__vm_store *store)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);
    struct vine__errand *const errand = memory->asked;
    struct vine__vm_store_work *work;

    if (errand == NULL)
        return false;
    memory->asked = errand->next;
    if (memory->asked == NULL)
        memory->asked_end = &memory->asked;
    work = VINE_CONTAINER_OF(errand, struct vine__vm_store_work, errand);
    work->error = act(memory, work);
    work->done(work);
    return true;
}

void vine__store_memory_fail(struct vine__vm_store *store, enum vine__vm_store_task task,
                             enum vine_server_error error)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);

    memory->failing = task;
    memory->failure = error;
    memory->is_silent = false;
}

void vine__store_memory_be_silent(struct vine__vm_store *store, enum vine__vm_store_task task)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);

    vine__store_memory_fail(store, task, VINE_SERVER_E_FAILED);
    memory->is_silent = true;
}

uint32_t vine__store_memory_list(const struct vine__vm_store *store,
                                 struct vine__vm_facts **ret_facts)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);
    struct vine__vm_facts *all = NULL;
    uint32_t count = 0;

    for (const struct stored *stored = memory->first; stored != NULL; stored = stored->next) {
        char why[VINE__SERVER_WHY_BYTES];
        struct vine__vm_facts *const more = realloc(all, (count + 1) * sizeof(*all));

        if (more == NULL || tell_facts(stored, &more[count], why) != VINE_SERVER_E_DONE)
            abort();
        all = more;
        count++;
    }
    *ret_facts = all;
    return count;
}

int vine__store_memory_create(struct vine__vm_store **ret_store)
{
    struct store_memory *const memory = calloc(1, sizeof(*memory));

    if (memory == NULL)
        return -ENOMEM;
    memory->base.begin = begin_work;
    memory->asked_end = &memory->asked;
    *ret_store = &memory->base;
    return 0;
}

void vine__store_memory_destroy(struct vine__vm_store *store)
{
    struct store_memory *const memory = VINE_CONTAINER_OF(store, struct store_memory, base);

    while (memory->first != NULL) {
        struct stored *const stored = memory->first;

        memory->first = stored->next;
        forget(stored);
    }
    free(memory);
}

int vine__store_memory_file(const struct vine__vm_store *store, const char *uid,
                            enum vine__vm_upload upload)
{
    const struct stored *const stored = *find_stored(store, uid);

    return stored != NULL ? stored->files[upload] : -1;
}

bool vine__store_memory_is_out(const struct vine__vm_store *store, const char *uid)
{
    const struct stored *const stored = *find_stored(store, uid);

    return stored != NULL && stored->is_out;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/registry.c - see registry.h. */

#include "vmm/server/registry.h"

#include "utils/assert.h"
#include "utils/container_of.h"
#include "utils/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum vine_server_error refuse(char why[VINE__SERVER_WHY_BYTES], enum vine_server_error error,
                                     const char *text)
{
    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "%s", text);
    return error;
}

/* ---- states ---------------------------------------------------------------------------------- */

static const char *const state_words[] = {
#define STATE_WORD(value, word) [value] = (word),
    VINE__VM_STATES(STATE_WORD)
#undef STATE_WORD
};

#define STATE_COUNT (sizeof(state_words) / sizeof(state_words[0]))

const char *vine__vm_state_word(enum vine__vm_state state)
{
    VINE_ASSERT((size_t)state < STATE_COUNT);
    return state_words[state];
}

bool vine__vm_state_read(const char *word, size_t size, enum vine__vm_state *ret_state)
{
    for (size_t i = 0; i < STATE_COUNT; i++)
        if (strlen(state_words[i]) == size && memcmp(state_words[i], word, size) == 0) {
            *ret_state = (enum vine__vm_state)i;
            return true;
        }
    return false;
}

/* ---- finding --------------------------------------------------------------------------------- */

struct key {
    const struct vine__client *owner;
    const char *uid;
};

/* UIDs are random, and nobody chooses one. FNV-1a, by Fowler, Noll and Vo. */
static uint64_t hash_of(const struct vine__client *owner, const char *uid)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uintptr_t)owner;

    for (; *uid != '\0'; uid++)
        hash = (hash ^ (unsigned char)*uid) * UINT64_C(0x100000001b3);
    return hash;
}

static bool is_of_owner(const struct vine_hash_node *node, const void *key)
{
    const struct vine__vm *const vm = VINE_CONTAINER_OF(node, struct vine__vm, of_owner);
    const struct key *const wanted = key;

    return vm->owner == wanted->owner && strcmp(vm->uid, wanted->uid) == 0;
}

static bool is_of_all(const struct vine_hash_node *node, const void *key)
{
    const struct vine__vm *const vm = VINE_CONTAINER_OF(node, struct vine__vm, of_all);

    return strcmp(vm->uid, ((const struct key *)key)->uid) == 0;
}

struct vine__vm *vine__registry_find(const struct vine__registry *registry,
                                     const struct vine__client *client, const char *uid,
                                     size_t size)
{
    const struct vine_hash_table *const table =
        client != NULL ? &registry->of_owner : &registry->of_all;
    char text[VINE__CLIENT_UID_BYTES];
    const struct key key = {.owner = client, .uid = text};
    struct vine_hash_node *node;

    if (size != sizeof(text) - 1 || memchr(uid, '\0', size) != NULL)
        return NULL;
    memcpy(text, uid, size);
    text[size] = '\0';
    node = vine_hash_table_find(table, hash_of(client, text),
                                client != NULL ? is_of_owner : is_of_all, &key);
    if (node == NULL)
        return NULL;
    return client != NULL ? VINE_CONTAINER_OF(node, struct vine__vm, of_owner)
                          : VINE_CONTAINER_OF(node, struct vine__vm, of_all);
}

/* ---- the registry ---------------------------------------------------------------------------- */

void vine__registry_init(struct vine__registry *registry, struct vine__clients *clients,
                         struct vine__machines *machines, struct vine__store *store)
{
    *registry = (struct vine__registry){.clients = clients, .machines = machines, .store = store};
    vine_hash_table_init(&registry->of_owner, NULL);
    vine_hash_table_init(&registry->of_all, NULL);
    vine_list_init(&registry->vms);
    vine_list_init(&registry->watchers);
}

static void remember(struct vine__registry *registry, struct vine__vm *vm)
{
    vine_hash_table_insert(&registry->of_owner, &vm->of_owner, hash_of(vm->owner, vm->uid));
    vine_hash_table_insert(&registry->of_all, &vm->of_all, hash_of(NULL, vm->uid));
    vine_list_push_back(&registry->vms, &vm->link);
    registry->count++;
}

static void forget(struct vine__registry *registry, struct vine__vm *vm)
{
    vine_hash_table_remove(&registry->of_owner, &vm->of_owner);
    vine_hash_table_remove(&registry->of_all, &vm->of_all);
    vine_list_remove(&vm->link);
    registry->count--;
    free(vm->parameters);
    free(vm);
}

void vine__registry_fini(struct vine__registry *registry)
{
    VINE_ASSERT(vine_list_is_empty(&registry->watchers));
    while (!vine_list_is_empty(&registry->vms))
        forget(registry, VINE_LIST_OBJECT(registry->vms.next, struct vine__vm, link));
    vine_hash_table_fini(&registry->of_owner);
    vine_hash_table_fini(&registry->of_all);
}

int vine__registry_adopt(struct vine__registry *registry, const char *uid, const char *name,
                         const struct vine__store_facts *facts,
                         const uint64_t upload_bytes[VINE__UPLOAD_COUNT])
{
    struct vine__vm *const vm = calloc(1, sizeof(*vm));

    if (vm == NULL)
        return -ENOMEM;
    (void)snprintf(vm->uid, sizeof(vm->uid), "%s", uid);
    (void)snprintf(vm->name, sizeof(vm->name), "%s", name);
    vm->owner = vine__clients_owner(registry->clients, uid);
    vm->facts = *facts;
    vm->ended_by = "";
    memcpy(vm->upload_bytes, upload_bytes, sizeof(vm->upload_bytes));
    remember(registry, vm);
    return 0;
}

struct vine__vm **vine__registry_collect(const struct vine__registry *registry,
                                         const struct vine__client *client, uint32_t *ret_count)
{
    const uint32_t most = client != NULL ? client->vm_count : registry->count;
    struct vine__vm **const vms = malloc((most + 1U) * sizeof(struct vine__vm *));
    uint32_t count = 0;

    if (vms == NULL)
        return NULL;
    if (client == NULL)
        VINE_LIST_FOR_EACH(node, &registry->vms)
    vms[count++] = VINE_LIST_OBJECT(node, struct vine__vm, link);
    for (uint32_t i = 0; client != NULL && i < client->vm_count; i++) {
        vms[count] =
            vine__registry_find(registry, client, client->vms[i], VINE__CLIENT_UID_BYTES - 1);
        count += vms[count] != NULL;
    }
    *ret_count = count;
    return vms;
}

static enum vine_server_error save(const struct vine__registry *registry,
                                   char why[VINE__SERVER_WHY_BYTES])
{
    const int error = registry->clients_path == NULL
                          ? 0
                          : vine__clients_save(registry->clients_path, registry->clients);

    if (error == -ENOSPC || error == -EDQUOT)
        return refuse(why, VINE_SERVER_E_FULL, "no room for the list of clients");
    return error != 0 ? refuse(why, VINE_SERVER_E_FAILED, "the list of clients cannot be written")
                      : VINE_SERVER_E_DONE;
}

/* ---- who hears of them ---------------------------------------------------------------------- */

static void hear(struct vine__registry *registry, const struct vine__vm *vm)
{
    VINE_LIST_FOR_EACH(node, &registry->watchers)
    {
        struct vine__watcher *const watcher = VINE_LIST_OBJECT(node, struct vine__watcher, link);

        if (watcher->client == NULL || watcher->client == vm->owner)
            watcher->heard(watcher, vm);
    }
}

void vine__registry_watch(struct vine__registry *registry, struct vine__watcher *watcher)
{
    vine_list_push_back(&registry->watchers, &watcher->link);
}

void vine__registry_unwatch(struct vine__watcher *watcher)
{
    vine_list_remove(&watcher->link);
}

/* ---- definitions ----------------------------------------------------------------------------- */

static bool has_name(const struct vine__registry *registry, const struct vine__client *client,
                     const char *name)
{
    for (uint32_t i = 0; i < client->vm_count; i++) {
        const struct vine__vm *const vm =
            vine__registry_find(registry, client, client->vms[i], VINE__CLIENT_UID_BYTES - 1);

        if (vm != NULL && strcmp(vm->name, name) == 0)
            return true;
    }
    return false;
}

/* The client has it from now on, on the disk too; or nothing of it is left. */
static enum vine_server_error give(struct vine__registry *registry, struct vine__vm *vm,
                                   char why[VINE__SERVER_WHY_BYTES])
{
    const int error = vine__clients_give(registry->clients, vm->owner, vm->uid);
    enum vine_server_error told;

    if (error == -ENOSPC)
        return refuse(why, VINE_SERVER_E_LIMIT, "as many VMs as there may be");
    if (error != 0)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    told = save(registry, why);
    if (told != VINE_SERVER_E_DONE)
        (void)!vine__clients_take(vm->owner, vm->uid);
    return told;
}

static enum vine_server_error make(struct vine__registry *registry, struct vine__vm *vm,
                                   char why[VINE__SERVER_WHY_BYTES])
{
    const struct vine__store_calls *const calls = registry->store->calls;
    char ignored[VINE__SERVER_WHY_BYTES];
    enum vine_server_error told =
        calls->create(registry->store, vm->name, vm->uid, &vm->facts, why);

    if (told != VINE_SERVER_E_DONE)
        return told;
    told = give(registry, vm, why);
    if (told != VINE_SERVER_E_DONE)
        (void)calls->remove(registry->store, vm->uid, ignored);
    return told;
}

enum vine_server_error vine__registry_create(struct vine__registry *registry,
                                             struct vine__client *client, const char *name,
                                             size_t size, struct vine__vm **ret_vm,
                                             char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__vm *vm;
    enum vine_server_error told;

    if (client->vm_count >= client->limits.vms)
        return refuse(why, VINE_SERVER_E_LIMIT, "as many VMs as there may be");
    vm = calloc(1, sizeof(*vm));
    if (vm == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    if (size < sizeof(vm->name))
        memcpy(vm->name, name, size);
    if (size >= sizeof(vm->name) || strlen(vm->name) != size ||
        !vine__is_name(vm->name, sizeof(vm->name)))
        told = refuse(why, VINE_SERVER_E_BAD_VALUE, "a name is 1 to 31 of " VINE__NAME_RULE);
    else if (has_name(registry, client, vm->name))
        told = refuse(why, VINE_SERVER_E_EXISTS, "a VM has this name");
    else {
        vm->owner = client;
        vm->ended_by = "";
        told = make(registry, vm, why);
    }
    if (told != VINE_SERVER_E_DONE) {
        free(vm);
        return told;
    }
    remember(registry, vm);
    *ret_vm = vm;
    return VINE_SERVER_E_DONE;
}

/* What nobody may do while it runs, or while its files are being changed. */
static enum vine_server_error check_idle(const struct vine__vm *vm,
                                         char why[VINE__SERVER_WHY_BYTES])
{
    if (vm->is_uploading)
        return refuse(why, VINE_SERVER_E_BUSY, "an upload to this VM is under way");
    if (vm->state != VINE__VM_OFF)
        return refuse(why, VINE_SERVER_E_BAD_STATE, "the VM runs");
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__registry_remove(struct vine__registry *registry, struct vine__vm *vm,
                                             char why[VINE__SERVER_WHY_BYTES])
{
    enum vine_server_error told = check_idle(vm, why);

    if (told == VINE_SERVER_E_DONE)
        told = registry->store->calls->remove(registry->store, vm->uid, why);
    if (told != VINE_SERVER_E_DONE)
        return told;
    if (vm->owner != NULL)
        (void)!vine__clients_take(vm->owner, vm->uid);
    vm->state = VINE__VM_DELETED;
    hear(registry, vm);
    forget(registry, vm);
    return save(registry, why);
}

enum vine_server_error vine__registry_configure(struct vine__registry *registry,
                                                struct vine__vm *vm, const char *json, size_t size,
                                                char why[VINE__SERVER_WHY_BYTES])
{
    const enum vine_server_error told = check_idle(vm, why);

    if (told != VINE_SERVER_E_DONE)
        return told;
    return registry->store->calls->configure(registry->store, vm->uid, json, size, &vm->facts, why);
}

/* ---- execution ------------------------------------------------------------------------------- */

/* Over the client's own VMs alone: how many others there are makes no difference to it. */
static struct vine__vm *vm_at(const struct vine__registry *registry,
                              const struct vine__client *client, uint32_t at)
{
    return vine__registry_find(registry, client, client->vms[at], VINE__CLIENT_UID_BYTES - 1);
}

uint64_t vine__registry_memory(const struct vine__registry *registry,
                               const struct vine__client *client)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < client->vm_count; i++) {
        const struct vine__vm *const vm = vm_at(registry, client, i);

        if (vm != NULL && vm->state != VINE__VM_OFF)
            bytes += vm->facts.memory_bytes;
    }
    return bytes;
}

uint64_t vine__registry_disk(const struct vine__registry *registry,
                             const struct vine__client *client)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < client->vm_count; i++) {
        const struct vine__vm *const vm = vm_at(registry, client, i);

        if (vm == NULL)
            continue;
        bytes += vm->reserved_bytes;
        for (int upload = 0; upload < VINE__UPLOAD_COUNT; upload++)
            bytes += vm->upload_bytes[upload];
    }
    return bytes;
}

static enum vine_server_error check_memory(const struct vine__registry *registry,
                                           const struct vine__vm *vm,
                                           char why[VINE__SERVER_WHY_BYTES])
{
    const struct vine__client *const owner = vm->owner;
    const uint64_t taken = owner != NULL ? vine__registry_memory(registry, owner) : 0;

    if (owner != NULL && (taken > owner->limits.memory_bytes ||
                          vm->facts.memory_bytes > owner->limits.memory_bytes - taken))
        return refuse(why, VINE_SERVER_E_LIMIT, "more memory than there may be");
    return VINE_SERVER_E_DONE;
}

/* What every start asks for, the first one and one again. */
static enum vine_server_error begin(struct vine__registry *registry, struct vine__vm *vm,
                                    char why[VINE__SERVER_WHY_BYTES])
{
    const char *console = "";
    enum vine_server_error told;

    if (vm->upload_bytes[VINE__UPLOAD_KERNEL] == 0)
        return refuse(why, VINE_SERVER_E_BAD_STATE, "the VM has no kernel");
    told = check_memory(registry, vm, why);
    if (told == VINE_SERVER_E_DONE)
        told = registry->machines->calls->start(registry->machines, vm->uid, vm->parameters,
                                                &console, why);
    if (told != VINE_SERVER_E_DONE)
        return told;
    (void)snprintf(vm->console, sizeof(vm->console), "%s", console);
    vm->start_count++;
    vine__registry_tell(registry, vm->uid, VINE__VM_STARTING, NULL, NULL);
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__registry_start(struct vine__registry *registry, struct vine__vm *vm,
                                            const char *parameters, size_t size,
                                            char why[VINE__SERVER_WHY_BYTES])
{
    const enum vine_server_error told = check_idle(vm, why);
    char *copy;

    if (told != VINE_SERVER_E_DONE)
        return told;
    if (size >= VINE__VM_PARAMETERS_BYTES || memchr(parameters, '\0', size) != NULL ||
        memchr(parameters, '\n', size) != NULL)
        return refuse(why, VINE_SERVER_E_BAD_VALUE,
                      "kernel parameters are one line of at most 4095 bytes");
    copy = strndup(parameters, size);
    if (copy == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    free(vm->parameters);
    vm->parameters = copy;
    return begin(registry, vm, why);
}

enum vine_server_error vine__registry_stop(struct vine__registry *registry, struct vine__vm *vm,
                                           uint64_t timeout_ms, bool starts_again)
{
    if (vm->state == VINE__VM_OFF)
        return VINE_SERVER_E_BAD_STATE;
    vm->starts_again = starts_again;
    vine__registry_tell(registry, vm->uid, VINE__VM_STOPPING, NULL, NULL);
    registry->machines->calls->stop(registry->machines, vm->uid, timeout_ms);
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__registry_kill(struct vine__registry *registry, struct vine__vm *vm)
{
    if (vm->state == VINE__VM_OFF)
        return VINE_SERVER_E_BAD_STATE;
    vm->starts_again = false;
    vine__registry_tell(registry, vm->uid, VINE__VM_STOPPING, NULL, NULL);
    registry->machines->calls->kill(registry->machines, vm->uid);
    return VINE_SERVER_E_DONE;
}

/* ---- what becomes of them -------------------------------------------------------------------- */

void vine__registry_tell(struct vine__registry *registry, const char *uid,
                         enum vine__vm_state state, const char *ended_by, const char *text)
{
    struct vine__vm *const vm = vine__registry_find(registry, NULL, uid, strlen(uid));
    char why[VINE__SERVER_WHY_BYTES];
    bool again;

    if (vm == NULL || (vm->state == state && state != VINE__VM_OFF))
        return;
    /* Who is told to stop is stopping until it is off, whatever it does meanwhile. */
    if (vm->state == VINE__VM_STOPPING && state != VINE__VM_OFF)
        return;
    vm->state = state;
    again = state == VINE__VM_OFF && vm->starts_again;
    if (state == VINE__VM_OFF) {
        vm->starts_again = false;
        vm->ended_by = ended_by;
        (void)snprintf(vm->ended_text, sizeof(vm->ended_text), "%s", text);
    }
    hear(registry, vm);
    if (again && begin(registry, vm, why) != VINE_SERVER_E_DONE) {
        vm->ended_by = "unstarted";
        memcpy(vm->ended_text, why, sizeof(why));
        hear(registry, vm);
    }
}

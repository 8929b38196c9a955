/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/registry.c - see registry.h. */

#include "vmm/server/registry.h"

#include "utils/assert.h"
#include "utils/container_of.h"
#include "vmm/server/own_names.h"
#include "vmm/server/registry_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum vine_server_error vine__registry_refuse(char why[VINE__SERVER_WHY_BYTES],
                                             enum vine_server_error error, const char *text)
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

bool vine__vm_is_off(const struct vine__vm *vm)
{
    return vm->state == VINE__VM_OFF || vm->state == VINE__VM_BACKOFF;
}

static bool is_unusable(const struct vine__vm *vm)
{
    return vm->state == VINE__VM_OFF && vm->facts.problem != NULL;
}

static bool is_unsaved(const struct vine__vm *vm)
{
    return vine__vm_is_off(vm) && vm->unsaved_text[0] != '\0';
}

static bool is_noted(const struct vine__vm *vm)
{
    return !vine__vm_is_off(vm) && vm->noted[0] != '\0';
}

const char *vine__vm_end_word(const struct vine__vm *vm)
{
    return is_unusable(vm)  ? "unusable"
           : is_unsaved(vm) ? "unsaved"
           : is_noted(vm)   ? ""
                            : vm->ended_by;
}

const char *vine__vm_end_text(const struct vine__vm *vm, char room[VINE__VM_END_BYTES])
{
    if (is_unusable(vm))
        return vm->facts.problem;
    if (!is_unsaved(vm))
        return is_noted(vm) ? vm->noted : vm->ended_text;
    (void)snprintf(room, VINE__VM_END_BYTES, "%s%sits disks are not back in the pool: %s",
                   vm->ended_text, vm->ended_text[0] != '\0' ? "; " : "", vm->unsaved_text);
    return room;
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

/* Of a client's VMs, the one at this place; NULL: no pool that is open has it. */
static struct vine__vm *vm_at(const struct vine__registry *registry,
                              const struct vine__client *client, uint32_t at)
{
    return vine__registry_find(registry, client, client->vms[at].uid, VINE__CLIENT_UID_BYTES - 1);
}

/* ---- the registry ---------------------------------------------------------------------------- */

void vine__registry_init(struct vine__registry *registry, struct vine__clients *clients,
                         struct vine__machines *machines, struct vine__vm_store *store)
{
    *registry = (struct vine__registry){.clients = clients, .machines = machines, .store = store};
    vine_hash_table_init(&registry->of_owner, NULL);
    vine_hash_table_init(&registry->of_all, NULL);
    vine_list_init(&registry->vms);
    vine_list_init(&registry->making);
    vine_list_init(&registry->watchers);
}

void vine__vm_free(struct vine__vm *vm)
{
    VINE_ASSERT(vm->asker == NULL);
    vine__vm_facts_fini(&vm->facts);
    vine__boot_free(vm->boot);
    free(vm->own_configuration);
    free(vm->parameters);
    free(vm->text);
    free(vm);
}

void vine__registry_remember(struct vine__registry *registry, struct vine__vm *vm)
{
    vine_hash_table_insert(&registry->of_owner, &vm->of_owner, hash_of(vm->owner, vm->uid));
    vine_hash_table_insert(&registry->of_all, &vm->of_all, hash_of(NULL, vm->uid));
    vine_list_push_back(&registry->vms, &vm->link);
    registry->count++;
}

void vine__registry_forget(struct vine__registry *registry, struct vine__vm *vm)
{
    vine_hash_table_remove(&registry->of_owner, &vm->of_owner);
    vine_hash_table_remove(&registry->of_all, &vm->of_all);
    vine_list_remove(&vm->link);
    registry->count--;
    vine__vm_free(vm);
}

static struct vine__vm *first_of(const struct vine_list *list)
{
    return VINE_LIST_OBJECT(list->next, struct vine__vm, link);
}

void vine__registry_fini(struct vine__registry *registry)
{
    VINE_ASSERT(vine_list_is_empty(&registry->watchers));
    /* What was refused at the end, and not told of any more. */
    for (struct vine_list *node; (node = vine_list_pop_front(&registry->making)) != NULL;)
        vine__vm_free(VINE_LIST_OBJECT(node, struct vine__vm, link));
    while (!vine_list_is_empty(&registry->vms))
        vine__registry_forget(registry, first_of(&registry->vms));
    vine_hash_table_fini(&registry->of_owner);
    vine_hash_table_fini(&registry->of_all);
}

/* What its owner calls it, and itself. */
static void set_name(struct vine__vm *vm)
{
    const struct vine__vm_facts *const facts = &vm->facts;

    (void)snprintf(vm->name, sizeof(vm->name), "%s", vine__own_name(vm->owner, facts->name));
    free(vm->own_configuration);
    vm->own_configuration =
        vm->owner != NULL && facts->configuration != NULL
            ? vine__own_names_show(vm->owner, facts->configuration, facts->configuration_bytes)
            : NULL;
}

void vine__vm_take_facts(struct vine__vm *vm, struct vine__vm_facts *facts)
{
    vine__vm_facts_fini(&vm->facts);
    vm->facts = *facts;
    facts->configuration = NULL;
    facts->problem = NULL;
    memcpy(vm->uid, vm->facts.uid, sizeof(vm->uid));
    set_name(vm);
}

void vine__vm_clear(const struct vine__registry *registry, const char *uid)
{
    struct vine__machines *const machines = registry->machines;

    if (machines != NULL && machines->calls->clear != NULL)
        machines->calls->clear(machines, uid);
}

void vine__vm_forget(const struct vine__registry *registry, const char *uid)
{
    struct vine__machines *const machines = registry->machines;

    if (machines != NULL && machines->calls->forget != NULL)
        machines->calls->forget(machines, uid);
}

int vine__registry_adopt(struct vine__registry *registry, struct vine__vm_facts *facts)
{
    struct vine__vm *vm;

    if (vine__registry_find(registry, NULL, facts->uid, strlen(facts->uid)) != NULL)
        return -EEXIST;
    vm = calloc(1, sizeof(*vm));
    if (vm == NULL)
        return -ENOMEM;
    vm->registry = registry;
    vm->owner = vine__clients_owner(registry->clients, facts->uid);
    vm->ended_by = "";
    vm->is_new = true;
    vine__vm_take_facts(vm, facts);
    if (vine__vm_is_left(vm))
        vm->phase = VINE__VM_LEFT;
    else
        vine__vm_clear(registry, vm->uid);
    vine__registry_remember(registry, vm);
    return 0;
}

bool vine__vm_is_left(const struct vine__vm *vm)
{
    const struct vine__machines *const machines = vm->registry->machines;

    return machines != NULL && machines->calls->is_left != NULL &&
           machines->calls->is_left(machines, vm->uid);
}

void vine__registry_drop(struct vine__registry *registry, struct vine__vm *vm)
{
    VINE_ASSERT(vm->phase == VINE__VM_IDLE && vine__vm_is_off(vm));
    vm->state = VINE__VM_DELETED;
    vine__registry_hear(registry, vm);
    vine__registry_forget(registry, vm);
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
        vms[count] = vm_at(registry, client, i);
        count += vms[count] != NULL;
    }
    *ret_count = count;
    return vms;
}

void vine__registry_save(struct vine__registry *registry, struct vine__saving *saving)
{
    vine__save(&registry->clients_file, vine__clients_print_file(registry->clients), saving);
}

enum vine_server_error vine__registry_saved(int error, char why[VINE__SERVER_WHY_BYTES])
{
    if (error == -ENOSPC || error == -EDQUOT)
        return vine__registry_refuse(why, VINE_SERVER_E_FULL, "no room for the list of clients");
    return error != 0 ? vine__registry_refuse(why, VINE_SERVER_E_FAILED,
                                              "the list of clients cannot be written")
                      : VINE_SERVER_E_DONE;
}

/* ---- whose they are -------------------------------------------------------------------------- */

static void set_owner(struct vine__registry *registry, struct vine__vm *vm,
                      struct vine__client *client)
{
    vine_hash_table_remove(&registry->of_owner, &vm->of_owner);
    vm->owner = client;
    vine_hash_table_insert(&registry->of_owner, &vm->of_owner, hash_of(client, vm->uid));
    set_name(vm);
    vine__vm_give_console(vm);
}

static bool is_called(const struct vine__vm *vm, const struct vine__client *client,
                      const char *name)
{
    const struct vine__giving *const giving = vm->giving;

    return (vm->owner == client && strcmp(vm->name, name) == 0) ||
           (giving != NULL && giving->to == client &&
            strcmp(vine__own_name(client, vm->facts.name), name) == 0);
}

bool vine__registry_has_name(const struct vine__registry *registry,
                             const struct vine__client *client, const char *name)
{
    VINE_LIST_FOR_EACH(node, &registry->vms)
    if (is_called(VINE_LIST_OBJECT(node, struct vine__vm, link), client, name))
        return true;
    VINE_LIST_FOR_EACH(node, &registry->making)
    if (is_called(VINE_LIST_OBJECT(node, struct vine__vm, link), client, name))
        return true;
    return false;
}

/* In the list of clients, and there alone. */
static enum vine_server_error list_as(struct vine__registry *registry, const struct vine__vm *vm,
                                      struct vine__client *client, char *why)
{
    const int error =
        client != NULL ? vine__clients_give(registry->clients, client, vm->uid, vm->facts.pool) : 0;

    if (error == -ENOSPC)
        return vine__registry_refuse(why, VINE_SERVER_E_LIMIT, "as many VMs as there may be");
    return error != 0 ? vine__registry_refuse(why, VINE_SERVER_E_FAILED, "no memory")
                      : VINE_SERVER_E_DONE;
}

static void unlist(const struct vine__vm *vm, struct vine__client *client)
{
    if (client != NULL)
        (void)!vine__clients_take(client, vm->uid);
}

/* In another client's list. */
static enum vine_server_error relist(struct vine__registry *registry, const struct vine__vm *vm,
                                     struct vine__client *client, char *why)
{
    char unused[VINE__SERVER_WHY_BYTES];
    enum vine_server_error told;

    if (client != NULL &&
        vine__registry_has_name(registry, client, vine__own_name(client, vm->facts.name)))
        return vine__registry_refuse(why, VINE_SERVER_E_EXISTS, "a VM has this name");
    unlist(vm, vm->owner);
    told = list_as(registry, vm, client, why);
    if (told != VINE_SERVER_E_DONE)
        (void)!list_as(registry, vm, vm->owner, unused);
    return told;
}

static void given(struct vine__saving *saving, int error)
{
    struct vine__giving *const giving = VINE_CONTAINER_OF(saving, struct vine__giving, saving);
    struct vine__vm *const vm = giving->vm;
    struct vine__registry *const registry = vm->registry;
    const struct vine__client *const former = vm->owner;
    char unused[VINE__SERVER_WHY_BYTES];

    vm->giving = NULL;
    giving->error = vine__registry_saved(error, giving->why);
    if (giving->error == VINE_SERVER_E_DONE) {
        set_owner(registry, vm, giving->to);
        vine__registry_lose(registry, vm, former);
    } else if (giving->to != vm->owner) {
        unlist(vm, giving->to);
        (void)!list_as(registry, vm, vm->owner, unused);
        vine__registry_save(registry, NULL);
    }
    giving->done(giving);
}

enum vine_server_error vine__registry_give(struct vine__registry *registry, struct vine__vm *vm,
                                           struct vine__client *client, struct vine__giving *giving)
{
    enum vine_server_error told = vine__vm_check_settled(vm, giving->why);

    if (told == VINE_SERVER_E_DONE && client != vm->owner)
        told = relist(registry, vm, client, giving->why);
    if (told != VINE_SERVER_E_DONE)
        return told;
    giving->vm = vm;
    giving->to = client;
    giving->saving.done = given;
    vm->giving = giving;
    vine__registry_save(registry, &giving->saving);
    return VINE_SERVER_E_DONE;
}

void vine__registry_leave(struct vine__registry *registry, const struct vine__client *client)
{
    VINE_LIST_FOR_EACH(node, &registry->vms)
    {
        struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (vm->owner == client)
            set_owner(registry, vm, NULL);
        if (vm->giving != NULL && vm->giving->to == client)
            vm->giving->to = NULL;
    }
    /* What is made for it will be removed. */
    VINE_LIST_FOR_EACH(node, &registry->making)
    {
        struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (vm->owner == client)
            vm->owner = NULL;
    }
}

static bool is_among(const struct vine__vm_facts *facts, uint32_t count, const char *uid)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(facts[i].uid, uid) == 0)
            return true;
    return false;
}

static bool is_made(const struct vine__registry *registry, const char *uid)
{
    VINE_LIST_FOR_EACH(node, &registry->making)
    if (strcmp(VINE_LIST_OBJECT(node, struct vine__vm, link)->uid, uid) == 0)
        return true;
    return false;
}

/* A pool that was opened has not this VM of a client's, and should have. */
static bool is_missing(const struct vine__registry *registry, const struct vine__client_vm *listed,
                       const struct vine__vm *vm, const char *pool)
{
    return strcmp(listed->pool, pool) == 0 && !is_made(registry, listed->uid) &&
           (vm == NULL || (vm->phase == VINE__VM_IDLE && vm->giving == NULL));
}

void vine__registry_resolve(struct vine__registry *registry, const char *pool,
                            const struct vine__vm_facts *facts, uint32_t count, bool is_all)
{
    bool is_changed = false;

    for (uint32_t i = 0; i < registry->clients->count; i++) {
        struct vine__client *const client = registry->clients->all[i];

        for (uint32_t at = client->vm_count; at-- > 0;) {
            struct vine__client_vm *const listed = &client->vms[at];
            struct vine__vm *const vm = vm_at(registry, client, at);

            if (is_among(facts, count, listed->uid)) {
                if (vm != NULL || strcmp(listed->pool, pool) == 0)
                    continue;
                (void)!vine__clients_place(client, listed->uid, pool);
            } else {
                if (!is_all || !is_missing(registry, listed, vm, pool))
                    continue;
                if (vm != NULL)
                    vine__registry_drop(registry, vm);
                vine__vm_forget(registry, listed->uid);
                (void)!vine__clients_take(client, listed->uid);
            }
            is_changed = true;
        }
    }
    if (is_changed)
        vine__registry_save(registry, NULL);
}

/* ---- who hears of them ---------------------------------------------------------------------- */

void vine__registry_hear(struct vine__registry *registry, const struct vine__vm *vm)
{
    VINE_LIST_FOR_EACH(node, &registry->watchers)
    {
        struct vine__watcher *const watcher = VINE_LIST_OBJECT(node, struct vine__watcher, link);

        if (watcher->client == NULL || watcher->client == vm->owner)
            watcher->heard(watcher, vm);
    }
}

void vine__registry_lose(struct vine__registry *registry, const struct vine__vm *vm,
                         const struct vine__client *former)
{
    VINE_LIST_FOR_EACH(node, &registry->watchers)
    {
        struct vine__watcher *const watcher = VINE_LIST_OBJECT(node, struct vine__watcher, link);

        if (watcher->client != NULL && watcher->client == former && watcher->lost != NULL)
            watcher->lost(watcher, vm);
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

/* ---- what they take -------------------------------------------------------------------------- */

/* Over the client's own VMs alone: how many others there are makes no difference to it. */
uint64_t vine__registry_memory(const struct vine__registry *registry,
                               const struct vine__client *client)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < client->vm_count; i++) {
        const struct vine__vm *const vm = vm_at(registry, client, i);

        if (vm != NULL && !vine__vm_is_off(vm))
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
            bytes += vm->facts.upload_bytes[upload];
    }
    return bytes;
}

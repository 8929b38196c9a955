/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/pool_store.c - what is asked of the store on core 0, and what its thread is given; see
 * pool_store.h. */

#include "vmm/server/pool_store_internal.h"

#include "utils/container_of.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vine__pool_store *store_of(struct vine__vm_store *base)
{
    return VINE_CONTAINER_OF(base, struct vine__pool_store, base);
}

/* ---- work at VMs ----------------------------------------------------------------------------- */

static void vm_work_done(struct vine__errand *errand)
{
    struct vine__vm_store_work *const work =
        VINE_CONTAINER_OF(errand, struct vine__vm_store_work, errand);

    work->done(work);
}

static void do_vm_work(struct vine__errand *errand)
{
    struct vine__vm_store_work *const work =
        VINE_CONTAINER_OF(errand, struct vine__vm_store_work, errand);
    struct vine__pool_store *const store = work->store;

    vine__pool_store_do(store, work);
    vine__errands_return(store->errands, errand, vm_work_done);
}

static void begin(struct vine__vm_store *base, struct vine__vm_store_work *work)
{
    work->store = store_of(base);
    vine__errands_send(store_of(base)->errands, &work->errand, do_vm_work);
}

/* ---- work at pools --------------------------------------------------------------------------- */

static struct vine__pool_work *work_of(struct vine__errand *errand)
{
    return VINE_CONTAINER_OF(errand, struct vine__pool_work, errand);
}

static void prepare(struct vine__vm_store *base, struct vine__registry *registry,
                    struct vine__pool_work *work)
{
    work->store = store_of(base);
    work->registry = registry;
    work->error = VINE_SERVER_E_DONE;
    work->why[0] = '\0';
    work->facts = NULL;
    work->facts_count = 0;
    work->pools = NULL;
    work->pool_count = 0;
}

static void pool_work_done(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);

    work->done(work);
}

/* What was opened is the registry's now. What it has already, from another pool, is told when pools
 * are listed. */
static void is_opened(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);

    for (uint32_t i = 0; i < work->facts_count; i++)
        if (vine__registry_adopt(work->registry, &work->facts[i]) != 0)
            vine__vm_facts_fini(&work->facts[i]);
    free(work->facts);
    work->done(work);
}

/* A place for it among the others: a new one, or that of one that could not be opened. */
static struct vine__pool_opened *place_for(struct vine__pool_store *store, const char *folder,
                                           const char *name)
{
    struct vine__pool_opened *opened = vine__pool_store_find(store, name);
    struct vine__pool_opened **end = &store->pools;
    char *const copy = strdup(folder);

    if (opened == NULL)
        opened = copy != NULL ? calloc(1, sizeof(*opened)) : NULL;
    if (opened == NULL) {
        free(copy);
        return NULL;
    }
    free(opened->folder);
    opened->folder = copy;
    if (opened->name[0] == '\0') {
        while (*end != NULL)
            end = &(*end)->next;
        *end = opened;
    }
    (void)snprintf(opened->name, sizeof(opened->name), "%s", name);
    return opened;
}

/* What somebody was taking out when he was killed was never written down. */
static void forget_half(const struct vine__pool_store *store, const char *uid)
{
    struct vine__problem unused = {.text = ""};
    struct vine__taken taken;

    if (vine__taken_load(store->machines, uid, &taken, &unused) == 0 && !taken.is_there)
        vine__taken_discard(&taken);
}

static int tell_all(const struct vine__pool_store *store, const struct vine__pool_opened *opened,
                    struct vine__pool_work *work)
{
    const struct vine__pool_contents *const contents = opened->contents;

    work->facts = calloc(contents->vm_count + 1U, sizeof(*work->facts));
    if (work->facts == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < contents->vm_count; i++) {
        const struct vine__pool_vm *const vm = &contents->vms[i];

        if (vm->entry.problem.text[0] != '\0')
            continue; /* nobody knows which one this is */
        forget_half(store, vm->entry.uid);
        if (vine__pool_store_tell(store, opened, vm, &work->facts[work->facts_count]) != 0)
            return -ENOMEM;
        work->facts_count++;
    }
    return 0;
}

static enum vine_server_error open_pool(struct vine__pool_store *store,
                                        struct vine__pool_work *work)
{
    struct vine__pool_opened *opened = vine__pool_store_find(store, work->name);

    if (!vine__pool_is_name(work->name)) {
        (void)snprintf(work->why, sizeof(work->why), "%s", VINE__POOL_NAME_RULE);
        return VINE_SERVER_E_BAD_VALUE;
    }
    if (opened != NULL && opened->pool != NULL) {
        (void)snprintf(work->why, sizeof(work->why), "a pool of this name is open, in %s",
                       opened->folder);
        return VINE_SERVER_E_EXISTS;
    }
    opened = place_for(store, work->folder, work->name);
    if (opened != NULL) {
        opened->is_mounted = work->is_mounted;
        vine__pool_opened_open(opened, opened->is_mounted);
        (void)snprintf(work->why, sizeof(work->why), "%s", opened->problem.text);
    }
    if (opened != NULL && opened->pool == NULL)
        return VINE_SERVER_E_FAILED;
    if (opened == NULL || tell_all(store, opened, work) != 0) {
        (void)snprintf(work->why, sizeof(work->why), "no memory");
        return VINE_SERVER_E_FAILED;
    }
    return VINE_SERVER_E_DONE;
}

static void do_open(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);
    struct vine__pool_store *const store = work->store;

    work->error = open_pool(store, work);
    vine__errands_return(store->errands, errand, is_opened);
}

void vine__pool_store_open(struct vine__vm_store *base, struct vine__registry *registry,
                           struct vine__pool_work *work)
{
    prepare(base, registry, work);
    vine__errands_send(store_of(base)->errands, &work->errand, do_open);
}

static void do_close(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);
    struct vine__pool_store *const store = work->store;
    struct vine__pool_opened **at = &store->pools;
    struct vine__pool_opened *opened;

    while (*at != NULL && strcmp((*at)->name, work->name) != 0)
        at = &(*at)->next;
    opened = *at;
    if (opened != NULL) {
        *at = opened->next;
        vine__pool_opened_close(opened);
    } else {
        work->error = VINE_SERVER_E_BAD_VALUE;
        (void)snprintf(work->why, sizeof(work->why), "no pool of this name is open");
    }
    vine__errands_return(store->errands, errand, pool_work_done);
}

/* Nothing is done but to answer. */
static void do_nothing(struct vine__errand *errand)
{
    struct vine__pool_store *const store = work_of(errand)->store;

    vine__errands_return(store->errands, errand, pool_work_done);
}

static bool is_of(const struct vine__vm *vm, const char *pool)
{
    return strcmp(vm->facts.pool, pool) == 0;
}

/* One of the pool that is not idle and off, or NULL. */
static const struct vine__vm *find_busy(const struct vine__registry *registry, const char *pool)
{
    VINE_LIST_FOR_EACH(node, &registry->making)
    if (is_of(VINE_LIST_OBJECT(node, struct vine__vm, link), pool))
        return VINE_LIST_OBJECT(node, struct vine__vm, link);
    VINE_LIST_FOR_EACH(node, &registry->vms)
    {
        const struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (is_of(vm, pool) && (vm->state != VINE__VM_OFF || vm->phase != VINE__VM_IDLE))
            return vm;
    }
    return NULL;
}

static enum vine_server_error drop_all(struct vine__registry *registry,
                                       struct vine__pool_work *work)
{
    const struct vine__vm *const busy = find_busy(registry, work->name);
    uint32_t count = 0;
    struct vine__vm **const vms = vine__registry_collect(registry, NULL, &count);

    if (vms == NULL || busy != NULL) {
        const bool is_off = busy != NULL && busy->state == VINE__VM_OFF;

        (void)snprintf(work->why, sizeof(work->why), "%s%s",
                       busy == NULL ? "no memory"
                       : is_off     ? "something is being done with a VM of it: "
                                    : "it has a VM that is not off: ",
                       busy != NULL ? busy->facts.name : "");
        free(vms);
        return busy != NULL ? VINE_SERVER_E_BAD_STATE : VINE_SERVER_E_FAILED;
    }
    for (uint32_t i = 0; i < count; i++)
        if (is_of(vms[i], work->name))
            vine__registry_drop(registry, vms[i]);
    free(vms);
    return VINE_SERVER_E_DONE;
}

void vine__pool_store_close(struct vine__vm_store *base, struct vine__registry *registry,
                            struct vine__pool_work *work)
{
    prepare(base, registry, work);
    work->error = drop_all(registry, work);
    vine__errands_send(store_of(base)->errands, &work->errand,
                       work->error == VINE_SERVER_E_DONE ? do_close : do_nothing);
}

static void do_list(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);
    struct vine__pool_store *const store = work->store;

    vine__pool_store_list_all(store, work);
    vine__errands_return(store->errands, errand, pool_work_done);
}

void vine__pool_store_list(struct vine__vm_store *base, struct vine__pool_work *work)
{
    prepare(base, NULL, work);
    vine__errands_send(store_of(base)->errands, &work->errand, do_list);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

int vine__pool_store_create(const char *state, struct vine__vm_store **ret_store)
{
    struct vine__pool_store *const store = calloc(1, sizeof(*store));
    int error = -ENOMEM;

    if (store == NULL)
        return -ENOMEM;
    store->base.begin = begin;
    if (asprintf(&store->machines, "%s/machines", state) >= 0)
        error = vine__errands_open("vine-pools", NULL, NULL, &store->errands);
    else
        store->machines = NULL;
    if (error != 0) {
        free(store->machines);
        free(store);
        return error;
    }
    *ret_store = &store->base;
    return 0;
}

static void close_all(struct vine__errand *errand)
{
    struct vine__pool_store *const store = VINE_CONTAINER_OF(errand, struct vine__pool_store, last);

    while (store->pools != NULL) {
        struct vine__pool_opened *const opened = store->pools;

        store->pools = opened->next;
        vine__pool_opened_close(opened);
    }
}

static void is_closed(void *context)
{
    struct vine__pool_store *const store = context;
    void (*const closed)(void *) = store->closed;
    void *const closed_context = store->context;

    free(store->machines);
    free(store);
    closed(closed_context);
}

void vine__pool_store_destroy(struct vine__vm_store *base, void (*done)(void *context),
                              void *context)
{
    struct vine__pool_store *const store = store_of(base);

    store->closed = done;
    store->context = context;
    vine__errands_send(store->errands, &store->last, close_all);
    vine__errands_close(store->errands, is_closed, store);
}

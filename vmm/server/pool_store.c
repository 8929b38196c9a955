/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/pool_store.c - what is asked of the store on core 0, and which thread does it; see
 * pool_store.h. */

#include "vmm/server/pool_store_internal.h"

#include "utils/assert.h"
#include "utils/container_of.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vine__pool_store *store_of(struct vine__vm_store *base)
{
    return VINE_CONTAINER_OF(base, struct vine__pool_store, base);
}

/* ---- pools and their threads ----------------------------------------------------------------- */

static struct vine__pool_opened *find(const struct vine__pool_store *store, const char *name)
{
    struct vine__pool_opened *opened = store->pools;

    while (opened != NULL && (name == NULL || strcmp(opened->name, name) != 0))
        opened = opened->next;
    return opened;
}

/* A thread has ended. */
static void less(struct vine__pool_store *store)
{
    void (*const closed)(void *) = store->closed;
    void *const context = store->context;

    if (--store->thread_count > 0)
        return;
    free(store->machines);
    free(store);
    closed(context);
}

static void is_gone(void *context)
{
    struct vine__pool_opened *const opened = context;
    struct vine__pool_store *const store = opened->store;

    vine__pool_opened_free(opened);
    less(store);
}

/* What was sent to its thread is done. Behind the last of it nothing is left of one that is
 * closed. */
static void leave(struct vine__pool_opened *opened)
{
    struct vine__pool_opened **at = &opened->store->pools;

    VINE_ASSERT(opened->use_count > 0);
    if (--opened->use_count > 0 || !opened->is_closed)
        return;
    while (*at != NULL && *at != opened)
        at = &(*at)->next;
    if (*at == NULL)
        return; /* the store ends, and has it */
    *at = opened->next;
    vine__errands_close(opened->errands, is_gone, opened);
}

/* Have it done by the pool's thread; or where there is none, by the store's, which says so. */
static void send(struct vine__pool_store *store, struct vine__pool_opened *opened,
                 struct vine__errand *errand, vine__errand_fn fn)
{
    if (opened != NULL)
        opened->use_count++;
    vine__errands_send(opened != NULL ? opened->errands : store->errands, errand, fn);
}

static void give_back(const struct vine__pool_store *store, const struct vine__pool_opened *opened,
                      struct vine__errand *errand, vine__errand_fn fn)
{
    vine__errands_return(opened != NULL ? opened->errands : store->errands, errand, fn);
}

/* How it is from now on. */
static void renew(struct vine__pool_opened *opened, struct vine__pool_state *state)
{
    vine__pool_state_free(opened->state);
    opened->state = state;
}

/* ---- work at VMs ----------------------------------------------------------------------------- */

static void vm_work_done(struct vine__errand *errand)
{
    struct vine__vm_store_work *const work =
        VINE_CONTAINER_OF(errand, struct vine__vm_store_work, errand);

    if (work->opened != NULL) {
        renew(work->opened, work->state);
        leave(work->opened);
    }
    work->done(work);
}

static void do_vm_work(struct vine__errand *errand)
{
    struct vine__vm_store_work *const work =
        VINE_CONTAINER_OF(errand, struct vine__vm_store_work, errand);

    if (!vine__pool_store_do(work)) {
        vine__errands_again(((struct vine__pool_opened *)work->opened)->errands, errand,
                            do_vm_work);
        return;
    }
    if (work->opened != NULL)
        work->state = vine__pool_opened_describe(work->opened);
    give_back(work->store, work->opened, errand, vm_work_done);
}

static void begin(struct vine__vm_store *base, struct vine__vm_store_work *work)
{
    struct vine__pool_store *const store = store_of(base);

    work->store = store;
    work->opened = find(store, work->pool);
    work->haul = NULL;
    send(store, work->opened, &work->errand, do_vm_work);
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
    work->opened = NULL;
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

    if (work->opened != NULL)
        leave(work->opened);
    work->done(work);
}

/* Nothing is done but to answer. */
static void do_nothing(struct vine__errand *errand)
{
    const struct vine__pool_work *const work = work_of(errand);

    give_back(work->store, work->opened, errand, pool_work_done);
}

static void refuse(struct vine__pool_work *work, enum vine_server_error error, const char *why)
{
    const struct vine__pool_store *const store = work->store;

    work->error = error;
    (void)snprintf(work->why, sizeof(work->why), "%s", why);
    vine__errands_send(store->errands, &work->errand, do_nothing);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* What was opened is the registry's now. What it has already, from another pool, is told when pools
 * are listed. */
static void is_opened(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);

    work->opened->opening_count--;
    work->opened->is_closed = false;
    renew(work->opened, work->state);
    if (work->error == VINE_SERVER_E_DONE)
        vine__registry_resolve(work->registry, work->opened->name, work->facts, work->facts_count,
                               work->is_all);
    for (uint32_t i = 0; i < work->facts_count; i++)
        if (vine__registry_adopt(work->registry, &work->facts[i]) != 0)
            vine__vm_facts_fini(&work->facts[i]);
    free(work->facts);
    pool_work_done(errand);
}

static int tell_all(const struct vine__pool_store *store, const struct vine__pool_opened *opened,
                    struct vine__pool_work *work)
{
    const struct vine__pool_contents *const contents = opened->contents;

    work->facts = calloc(contents->vm_count + 1U, sizeof(*work->facts));
    if (work->facts == NULL)
        return -ENOMEM;
    work->is_all = vine__pool_opened_is_whole(opened);
    for (uint32_t i = 0; i < contents->vm_count; i++) {
        const struct vine__pool_vm *const vm = &contents->vms[i];

        if (vm->entry.problem.text[0] != '\0')
            continue; /* nobody knows which one this is */
        if (vine__pool_store_tell(store, opened, vm, &work->facts[work->facts_count]) != 0)
            return -ENOMEM;
        work->facts_count++;
    }
    return 0;
}

static enum vine_server_error open_pool(struct vine__pool_work *work)
{
    struct vine__pool_opened *const opened = work->opened;
    char *const folder = strdup(work->folder);

    if (opened->pool != NULL) {
        free(folder);
        (void)snprintf(work->why, sizeof(work->why), "a pool of this name is open, in %s",
                       opened->folder);
        return VINE_SERVER_E_EXISTS;
    }
    if (folder != NULL) {
        free(opened->folder);
        opened->folder = folder;
        opened->is_mounted = work->is_mounted;
        vine__pool_opened_open(opened, opened->is_mounted);
        (void)snprintf(work->why, sizeof(work->why), "%s", opened->problem.text);
        if (opened->pool == NULL)
            return VINE_SERVER_E_FAILED;
        vine__pool_store_end_removals(opened);
    }
    if (folder == NULL || tell_all(work->store, opened, work) != 0) {
        (void)snprintf(work->why, sizeof(work->why), "no memory");
        return VINE_SERVER_E_FAILED;
    }
    return VINE_SERVER_E_DONE;
}

static void do_open(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);

    work->error = open_pool(work);
    work->state = vine__pool_opened_describe(work->opened);
    give_back(work->store, work->opened, errand, is_opened);
}

/* A place behind the others, and a thread. NULL: there is none. */
static struct vine__pool_opened *add(struct vine__pool_store *store, const char *name,
                                     const char *folder)
{
    struct vine__pool_opened *const opened = calloc(1, sizeof(*opened));
    struct vine__pool_opened **end = &store->pools;

    if (opened == NULL || vine__errands_open("pool", NULL, NULL, &opened->errands) != 0) {
        free(opened);
        return NULL;
    }
    opened->store = store;
    opened->state = vine__pool_state_opening(name, folder);
    (void)snprintf(opened->name, sizeof(opened->name), "%s", name);
    while (*end != NULL)
        end = &(*end)->next;
    *end = opened;
    store->thread_count++;
    return opened;
}

void vine__pool_store_open(struct vine__vm_store *base, struct vine__registry *registry,
                           struct vine__pool_work *work)
{
    struct vine__pool_store *const store = store_of(base);

    prepare(base, registry, work);
    if (!vine__pool_is_name(work->name)) {
        refuse(work, VINE_SERVER_E_BAD_VALUE, VINE__POOL_NAME_RULE);
        return;
    }
    work->opened = find(store, work->name);
    if (work->opened == NULL && store->thread_count > VINE__POOLS_MAX) {
        refuse(work, VINE_SERVER_E_LIMIT, "as many pools as there may be");
        return;
    }
    if (work->opened == NULL)
        work->opened = add(store, work->name, work->folder);
    if (work->opened == NULL) {
        refuse(work, VINE_SERVER_E_FAILED, "no memory, or no thread");
        return;
    }
    work->opened->opening_count++;
    send(store, work->opened, &work->errand, do_open);
}

/* ---- closing --------------------------------------------------------------------------------- */

static void is_shut(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);

    work->opened->is_closed = true;
    renew(work->opened, work->state);
    pool_work_done(errand);
}

static void do_close(struct vine__errand *errand)
{
    struct vine__pool_work *const work = work_of(errand);

    vine__pool_opened_shut(work->opened);
    work->state = vine__pool_opened_describe(work->opened);
    give_back(work->store, work->opened, errand, is_shut);
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

        if (is_of(vm, pool) &&
            (!vine__vm_is_off(vm) || vm->phase != VINE__VM_IDLE || vm->giving != NULL))
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
    struct vine__pool_store *const store = store_of(base);
    struct vine__pool_opened *const opened = find(store, work->name);

    prepare(base, registry, work);
    if (opened != NULL && opened->opening_count > 0) { /* its VMs are about to come */
        refuse(work, VINE_SERVER_E_BUSY, "the pool is being opened");
        return;
    }
    work->error = drop_all(registry, work);
    if (work->error != VINE_SERVER_E_DONE) {
        vine__errands_send(store->errands, &work->errand, do_nothing);
    } else if (opened == NULL) {
        refuse(work, VINE_SERVER_E_BAD_VALUE, "no pool of this name is open");
    } else {
        work->opened = opened;
        send(store, opened, &work->errand, do_close);
    }
}

/* ---- what there is --------------------------------------------------------------------------- */

/* One that nobody could begin to open, or that is closed, is not among them. */
static bool add_state(const struct vine__pool_opened *opened, struct vine__pool_work *work)
{
    struct vine__pool_state *const state = &work->pools[work->pool_count];

    if (opened->state == NULL)
        return false;
    if (opened->state->name[0] == '\0')
        return true;
    work->pool_count++;
    return vine__pool_state_copy(opened->state, state) &&
           vine__pool_state_compare(state, work->registry);
}

void vine__pool_store_list(struct vine__vm_store *base, struct vine__registry *registry,
                           struct vine__pool_work *work)
{
    struct vine__pool_store *const store = store_of(base);
    bool is_whole;
    uint32_t count = 0;

    prepare(base, registry, work);
    for (const struct vine__pool_opened *at = store->pools; at != NULL; at = at->next)
        count++;
    work->pools = calloc(count + 1U, sizeof(*work->pools));
    is_whole = work->pools != NULL;
    for (const struct vine__pool_opened *at = store->pools; is_whole && at != NULL; at = at->next)
        is_whole = add_state(at, work);
    if (is_whole) {
        vine__errands_send(store->errands, &work->errand, do_nothing);
        return;
    }
    vine__pool_states_free(work->pools, work->pool_count);
    work->pools = NULL;
    work->pool_count = 0;
    refuse(work, VINE_SERVER_E_FAILED, "no memory");
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* What somebody was taking out, or throwing away, when he was killed. */
static void forget(void *context, struct vine__taken *taken)
{
    (void)context;
    if (!taken->is_there)
        vine__taken_discard(taken);
}

int vine__pool_store_create(const char *state, struct vine__vm_store **ret_store)
{
    struct vine__pool_store *const store = calloc(1, sizeof(*store));
    int error = -ENOMEM;

    if (store == NULL)
        return -ENOMEM;
    store->base.begin = begin;
    store->thread_count = 1;
    if (asprintf(&store->machines, "%s/machines", state) >= 0)
        error = vine__errands_open("no pool", NULL, NULL, &store->errands);
    else
        store->machines = NULL;
    if (error != 0) {
        free(store->machines);
        free(store);
        return error;
    }
    vine__taken_for_each(store->machines, forget, NULL);
    *ret_store = &store->base;
    return 0;
}

/* Behind all work, of which some may not be done yet. */
static void do_last(struct vine__errand *errand)
{
    struct vine__pool_opened *const opened =
        VINE_CONTAINER_OF(errand, struct vine__pool_opened, last);

    if (opened->haul_count > 0)
        vine__errands_again(opened->errands, errand, do_last);
    else
        vine__pool_opened_shut(opened);
}

static void is_closed(void *context)
{
    less(context);
}

void vine__pool_store_destroy(struct vine__vm_store *base, void (*done)(void *context),
                              void *context)
{
    struct vine__pool_store *const store = store_of(base);

    store->closed = done;
    store->context = context;
    while (store->pools != NULL) {
        struct vine__pool_opened *const opened = store->pools;

        store->pools = opened->next;
        vine__errands_send(opened->errands, &opened->last, do_last);
        vine__errands_close(opened->errands, is_gone, opened);
    }
    vine__errands_close(store->errands, is_closed, store);
}

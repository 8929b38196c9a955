/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/registry_change.c - VMs are made, changed and removed; see registry.h. */

#include "vmm/server/own_names.h"
#include "vmm/server/registry_internal.h"

#include "utils/assert.h"
#include "utils/container_of.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- work that is under way ------------------------------------------------------------------ */

static enum vine_server_error refuse(struct vine__asker *asker, enum vine_server_error error,
                                     const char *text)
{
    asker->error = error;
    return vine__registry_refuse(asker->why, error, text);
}

enum vine_server_error vine__vm_check_settled(const struct vine__vm *vm,
                                              char why[VINE__SERVER_WHY_BYTES])
{
    static const char *const texts[] = {
        [VINE__VM_LEFT] = "the VM runs, and the server is about to go on with it",
        [VINE__VM_STUCK] = "the VM runs, and the server cannot go on with it: start or kill it",
        [VINE__VM_UPLOADING] = "an upload to this VM is under way",
        [VINE__VM_CHANGING] = "another request changes this VM",
        [VINE__VM_TAKING_OUT] = "the VM is about to run",
        [VINE__VM_EXECUTING] = "the VM is about to run",
        [VINE__VM_PUTTING_BACK] = "the disks of this VM are put back",
    };

    if (vm->giving != NULL)
        return vine__registry_refuse(why, VINE_SERVER_E_BUSY, "the VM gets another owner");
    return vm->phase == VINE__VM_IDLE || vm->phase == VINE__VM_EXECUTED
               ? VINE_SERVER_E_DONE
               : vine__registry_refuse(why, VINE_SERVER_E_BUSY, texts[vm->phase]);
}

enum vine_server_error vine__vm_check_idle(const struct vine__vm *vm,
                                           char why[VINE__SERVER_WHY_BYTES])
{
    if (vm->state == VINE__VM_STOPPING) /* which passes */
        return vine__registry_refuse(why, VINE_SERVER_E_BUSY, "the VM is stopping");
    if (!vine__vm_is_off(vm))
        return vine__registry_refuse(why, VINE_SERVER_E_BAD_STATE, "the VM runs");
    return vine__vm_check_settled(vm, why);
}

void vine__vm_set_asker(struct vine__vm *vm, struct vine__asker *asker)
{
    VINE_ASSERT(vm->asker == NULL && asker->vm == NULL);
    vm->asker = asker;
    asker->vm = vm;
}

void vine__registry_unask(struct vine__asker *asker)
{
    if (asker->vm != NULL)
        asker->vm->asker = NULL;
    asker->vm = NULL;
}

void vine__vm_answer(struct vine__vm *vm, enum vine_server_error error, const char *why,
                     const char *text)
{
    struct vine__asker *const asker = vm->asker;

    if (asker == NULL)
        return;
    vine__registry_unask(asker);
    asker->error = error;
    (void)snprintf(asker->why, sizeof(asker->why), "%s", why);
    (void)snprintf(asker->text, sizeof(asker->text), "%s", text);
    asker->done(asker);
}

struct vine__vm *vine__vm_of_work(struct vine__vm_store_work *work)
{
    return VINE_CONTAINER_OF(work, struct vine__vm, store_work);
}

void vine__vm_begin(struct vine__vm *vm, enum vine__vm_phase phase, enum vine__vm_store_task task,
                    void (*done)(struct vine__vm_store_work *work))
{
    struct vine__vm_store_work *const work = &vm->store_work;

    vm->phase = phase;
    work->task = task;
    work->done = done;
    work->uid = vm->uid;
    work->pool = vm->facts.pool;
    work->error = VINE_SERVER_E_DONE;
    work->why[0] = '\0';
    work->is_in_doubt = false;
    vm->registry->store->begin(vm->registry->store, work);
}

/* ---- whose they are meanwhile ---------------------------------------------------------------- */

static struct vine__vm *vm_of(struct vine__saving *saving)
{
    return VINE_CONTAINER_OF(saving, struct vine__vm, saving);
}

/* Have the list of clients written, and go on behind that. A VM is in it, with its pool, from
 * before the pool has it until the pool has it no more: whatever ends the server in between, the
 * next one looks whether it is there. */
static void save(struct vine__vm *vm, void (*then)(struct vine__saving *saving, int error))
{
    vm->phase = VINE__VM_CHANGING;
    vm->saving.done = then;
    vine__registry_save(vm->registry, &vm->saving);
}

/* ---- creation -------------------------------------------------------------------------------- */

/* It is not among those that are made any more, and is nothing. */
static void give_up(struct vine__vm *vm)
{
    vine_list_remove(&vm->link);
    vine__vm_answer(vm, vm->error, vm->ended_text, "");
    vine__vm_free(vm);
}

static void unlist(struct vine__vm *vm)
{
    if (vm->owner != NULL)
        (void)!vine__clients_take(vm->owner, vm->uid);
}

static void unlisted(struct vine__saving *saving, int error)
{
    (void)error;
    give_up(vm_of(saving));
}

static void unmade(struct vine__vm_store_work *work)
{
    give_up(vine__vm_of_work(work));
}

static void set_error(struct vine__vm *vm, enum vine_server_error error, const char *why)
{
    vm->error = vine__registry_refuse(vm->ended_text, error, why);
}

static void is_made(struct vine__vm *vm)
{
    if (vm->owner == NULL) {
        set_error(vm, VINE_SERVER_E_NO_CLIENT, "the client is gone");
        vine__vm_begin(vm, VINE__VM_CHANGING, VINE__VM_REMOVE, unmade);
        return;
    }
    vm->phase = VINE__VM_IDLE;
    vine_list_remove(&vm->link);
    vine__registry_remember(vm->registry, vm);
    vine__vm_answer(vm, VINE_SERVER_E_DONE, "", vm->uid);
}

static void made(struct vine__vm_store_work *work)
{
    struct vine__vm *const vm = vine__vm_of_work(work);

    if (work->error == VINE_SERVER_E_DONE) {
        vine__vm_take_facts(vm, &work->facts);
        is_made(vm);
        return;
    }
    set_error(vm, work->error, work->why);
    if (work->is_in_doubt) {
        give_up(vm);
        return;
    }
    unlist(vm);
    save(vm, unlisted);
}

static void listed(struct vine__saving *saving, int error)
{
    struct vine__vm *const vm = vm_of(saving);

    vm->error = vine__registry_saved(error, vm->ended_text);
    if (vm->error == VINE_SERVER_E_DONE && vm->owner == NULL)
        set_error(vm, VINE_SERVER_E_NO_CLIENT, "the client is gone");
    if (vm->error == VINE_SERVER_E_DONE) {
        vm->store_work.name = vm->facts.name;
        vine__vm_begin(vm, VINE__VM_CHANGING, VINE__VM_CREATE, made);
        return;
    }
    unlist(vm);
    vine__registry_save(vm->registry, NULL);
    give_up(vm);
}

static enum vine_server_error name_it(const struct vine__registry *registry, struct vine__vm *vm,
                                      const char *name, size_t size, struct vine__asker *asker)
{
    int whole;

    if (size < sizeof(vm->name))
        memcpy(vm->name, name, size);
    if (size >= sizeof(vm->name) || strlen(vm->name) != size || !vine__vm_is_new_name(vm->name))
        return refuse(asker, VINE_SERVER_E_BAD_VALUE, VINE__VM_NEW_NAME_RULE);
    if (vine__registry_has_name(registry, vm->owner, vm->name))
        return refuse(asker, VINE_SERVER_E_EXISTS, "a VM has this name");
    whole = snprintf(vm->facts.name, sizeof(vm->facts.name), "%s.%s", vm->owner->name, vm->name);
    if (whole < 0 || (size_t)whole >= sizeof(vm->facts.name))
        return refuse(asker, VINE_SERVER_E_BAD_VALUE,
                      "a name has at most 30 bytes together with its client's");
    return VINE_SERVER_E_DONE;
}

/* It is its client's from now on. */
static enum vine_server_error list_it(struct vine__vm *vm, struct vine__asker *asker)
{
    int error = vine__vm_new_uid(vm->uid);

    if (error == 0)
        error = vine__clients_give(vm->registry->clients, vm->owner, vm->uid, vm->facts.pool);
    if (error == -ENOSPC)
        return refuse(asker, VINE_SERVER_E_LIMIT, "as many VMs as there may be");
    return error != 0 ? refuse(asker, VINE_SERVER_E_FAILED, "no memory") : VINE_SERVER_E_DONE;
}

enum vine_server_error vine__registry_create(struct vine__registry *registry,
                                             struct vine__client *client, const char *name,
                                             size_t size, struct vine__asker *asker)
{
    struct vine__vm *vm;
    enum vine_server_error told;

    if (client->is_leaving)
        return refuse(asker, VINE_SERVER_E_BUSY, "the client is being removed");
    if (client->pool[0] == '\0')
        return refuse(asker, VINE_SERVER_E_LIMIT, "there is no pool for this client's VMs");
    vm = calloc(1, sizeof(*vm));
    if (vm == NULL)
        return refuse(asker, VINE_SERVER_E_FAILED, "no memory");
    vm->registry = registry;
    vm->owner = client;
    vm->ended_by = "";
    (void)snprintf(vm->facts.pool, sizeof(vm->facts.pool), "%s", client->pool);
    told = name_it(registry, vm, name, size, asker);
    if (told == VINE_SERVER_E_DONE)
        told = list_it(vm, asker);
    if (told != VINE_SERVER_E_DONE) {
        vine__vm_free(vm);
        return told;
    }
    vine_list_push_back(&registry->making, &vm->link);
    vine__vm_set_asker(vm, asker);
    save(vm, listed);
    return VINE_SERVER_E_DONE;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void is_removed(struct vine__saving *saving, int error)
{
    struct vine__vm *const vm = vm_of(saving);
    struct vine__registry *const registry = vm->registry;
    char why[VINE__SERVER_WHY_BYTES] = "";
    const enum vine_server_error told = vine__registry_saved(error, why);

    vm->phase = VINE__VM_IDLE;
    vm->state = VINE__VM_DELETED;
    vine__registry_hear(registry, vm);
    vine__vm_answer(vm, told, why, "");
    vine__registry_forget(registry, vm);
    vine__registry_settle(registry); /* there may be room for others now */
}

static void removed(struct vine__vm_store_work *work)
{
    struct vine__vm *const vm = vine__vm_of_work(work);

    if (work->error == VINE_SERVER_E_DONE) {
        /* Before it is out of the list, by which a later server would find that it is gone. */
        vine__vm_forget(vm->registry, vm->uid);
        unlist(vm);
        save(vm, is_removed);
        return;
    }
    vm->phase = VINE__VM_IDLE;
    vine__vm_answer(vm, work->error, work->why, "");
}

enum vine_server_error vine__registry_remove(struct vine__vm *vm, bool is_owners,
                                             struct vine__asker *asker)
{
    const enum vine_server_error told = vine__vm_check_idle(vm, asker->why);

    if (told != VINE_SERVER_E_DONE)
        return asker->error = told;
    /* The pool would refuse it, too, and knows nothing of whose they are. */
    if (vine__own_names_linked(vm, is_owners, asker->why))
        return asker->error = VINE_SERVER_E_BAD_VALUE;
    vine__vm_set_asker(vm, asker);
    vine__vm_begin(vm, VINE__VM_CHANGING, VINE__VM_REMOVE, removed);
    return VINE_SERVER_E_DONE;
}

static void changed(struct vine__vm_store_work *work)
{
    struct vine__vm *const vm = vine__vm_of_work(work);

    vm->phase = VINE__VM_IDLE;
    vm->reserved_bytes = 0;
    free(vm->text);
    vm->text = NULL;
    if (work->error == VINE_SERVER_E_DONE)
        vine__vm_take_facts(vm, &work->facts);
    vine__vm_answer(vm, work->error, work->why, "");
}

static char *copy_of(const char *json, size_t size)
{
    char *const copy = malloc(size + 1);

    if (copy != NULL)
        memcpy(copy, json, size);
    return copy;
}

enum vine_server_error vine__registry_configure(struct vine__vm *vm, bool is_owners,
                                                const char *json, size_t size,
                                                struct vine__asker *asker)
{
    enum vine_server_error told = vine__vm_check_idle(vm, asker->why);

    if (told == VINE_SERVER_E_DONE && is_owners)
        told = vine__own_names_read(vm, json, size, &vm->text, &size, asker->why);
    if (told != VINE_SERVER_E_DONE)
        return asker->error = told;
    if (!is_owners)
        vm->text = copy_of(json, size);
    if (vm->text == NULL)
        return refuse(asker, VINE_SERVER_E_FAILED, "no memory");
    vine__vm_set_asker(vm, asker);
    vm->store_work.json = vm->text;
    vm->store_work.json_bytes = size;
    vine__vm_begin(vm, VINE__VM_CHANGING, VINE__VM_CONFIGURE, changed);
    return VINE_SERVER_E_DONE;
}

void vine__registry_put(struct vine__vm *vm, enum vine__vm_upload upload, int fd,
                        uint64_t size_bytes, struct vine__asker *asker)
{
    VINE_ASSERT(vm->phase == VINE__VM_UPLOADING);
    vine__vm_set_asker(vm, asker);
    vm->store_work.upload = upload;
    vm->store_work.fd = fd;
    vm->store_work.size_bytes = size_bytes;
    vine__vm_begin(vm, VINE__VM_CHANGING, VINE__VM_PUT, changed);
}

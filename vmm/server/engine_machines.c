/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_machines.c - the engine's thread: what core 0 asks of it, its loop, and what it
 * tells. See engine_machines.h.
 *
 *     core 0: start -> [a prober: which accelerator] -> core 0 -> the thread: execute -> core 0
 */

#include "vmm/server/engine_internal.h"

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "utils/assert.h"
#include "utils/container_of.h"
#include "vmm/engine/console.h"

#include <vine/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 64

static struct vine__engine *engine_of(struct vine__machines *machines)
{
    return VINE_CONTAINER_OF(machines, struct vine__engine, base);
}

/* Without memory nothing can be told, and a VM would be lost to its owner. */
static void *get(size_t size)
{
    void *const memory = calloc(1, size);

    VINE_ASSERT(memory != NULL);
    return memory;
}

/* ---- what is told ---------------------------------------------------------------------------- */

struct told {
    struct vine__errand errand;
    struct vine__engine *engine;
    char uid[VINE__VM_UID_BYTES];
    char name[VINE__VM_NAME_BYTES];
    enum vine__vm_state state;
    const char *ended_by; /* a word that stays */
    char text[VINE__MACHINE_TEXT_BYTES];
};

/* It is the next one's no more, whatever came of it. */
static void forget_left(struct vine__engine *engine, const char *uid)
{
    for (uint32_t i = 0; i < engine->left_count; i++)
        if (strcmp(engine->left_uids[i], uid) == 0)
            memcpy(engine->left_uids[i], engine->left_uids[--engine->left_count],
                   sizeof(engine->left_uids[i]));
}

static void be_told(struct vine__errand *errand)
{
    struct told *const told = VINE_CONTAINER_OF(errand, struct told, errand);
    const struct vine__engine_options *const options = &told->engine->options;

    if (told->state == VINE__VM_OFF)
        forget_left(told->engine, told->uid);
    options->tell(options->context, told->uid, told->state, told->ended_by, told->text);
    free(told);
}

static void be_noted(struct vine__errand *errand)
{
    struct told *const told = VINE_CONTAINER_OF(errand, struct told, errand);
    const struct vine__engine_options *const options = &told->engine->options;

    options->note(options->context, told->uid, told->name, told->text);
    free(told);
}

void vine__engine_tell(struct vine__engine *engine, const char *uid, enum vine__vm_state state,
                       const char *ended_by, const char *text)
{
    struct told *const told = get(sizeof(*told));

    told->engine = engine;
    told->state = state;
    told->ended_by = ended_by;
    (void)snprintf(told->uid, sizeof(told->uid), "%s", uid);
    (void)snprintf(told->text, sizeof(told->text), "%s", text);
    vine__errands_return(engine->errands, &told->errand, be_told);
}

void vine__engine_note(struct vine__engine *engine, const struct vine__boot *boot,
                       const char *format, ...)
{
    struct told *const told = get(sizeof(*told));
    va_list list;

    told->engine = engine;
    memcpy(told->uid, boot->uid, sizeof(told->uid));
    memcpy(told->name, boot->name, sizeof(told->name));
    va_start(list, format);
    (void)vsnprintf(told->text, sizeof(told->text), format, list);
    va_end(list);
    vine__errands_return(engine->errands, &told->errand, be_noted);
}

/* ---- a start --------------------------------------------------------------------------------- */

struct start {
    struct vine__errand errand;
    struct vine_list node; /* among those that wait */
    struct vine__engine *engine;
    struct vine__machines_work *work;
    struct vine__errands *prober;
    uint32_t number; /* of that */
    enum vine__accelerator accelerator;
    char why[VINE__PROBE_TEXT_BYTES];
};

static void be_done(struct vine__errand *errand)
{
    struct start *const start = VINE_CONTAINER_OF(errand, struct start, errand);
    struct vine__machines_work *const work = start->work;

    forget_left(start->engine, work->boot->uid);
    free(start);
    work->done(work);
}

static void execute_prepared(struct start *start)
{
    struct vine__machines_work *const work = start->work;
    const struct vine__engine_start asked = {.boot = work->boot,
                                             .parameters = work->parameters,
                                             .accelerator = start->accelerator,
                                             .owner = work->owner};

    work->error = vine__engine_run(start->engine, &asked, work->why, work->console);
    vine__errands_return(start->engine->errands, &start->errand, be_done);
}

static void execute(struct vine__errand *errand)
{
    struct start *const start = VINE_CONTAINER_OF(errand, struct start, errand);

    if (vine__engine_links_prepare(start->engine, start->work->boot))
        execute_prepared(start);
    else
        vine_list_push_back(&start->engine->starts, &start->node);
}

/* Those for whom all is there now. */
static void execute_waiting(struct vine__engine *engine)
{
    struct vine_list *next;

    for (struct vine_list *node = engine->starts.next; node != &engine->starts; node = next) {
        struct start *const start = VINE_LIST_OBJECT(node, struct start, node);

        next = node->next;
        if (!vine__engine_links_prepare(engine, start->work->boot))
            continue;
        vine_list_remove(node);
        execute_prepared(start);
    }
}

/* End the one of this UID, or with NULL all, before they have begun. */
static void abandon_waiting(struct vine__engine *engine, const char *uid)
{
    struct vine_list *next;

    for (struct vine_list *node = engine->starts.next; node != &engine->starts; node = next) {
        struct start *const start = VINE_LIST_OBJECT(node, struct start, node);
        struct vine__machines_work *const work = start->work;

        next = node->next;
        if (uid != NULL && strcmp(work->boot->uid, uid) != 0)
            continue;
        vine_list_remove(node);
        vine__engine_links_abandon(engine, work->boot->uid);
        work->error = VINE_SERVER_E_BAD_STATE;
        (void)snprintf(work->why, sizeof(work->why), "it was stopped before it ran");
        vine__errands_return(engine->errands, &start->errand, be_done);
    }
}

/* It is known what to run it with. */
static void tried(struct vine__errand *errand)
{
    struct start *const start = VINE_CONTAINER_OF(errand, struct start, errand);
    struct vine__machines_work *const work = start->work;

    if (start->engine->options.accelerator == VINE__SERVER_ACCELERATOR_KVM &&
        start->accelerator != VINE__ACCELERATOR_KVM) {
        work->error = VINE_SERVER_E_FAILED;
        (void)snprintf(work->why, sizeof(work->why), "the accelerator is to be kvm, but %.*s",
                       (int)sizeof(work->why) - 40, start->why);
        be_done(errand);
        return;
    }
    vine__errands_send(start->engine->errands, errand, execute);
}

/* A prober's thread: it boots the guest. */
static void try(struct vine__errand *errand)
{
    struct start *const start = VINE_CONTAINER_OF(errand, struct start, errand);

    start->accelerator =
        vine__engine_probe(&start->engine->options, start->work->boot, start->number, start->why);
    vine__errands_return(start->prober, errand, tried);
}

/* By the pool, and whose it is there: OWNER.NAME. FNV-1a, by Fowler, Noll and Vo. */
static uint32_t choose_prober(const struct vine__boot *boot)
{
    uint32_t hash = UINT32_C(0x811c9dc5);

    for (const char *at = boot->pool; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT32_C(0x01000193);
    for (const char *at = boot->name; *at != '\0' && *at != '.'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT32_C(0x01000193);
    return (hash ^ hash >> 16) % VINE__ENGINE_PROBERS;
}

static void start_one(struct vine__machines *machines, struct vine__machines_work *work)
{
    struct vine__engine *const engine = engine_of(machines);
    struct start *const start = get(sizeof(*start));

    start->engine = engine;
    start->work = work;
    start->accelerator = VINE__ACCELERATOR_TCG;
    start->number = choose_prober(work->boot);
    start->prober = engine->probers[start->number];
    if (start->prober != NULL && work->boot->kernel != NULL)
        vine__errands_send(start->prober, &start->errand, try);
    else
        vine__errands_send(engine->errands, &start->errand, execute);
}

/* ---- going on -------------------------------------------------------------------------------- */

struct vine__engine_resumed {
    bool runs;
    char why[VINE__SERVER_WHY_BYTES];
    char console[VINE__VM_CONSOLE_BYTES];
    char *parameters;
    bool has_ended, is_stopping, starts_again;
};

const char (*vine__engine_left(struct vine__machines *machines,
                               uint32_t *ret_count))[VINE__VM_UID_BYTES]
{
    const struct vine__engine *const engine = engine_of(machines);

    *ret_count = engine->left_count;
    return (const char(*)[VINE__VM_UID_BYTES])engine->left_uids;
}

static void be_resumed(struct vine__errand *errand)
{
    struct vine__engine_resume *const resume =
        VINE_CONTAINER_OF(errand, struct vine__engine_resume, errand);
    struct vine__engine_resumed *const results = resume->results;

    for (uint32_t i = 0; i < resume->count; i++) {
        const struct vine__engine_resumed *const result = &results[i];

        const struct vine__machines_found found = {
            .console = result->console,
            .parameters = result->parameters != NULL ? result->parameters : "",
            .has_ended = result->has_ended,
            .is_stopping = result->is_stopping,
            .starts_again = result->starts_again,
        };

        forget_left(resume->engine, resume->boots[i]->uid);
        resume->resumed(resume, resume->boots[i], result->runs ? &found : NULL, result->why);
        free(result->parameters);
    }
    free(results);
    resume->done(resume);
}

static void resume_all(struct vine__errand *errand)
{
    struct vine__engine_resume *const resume =
        VINE_CONTAINER_OF(errand, struct vine__engine_resume, errand);
    struct vine__engine *const engine = resume->engine;

    resume->results = get((resume->count + 1) * sizeof(*resume->results));
    for (uint32_t i = 0; i < resume->count; i++) {
        struct vine__engine_resumed *const result = &resume->results[i];
        struct vine__engine_vm *vm;

        result->runs =
            vine__engine_adopt(engine, resume->boots[i], result->why, &vm) == VINE_SERVER_E_DONE;
        if (!result->runs)
            continue;
        (void)snprintf(result->console, sizeof(result->console), "%s", vine__engine_console(vm));
        result->parameters = strdup(vm->parameters);
        result->has_ended = vine__machine_pid(vm->machine) == 0;
        result->is_stopping = vm->stop_deadline_ns != VINE_FOREVER;
        result->starts_again = vm->starts_again;
    }
    vine__engine_adopt_links(engine);
    vine__errands_return(engine->errands, errand, be_resumed);
}

void vine__engine_resume(struct vine__machines *machines, struct vine__engine_resume *resume)
{
    resume->engine = engine_of(machines);
    vine__errands_send(resume->engine->errands, &resume->errand, resume_all);
}

/* ---- an end ---------------------------------------------------------------------------------- */

struct order {
    struct vine__errand errand;
    struct vine__engine *engine;
    char uid[VINE__VM_UID_BYTES];
    uint64_t timeout_ms;
    bool is_hard, starts_again;
    struct vine__console_owner owner;
};

static void end(struct vine__errand *errand)
{
    struct order *const order = VINE_CONTAINER_OF(errand, struct order, errand);
    struct vine__engine_vm *const vm = vine__engine_find(order->engine, order->uid);

    abandon_waiting(order->engine, order->uid);
    if (vm != NULL && order->is_hard)
        (void)!vine__machine_kill(vm->machine);
    else if (order->is_hard && vine__engine_end_left(order->engine, order->uid))
        vine__engine_tell(order->engine, order->uid, VINE__VM_OFF, "killed", "it was killed");
    else if (vm != NULL)
        vine__engine_stop(vm, order->timeout_ms, order->starts_again);
    free(order);
}

static struct order *make_order(struct vine__machines *machines, const char *uid)
{
    struct order *const order = get(sizeof(*order));

    order->engine = engine_of(machines);
    (void)snprintf(order->uid, sizeof(order->uid), "%s", uid);
    return order;
}

static void stop_one(struct vine__machines *machines, const char *uid, uint64_t timeout_ms,
                     bool starts_again)
{
    struct order *const order = make_order(machines, uid);

    order->timeout_ms = timeout_ms;
    order->starts_again = starts_again;
    vine__errands_send(order->engine->errands, &order->errand, end);
}

static void kill_one(struct vine__machines *machines, const char *uid)
{
    struct order *const order = make_order(machines, uid);

    order->is_hard = true;
    vine__errands_send(order->engine->errands, &order->errand, end);
}

/* ---- what was said --------------------------------------------------------------------------- */

static bool find_log(struct vine__machines *machines, const char *uid,
                     char ret_path[VINE__ENGINE_PATH_BYTES])
{
    const int size = snprintf(ret_path, VINE__ENGINE_PATH_BYTES, "%s/%s.log",
                              engine_of(machines)->options.logs, uid);

    return size < VINE__ENGINE_PATH_BYTES;
}

static size_t log_of(struct vine__machines *machines, const char *uid, char *bytes, size_t room)
{
    char path[VINE__ENGINE_PATH_BYTES];

    return find_log(machines, uid, path) ? vine__console_log_tail(path, bytes, room) : 0;
}

static bool is_left(const struct vine__machines *machines, const char *uid)
{
    const struct vine__engine *const engine = (const struct vine__engine *)machines;

    for (uint32_t i = 0; i < engine->left_count; i++)
        if (strcmp(engine->left_uids[i], uid) == 0)
            return true;
    return false;
}

static void give(struct vine__errand *errand)
{
    struct order *const order = VINE_CONTAINER_OF(errand, struct order, errand);
    struct vine__engine_vm *const vm = vine__engine_find(order->engine, order->uid);
    const int error = vm != NULL ? vine__machine_give_console(vm->machine, &order->owner) : 0;

    if (error != 0)
        vine__engine_note(order->engine, vm->boot, "its console stays whose it was: %s",
                          vine_error_text(error));
    free(order);
}

static void give_one(struct vine__machines *machines, const char *uid,
                     const struct vine__console_owner *owner)
{
    struct order *const order = make_order(machines, uid);

    order->owner = *owner;
    vine__errands_send(order->engine->errands, &order->errand, give);
}

static void clear(struct vine__machines *machines, const char *uid)
{
    char path[VINE__ENGINE_PATH_BYTES];
    const int size = snprintf(path, sizeof(path), "%s/%s-vttyS0",
                              engine_of(machines)->options.console_links, uid);

    if (size < (int)sizeof(path))
        vine__console_link_remove(path, NULL);
}

static void forget(struct vine__machines *machines, const char *uid)
{
    char path[VINE__ENGINE_PATH_BYTES];

    if (find_log(machines, uid, path))
        vine__console_log_remove(path);
}

static const struct vine__machines_calls engine_calls = {
    .start = start_one,
    .stop = stop_one,
    .kill = kill_one,
    .log = log_of,
    .is_left = is_left,
    .give = give_one,
    .clear = clear,
    .forget = forget,
};

/* ---- the thread ------------------------------------------------------------------------------ */

/* Errands are run in each turn. */
static void hear(struct vine__engine *engine, void *context)
{
    if (context == &engine->bells)
        vine__engine_bells_lose(engine);
    else if (context != engine)
        vine__engine_hear(context);
}

static void loop(void *context)
{
    struct vine__engine *const engine = context;
    struct vine__epoll_event events[EVENTS_MAX];
    bool goes_on = true;

    vine__engine_bells_open(engine);
    if (vine__epoll_add(engine->epoll_fd, vine__errands_fd(engine->errands), engine) != 0)
        goes_on = false;
    while (goes_on) {
        const uint64_t now_ns = vine__clock_now_ns();
        const uint64_t renew_ns = vine__engine_bells_renew(engine, now_ns);
        const uint64_t expires_ns = vine__engine_expire(engine, now_ns);
        const uint64_t later_ns = renew_ns < expires_ns ? renew_ns : expires_ns;
        const uint64_t next_ns = vine__engine_links_are_filled(engine) ? later_ns : now_ns;
        const int count =
            vine__epoll_wait(engine->epoll_fd, events, EVENTS_MAX,
                             next_ns == VINE_FOREVER ? VINE_FOREVER : next_ns - now_ns);

        /* A VM that one of them ends is not among the others: each is there once. */
        for (int i = 0; i < count; i++)
            hear(engine, events[i].context);
        goes_on = vine__errands_run(engine->errands, false);
        vine__engine_links_fill(engine);
        execute_waiting(engine);
        if (engine->is_changed)
            (void)!vine__engine_save(engine);
    }
    abandon_waiting(engine, NULL);
    if (engine->options.leaves_vms)
        vine__engine_release_all(engine);
    vine__engine_kill_all(engine);
    if (engine->is_changed)
        (void)!vine__engine_save(engine);
    vine__engine_bells_close(engine);
    if (engine->groups != NULL)
        vine__groups_close(engine->groups);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void free_engine(struct vine__engine *engine)
{
    if (engine->epoll_fd >= 0)
        (void)close(engine->epoll_fd);
    for (size_t i = 0; i < sizeof(engine->texts) / sizeof(engine->texts[0]); i++)
        free(engine->texts[i]);
    json_decref(engine->left);
    json_decref(engine->left_links);
    free(engine->left_uids);
    free(engine);
}

static int copy_options(struct vine__engine *engine)
{
    struct vine__engine_options *const options = &engine->options;
    const char **const texts[] = {&options->runtime, &options->logs, &options->console_links,
                                  &options->qemu};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (*texts[i] == NULL)
            continue;
        engine->texts[i] = strdup(*texts[i]);
        if (engine->texts[i] == NULL)
            return -ENOMEM;
        *texts[i] = engine->texts[i];
    }
    return 0;
}

static void is_closed(void *context)
{
    struct vine__engine *const engine = context;

    if (engine->closed != NULL)
        engine->closed(engine->closed_context);
    free_engine(engine);
}

/* Its threads, one after the other: what was being tried comes to the engine's, which is the
 * last. */
static void close_next(void *context)
{
    struct vine__engine *const engine = context;
    struct vine__errands **at = engine->probers;

    while (at < engine->probers + VINE__ENGINE_PROBERS && *at == NULL)
        at++;
    if (at < engine->probers + VINE__ENGINE_PROBERS) {
        struct vine__errands *const prober = *at;

        *at = NULL;
        vine__errands_close(prober, close_next, engine);
    } else if (engine->errands != NULL) {
        vine__errands_close(engine->errands, is_closed, engine);
    } else {
        is_closed(engine);
    }
}

int vine__engine_open(const struct vine__engine_options *options,
                      struct vine__machines **ret_machines)
{
    struct vine__engine *const engine = calloc(1, sizeof(*engine));
    int error;

    if (engine == NULL)
        return -ENOMEM;
    engine->base.calls = &engine_calls;
    engine->options = *options;
    engine->epoll_fd = -1;
    vine_list_init(&engine->vms);
    vine_list_init(&engine->links);
    vine_list_init(&engine->starts);
    error = copy_options(engine);
    if (error == 0)
        error = vine__epoll_create(&engine->epoll_fd);
    if (error == 0)
        vine__engine_load(engine);
    for (uint32_t i = 0; i < VINE__ENGINE_PROBERS && error == 0; i++)
        vine__engine_probe_clear(&engine->options, i);
    for (uint32_t i = 0; i < VINE__ENGINE_PROBERS && error == 0 &&
                         options->accelerator != VINE__SERVER_ACCELERATOR_TCG;
         i++)
        error = vine__errands_open("probe", NULL, NULL, &engine->probers[i]);
    if (error == 0)
        error = vine__errands_open("machines", loop, engine, &engine->errands);
    if (error != 0) {
        close_next(engine);
        return error;
    }
    *ret_machines = &engine->base;
    return 0;
}

void vine__engine_close(struct vine__machines *machines, void (*closed)(void *context),
                        void *context)
{
    struct vine__engine *const engine = engine_of(machines);

    engine->closed = closed;
    engine->closed_context = context;
    close_next(engine);
}

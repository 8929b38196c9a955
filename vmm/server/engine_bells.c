/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_bells.c - doorbells of VMs, by a process that serves them: see
 * engine_internal.h. VMs without them look now and then.
 *
 * When that process dies, its sockets say so. Another one is started, and is given what is kept for
 * who comes after us. A QEMU does not connect a second time: it keeps the bells that it knows, and
 * is a stranger to those that start later. Links lose nothing.
 */

#include "vmm/server/engine_internal.h"

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "vmm/engine/bells_client.h"
#include "vmm/engine/child.h"

#include <vine/error.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 16
#define START_MS  10000
/* One that ends as soon as it is there is not followed by the next at once; and one that cannot be
 * started is tried again later. */
#define AGAIN_NS  VINE_NS_PER_SECOND
#define FAILED_NS (60 * VINE_NS_PER_SECOND)

/* The program returns when it serves in the background, or cannot. */
static int run(const char *const *words, const char *path)
{
    char *argv[WORDS_MAX + 2] = {NULL};
    struct vine__child_options options = {.words = argv};
    struct vine__child child;
    struct pollfd ended = {.events = POLLIN};
    int error;

    for (size_t i = 0; i < WORDS_MAX && words[i] != NULL; i++) {
        argv[i] = (char *)(uintptr_t)words[i];
        argv[i + 1] = (char *)(uintptr_t)path;
    }
    error = vine__child_start(&options, &child);
    if (error != 0)
        return error;
    ended.fd = child.pidfd;
    (void)poll(&ended, 1, START_MS);
    if (!vine__child_reap(&child)) {
        vine__child_signal(&child, SIGKILL);
        (void)poll(&ended, 1, -1);
        (void)vine__child_reap(&child);
    }
    error = child.status == 0 ? 0 : -VINE_EFAILED;
    vine__child_close(&child);
    return error;
}

/* One that serves already, of a server before us, is as good as another one. */
static int connect_to(struct vine__engine *engine)
{
    char path[VINE__ENGINE_PATH_BYTES];
    int error;

    (void)snprintf(path, sizeof(path), "%s/bells", engine->options.runtime);
    error = vine__bells_connect(path, &engine->bells.control_fd);
    if (error == 0)
        return 0;
    error = run(engine->options.bells, path);
    return error != 0 ? error : vine__bells_connect(path, &engine->bells.control_fd);
}

void vine__engine_bells_open(struct vine__engine *engine)
{
    engine->bells = (struct vine__engine_bells){.control_fd = -1};
    if (engine->options.bells == NULL || vine__signaller_open(&engine->bells.signaller) != 0)
        engine->bells.retry_ns = VINE_FOREVER;
}

void vine__engine_bells_close(struct vine__engine *engine)
{
    if (engine->bells.control_fd >= 0)
        (void)close(engine->bells.control_fd);
    vine__signaller_close(&engine->bells.signaller);
}

/* ---- one after the other --------------------------------------------------------------------- */

/* What came of a question: whoever does not answer is not asked the next one. */
static int asked(struct vine__engine *engine, int error)
{
    if (error == -VINE_EPEERLOST || error == -ETIMEDOUT || error == -VINE_EPROTOCOL)
        vine__engine_bells_lose(engine);
    if (error == -ETIMEDOUT) /* it is there still, and hangs */
        engine->bells.retry_ns = vine__clock_now_ns() + FAILED_NS;
    return error;
}

/* Who is there, by names. */
struct roll {
    uint32_t count;
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
};

static void call_roll(struct vine__engine *engine, struct roll *ret_roll)
{
    if (asked(engine,
              vine__bells_list(engine->bells.control_fd, ret_roll->entries, &ret_roll->count)) != 0)
        ret_roll->count = 0;
}

static bool is_there(const struct roll *roll, const struct vine__engine_vm *vm, uint32_t bell)
{
    for (uint32_t i = 0; i < roll->count; i++)
        if (roll->entries[i].id == bell && strcmp(roll->entries[i].name, vm->boot->uid) == 0)
            return true;
    return false;
}

/* Tell of VMs that run, and whom nobody serves any more. */
static void forsake(struct vine__engine *engine)
{
    struct roll roll;

    call_roll(engine, &roll);
    VINE_LIST_FOR_EACH(node, &engine->vms)
    {
        struct vine__engine_vm *const vm = VINE_LIST_OBJECT(node, struct vine__engine_vm, node);

        if (vm->bell == VINE_STATUS_NO_DOORBELL || is_there(&roll, vm, vm->bell))
            continue;
        vm->bell = VINE_STATUS_NO_DOORBELL;
        engine->is_changed = true;
        vine__engine_note(engine, vm->boot,
                          "the process of its doorbells has ended%s: its links go on, and VMs that "
                          "start from now on are not woken by it at once, until it is started anew",
                          engine->bells.control_fd < 0 ? ", and none can be started" : "");
    }
}

/* There is one, and all that has to be kept is with it. */
static void join(struct vine__engine *engine)
{
    struct vine__engine_bells *const bells = &engine->bells;
    const bool is_another = bells->was_there;

    bells->was_there = true;
    bells->retry_ns = vine__clock_now_ns() + AGAIN_NS;
    /* Where its end is not heard it is found when something is asked of it. */
    (void)!vine__epoll_add(engine->epoll_fd, bells->control_fd, bells);
    if (!is_another)
        return;
    forsake(engine);
    vine__engine_keep_all(engine);
}

bool vine__engine_bells_are_there(struct vine__engine *engine)
{
    struct vine__engine_bells *const bells = &engine->bells;

    if (bells->control_fd >= 0)
        return true;
    if (vine__clock_now_ns() < bells->retry_ns)
        return false;
    if (connect_to(engine) == 0) {
        join(engine);
    } else {
        bells->retry_ns = vine__clock_now_ns() + FAILED_NS;
        forsake(engine);
    }
    return bells->control_fd >= 0;
}

void vine__engine_bells_lose(struct vine__engine *engine)
{
    struct vine__engine_bells *const bells = &engine->bells;

    if (bells->control_fd < 0)
        return;
    vine__epoll_remove(engine->epoll_fd, bells->control_fd);
    (void)close(bells->control_fd);
    bells->control_fd = -1;
}

uint64_t vine__engine_bells_renew(struct vine__engine *engine, uint64_t now_ns)
{
    struct vine__engine_bells *const bells = &engine->bells;

    if (bells->was_there && bells->control_fd < 0 && now_ns >= bells->retry_ns)
        (void)vine__engine_bells_are_there(engine);
    return bells->was_there && bells->control_fd < 0 ? bells->retry_ns : VINE_FOREVER;
}

/* ---- a VM's ---------------------------------------------------------------------------------- */

static int add(struct vine__engine_vm *vm)
{
    return vine__machine_join_bells(vm->machine, vm->engine->bells.control_fd, &vm->bell,
                                    &vm->changes_fd);
}

bool vine__engine_bells_add(struct vine__engine_vm *vm)
{
    struct vine__engine *const engine = vm->engine;
    int error = asked(engine, add(vm));

    if (error != 0 && engine->bells.control_fd < 0 && vine__engine_bells_are_there(engine))
        error = asked(engine, add(vm));
    return error == 0;
}

void vine__engine_bells_resume(struct vine__engine_vm *vm, uint32_t bell)
{
    struct vine__engine *const engine = vm->engine;
    struct roll roll;

    if (bell == VINE_STATUS_NO_DOORBELL)
        return;
    /* Also where another process serves by now: those whom it has rung it rings still. */
    vine__machine_set_doorbell(vm->machine, bell);
    if (!vine__engine_bells_are_there(engine))
        return;
    call_roll(engine, &roll);
    if (is_there(&roll, vm, bell) &&
        asked(engine, vine__bells_event(engine->bells.control_fd, bell, VINE_STATUS_VECTOR_CHANGES,
                                        &vm->changes_fd)) == 0)
        vm->bell = bell;
}

void vine__engine_bells_leave(struct vine__engine_vm *vm)
{
    if (vm->changes_fd >= 0)
        (void)close(vm->changes_fd);
    vm->changes_fd = -1;
}

void vine__engine_bells_remove(struct vine__engine_vm *vm)
{
    struct vine__engine *const engine = vm->engine;

    if (vm->bell != VINE_STATUS_NO_DOORBELL && engine->bells.control_fd >= 0)
        (void)!asked(engine, vine__bells_remove(engine->bells.control_fd, vm->bell));
    vm->bell = VINE_STATUS_NO_DOORBELL;
    vine__engine_bells_leave(vm);
}

static void say_of_pair(const struct vine__engine_vm *one, const struct vine__engine_vm *other,
                        int (*request)(int fd, uint32_t id, uint32_t other))
{
    const int fd = one->engine->bells.control_fd;

    /* It fails for one that has ended, or is at a server that has: they look now and then. */
    if (fd >= 0 && one->bell != VINE_STATUS_NO_DOORBELL && other->bell != VINE_STATUS_NO_DOORBELL)
        (void)!asked(one->engine, request(fd, one->bell, other->bell));
}

void vine__engine_bells_allow(const struct vine__engine_vm *one,
                              const struct vine__engine_vm *other)
{
    say_of_pair(one, other, vine__bells_allow);
}

void vine__engine_bells_forbid(const struct vine__engine_vm *one,
                               const struct vine__engine_vm *other)
{
    say_of_pair(one, other, vine__bells_forbid);
}

void vine__engine_bells_ring(void *context, struct vine__machine *machine)
{
    const struct vine__engine_vm *const vm = context;

    (void)machine;
    if (vm->changes_fd >= 0)
        (void)!vine__signaller_signal(&vm->engine->bells.signaller, vm->changes_fd);
}

/* ---- what outlives us ------------------------------------------------------------------------ */

void vine__engine_keep(struct vine__engine *engine, const char *name, int fd)
{
    if (!engine->options.leaves_vms || !vine__engine_bells_are_there(engine))
        return;
    /* One of this name was left by who ended in between. Where it is not kept, the next engine goes
     * on without. */
    (void)!asked(engine, vine__bells_forget(engine->bells.control_fd, name));
    if (engine->bells.control_fd >= 0)
        (void)!asked(engine, vine__bells_keep(engine->bells.control_fd, name, fd));
}

int vine__engine_kept(struct vine__engine *engine, const char *name)
{
    int fd;

    return vine__engine_bells_are_there(engine) &&
                   asked(engine, vine__bells_take(engine->bells.control_fd, name, &fd)) == 0
               ? fd
               : -1;
}

void vine__engine_forget(struct vine__engine *engine, const char *name)
{
    if (engine->options.leaves_vms && engine->bells.control_fd >= 0)
        (void)!asked(engine, vine__bells_forget(engine->bells.control_fd, name));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/engine_bells.c - doorbells of VMs, by a process that serves them: see
 * engine_internal.h. VMs without them look now and then.
 */

#include "vmm/server/engine_internal.h"

#include "vmm/engine/bells_client.h"
#include "vmm/engine/child.h"

#include <vine/error.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define WORDS_MAX 16
#define START_MS  10000

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
    engine->bells.has_failed =
        engine->options.bells == NULL || vine__signaller_open(&engine->bells.signaller) != 0;
}

void vine__engine_bells_close(struct vine__engine *engine)
{
    if (engine->bells.control_fd >= 0)
        (void)close(engine->bells.control_fd);
    vine__signaller_close(&engine->bells.signaller);
}

bool vine__engine_bells_are_there(struct vine__engine *engine)
{
    if (engine->bells.control_fd < 0 && !engine->bells.has_failed)
        engine->bells.has_failed = connect_to(engine) != 0;
    return engine->bells.control_fd >= 0;
}

/* It has ended: VMs that run keep what they have, and another one serves those that start. */
static void lose(struct vine__engine *engine)
{
    (void)close(engine->bells.control_fd);
    engine->bells.control_fd = -1;
    VINE_LIST_FOR_EACH(node, &engine->vms)
    VINE_LIST_OBJECT(node, struct vine__engine_vm, node)->bell = VINE_STATUS_NO_DOORBELL;
}

static int add(struct vine__engine_vm *vm)
{
    return vine__machine_join_bells(vm->machine, vm->engine->bells.control_fd, &vm->bell,
                                    &vm->changes_fd);
}

bool vine__engine_bells_add(struct vine__engine_vm *vm)
{
    struct vine__engine *const engine = vm->engine;
    int error = add(vm);

    if (error == -VINE_EPEERLOST || error == -ETIMEDOUT || error == -VINE_EPROTOCOL) {
        lose(engine);
        error = vine__engine_bells_are_there(engine) ? add(vm) : error;
    }
    return error == 0;
}

void vine__engine_bells_resume(struct vine__engine_vm *vm, uint32_t bell)
{
    const struct vine__engine_bells *const bells = &vm->engine->bells;

    if (!vine__engine_bells_are_there(vm->engine) ||
        vine__bells_event(bells->control_fd, bell, VINE_STATUS_VECTOR_CHANGES, &vm->changes_fd) !=
            0)
        return;
    vm->bell = bell;
    vine__machine_set_doorbell(vm->machine, bell);
}

void vine__engine_bells_leave(struct vine__engine_vm *vm)
{
    if (vm->changes_fd >= 0)
        (void)close(vm->changes_fd);
    vm->changes_fd = -1;
}

void vine__engine_bells_remove(struct vine__engine_vm *vm)
{
    const struct vine__engine_bells *const bells = &vm->engine->bells;

    if (vm->bell != VINE_STATUS_NO_DOORBELL && bells->control_fd >= 0)
        (void)!vine__bells_remove(bells->control_fd, vm->bell);
    vm->bell = VINE_STATUS_NO_DOORBELL;
    vine__engine_bells_leave(vm);
}

static void say_of_pair(const struct vine__engine_vm *one, const struct vine__engine_vm *other,
                        int (*request)(int fd, uint32_t id, uint32_t other))
{
    const int fd = one->engine->bells.control_fd;

    /* It fails for one that has ended, or is at a server that has: they look now and then. */
    if (fd >= 0 && one->bell != VINE_STATUS_NO_DOORBELL && other->bell != VINE_STATUS_NO_DOORBELL)
        (void)!request(fd, one->bell, other->bell);
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
    (void)!vine__bells_forget(engine->bells.control_fd, name);
    (void)!vine__bells_keep(engine->bells.control_fd, name, fd);
}

int vine__engine_kept(struct vine__engine *engine, const char *name)
{
    int fd;

    return vine__engine_bells_are_there(engine) &&
                   vine__bells_take(engine->bells.control_fd, name, &fd) == 0
               ? fd
               : -1;
}

void vine__engine_forget(struct vine__engine *engine, const char *name)
{
    if (engine->options.leaves_vms && engine->bells.control_fd >= 0)
        (void)!vine__bells_forget(engine->bells.control_fd, name);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_world.h - clients, a registry, a store in memory and an engine that only says that it runs
 * machines; and connections whose requests and answers are text.
 *
 * Store, engine and saver do what they were asked for in world_step, one thing at a time. That goes
 * on by itself behind each request, unless the world is slow: then the test steps it.
 *
 * Owns:     all of it, and a folder.
 * Threads:  one.
 * Blocking: never.
 * Trust:    the test's own.
 * Limits:   FAKES_MAX machines that run.
 *
 * A fake machine is in the state that the test tells; one that is killed is off at once, and so is
 * one that is stopped, unless machines hang: then nothing but killing ends them. One that has not
 * started yet does so.
 */
#ifndef VINE_TESTS_SERVER_WORLD_H
#define VINE_TESTS_SERVER_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "harness/folder.h"
#include "store_memory.c"
#include "vmm/server/session.h"
#include "vmm/server/state_file.h"

#include <errno.h>
#include <poll.h>

#define FAKES_MAX   256
#define WORLD_PIECE 7 /* bytes in which requests come */

struct world;

struct fake_machines {
    struct vine__machines base;
    struct world *world;
    bool hangs;
    bool refuses;
    struct vine__machines_work *asked[FAKES_MAX]; /* what was not done yet */
    uint32_t asked_count;
    char ending[FAKES_MAX][VINE__CLIENT_UID_BYTES]; /* who is not told off yet, and why */
    const char *ended_by[FAKES_MAX];
    uint32_t ending_count;
    uint32_t count;
    char uids[FAKES_MAX][VINE__CLIENT_UID_BYTES]; /* of those that were started, and are not off */
    char parameters[256];                         /* of the last start */
    uint64_t stop_ms;                             /* of the last stop */
    uint32_t questions;                           /* calls of any kind */
    const char *late_console; /* is told when it runs; NULL: another one, when it was executed */
    struct vine__console_owner owner; /* to whom a console was given last */
    uint32_t cleared_count;           /* of those that are off, and nothing is left of them */
    uint32_t forgotten_count;         /* of those that are not there any more, and the last one */
    char forgotten_uid[VINE__CLIENT_UID_BYTES];
    int said_fds[2]; /* who asks for the log: its end is written to the first of these terminals'
                      * ends, and more, and can be read at the other one. 0: nothing is */
    const char *left_uid; /* of the one that a former engine has left running, or NULL */
};

struct fake_saver {
    struct vine__saver base;
    struct vine__errand *asked; /* what is not done yet */
    bool holds;                 /* writes take until this is no more */
};

struct world {
    char folder[32];
    char clients_path[64];
    struct vine__clients clients;
    struct vine__registry registry;
    struct vine__vm_store *store;
    struct fake_machines machines;
    struct fake_saver saver;
    bool is_slow;
};

/* A connection. */
struct caller {
    struct vine__session session;
    struct world *world;
    struct vine__request request;
    char room[4096];
    uint32_t wakes;
    bool is_lost;
    bool is_waiting;
    char *said; /* all answers that nobody has looked at */
    size_t said_bytes;
    char *looked; /* what was looked at last */
};

/* ---- the engine ------------------------------------------------------------------------------ */

static inline uint32_t fake_place(const struct fake_machines *fake, const char *uid)
{
    uint32_t at = 0;

    while (at < fake->count && strcmp(fake->uids[at], uid) != 0)
        at++;
    return at;
}

/* It is in that state now, as an engine tells it. */
static inline void fake_tell(struct world *world, const char *uid, enum vine__vm_state state,
                             const char *ended_by)
{
    struct fake_machines *const fake = &world->machines;
    const uint32_t at = fake_place(fake, uid);

    assert_true(at < fake->count);
    if (state == VINE__VM_OFF)
        memmove(fake->uids[at], fake->uids[--fake->count], sizeof(fake->uids[0]));
    vine__registry_tell(&world->registry, uid, state, ended_by,
                        state == VINE__VM_OFF        ? "that was it"
                        : fake->late_console != NULL ? fake->late_console
                                                     : "");
}

static inline void fake_start(struct vine__machines *machines, struct vine__machines_work *work)
{
    struct fake_machines *const fake = (struct fake_machines *)machines;

    fake->questions++;
    assert_true(fake->asked_count < FAKES_MAX);
    fake->asked[fake->asked_count++] = work;
}

static inline void fake_end(struct fake_machines *fake, const char *uid, const char *ended_by)
{
    if (fake_place(fake, uid) == fake->count)
        return; /* its start is not done, and goes on */
    assert_true(fake->ending_count < FAKES_MAX);
    fake->ended_by[fake->ending_count] = ended_by;
    memcpy(fake->ending[fake->ending_count++], uid, sizeof(fake->ending[0]));
}

static inline void fake_stop(struct vine__machines *machines, const char *uid, uint64_t timeout_ms,
                             bool starts_again)
{
    struct fake_machines *const fake = (struct fake_machines *)machines;

    (void)starts_again;
    fake->questions++;
    fake->stop_ms = timeout_ms;
    if (!fake->hangs)
        fake_end(fake, uid, "stopped");
}

static inline void fake_kill(struct vine__machines *machines, const char *uid)
{
    struct fake_machines *const fake = (struct fake_machines *)machines;

    fake->questions++;
    fake_end(fake, uid, "killed");
}

/* One start, or one end. Returns whether there was any. */
static inline bool fake_step(struct fake_machines *fake)
{
    struct vine__machines_work *const work = fake->asked[0];
    char uid[VINE__CLIENT_UID_BYTES];
    const char *ended_by;

    if (fake->asked_count > 0) {
        memmove(fake->asked, fake->asked + 1, --fake->asked_count * sizeof(fake->asked[0]));
        (void)snprintf(fake->parameters, sizeof(fake->parameters), "%s", work->parameters);
        work->error = fake->refuses ? VINE_SERVER_E_FAILED : VINE_SERVER_E_DONE;
        (void)snprintf(work->why, sizeof(work->why), "no /dev/kvm here");
        (void)snprintf(work->console, sizeof(work->console), "%s",
                       fake->late_console != NULL ? "" : "/tmp/console");
        assert_true(fake->count < FAKES_MAX);
        if (!fake->refuses)
            memcpy(fake->uids[fake->count++], work->boot->uid, sizeof(fake->uids[0]));
        work->done(work);
        return true;
    }
    if (fake->ending_count == 0)
        return false;
    ended_by = fake->ended_by[0];
    memcpy(uid, fake->ending[0], sizeof(uid));
    fake->ending_count--;
    memmove(fake->ending, fake->ending + 1, fake->ending_count * sizeof(fake->ending[0]));
    memmove(fake->ended_by, fake->ended_by + 1, fake->ending_count * sizeof(fake->ended_by[0]));
    if (fake_place(fake, uid) < fake->count)
        fake_tell(fake->world, uid, VINE__VM_OFF, ended_by);
    return true;
}

static inline size_t fake_log(struct vine__machines *machines, const char *uid, char *bytes,
                              size_t room)
{
    static const char log[] = "the guest\nhas said this\n", there[] = "said this\nand that\n";
    const struct fake_machines *const fake = (struct fake_machines *)machines;
    const size_t size = room < sizeof(log) - 1 ? room : sizeof(log) - 1;

    (void)uid;
    if (fake->said_fds[0] > 0) {
        struct pollfd arrival = {.fd = fake->said_fds[1], .events = POLLIN};

        assert_int_equal(write(fake->said_fds[0], there, sizeof(there) - 1), sizeof(there) - 1);
        assert_int_equal(poll(&arrival, 1, -1), 1);
    }
    memcpy(bytes, log + sizeof(log) - 1 - size, size);
    return size;
}

static inline bool fake_is_left(const struct vine__machines *machines, const char *uid)
{
    const char *const left = ((const struct fake_machines *)machines)->left_uid;

    return left != NULL && strcmp(left, uid) == 0;
}

static inline void fake_give(struct vine__machines *machines, const char *uid,
                             const struct vine__console_owner *owner)
{
    (void)uid;
    ((struct fake_machines *)machines)->owner = *owner;
}

static inline void fake_clear(struct vine__machines *machines, const char *uid)
{
    (void)uid;
    ((struct fake_machines *)machines)->cleared_count++;
}

static inline void fake_forget(struct vine__machines *machines, const char *uid)
{
    struct fake_machines *const fake = (struct fake_machines *)machines;

    fake->forgotten_count++;
    (void)snprintf(fake->forgotten_uid, sizeof(fake->forgotten_uid), "%s", uid);
}

static const struct vine__machines_calls fake_calls = {.start = fake_start,
                                                       .stop = fake_stop,
                                                       .kill = fake_kill,
                                                       .log = fake_log,
                                                       .is_left = fake_is_left,
                                                       .give = fake_give,
                                                       .clear = fake_clear,
                                                       .forget = fake_forget};

/* ---- the saver ------------------------------------------------------------------------------- */

static inline void fake_save(struct vine__saver *saver, struct vine__saver_work *work)
{
    struct vine__errand **end = &((struct fake_saver *)saver)->asked;

    while (*end != NULL)
        end = &(*end)->next;
    work->errand.next = NULL;
    *end = &work->errand;
}

/* Returns whether there was anything to be written. */
static inline bool fake_saver_step(struct fake_saver *fake)
{
    struct vine__saver_work *work;

    if (fake->asked == NULL || fake->holds)
        return false;
    work = VINE_CONTAINER_OF(fake->asked, struct vine__saver_work, errand);
    fake->asked = fake->asked->next;
    assert_non_null(work->text);
    work->error = vine__state_file_replace(work->path, work->text, strlen(work->text));
    work->done(work);
    return true;
}

/* ---- the world ------------------------------------------------------------------------------- */

/* One thing that one of them was asked for. Returns whether there was any. */
static inline bool world_step(struct world *world)
{
    return fake_saver_step(&world->saver) || vine__store_memory_step(world->store) ||
           fake_step(&world->machines);
}

static inline void world_settle(struct world *world)
{
    while (world_step(world))
        ;
}

/* It is in that state now, and all that comes of that. */
static inline void world_tell(struct world *world, const char *uid, enum vine__vm_state state,
                              const char *ended_by)
{
    fake_tell(world, uid, state, ended_by);
    world_settle(world);
}

static inline struct vine__client *world_add(struct world *world, const char *name,
                                             uint16_t permissions)
{
    struct vine__client client = {
        .mode = 0600,
        .permissions = permissions,
        .pool = "work",
        .limits = {.vms = 4, .memory_bytes = 1 << 30, .kernel_bytes = 1000, .disk_bytes = 5000},
    };
    char why[VINE__CLIENTS_WHY_BYTES];

    (void)snprintf(client.name, sizeof(client.name), "%s", name);
    (void)snprintf(client.path, sizeof(client.path), "%s/%s", world->folder, name);
    assert_int_equal(vine__clients_add(&world->clients, &client, why), 0);
    return vine__clients_find(&world->clients, name);
}

/* alice and bob, who may do all to their own; root, who may to all; nobody, who may nothing. */
static inline int world_begin(void **state)
{
    struct world *const world = calloc(1, sizeof(*world));

    *state = world;
    if (world == NULL)
        return -1;
    memcpy(world->folder, "/tmp/vine-server-XXXXXX", 24);
    if (folder_make(world->folder) != 0 || vine__store_memory_create(&world->store) != 0)
        return -1;
    (void)snprintf(world->clients_path, sizeof(world->clients_path), "%s/clients.json",
                   world->folder);
    world->machines.base.calls = &fake_calls;
    world->machines.world = world;
    vine__registry_init(&world->registry, &world->clients, &world->machines.base, world->store);
    world->saver.base.begin = fake_save;
    vine__saved_file_init(&world->registry.clients_file, &world->saver.base, world->clients_path);
    world->registry.upload_folder = world->folder;
    (void)world_add(world, "alice", 7);
    (void)world_add(world, "bob", 7);
    (void)world_add(world, "root", 31);
    (void)world_add(world, "nobody", 0);
    return 0;
}

static inline int world_end(void **state)
{
    struct world *const world = *state;

    world_settle(world);
    vine__registry_fini(&world->registry);
    vine__store_memory_destroy(world->store);
    vine__clients_fini(&world->clients);
    free(world);
    return 0;
}

/* ---- connections ----------------------------------------------------------------------------- */

static inline void caller_woken(struct vine__session *session)
{
    ((struct caller *)session)->wakes++;
}

static inline struct caller *call_in(struct world *world, const char *name)
{
    struct vine__client *const client = vine__clients_find(&world->clients, name);
    struct caller *const caller = calloc(1, sizeof(*caller));

    assert_non_null(client);
    assert_non_null(caller);
    caller->world = world;
    vine__session_init(&caller->session, &world->registry, client, caller_woken);
    vine__request_init(&caller->request, client->permissions, caller->room, sizeof(caller->room));
    return caller;
}

static inline void hang_up(struct caller *caller)
{
    vine__session_fini(&caller->session);
    free(caller->said);
    free(caller->looked);
    free(caller);
}

static inline void take_answer(struct caller *caller)
{
    struct vine__session *const session = &caller->session;

    assert_non_null(session->answer);
    caller->said = realloc(caller->said, caller->said_bytes + session->answer_bytes + 1);
    assert_non_null(caller->said);
    memcpy(caller->said + caller->said_bytes, session->answer, session->answer_bytes);
    caller->said_bytes += session->answer_bytes;
    caller->said[caller->said_bytes] = '\0';
    vine__session_sent(session);
}

/* Returns an errno. */
static inline int world_write(struct vine__upload *upload, const struct vine__request *request)
{
    if (upload->fd < 0)
        upload->fd = memfd_create("upload", MFD_CLOEXEC);
    return write(upload->fd, request->piece, request->piece_bytes) == (ssize_t)request->piece_bytes
               ? 0
               : errno;
}

/* What it waits for may have come. */
static inline void caller_go_on(struct caller *caller)
{
    caller->is_waiting = vine__session_go_on(&caller->session, false) == VINE__SESSION_WAITS;
    if (!caller->is_waiting)
        take_answer(caller);
}

static inline void caller_told(struct caller *caller, enum vine__request_told told)
{
    struct vine__session *const session = &caller->session;
    struct vine__request *const request = &caller->request;
    bool is_well = true;

    caller->is_lost = told == VINE__REQUEST_LOST;
    if (told == VINE__REQUEST_BUFFER)
        is_well = vine__session_buffer(session, request);
    else if (told == VINE__REQUEST_PIECE)
        is_well = vine__session_piece(session, request->command, request->piece_bytes,
                                      world_write(&session->upload, request));
    else if (told == VINE__REQUEST_REFUSED || (caller->is_lost && !request->is_refused))
        vine__session_refuse(session, request);
    else if (told == VINE__REQUEST_DONE && !request->is_refused)
        caller->is_waiting = vine__session_do(session, request) == VINE__SESSION_WAITS;
    if (!is_well)
        vine__request_refuse(request);
    if (session->answer != NULL)
        take_answer(caller);
    if (caller->world->is_slow)
        return;
    world_settle(caller->world);
    if (caller->is_waiting && session->is_working)
        caller_go_on(caller);
}

/* Send bytes, and take all answers that there are to them. */
static inline void send_bytes(struct caller *caller, const char *bytes, size_t size)
{
    for (size_t from = 0; from < size && !caller->is_lost; from += WORLD_PIECE) {
        const size_t now = size - from < WORLD_PIECE ? size - from : WORLD_PIECE;
        enum vine__request_told told;
        size_t at = 0;

        while (!caller->is_lost && (told = vine__request_read(&caller->request, bytes + from + at,
                                                              now - at)) != VINE__REQUEST_MORE) {
            at += caller->request.consumed_bytes;
            caller_told(caller, told);
        }
    }
}

/* What was answered since. */
static inline const char *heard(struct caller *caller)
{
    free(caller->looked);
    caller->looked = caller->said != NULL ? caller->said : strdup("");
    caller->said = NULL;
    caller->said_bytes = 0;
    return caller->looked;
}

/* Ask, and hear what is answered. */
__attribute__((format(printf, 2, 3))) static inline const char *ask(struct caller *caller,
                                                                    const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    assert_true(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    send_bytes(caller, text, strlen(text));
    free(text);
    return heard(caller);
}

/* A VM of the caller's, by its UID. */
static inline void make_vm(struct caller *caller, const char *name,
                           char ret_uid[VINE__CLIENT_UID_BYTES])
{
    const char *const said = ask(caller, "6,1\n%zu,%s\n", strlen(name), name);

    assert_int_equal(strlen(said), strlen("6,1\n32,") + 33);
    assert_memory_equal(said, "6,1\n32,", 7);
    memcpy(ret_uid, said + 7, 32);
    ret_uid[32] = '\0';
}

static inline void make_bootable(struct caller *caller, const char *name,
                                 char ret_uid[VINE__CLIENT_UID_BYTES])
{
    make_vm(caller, name, ret_uid);
    assert_string_equal(ask(caller, "8,1\n32,%s\n6,kernel\n", ret_uid), "8,1\n0,\n");
}

#endif

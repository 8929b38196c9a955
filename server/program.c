/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/program.c - the server's life on core 0.
 *
 *     begin: pools are opened, one after the other; VMs that were left behind are put back; clients
 *            are served; those are started that start by themselves
 *     end:   nobody is let in any more; the engine ends, then the store, then all is written that
 *            is to be, and then the reactors
 */
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/runtime.h>
#include <vine/signal.h>
#include <vine/timer.h>

#include "../tools/json.h"
#include "../tools/message.h"
#include "../tools/status.h"

#include "arch/process/notify.h"
#include "vmm/server/control.h"
#include "vmm/server/control_pools.h"
#include "vmm/server/engine_machines.h"
#include "vmm/server/keeper.h"
#include "vmm/server/pool_store.h"
#include "vmm/server/service.h"
#include "vmm/server/state_file.h"

#include "ended.h"

/* How often, and after which time, sockets are tried again that a server which was killed had: the
 * kernel may let go of them a moment after it has let go of its locks. Whoever is there still is
 * another one. */
#define SERVE_TRIES    100U
#define SERVE_AGAIN_NS 50000000U

#define POOLS_MAX (VINE__SERVER_CONF_POOLS_MAX + 256)

/* The process's only one. */
static struct {
    struct program *program;
    struct vine__registry registry;
    struct vine__machines *machines;
    struct vine__vm_store *store;
    struct vine__saver *saver;
    uint32_t open_files; /* of the saver's */
    struct vine__server *server;
    struct vine__control control;
    char control_path[VINE__PLACE_BYTES], pools_path[VINE__PLACE_BYTES];
    json_t *faults; /* of our own files, and as a text */
    char *faults_text;
    struct vine__keeper keeper;
    struct vine__watcher watcher;
    struct vine_work stopped; /* a VM, of those that are stopped before the end */
    struct vine_signal_handler term, interrupt, hangup;
    struct vine__pool_work work; /* pools that are opened, one at a time */
    char *pools[POOLS_MAX];
    size_t pool_count, pool_next;
    size_t open_count;
    struct vine_timer again;
    uint32_t serve_tries;
    const char *notify; /* $NOTIFY_SOCKET, or NULL */
    bool serves, is_ending, stops_vms;
    bool has_begun;
    int status;
} own;

static void tell_manager(const char *lines)
{
    if (own.notify != NULL)
        (void)!vine__notify(own.notify, lines);
}

static void open_next(void);

/* ---- events, for programs -------------------------------------------------------------------- */

/* With --json: whoever reads these has as much time as a pipe is long. */
static void print_event(const char *event, const struct vine__vm *vm, const char *text)
{
    json_t *object;

    if (!own.program->json)
        return;
    object = json_pack("{s:s}", "event", event);
    if (vm != NULL) {
        json_set_name(object, "uid", vm->uid);
        json_set_name(object, "name", vm->facts.name);
        json_set_name(object, "state", vine__vm_state_word(vm->state));
        if (vine__vm_is_off(vm))
            json_set_name(object, "ended_by", vm->ended_by);
    }
    if (text != NULL && text[0] != '\0')
        json_set_name(object, "text", text);
    (void)json_print_line(object);
    (void)fflush(stdout);
}

static void hear_of_states(struct vine__watcher *watcher, const struct vine__vm *vm)
{
    char room[VINE__VM_END_BYTES];
    const char *const text = vine__vm_is_off(vm) ? vine__vm_end_text(vm, room) : "";

    (void)watcher;
    print_event("vm", vm, text);
    /* What is on its way somewhere is told when it is there. */
    if (vm->state != VINE__VM_STARTING && vm->state != VINE__VM_STOPPING)
        message_note("VM %s: %s%s%s", vm->facts.name, vine__vm_state_word(vm->state),
                     text[0] != '\0' ? ": " : "", message_escape(text));
    if (vm->state == VINE__VM_OFF && own.stops_vms)
        vine_work_post(&own.stopped);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void saver_ended(void *context)
{
    (void)context;
    vine_stop(own.status);
}

static void file_closed(void *context)
{
    (void)context;
    if (--own.open_files == 0)
        vine__saver_destroy(own.saver, saver_ended, NULL);
}

/* What has become of VMs until now is on the disk, and nothing of what is asked from now on. */
static void store_ended(void *context)
{
    struct vine__saved_file *const files[] = {&own.registry.clients_file, &own.keeper.file,
                                              &own.control.pools_file};
    const uint32_t count = sizeof(files) / sizeof(files[0]);

    (void)context;
    if (own.saver == NULL) {
        saver_ended(NULL);
        return;
    }
    own.open_files = count;
    for (uint32_t i = 0; i < count; i++)
        vine__saved_file_close(files[i], file_closed, NULL);
}

static void engine_ended(void *context)
{
    (void)context;
    if (own.store == NULL) {
        store_ended(NULL);
        return;
    }
    vine__pool_store_destroy(own.store, store_ended, NULL);
    own.store = NULL;
    own.registry.store = ended_store();
}

static void server_ended(void *context)
{
    (void)context; /* connections end with the reactors */
}

static void end(int status)
{
    if (own.is_ending)
        return;
    own.is_ending = true;
    own.status = status;
    tell_manager("STOPPING=1");
    print_event("stopping", NULL, NULL);
    vine__keeper_fini(&own.keeper);
    if (own.server != NULL)
        vine__server_stop(own.server, server_ended, NULL);
    if (own.machines == NULL) {
        engine_ended(NULL);
        return;
    }
    vine__engine_close(own.machines, engine_ended, NULL);
    own.machines = NULL;
    own.registry.machines = ended_machines();
}

/* ---- the end, after that of all VMs ---------------------------------------------------------- */

static bool are_all_off(void)
{
    VINE_LIST_FOR_EACH(node, &own.registry.vms)
    if (VINE_LIST_OBJECT(node, struct vine__vm, link)->state != VINE__VM_OFF)
        return false;
    return true;
}

static void end_if_stopped(struct vine_work *work)
{
    (void)work;
    if (are_all_off())
        end(STATUS_DONE);
}

/* Nothing starts by itself any more. */
static void stop_vms(void)
{
    own.stops_vms = true;
    vine__keeper_fini(&own.keeper);
    vine_work_init(&own.stopped, end_if_stopped);
    vine__registry_stop_all(&own.registry);
    vine_work_post(&own.stopped);
}

static void be_asked_to_end(struct vine__control *control, bool stops)
{
    (void)control;
    if (own.is_ending || own.stops_vms)
        return;
    message_note("stopping%s", stops ? ", and all VMs first" : "");
    if (stops)
        stop_vms();
    else
        end(STATUS_DONE);
}

static void be_told_to_end(struct vine_signal_handler *handler)
{
    (void)handler;
    if (own.is_ending) {
        vine_stop(STATUS_INTERRUPTED); /* somebody does not want to wait */
        return;
    }
    message_note("stopping");
    end(STATUS_DONE);
}

static void serve(void);

/* What is wrong with a file of ours is asked for later, too. */
static void add_fault(const char *file, const char *text)
{
    char line[VINE__PLACE_BYTES + VINE__STATE_FILE_WHY_BYTES];

    (void)snprintf(line, sizeof(line), "%s: %s", file, text);
    if (own.faults == NULL)
        own.faults = json_array();
    (void)json_array_append_new(own.faults, json_string(message_escape(line)));
    free(own.faults_text);
    own.faults_text = json_dumps(own.faults, JSON_COMPACT);
    own.control.faults = own.faults_text;
    print_event("fault", NULL, line);
}

static void note(void *context, const char *uid, const char *name, const char *text)
{
    struct vine__vm *const vm = vine__registry_find(&own.registry, NULL, uid, strlen(uid));

    (void)context;
    message_warning("%s: %s", message_escape(name), message_escape(text));
    if (uid[0] == '\0')
        add_fault(name, text);
    if (vm == NULL)
        return;
    vine__registry_note(vm, text);
    print_event("note", vm, text);
}

/* ---- VMs that run already -------------------------------------------------------------------- */

/* They are taken out, which they were, one after the other, and then resumed together. */
static struct {
    struct vine__engine_resume resume;
    struct vine__vm_store_work work;
    char uid[VINE__VM_UID_BYTES];
    uint32_t next;
    bool again; /* a pool was opened meanwhile */
} going_on;

static void find_next(void);

static struct vine__vm *vm_of(const char *uid)
{
    return vine__registry_find(&own.registry, NULL, uid, strlen(uid));
}

static void is_resumed(struct vine__engine_resume *resume, struct vine__boot *boot,
                       const struct vine__machines_found *found, const char *why)
{
    struct vine__vm *const vm = vm_of(boot->uid);

    (void)resume;
    if (found != NULL) {
        vine__registry_resume(vm, boot, found);
        return;
    }
    vine__registry_give_up(vm, why);
    note(NULL, boot->uid, boot->name, why);
    vine__boot_free(boot);
}

static void go_on(void);

static void are_resumed(struct vine__engine_resume *resume)
{
    free(resume->boots);
    resume->boots = NULL;
    if (going_on.again && !own.is_ending) {
        go_on();
        return;
    }
    if (!own.is_ending)
        serve();
    vine__control_pools_settled(&own.control);
}

/* The server is told to end before it has begun: they run on. */
static void give_up(void)
{
    for (uint32_t i = 0; i < going_on.resume.count; i++)
        vine__boot_free(going_on.resume.boots[i]);
    free(going_on.resume.boots);
    going_on.resume.boots = NULL;
    vine__control_pools_settled(&own.control);
}

static void is_out(struct vine__vm_store_work *work)
{
    if (work->error == VINE_SERVER_E_DONE) {
        going_on.resume.boots[going_on.resume.count++] = work->boot;
    } else {
        vine__registry_give_up(vm_of(going_on.uid), work->why);
        message_warning("VM %s runs, and cannot be resumed: %s", going_on.uid,
                        message_escape(work->why));
    }
    if (own.is_ending)
        give_up();
    else
        find_next();
}

static bool is_left(const char *uid)
{
    const struct vine__vm *const vm = vm_of(uid);

    return vm != NULL && vm->phase == VINE__VM_LEFT;
}

/* The next one whose pool is open. */
static void find_next(void)
{
    uint32_t count;
    const char(*const left)[VINE__VM_UID_BYTES] = vine__engine_left(own.machines, &count);

    while (going_on.next < count && !is_left(left[going_on.next]))
        going_on.next++;
    if (going_on.next == count) {
        vine__engine_resume(own.machines, &going_on.resume);
        return;
    }
    memcpy(going_on.uid, left[going_on.next++], sizeof(going_on.uid));
    going_on.work = (struct vine__vm_store_work){.task = VINE__VM_TAKE_OUT,
                                                 .done = is_out,
                                                 .uid = going_on.uid,
                                                 .pool = vm_of(going_on.uid)->facts.pool,
                                                 .fd = -1};
    own.store->begin(own.store, &going_on.work);
}

static void go_on(void)
{
    uint32_t count;

    going_on.again = going_on.resume.boots != NULL;
    if (own.is_ending)
        vine__control_pools_settled(&own.control);
    if (going_on.again || own.is_ending)
        return;
    (void)vine__engine_left(own.machines, &count);
    going_on.next = 0;
    going_on.resume = (struct vine__engine_resume){
        .boots = calloc(count + 1U, sizeof(struct vine__boot *)),
        .resumed = is_resumed,
        .done = are_resumed,
    };
    if (going_on.resume.boots != NULL) {
        find_next();
        return;
    }
    message_error("out of memory");
    end(STATUS_FAILED);
}

/* What cannot be started is told, each in its line. */
static void tell_problems(const char *pool)
{
    VINE_LIST_FOR_EACH(node, &own.registry.vms)
    {
        const struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (vm->facts.problem != NULL && strcmp(vm->facts.pool, pool) == 0)
            note(NULL, vm->uid, vm->facts.name, vm->facts.problem);
    }
}

static void be_told_of_pool(struct vine__control *control, const char *pool)
{
    (void)control;
    tell_problems(pool);
    go_on();
}

/* ---- serving --------------------------------------------------------------------------------- */

static void say_ready(void)
{
    const struct program *const program = own.program;

    message_note("ready: %zu of %zu pool%s, %u VM%s, %u client%s, state in %s", own.open_count,
                 own.pool_count, own.pool_count == 1 ? "" : "s", own.registry.count,
                 own.registry.count == 1 ? "" : "s", program->clients.count,
                 program->clients.count == 1 ? "" : "s", message_escape(program->places.state));
    print_event("ready", NULL, own.control_path);
    tell_manager("READY=1");
}

/* A client whose socket cannot be had is left out, as a pool that cannot be opened. */
static void say_faults(void)
{
    const struct vine__clients *const clients = &own.program->clients;

    for (uint32_t i = 0; i < clients->count; i++) {
        if (clients->all[i]->fault[0] == '\0')
            continue;
        message_warning("client %s has no socket: %s", clients->all[i]->name,
                        message_escape(clients->all[i]->fault));
        print_event("client", NULL, clients->all[i]->fault);
    }
}

static void serve_again(struct vine_timer *timer)
{
    (void)timer;
    if (!own.is_ending)
        serve();
}

static void try_again(void (*again)(struct vine_timer *timer))
{
    vine_timer_init(&own.again, VINE_CLOCK_STEADY, again);
    vine_timer_arm_after(&own.again, SERVE_AGAIN_NS);
}

/* The control socket is there. */
static void serve_clients(struct vine_timer *timer)
{
    (void)timer;
    if (own.is_ending)
        return;
    if (vine__server_open_missing(own.server) && own.serve_tries++ < SERVE_TRIES) {
        try_again(serve_clients);
        return;
    }
    say_faults();
    say_ready();
    vine__keeper_look(&own.keeper);
}

static void tell_crowded(const struct vine__client *client, uint64_t ended_count)
{
    message_warning("client %s has as many connections as may be: %llu more were ended",
                    client->name, (unsigned long long)ended_count);
}

static void tell_denied(const struct vine__client *client, uint64_t ended_count)
{
    message_warning("the socket of %s has another mode than it was given: %llu connections of "
                    "others were ended",
                    client->name, (unsigned long long)ended_count);
}

/* Once a second at most: clients say how often it comes. */
static void tell_refused(const struct vine__client *client, const char *text)
{
    static uint64_t told_ns;
    const uint64_t now_ns = vine_clock_now(VINE_CLOCK_STEADY);

    if (told_ns != 0 && now_ns - told_ns < VINE_NS_PER_SECOND)
        return;
    told_ns = now_ns;
    message_warning("client %s was refused: %s", client->name, message_escape(text));
}

/* All pools are open that can be. Clients' connections take half of the descriptors at most. */
static void serve(void)
{
    const struct vine__server_options options = {
        .registry = &own.registry,
        .control = &own.control,
        .connections_max = own.program->conf.connections_max,
        .all_connections_max = own.program->descriptors / 2,
        .crowded = tell_crowded,
        .denied = tell_denied,
        .refused = tell_refused,
    };
    char why[VINE__CLIENTS_WHY_BYTES] = "";
    int error;

    vine__registry_settle(&own.registry);
    if (own.serves) {
        vine__keeper_look(&own.keeper);
        tell_manager("READY=1");
        return;
    }
    own.serves = true;
    (void)snprintf(own.control_path, sizeof(own.control_path), "%.*s/control.sock",
                   VINE__PLACE_BYTES - 14, own.program->places.runtime);
    own.control = (struct vine__control){.path = own.control_path,
                                         .version = VINE_VERSION,
                                         .places = &own.program->places,
                                         .faults = own.faults_text,
                                         .store = own.store,
                                         .mounts_pools = own.program->mounts,
                                         .pools = own.control.pools,
                                         .stop = be_asked_to_end,
                                         .opened = be_told_of_pool};
    vine__saved_file_init(&own.control.pools_file, own.saver, own.pools_path);
    error = vine__server_start(&options, &own.server, why);
    if (error == -EADDRINUSE && own.serve_tries++ < SERVE_TRIES) {
        own.serves = false;
        try_again(serve_again);
        return;
    }
    if (error != 0) {
        message_error("client %s", message_escape(why));
        end(STATUS_FAILED);
        return;
    }
    serve_clients(NULL);
}

/* ---- pools ----------------------------------------------------------------------------------- */

static void is_open(struct vine__pool_work *work)
{
    char path[VINE__PLACE_BYTES];

    (void)snprintf(path, sizeof(path), "%s/%s", work->folder, work->name);
    if (work->error == VINE_SERVER_E_DONE) {
        own.open_count++;
        tell_problems(work->name);
    }
    if (work->error != VINE_SERVER_E_DONE) {
        message_warning("pool %s: %s", message_escape(path), message_escape(work->why));
        print_event("pool", NULL, work->why);
    }
    free((char *)(uintptr_t)work->folder);
    if (!own.is_ending)
        open_next();
}

static void open_next(void)
{
    const char *path, *slash;

    if (own.pool_next == own.pool_count) {
        go_on();
        return;
    }
    path = own.pools[own.pool_next++];
    slash = strrchr(path, '/');
    own.work = (struct vine__pool_work){
        .done = is_open,
        .folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path)),
        .name = slash + 1,
        .is_mounted = own.program->mounts,
    };
    if (own.work.folder == NULL) {
        message_error("out of memory");
        end(STATUS_FAILED);
        return;
    }
    vine__pool_store_open(own.store, &own.registry, &own.work);
}

/* Once, however often it is named. */
static void add_pool(const char *path)
{
    for (size_t i = 0; i < own.pool_count; i++)
        if (strcmp(own.pools[i], path) == 0)
            return;
    if (own.pool_count < POOLS_MAX)
        own.pools[own.pool_count] = strdup(path);
    if (own.pool_count < POOLS_MAX && own.pools[own.pool_count] != NULL)
        own.pool_count++;
    else
        message_warning("pool %s: one too many", message_escape(path));
}

static void add_pools(const struct vine__server_conf *conf)
{
    for (uint32_t i = 0; i < conf->pool_count; i++)
        add_pool(conf->pools[i]);
}

/* Those that the former server was told to open while it ran. */
static void add_former_pools(void)
{
    struct vine__pool_paths *const pools = &own.control.pools;
    char why[VINE__POOL_PATHS_WHY_BYTES] = "";

    (void)snprintf(own.pools_path, sizeof(own.pools_path), "%.*s/pools.json",
                   VINE__PLACE_BYTES - 14, own.program->places.state);
    if (vine__pool_paths_load(own.pools_path, pools, why) != 0)
        message_warning("%s", message_escape(why));
    for (uint32_t i = 0; i < pools->count; i++)
        add_pool(pools->all[i]);
}

/* What can be read again are pools that are new; and clients' sockets are tried again. */
static void read_again(struct vine_signal_handler *handler)
{
    struct vine__problem problem = {0};
    struct vine__server_conf conf;

    (void)handler;
    if (!own.serves || own.is_ending || own.pool_next != own.pool_count ||
        going_on.resume.boots != NULL)
        return; /* it is at it */
    if (vine__server_conf_load(own.program->places.configuration, &conf, &problem) != 0) {
        message_error("%s: all stays as it is", message_escape(problem.text));
        return;
    }
    tell_manager("RELOADING=1");
    add_pools(&conf);
    vine__server_conf_fini(&conf);
    (void)vine__server_open_missing(own.server);
    say_faults();
    open_next();
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void hear(void *context, const char *uid, enum vine__vm_state state, const char *ended_by,
                 const char *text)
{
    (void)context;
    vine__registry_tell(&own.registry, uid, state, ended_by, text);
}

static int open_engine(const struct program *program)
{
    static const char *const bells[] = {"/proc/self/exe", "guest", "bells",    "--detach",
                                        "--linger",       "2",     "--socket", NULL};
    const struct vine__engine_options options = {
        .runtime = program->places.runtime,
        .logs = program->folders.logs,
        .console_links = program->conf.console_links != NULL ? program->conf.console_links
                                                             : program->places.runtime,
        .qemu = program->conf.qemu,
        .accelerator = program->conf.accelerator,
        .log_bytes = program->conf.log_bytes,
        .user_id = program->user_id,
        .group_id = program->group_id,
        .leaves_vms = true,
        .bells = bells,
        .tell = hear,
        .note = note,
    };

    return vine__engine_open(&options, &own.machines);
}

static int catch_signals(void)
{
    int error = vine_signal_handle(&own.term, SIGTERM, be_told_to_end);

    if (error == 0)
        error = vine_signal_handle(&own.interrupt, SIGINT, be_told_to_end);
    return error == 0 ? vine_signal_handle(&own.hangup, SIGHUP, read_again) : error;
}

static int begin(int argc, char **argv)
{
    struct program *const program = own.program;
    int error;

    (void)argc, (void)argv;
    own.has_begun = true;
    error = vine__saver_create(&own.saver);
    if (error == 0)
        error = vine__pool_store_create(program->places.state, &own.store);
    if (error == 0)
        error = open_engine(program);
    vine__registry_init(&own.registry, &program->clients, own.machines, own.store);
    vine__saved_file_init(&own.registry.clients_file, own.saver, program->clients_path);
    own.registry.upload_folder = program->places.state;
    own.watcher.heard = hear_of_states;
    vine__registry_watch(&own.registry, &own.watcher);
    vine__keeper_init(&own.keeper, &own.registry, own.saver, program->places.state, note);
    if (error == 0)
        error = catch_signals();
    if (error != 0) {
        message_error("cannot begin: %s", vine_error_text(error));
        end(STATUS_FAILED);
        return VINE_MAIN_GOES_ON;
    }
    vine__keeper_begin(&own.keeper);
    add_pools(&program->conf);
    for (size_t i = 0; i < program->pool_count; i++)
        add_pool(program->pools[i]);
    add_former_pools();
    open_next();
    return VINE_MAIN_GOES_ON;
}

/* One core, which shares its processor with machines. */
static const char *const wishes[] = {"--smp=1", "--thread-affinity=0", "--idle-poll-time-us=50",
                                     "--blocked-reactor-notify-ms=1000", NULL};

int program_run(struct program *program)
{
    char name[] = "vine server";
    char *line[] = {name, NULL};
    const struct vine_options options = {
        .size_bytes = sizeof(options), .name = name, .defaults = wishes};
    int status;

    own.program = program;
    own.notify = getenv("NOTIFY_SOCKET");
    status = vine_main(1, line, &options, begin);
    if (own.has_begun) {
        vine__registry_unwatch(&own.watcher);
        vine__registry_fini(&own.registry);
    }
    vine__pool_paths_fini(&own.control.pools);
    json_decref(own.faults);
    free(own.faults_text);
    for (size_t i = 0; i < own.pool_count; i++)
        free(own.pools[i]);
    return status;
}

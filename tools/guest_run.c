/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_run.c - `vine guest run`: start the machines of a file, link them, show what they say, and
 * stop them properly.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "vmm/engine/engine.h"

#include "guest_accelerator.h"
#include "guest_folder.h"
#include "guest_host.h"
#include "guest_initrd.h"
#include "guest_links.h"
#include "guest_run.h"
#include "json.h"
#include "message.h"
#include "status.h"
#include "verb.h"

#define NOBODY 65534

static void fail(struct run *run, int status)
{
    if (run->status == STATUS_DONE)
        run->status = status;
}

static void tell(const struct run *run, const struct guest *guest, const char *event,
                 const char *text)
{
    if (run->values->json) {
        json_t *object = json_object();

        json_object_set_new(object, "event", json_string(event));
        json_set_name(object, "machine", guest->plan->name);
        if (text[0] != '\0')
            json_set_name(object, "text", text);
        (void)json_print_line(object);
    } else if (!run->values->quiet) {
        message_note("%s: %s%s%s", guest->plan->name, event, text[0] != '\0' ? ": " : "", text);
    }
}

/* ---- making --------------------------------------------------------------------------------- */

static int make_folder(struct run *run)
{
    const int status = guest_folder_make(run->folder, &run->folder_fd);

    if (status != STATUS_DONE)
        return status;
    snprintf(run->theirs, sizeof(run->theirs), "%s/qemu", run->folder);
    snprintf(run->network, sizeof(run->network), "%s/network", run->theirs);
    snprintf(run->serial, sizeof(run->serial), "%s/serial", run->theirs);
    snprintf(run->console, sizeof(run->console), "%s/console", run->folder);
    if (mkdir(run->theirs, 0700) == 0)
        return STATUS_DONE;
    message_error("cannot make %s: %m", run->theirs);
    return STATUS_FAILED;
}

/* Whether somebody else can use what is there: folders above it may be closed. */
static bool can_reach(const char *path, int how, uid_t user_id, gid_t group_id)
{
    const pid_t pid = fork();
    int status = -1;

    if (pid == 0)
        _exit(setgroups(0, NULL) != 0 || setresgid(group_id, group_id, group_id) != 0 ||
              setresuid(user_id, user_id, user_id) != 0 || access(path, how) != 0);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}

/* Root's QEMU is nobody's: it gets what it needs open, a folder for what it makes itself, and files
 * that it can read. */
static int become_nobody(struct run *run)
{
    struct stat device;

    if (geteuid() != 0)
        return STATUS_DONE;
    if (chmod(run->folder, 0711) == 0 && !can_reach(run->folder, X_OK, NOBODY, NOBODY)) {
        message_warning("QEMU runs as root, since user %d cannot reach %s", NOBODY, run->folder);
        return STATUS_DONE;
    }
    run->user_id = run->group_id = NOBODY;
    if (stat("/dev/kvm", &device) == 0 && (device.st_mode & S_IRWXO) != S_IRWXO)
        run->group_id = device.st_gid;
    if (chown(run->theirs, run->user_id, run->group_id) == 0)
        return STATUS_DONE;
    message_error("%s cannot be given to user %d: %m", run->theirs, NOBODY);
    return STATUS_FAILED;
}

/* KVM only where it has booted this guest, which not every machine with a /dev/kvm does. Of a guest
 * that is not of our making, nothing can be told: whoever asks for KVM there gets it. */
static int choose_accelerator(struct run *run)
{
    const enum guest_plan_accelerator wanted = run->plan.accelerator;
    char why[VINE__PROBE_TEXT_BYTES] =
        "whether KVM boots it is not known of a guest that `vine guest build` did not make";
    int status = STATUS_DONE;

    run->accelerator = VINE__ACCELERATOR_TCG;
    if (wanted == GUEST_PLAN_TCG)
        return STATUS_DONE;
    const struct guest_accelerator_question question = {
        .kernel = run->plan.kernel,
        .initrd = run->plan.initrd,
        .stop_fd = run->signal_fd,
        .asks_anew = run->values->probe,
    };

    if (!run->plan.is_foreign)
        status = guest_accelerator_ask(&question, &run->accelerator, why);
    else if (wanted == GUEST_PLAN_KVM)
        run->accelerator = VINE__ACCELERATOR_KVM;
    if (status != STATUS_DONE || run->accelerator == VINE__ACCELERATOR_KVM)
        return status;
    if (wanted == GUEST_PLAN_KVM) {
        message_error("\"accelerator\" is kvm, but %s", why);
        return STATUS_FAILED;
    }
    if (!run->values->quiet && !run->values->json)
        message_note("QEMU translates (tcg), which is slower and works everywhere: %s%s", why,
                     run->plan.is_foreign ? "" : "; --probe asks anew");
    return STATUS_DONE;
}

/* What its host has to say of its links is new: whoever sleeps there is woken. */
static void ring(void *context, struct vine__machine *machine)
{
    const struct run *run = context;

    for (uint32_t i = 0; i < run->plan.machine_count; i++)
        if (run->guests[i].machine == machine && run->rings.changes_fds[i] >= 0)
            (void)!vine__signaller_signal(&run->rings.signaller, run->rings.changes_fds[i]);
}

/* What QEMU's user cannot read is copied; machines that boot the same kernel share the copy. */
static int copy_kernel(struct run *run, uint32_t index)
{
    struct guest *guest = &run->guests[index];
    const char *const kernel = guest->description.kernel;

    if (can_reach(kernel, R_OK, run->user_id, run->group_id))
        return STATUS_DONE;
    for (uint32_t i = 0; i < index; i++) {
        struct vine__machine_description other;

        guest_plan_describe(&run->plan, i, &other);
        if (strcmp(other.kernel, kernel) == 0) {
            guest->description.kernel = run->guests[i].description.kernel;
            return STATUS_DONE;
        }
    }
    if (asprintf(&guest->kernel, "%s/%s.kernel", run->folder, run->plan.machines[index].name) < 0) {
        guest->kernel = NULL;
        message_error("out of memory");
        return STATUS_FAILED;
    }
    guest->description.kernel = guest->kernel;
    return guest_initrd_copy(kernel, guest->kernel);
}

/* What a machine boots from. */
static int make_boot(struct run *run, uint32_t index)
{
    struct guest *guest = &run->guests[index];
    const int status =
        guest_initrd_make(&run->plan, &run->plan.machines[index], run->folder, &guest->initrd);

    if (status != STATUS_DONE)
        return status;
    guest_plan_describe(&run->plan, index, &guest->description);
    guest->description.initrd = guest->initrd;
    if (run->user_id == 0)
        return STATUS_DONE;
    if (chown(guest->initrd, run->user_id, run->group_id) != 0) {
        message_error("%s cannot be given to user %d: %m", guest->initrd, NOBODY);
        return STATUS_FAILED;
    }
    return copy_kernel(run, index);
}

static int make_machine(struct run *run, uint32_t index)
{
    struct guest *guest = &run->guests[index];
    const struct guest_plan_machine *plan = &run->plan.machines[index];
    const struct vine__machine_options options = {
        .folder = run->folder,
        .user_id = run->user_id,
        .group_id = run->group_id,
        .dies_with_us = true,
        .on_page_change = ring,
        .context = run,
    };
    char why[VINE__MACHINE_TEXT_BYTES] = "";
    const int status = make_boot(run, index);
    const bool is_attached =
        run->values->console != NULL && strcmp(run->values->console, plan->name) == 0;

    guest->plan = plan;
    if (status != STATUS_DONE)
        return status;
    guest->description.accelerator = run->accelerator;
    guest->description.clock_khz = vine__machine_clock_khz();
    guest->description.console = is_attached ? VINE__CONSOLE_SOCKET : VINE__CONSOLE_PIPE;
    guest->description.console_socket = is_attached ? run->console : NULL;
    if (run->plan.network) {
        guest->description.network =
            index == 0 ? VINE__NETWORK_STREAM_LISTEN : VINE__NETWORK_STREAM_CONNECT;
        guest->description.network_socket = run->network;
    }
    if (run->plan.serial) {
        guest->description.serial_socket = run->serial;
        guest->description.serial_connects = index != 0;
    }

    const int error =
        vine__machine_create(&guest->description, &options, &guest->machine, why, sizeof(why));

    if (error == 0)
        return run->plan.doorbells ? guest_rings_add(&run->rings, index, guest->machine)
                                   : STATUS_DONE;
    message_error("machine %s: %s", plan->name, why[0] != '\0' ? why : vine_error_text(error));
    return error == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
}

static int make_link(struct run *run, uint32_t index)
{
    const struct guest_plan_link *plan = &run->plan.links[index];
    const int error = guest_links_add(run, plan);

    if (error == 0)
        return STATUS_DONE;
    message_error("link %s: %s", plan->name, vine_error_text(error));
    return error == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
}

/* All links at once, before anything is made: each alone might fit. */
static int check_memory(const struct run *run)
{
    const char *why;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < run->plan.link_count; i++)
        bytes += run->plan.links[i].size_bytes[0] + run->plan.links[i].size_bytes[1];
    why = guest_links_lack(bytes);
    if (why == NULL)
        return STATUS_DONE;
    message_error("the links do not fit: %s", why);
    return STATUS_FAILED;
}

/* What it boots from is there: QEMU would say so too, and it would look as if KVM were at fault. */
static int check_guest(const struct run *run)
{
    for (uint32_t i = 0; i < 2 * run->plan.machine_count; i++) {
        struct vine__machine_description description;

        guest_plan_describe(&run->plan, i / 2, &description);
        const char *const path = i % 2 == 0 ? description.kernel : description.initrd;
        const char *const own =
            i % 2 == 0 ? run->plan.machines[i / 2].kernel : run->plan.machines[i / 2].initrd;
        const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        struct stat file;

        if (fd < 0) {
            message_error("%s: %s%s", message_escape(path), vine_error_text(-errno),
                          errno == ENOENT && own == NULL
                              ? "; `vine guest build -o DIR` makes a guest, and \"guest\" "
                                "in the file, or --guest DIR, says where it is"
                              : "");
            return STATUS_FAILED;
        }
        const bool is_file = fstat(fd, &file) == 0 && S_ISREG(file.st_mode);

        (void)close(fd);
        if (!is_file) {
            message_error("%s: it is no file", message_escape(path));
            return STATUS_FAILED;
        }
    }
    return STATUS_DONE;
}

static int make_all(struct run *run)
{
    int status = check_memory(run);

    if (status == STATUS_DONE)
        status = check_guest(run);
    if (status == STATUS_DONE)
        status = make_folder(run);
    if (status == STATUS_DONE)
        status = choose_accelerator(run);
    if (status == STATUS_DONE)
        status = become_nobody(run);
    if (status == STATUS_DONE && run->plan.doorbells)
        status = guest_rings_open(&run->rings, run->folder);
    for (uint32_t i = 0; i < run->plan.machine_count && status == STATUS_DONE; i++)
        status = make_machine(run, i);
    for (uint32_t i = 0; i < run->plan.link_count && status == STATUS_DONE; i++)
        status = make_link(run, i);
    if (status == STATUS_DONE && run->values->control != NULL)
        status = guest_control_open(run->values->control, &run->control);
    return status;
}

/* ---- running -------------------------------------------------------------------------------- */

/* One machine's console is the terminal; what the others say would be in its way. */
static void attach(struct run *run, struct guest *guest)
{
    if (guest_attach_begin(&run->attach, run->console) != STATUS_DONE) {
        fail(run, STATUS_FAILED);
        return;
    }
    for (uint32_t i = 0; i < run->plan.machine_count; i++)
        run->guests[i].console.is_hidden = &run->guests[i] != guest;
    guest->console.is_attached = true;
}

/* Lines of all of them again. */
static void detach(struct run *run)
{
    guest_attach_leave(&run->attach);
    for (uint32_t i = 0; i < run->plan.machine_count; i++)
        run->guests[i].console.is_hidden = run->guests[i].console.is_attached = false;
}

static void start(struct run *run, struct guest *guest)
{
    char why[VINE__MACHINE_TEXT_BYTES] = "";
    const int error = vine__machine_start(guest->machine, why, sizeof(why));

    guest->is_started = true;
    guest->has_ended = error != 0;
    guest->console.is_over = false;
    if (error == 0) {
        if (guest->description.console == VINE__CONSOLE_SOCKET)
            attach(run, guest);
        return;
    }
    message_error("machine %s does not start: %s", guest->plan->name,
                  why[0] != '\0' ? why : vine_error_text(error));
    if (run->control == NULL)
        fail(run, STATUS_FAILED);
}

const char *guest_run_start(struct run *run, struct guest *guest)
{
    const uint32_t index = (uint32_t)(guest - run->guests);
    int error;

    if (run->is_stopping)
        return "all of it is being stopped";
    if (guest->is_started && !guest->has_ended)
        return "it runs";
    error = guest->is_started ? guest_rings_renew(&run->rings, index, guest->machine) : 0;
    if (error == 0)
        error = guest_links_allow(run, index);
    if (error != 0)
        return vine_error_text(error);
    start(run, guest);
    return guest->has_ended ? message_last_error() : NULL;
}

/* Those that one after another connects to are up before it. */
static void start_next(struct run *run)
{
    for (uint32_t i = 0; i < run->plan.machine_count && !run->is_stopping; i++)
        if (!run->guests[i].is_started) {
            start(run, &run->guests[i]);
            return;
        }
}

/* Once properly; whoever asks again wants it now. */
static void stop_all(struct run *run, bool now)
{
    run->is_stopping = true;
    for (uint32_t i = 0; i < run->plan.machine_count; i++) {
        struct guest *guest = &run->guests[i];

        if (!guest->is_started || guest->has_ended)
            continue;
        (void)!(now ? vine__machine_quit(guest->machine) : vine__machine_stop(guest->machine));
    }
}

void guest_run_end(struct run *run)
{
    stop_all(run, run->is_stopping);
}

/* Where somebody controls the run, how a machine ends is theirs to judge. */
static void end(struct run *run, struct guest *guest, const char *text)
{
    const enum vine__machine_end how = vine__machine_ended_by(guest->machine);

    guest_console_end(&guest->console);
    guest->has_ended = true;
    if (guest->description.console == VINE__CONSOLE_SOCKET) {
        detach(run);
        guest_attach_end(&run->attach);
    }
    tell(run, guest, "ended", text);
    if (run->control == NULL && how != VINE__END_SHUTDOWN && how != VINE__END_STOPPED) {
        message_error("machine %s: %s", guest->plan->name, text);
        fail(run, STATUS_FAILED);
        stop_all(run, false);
    }
    if (guest->plan->ends_all)
        stop_all(run, false);
}

/* It has let go of a link, or never had it. */
static void note_gone(struct run *run, const struct guest *guest,
                      const struct vine__machine_event *event)
{
    if (event->kind == VINE__MACHINE_UNPLUGGED ||
        (event->kind == VINE__MACHINE_REFUSED && event->place != UINT32_MAX))
        guest_links_gone(run, (uint32_t)(guest - run->guests), event->place,
                         event->kind == VINE__MACHINE_REFUSED);
}

static void hear(struct run *run, struct guest *guest)
{
    static const char *const words[] = {
        [VINE__MACHINE_STARTED] = "started",     [VINE__MACHINE_PAUSES] = "paused",
        [VINE__MACHINE_RESUMES] = "resumed",     [VINE__MACHINE_BUTTON] = "told to power off",
        [VINE__MACHINE_RESETS] = "reset",        [VINE__MACHINE_PLUGGED] = "plugged",
        [VINE__MACHINE_UNPLUGGED] = "unplugged", [VINE__MACHINE_REFUSED] = "refused",
    };
    struct vine__machine_event event;

    vine__machine_process(guest->machine);
    while (vine__machine_next_event(guest->machine, &event)) {
        if (event.kind == VINE__MACHINE_ENDED)
            end(run, guest, event.text);
        else
            tell(run, guest, words[event.kind],
                 event.place != UINT32_MAX || event.kind == VINE__MACHINE_REFUSED ? event.text
                                                                                  : "");
        note_gone(run, guest, &event);
        if (event.kind == VINE__MACHINE_STARTED)
            start_next(run);
    }
}

static void take_signal(struct run *run)
{
    struct signalfd_siginfo info;

    if (read(run->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    run->stops++;
    if (run->stops == 1 && !run->values->quiet)
        message_note("stopping; again to stop at once");
    fail(run, info.ssi_signo == SIGINT    ? STATUS_INTERRUPTED
              : info.ssi_signo == SIGTERM ? 128 + SIGTERM
                                          : 128 + SIGHUP);
    stop_all(run, run->stops > 1);
}

/* Until all have ended. */
static void serve(struct run *run)
{
    start_next(run);
    for (;;) {
        struct pollfd fds[4 + 2 * GUEST_PLAN_MACHINES_MAX];
        nfds_t count = 0;
        uint32_t alive = 0;

        fds[count++] = (struct pollfd){.fd = run->signal_fd, .events = POLLIN};
        fds[count++] = (struct pollfd){.fd = guest_control_fd(run->control), .events = POLLIN};
        fds[count++] = (struct pollfd){.fd = run->hosts_fd, .events = POLLIN};
        for (uint32_t i = 0; i < run->plan.machine_count; i++) {
            const struct guest *guest = &run->guests[i];
            const bool is_alive = guest->is_started && !guest->has_ended;

            alive += is_alive;
            fds[count++] = (struct pollfd){
                .fd = is_alive ? vine__machine_fd(guest->machine) : -1,
                .events = POLLIN,
            };
            fds[count++] = (struct pollfd){
                .fd = is_alive && !guest->console.is_over ? vine__machine_console_fd(guest->machine)
                                                          : -1,
                .events = POLLIN,
            };
            if (is_alive && !guest->console.is_over &&
                guest->description.console == VINE__CONSOLE_SOCKET)
                fds[count - 1] = guest_attach_console(&run->attach);
        }
        fds[count++] = guest_attach_input(&run->attach);
        if (alive == 0 && (run->control == NULL || run->is_stopping))
            return;
        if (poll(fds, count, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents != 0)
            take_signal(run);
        for (uint32_t i = 0; i < run->plan.machine_count; i++) {
            struct guest *guest = &run->guests[i];

            if ((fds[4 + 2 * i].revents & POLLOUT) != 0)
                guest_attach_send(&run->attach);
            if ((fds[4 + 2 * i].revents & ~POLLOUT) != 0)
                guest->console.is_over = !guest_console_read(&guest->console, fds[4 + 2 * i].fd);
            if (fds[3 + 2 * i].revents != 0)
                hear(run, guest);
        }
        if (fds[count - 1].revents != 0) {
            guest_attach_take(&run->attach);
            if (!run->attach.shows)
                detach(run);
        }
        if (fds[1].revents != 0)
            guest_control_serve(run->control, run);
        if (fds[2].revents != 0)
            guest_host_serve(run);
    }
}

/* Signals are read where machines are polled, so that none comes in between. */
static int catch_signals(struct run *run)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    run->signal_fd = -1;
    if (sigprocmask(SIG_BLOCK, &signals, NULL) == 0)
        run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signal_fd >= 0)
        return STATUS_DONE;
    message_error("cannot wait for signals: %m");
    return STATUS_FAILED;
}

static int open_log(struct run *run)
{
    if (run->values->log == NULL)
        return STATUS_DONE;
    run->log = fopen(run->values->log, "we");
    if (run->log != NULL)
        return STATUS_DONE;
    message_error("%s: %m", message_escape(run->values->log));
    return STATUS_FAILED;
}

static void give_back(struct run *run)
{
    for (uint32_t i = 0; i < run->plan.machine_count; i++) {
        struct guest *guest = &run->guests[i];

        vine__machine_close(guest->machine);
        if (guest->initrd != NULL)
            (void)unlink(guest->initrd);
        if (guest->kernel != NULL)
            (void)unlink(guest->kernel);
        free(guest->initrd);
        free(guest->kernel);
    }
    guest_attach_end(&run->attach);
    guest_links_close(run);
    guest_control_close(run->control);
    guest_rings_close(&run->rings);
    if (run->log != NULL && fclose(run->log) != 0)
        message_error("%s: %m", message_escape(run->values->log));
    (void)unlink(run->network);
    (void)unlink(run->serial);
    if (run->theirs[0] != '\0')
        (void)rmdir(run->theirs);
    if (run->folder[0] != '\0' && rmdir(run->folder) != 0)
        message_warning("%s is left behind: %m", run->folder);
    if (run->folder_fd >= 0)
        (void)close(run->folder_fd);
    if (run->signal_fd >= 0)
        (void)close(run->signal_fd);
    if (run->hosts_fd >= 0)
        (void)close(run->hosts_fd);
    guest_plan_free(&run->plan);
}

static int check_console(const struct run *run)
{
    const char *const name = run->values->console;

    if (name == NULL)
        return STATUS_DONE;
    for (uint32_t i = 0; i < run->plan.machine_count; i++)
        if (strcmp(run->plan.machines[i].name, name) == 0 && !run->values->json)
            return STATUS_DONE;
    message_error(run->values->json ? "--console %s and --json do not go together"
                                    : "--console: there is no machine %s",
                  message_escape(name));
    return STATUS_USAGE;
}

static int run_guests(const struct arguments *arguments)
{
    struct run *run = calloc(1, sizeof(*run));
    int status;

    if (run == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    run->values = arguments->values;
    run->attach.fd = -1;
    /* Whoever reads it wants each line when it is said. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const struct guest_plan_options options = {.guest = run->values->guest,
                                               .is_verbose = run->values->verbose};

    run->hosts_fd = run->folder_fd = -1;
    guest_rings_init(&run->rings);
    status = guest_plan_read(arguments->operands[0], &options, &run->plan);
    if (status != STATUS_DONE) {
        free(run);
        return status;
    }
    status = check_console(run);
    if (status != STATUS_DONE) {
        guest_plan_free(&run->plan);
        free(run);
        return status;
    }
    status = catch_signals(run);
    if (status == STATUS_DONE)
        status = open_log(run);
    for (uint32_t i = 0; i < run->plan.machine_count; i++)
        run->guests[i].console = (struct guest_console){
            .name = run->plan.machines[i].name,
            .index = i,
            .log = run->log,
            .is_named = run->plan.machine_count > 1,
            .json = run->values->json,
        };
    if (status == STATUS_DONE)
        status = make_all(run);
    if (status == STATUS_DONE) {
        serve(run);
        status = run->status;
    }
    give_back(run);
    free(run);
    return status;
}

#define VALUE(field) .offset = offsetof(struct run_values, field)

static const struct option run_options[] = {
    {.name = "guest",
     .letter = 'g',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(guest),
     .value = "DIR",
     .help = "where `vine guest build` put kernel and initrd, instead of what the file says"},
    {.name = "control",
     .letter = 'c',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(control),
     .value = "PATH",
     .help =
         "listen here for `vine guest ctl`, of root and this user, and go on until told to end"},
    {.name = "console",
     .kind = OPTION_TEXT,
     VALUE(console),
     .value = "NAME",
     .help = "be the console of this machine, with what is typed; Ctrl-] leaves it"},
    {.name = "log",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(log),
     .value = "FILE",
     .help = "write what the machines say into this file too"},
    {.name = "probe",
     .kind = OPTION_FLAG,
     VALUE(probe),
     .help = "try anew whether KVM boots this guest, whatever is remembered of it"},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     VALUE(quiet),
     .help = "show what the machines say, and errors, alone"},
    {.name = "verbose",
     .letter = 'v',
     .kind = OPTION_FLAG,
     VALUE(verbose),
     .help = "have kernels say what they do, where the file gives them no options"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print an object a line for each event and each line of a console"},
};

#undef VALUE

static const char *const run_description[] = {
    "Starts the virtual machines of a JSON file, links them, and shows what their consoles say, "
    "each "
    "line behind the name of its machine.",
    "It ends when all machines have ended; with --control it goes on then, since each can be "
    "started anew, and how one ends is no failure of its own. Interrupted or told to end, it "
    "presses their power "
    "buttons, "
    "and waits; told again, it stops them at once. Nothing is left behind.",
    "A file has \"machines\", each with a \"name\" and lines of \"init\", and \"links\", each with "
    "a "
    "\"name\" and the machines that are its \"application\" and \"appliance\": examples/pair.json "
    "is "
    "one, and docs/formats/guest.md has all of it.",
    NULL,
};

static const char *const run_examples[] = {
    "vine guest build -o guest && vine guest run examples/pair.json --guest guest",
    "an application and an appliance, each in a machine of its own",
    NULL,
};

const struct verb verb_guest_run = {
    .name = "guest run",
    .synopsis = "FILE",
    .description = run_description,
    .examples = run_examples,
    .options = run_options,
    .option_count = sizeof(run_options) / sizeof(run_options[0]),
    .values_size = sizeof(struct run_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_FILE},
    .run = run_guests,
};

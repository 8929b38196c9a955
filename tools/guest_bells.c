/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_bells.c - `vine guest bells`: doorbells between virtual machines, as a process of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "vmm/engine/bells.h"

#include "json.h"
#include "message.h"
#include "status.h"
#include "verb.h"

/* At most so late a signal is seen that came between two looks. */
#define TURN_NS VINE_NS_PER_SECOND
/* All the eventfds that there can be, what is kept, and the rest. */
#define DESCRIPTORS                                                                                \
    (VINE_BELLS_PEERS_MAX * (VINE_BELLS_VECTORS_MAX + 2) + VINE_BELLS_KEPT_MAX + 256)

struct bells_values {
    const char *socket;
    uint64_t linger;
    bool detach;
    bool json;
};

static volatile sig_atomic_t stops;

static void on_stop(int number)
{
    (void)number;
    stops = 1;
}

static void set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Until a signal, or until nobody has wanted anything for so long. */
static int serve(struct vine__bells *bells, uint64_t linger_ns)
{
    uint64_t idle_since_ns = vine__clock_now_ns();
    int error = 0;

    while (stops == 0 && error == 0) {
        const uint64_t now_ns = vine__clock_now_ns();

        if (!vine__bells_is_idle(bells))
            idle_since_ns = now_ns;
        else if (linger_ns != 0 && now_ns - idle_since_ns >= linger_ns)
            break;
        error = vine__bells_step(bells, TURN_NS);
    }
    return error;
}

/* It listens, and this is who. */
static int tell(const struct bells_values *values, pid_t pid)
{
    json_t *object;

    if (!values->json)
        return 0;
    object = json_object();
    json_set_name(object, "socket", values->socket);
    (void)json_object_set_new(object, "pid", json_unsigned((uint64_t)pid));
    if (json_print(object) != STATUS_DONE || fflush(stdout) != 0)
        return -EIO;
    return 0;
}

static int open_and_serve(const struct bells_values *values, int say_fd)
{
    const struct vine__bells_options options = {.path = values->socket};
    struct vine__bells *bells = NULL;

    allow_descriptors();
    set_handler(SIGTERM, on_stop);
    set_handler(SIGINT, on_stop);
    int error = vine__bells_create(&bells, &options);
    if (say_fd >= 0) {
        (void)!write(say_fd, &error, sizeof(error));
        (void)close(say_fd);
    } else if (error == 0) {
        error = tell(values, getpid());
    }
    if (error == 0)
        error = serve(bells, values->linger * VINE_NS_PER_SECOND);
    vine__bells_destroy(bells);
    return error;
}

/* Nothing that whoever started us does to its session and its descriptors concerns us. The folder
 * stays: PATH may be relative. */
static _Noreturn void live_alone(const struct bells_values *values, const int said[2])
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    (void)setsid();
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        (void)dup2(null, fd);
    if (said[1] > 3)
        (void)close_range(3, (unsigned int)said[1] - 1, 0);
    (void)close_range((unsigned int)said[1] + 1, ~0U, 0);
    set_handler(SIGHUP, SIG_IGN);
    _exit(open_and_serve(values, said[1]) == 0 ? STATUS_DONE : STATUS_FAILED);
}

/* Returns when it serves, or cannot. */
static int detach(const struct bells_values *values)
{
    int said[2];
    int error = 0;

    if (pipe2(said, O_CLOEXEC) != 0)
        return -errno;
    (void)fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0)
        live_alone(values, said);
    (void)close(said[1]);
    if (pid < 0)
        error = -errno;
    else if (read(said[0], &error, sizeof(error)) != (ssize_t)sizeof(error))
        error = -VINE_EPEERLOST;
    (void)close(said[0]);
    if (pid > 0 && error != 0)
        (void)waitpid(pid, NULL, 0);
    return error == 0 ? tell(values, pid) : error;
}

static int run_bells(const struct arguments *arguments)
{
    const struct bells_values *const values = arguments->values;

    if (values->socket == NULL) {
        message_error("--socket says where to listen, and is missing");
        return STATUS_USAGE;
    }
    const int error = values->detach ? detach(values) : open_and_serve(values, -1);
    if (error != 0)
        message_error("%s: %s", message_escape(values->socket), vine_error_text(error));
    return error == 0 ? STATUS_DONE : error == -EADDRINUSE ? STATUS_TRY_AGAIN : STATUS_FAILED;
}

#define VALUE(field) .offset = offsetof(struct bells_values, field)

static const struct option bells_options[] = {
    {.name = "socket",
     .letter = 's',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(socket),
     .value = "PATH",
     .help = "listen here for whoever runs machines; root and this user alone are served"},
    {.name = "detach",
     .letter = 'd',
     .kind = OPTION_FLAG,
     VALUE(detach),
     .help = "return as soon as it listens, and serve on in the background"},
    {.name = "linger",
     .kind = OPTION_COUNT,
     VALUE(linger),
     .value = "SECONDS",
     .help = "end when for so long neither a machine nor a client was there; 0, or if nothing "
             "says: serve until told to stop"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print, as JSON, where it listens and its process, as soon as it does"},
};

#undef VALUE

static const char *const bells_description[] = {
    "Serves the doorbells by which virtual machines wake one another: QEMU's ivshmem-doorbell "
    "devices get from it the descriptors to ring, each of those machines alone that it was linked "
    "with. It is a process of its own, so that doorbells outlive whoever starts the machines: "
    "QEMU does not connect a second time. It keeps memories of those machines, too, for who "
    "starts them, ends and comes again.",
    NULL,
};

const struct verb verb_guest_bells = {
    .name = "guest bells",
    .synopsis = "",
    .description = bells_description,
    .options = bells_options,
    .option_count = sizeof(bells_options) / sizeof(bells_options[0]),
    .values_size = sizeof(struct bells_values),
    .run = run_bells,
};

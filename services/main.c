/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/main.c - vine-serve: a program on reactors that runs one of the services, or a library's.
 * `vine serve` becomes it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/runtime.h>
#include <vine/supervise.h>

#include "services.h"

#define FILE_BYTES_MAX (1U << 20)               /* of a certificate or a key */
#define END_NS         (3 * VINE_NS_PER_SECOND) /* of the time to drain, for the end itself */

static struct service_wishes wishes;

/* As the command line has them. */
static struct {
    struct vine_supervise_options supervise;
    const char *tls;
    uint64_t isolate; /* enum vine_isolation */
    const char *root;
    uint64_t heap_bytes;
    uint64_t connections;
    bool stdio;
    uint64_t run_ns;
    uint64_t connections_max;
    uint64_t sockets;
    uint64_t client_rate;
} chosen = {
    .supervise =
        {
            .size_bytes = sizeof(chosen.supervise),
            .listen_default = "127.0.0.1:8080",
        },
};

/* The order of the words of --isolate. */
_Static_assert(VINE_ISOLATE_BEST == 0 && VINE_ISOLATE_PKU == 1 && VINE_ISOLATE_MPROTECT == 2 &&
                   VINE_ISOLATE_NONE == 3,
               "as --isolate has them");

static const struct vine_service *const shipped[] = {
    &vine_service_echo,
    &vine_service_http,
    &vine_service_resp,
};

int serve_fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "vine serve: %s: %s\n", what, why);
    return 1;
}

/* The same of the command line, which has an exit code of its own. */
static int refuse(const char *what, const char *why)
{
    (void)serve_fail(what, why);
    return 2;
}

/* ---- what to serve ---------------------------------------------------------------------------- */

static const struct vine_service *find_shipped(const char *name)
{
    for (size_t i = 0; i < sizeof(shipped) / sizeof(shipped[0]); i++)
        if (strcmp(shipped[i]->name, name) == 0)
            return shipped[i];
    return NULL;
}

static bool is_path(const char *name)
{
    return strchr(name, '/') != NULL || strchr(name, '.') != NULL;
}

static const struct vine_service *find(const char *name)
{
    const struct vine_service *service = find_shipped(name);
    char why[VINE_SERVICE_WHY_BYTES];

    if (service == NULL && vine_service_load(name, &service, why) != 0)
        serve_fail(name, why);
    return service;
}

/* ---- TLS -------------------------------------------------------------------------------------- */

/* All of a file, with a zero behind it, to be freed; or NULL, and errno. */
static char *read_file(const char *path)
{
    FILE *const file = fopen(path, "re");
    char *const text = malloc(FILE_BYTES_MAX);

    if (file == NULL || text == NULL) {
        free(text);
        if (file != NULL)
            fclose(file);
        return NULL;
    }

    const size_t size = fread(text, 1, FILE_BYTES_MAX - 1, file);
    const bool is_read = ferror(file) == 0;

    fclose(file);
    text[size] = '\0';
    if (!is_read) {
        free(text);
        return NULL;
    }
    return text;
}

/* "CERTIFICATE,KEY", two files. Returns 0, or tells what is wrong. */
static int make_tls(struct vine_tls **ret_tls)
{
    const char *const comma = strchr(chosen.tls, ',');
    char *path = comma != NULL ? strndup(chosen.tls, (size_t)(comma - chosen.tls)) : NULL;
    struct vine_tls_options options = {.size_bytes = sizeof(options), .is_server = true};
    char *certificate = NULL, *key = NULL;
    int error = -EINVAL;

    if (path == NULL)
        return serve_fail(chosen.tls, "give --tls two files, CERTIFICATE,KEY");
    certificate = read_file(path);
    if (certificate == NULL)
        error = serve_fail(path, strerror(errno));
    key = certificate != NULL ? read_file(comma + 1) : NULL;
    if (certificate != NULL && key == NULL)
        error = serve_fail(comma + 1, strerror(errno));
    if (key != NULL) {
        options.certificate = certificate;
        options.key = key;
        error = vine_tls_create(&options, ret_tls);
        if (error != 0)
            (void)serve_fail(chosen.tls, "no certificate and key that belong together");
    }
    free(path);
    free(certificate);
    free(key);
    return error;
}

/* ---- serving ---------------------------------------------------------------------------------- */

/* At each of the supervisor's sockets. */
static int serve_all(const struct vine_service *service, const struct vine_service_options *options)
{
    const struct vine_supervised *const supervised = vine_supervised();

    for (uint32_t i = 0; i < supervised->listener_count; i++) {
        char text[VINE_ADDRESS_TEXT_BYTES];
        struct vine_running *running;
        const int error =
            vine_service_start_at(service, supervised->listeners[i].fd, options, &running);

        if (error == -EOPNOTSUPP)
            return serve_fail("--isolate", vine_isolation_why());
        if (error == -VINE_ECONFIG) /* what the log has; the next process would refuse it, too */
            return 2;
        if (error != 0)
            return serve_fail(service->name, vine_error_text(error));
        if (supervised->index != 0)
            continue;
        vine_address_print(vine_service_address(running), text);
        printf("%s: listening at %s%s on %s%u core%s, isolation %s\n", service->name, text,
               options->tls != NULL ? " (TLS)" : "",
               service->is_on_one_core && vine_core_count() > 1 ? "the first of " : "",
               vine_core_count(), vine_core_count() == 1 ? "" : "s", vine_isolation_name());
    }
    if (supervised->index == 0 && vine_isolation_why()[0] != '\0')
        printf("isolation: %s\n", vine_isolation_why());
    /* Rights are the process's: who changes them interrupts all its cores that run. */
    if (supervised->index == 0 && strcmp(vine_isolation_name(), "mprotect") == 0 &&
        vine_core_count() > 1 && !service->is_on_one_core)
        printf("isolation: with mprotect --processes %u cost less than one of %u cores\n",
               vine_core_count(), vine_core_count());
    fflush(stdout);
    vine_supervised_ready();
    return VINE_MAIN_GOES_ON;
}

/* What is for many connections says nothing of this one. Returns 0, or tells what is wrong. */
static int check_stdio(void)
{
    if (chosen.supervise.listen.count != 0)
        return refuse("--stdio", "there is one connection, and nothing to --listen at");
    if (chosen.supervise.process_count > 1)
        return refuse("--stdio", "there is one connection, and one process for it");
    if (chosen.tls != NULL)
        return refuse("--stdio", "does not speak TLS; with --listen it does");
    if ((fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE) == O_WRONLY)
        return refuse("standard input", "is not open for reading");
    if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return refuse("standard output", "is not open for writing");
    return 0;
}

/* Whether as many processes as are asked for can serve it; or tells why not. */
static bool suits_processes(const struct vine_service *service)
{
    if (!service->is_on_one_core || chosen.stdio || chosen.supervise.process_count <= 1)
        return true;
    (void)refuse(service->name, "its connections share memory of one process: --processes 1");
    return false;
}

/* Returns 0, or tells that the file cannot be written. */
static int log_access(void)
{
    FILE *const file = fopen(wishes.access_log, "ae");

    if (file == NULL)
        return serve_fail(wishes.access_log, strerror(errno));
    (void)fclose(file);
    vine_service_log_access(wishes.access_log);
    return 0;
}

/* Returns 0, or tells what is wrong. */
static int open_root(void)
{
    int error;

    if (chosen.root == NULL)
        return 0;
    if (wishes.hello)
        return refuse("--root", "answers by files, and --hello by nothing else: give one of them");
    error = vine_root_open(chosen.root, &wishes.root);
    if (error == -ENOSYS)
        return refuse(chosen.root, "this kernel cannot keep paths below a folder (openat2)");
    return error != 0 ? refuse(chosen.root, vine_error_text(error)) : 0;
}

static int serve(int argc, char **argv)
{
    /* What goes on then is ended a moment before this process would be. */
    const uint64_t drain_ns = chosen.supervise.drain_ns;
    struct vine_service_options options = {
        .size_bytes = sizeof(options),
        .drain_ns = chosen.stdio ? 0 : drain_ns - (drain_ns > 2 * END_NS ? END_NS : drain_ns / 2),
        .heap_bytes = (uint32_t)chosen.heap_bytes,
        .connections = (uint32_t)chosen.connections,
        .connections_max = (uint32_t)chosen.connections_max,
        .sockets = (uint32_t)chosen.sockets,
        .client_rate = (uint32_t)chosen.client_rate,
        .run_ns = chosen.run_ns != 0 ? chosen.run_ns : VINE_FOREVER,
        .isolation = (uint8_t)chosen.isolate,
        .argument = &wishes,
    };
    const struct vine_service *const service = find(argv[1]);

    (void)argc;
    if (service == NULL || open_root() != 0 || (chosen.tls != NULL && make_tls(&options.tls) != 0))
        return 2;
    if (!suits_processes(service) || (wishes.access_log != NULL && log_access() != 0))
        return 2;
    return chosen.stdio ? serve_stdio(service, &options) : serve_all(service, &options);
}

/* Whether it can be opened and served. A library runs code of its own: in a process that is there
 * for that, and not in the supervisor, who lives through whatever is wrong with it. */
static int try_library(const char *path)
{
    const pid_t child = fork();
    int status;

    if (child == 0) {
        const struct vine_service *const service = find(path);

        _exit(service != NULL && suits_processes(service) ? 0 : 2);
    }
    while (child > 0 && waitpid(child, &status, 0) != child)
        if (errno != EINTR)
            return 0;
    if (child < 0) /* those who serve will tell */
        return 0;
    if (WIFSIGNALED(status))
        return refuse(path, "who opens it is ended by a signal");
    return WEXITSTATUS(status) == 0 ? 0 : 2;
}

/* What is for one of the services only says nothing of others. Returns 0, or tells which it is. */
static int check_others_options(const char *name)
{
    const bool is_http = strcmp(name, "http") == 0;

    if (chosen.root != NULL && !is_http)
        return refuse("--root", "is of http alone");
    if (wishes.hello && !is_http)
        return refuse("--hello", "is of http alone");
    if (is_http && chosen.root == NULL && !wishes.hello)
        return refuse("http", "has nothing to answer: --root FOLDER names files, or --hello");
    if (wishes.crash != NULL && !is_http)
        return refuse("--crash", "is of http alone");
    if (wishes.memory_bytes != 0 && strcmp(name, "resp") != 0)
        return refuse("--max-memory", "is of resp alone");
    if (wishes.access_log != NULL && !is_http && find_shipped(name) != NULL)
        return refuse("--access-log", "is of http, and of libraries");
    return 0;
}

/* Before anybody listens: what is wrong is told once, and nobody is let in who would be turned
 * out. */
static int check(int argc, char **argv)
{
    struct vine_tls *tls = NULL;
    char why[VINE_SERVICE_WHY_BYTES];

    (void)argc;
    chosen.supervise.is_unused = chosen.stdio;
    if (check_others_options(argv[1]) != 0 || (chosen.stdio && check_stdio() != 0))
        return 2;
    if (find_shipped(argv[1]) == NULL && !is_path(argv[1]))
        return refuse(argv[1], "no such service; there are echo, http and resp, and PLUGIN.so for "
                               "one of your own");
    if (find_shipped(argv[1]) == NULL && access(argv[1], R_OK) != 0)
        return refuse(argv[1], strerror(errno));
    if (find_shipped(argv[1]) == NULL && !chosen.stdio && vine_supervised() == NULL &&
        try_library(argv[1]) != 0)
        return 2;
    if (vine_isolation_check((enum vine_isolation)chosen.isolate, why) != 0)
        return refuse("--isolate pku", why);
    if (find_shipped(argv[1]) != NULL && !suits_processes(find_shipped(argv[1])))
        return 2;
    if ((chosen.heap_bytes & (chosen.heap_bytes - 1)) != 0)
        return refuse("--heap", "it is no power of two; right would be one from 4K to 8M, as 64K");
    if (chosen.tls != NULL && make_tls(&tls) != 0)
        return 2;
    vine_tls_destroy(tls);
    return VINE_MAIN_GOES_ON;
}

/* One connection needs one core, unless more are asked for. */
static const char *const *defaults_of(int argc, char **argv)
{
    static const char *const alone[] = {"--smp=1", NULL};

    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--stdio") == 0)
            return alone;
    return NULL;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {
        VINE_SUPERVISE_OPTIONS(chosen.supervise){.name = "tls",
                                                 .kind = VINE_OPTION_TEXT,
                                                 .value = &chosen.tls,
                                                 .shown = "CERTIFICATE,KEY",
                                                 .help = "speak TLS, with these files (PEM)"},
        {.name = "stdio",
         .kind = VINE_OPTION_FLAG,
         .value = &chosen.stdio,
         .help = "serve one connection, standard input and output, as a program that inetd starts"},
        {.name = "isolate",
         .kind = VINE_OPTION_CHOICE,
         .value = &chosen.isolate,
         .shown = "best|pku|mprotect|none",
         .fallback = "best",
         .help = "what keeps connections from each other; best: pku where this machine has it, "
                 "else mprotect"},
        {.name = "heap",
         .kind = VINE_OPTION_SIZE,
         .value = &chosen.heap_bytes,
         .fallback = "64K",
         .least = "4K",
         .greatest = "8M",
         .help = "what a connection's heap grows to at most, a power of two"},
        {.name = "connections",
         .kind = VINE_OPTION_COUNT,
         .value = &chosen.connections,
         .fallback = "16384",
         .least = "1",
         .greatest = "1000000",
         .help = "connections of each core at most that are in the middle of something"},
        {.name = "max-connections",
         .kind = VINE_OPTION_COUNT,
         .value = &chosen.connections_max,
         .fallback = "0",
         .least = "0",
         .greatest = "4000000000",
         .help = "connections of each process at most, idle ones among them; who comes beyond is "
                 "told so and closed; 0: as many as there are descriptors"},
        {.name = "sockets",
         .kind = VINE_OPTION_COUNT,
         .value = &chosen.sockets,
         .fallback = "0",
         .least = "0",
         .greatest = "63",
         .help = "sockets and files that a connection may have beside its own; 0: as many as the "
                 "service says, or 16"},
        {.name = "client-rate",
         .kind = VINE_OPTION_COUNT,
         .value = &chosen.client_rate,
         .fallback = "0",
         .least = "0",
         .greatest = "1000000",
         .help = "connections that one address may begin in a second, to each process; of IPv6 it "
                 "is the first 64 bits that count; 0: any"},
        {.name = "run-limit",
         .kind = VINE_OPTION_MILLISECONDS,
         .value = &chosen.run_ns,
         .fallback = "1000",
         .least = "0",
         .help = "processor time that a connection may use without waiting for anything; who uses "
                 "more is ended as by a fault; 0: no limit"},
        {.name = "max-memory",
         .kind = VINE_OPTION_SIZE,
         .value = &wishes.memory_bytes,
         .fallback = "0",
         .help = "resp: what all keys and values take at most; 0: as much as there is"},
        {.name = "root",
         .kind = VINE_OPTION_TEXT,
         .value = &chosen.root,
         .shown = "FOLDER",
         .help = "http: answer by the files below it"},
        {.name = "hello",
         .kind = VINE_OPTION_FLAG,
         .value = &wishes.hello,
         .help = "http: answer \"hello\" to everything, for measuring"},
        {.name = "access-log",
         .kind = VINE_OPTION_TEXT,
         .value = &wishes.access_log,
         .shown = "FILE",
         .help = "http: append a line for each request to this file, a second later at most"},
        {.name = "crash",
         .kind = VINE_OPTION_TEXT,
         .value = &wishes.crash,
         .shown = "PATH",
         .help =
             "http: a path that makes the coroutine which answers it fault, for trying out what "
             "happens then"},
        {.name = "header-timeout",
         .kind = VINE_OPTION_MILLISECONDS,
         .value = &wishes.header_ns,
         .fallback = "10000",
         .least = "1",
         .help = "http: in which a request's head has to come"},
        {.name = "body-timeout",
         .kind = VINE_OPTION_MILLISECONDS,
         .value = &wishes.body_ns,
         .fallback = "30000",
         .least = "1",
         .help =
             "in which more of a body (http) or of a command that has begun (resp) has to come"},
        {.name = "idle-timeout",
         .kind = VINE_OPTION_MILLISECONDS,
         .value = &wishes.idle_ns,
         .fallback = "60000",
         .least = "1",
         .help = "http: how long a connection is kept without a request"},
    };
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .name = "vine serve",
        .summary =
            "Give each connection a coroutine in a heap of its own: echo, http, resp or PLUGIN.so.",
        .operands = "echo|http|resp|PLUGIN.so",
        .options = own,
        .option_count = sizeof(own) / sizeof(own[0]),
        .defaults = defaults_of(argc, argv),
        .check = check,
        .supervise = &chosen.supervise,
    };

    return vine_main(argc, argv, &options, serve);
}

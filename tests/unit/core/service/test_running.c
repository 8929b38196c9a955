/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime timeout=120 */
/*
 * A program with a service from its start to its end, with each guard and each way to the kernel
 * that there is here, on two cores; its clients are a thread of its own that knows nothing of
 * reactors. Each is a child of fork.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/coroutine.h>
#include <vine/log.h>
#include <vine/runtime.h>

#define HANG_S     60
#define CLIENTS    20
#define CANNOT     77
#define ALLOCATION 100000

/* ---- the service ----------------------------------------------------------------------------- */

/* What a coroutine may call, libraries' memory included. */
VINE_SERVICE_CODE static bool allocates(void)
{
    unsigned char *const bytes = malloc(ALLOCATION);
    bool is_well;

    if (bytes == NULL)
        return false;
    memset(bytes, 7, ALLOCATION);
    is_well = bytes[ALLOCATION / 2] == 7;
    free(bytes);
    return is_well;
}

/* No sanitizer sees it first, and no compiler that it does nothing else. */
static int *volatile nowhere;

#define UNSEEN __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

VINE_SERVICE_CODE UNSEEN static void die(void)
{
    *nowhere = 1;
}

VINE_COROUTINE(working)
{
    struct {
        char text[128];
        char *more;
        ssize_t length;
    } *self;

    vine_begin();
    for (;;) {
        vine_readline(self->length, self->text, sizeof self->text);
        if (self->length == 0)
            break;
        if (strcmp(self->text, "core\n") == 0) {
            vine_writef("%d\n", vine_core() < vine_core_count() && vine_core_count() == 2);
        } else if (strcmp(self->text, "log\n") == 0) {
            vine_log("working", VINE_LOG_INFO, "as I was told");
            vine_writef("1\n");
        } else if (strcmp(self->text, "malloc\n") == 0) {
            vine_writef("%d\n", allocates());
        } else if (strcmp(self->text, "grow\n") == 0) {
            vine_alloc(self->more, 20000);
            memset(self->more, 1, 20000);
            vine_writef("%d\n", self->more[19999]);
        } else if (strcmp(self->text, "sleep\n") == 0) {
            vine_sleep(VINE_NS_PER_SECOND / 1000);
            vine_writef("1\n");
        } else if (strcmp(self->text, "argument\n") == 0) {
            vine_writef("%d\n", *(const int *)vine_argument());
        } else if (strcmp(self->text, "die\n") == 0) {
            die();
        } else {
            vine_write(self->text, (size_t)self->length);
        }
    }
    vine_end();
}

VINE_SERVICE(working, .summary = "do as it is told");

/* ---- clients --------------------------------------------------------------------------------- */

static char path[64];
static uint32_t wrong;

static int connect_one(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, path, strlen(path)); /* an abstract one */
    if (connect(fd, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(path))) != 0)
        wrong++;
    return fd;
}

/* Say something, and hear this; "": the end. */
static void ask(int fd, const char *text, const char *answer)
{
    char bytes[128] = "";
    size_t length = 0;

    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        wrong++;
    do {
        const ssize_t more = read(fd, bytes + length, sizeof(bytes) - 1 - length);

        if (more <= 0)
            break;
        length += (size_t)more;
    } while (length < strlen(answer));
    if (strcmp(bytes, answer) != 0) {
        (void)fprintf(stderr, "asked %sheard '%s'\n", text, bytes);
        wrong++;
    }
}

static int64_t stop(void *nothing)
{
    (void)nothing;
    vine_stop(wrong != 0);
    return 0;
}

static void *be_clients(void *nothing)
{
    static const char *const words[] = {"core\n", "log\n", "malloc\n", "grow\n", "sleep\n"};
    int fds[CLIENTS], dying;

    for (int i = 0; i < CLIENTS; i++)
        fds[i] = connect_one();
    for (size_t word = 0; word < sizeof(words) / sizeof(words[0]); word++) {
        for (int i = 0; i < CLIENTS; i++) {
            ask(fds[i], "what\n", "what\n");
            ask(fds[i], words[word], "1\n");
        }
        dying = connect_one();
        ask(dying, "argument\n", "4711\n");
        ask(dying, "die\n", "");
        close(dying);
    }
    for (int i = 0; i < CLIENTS; i++) {
        ask(fds[i], "still\n", "still\n");
        close(fds[i]);
    }
    while (vine_alien_submit_to(0, stop, NULL) != 0)
        continue;
    return nothing;
}

/* ---- the program ----------------------------------------------------------------------------- */

static uint8_t isolation;

static int begin(int argc, char **argv)
{
    static int argument = 4711;
    const struct vine_service_options options = {
        .size_bytes = sizeof(options), .isolation = isolation, .argument = &argument};
    struct vine_address address;
    struct vine_running *running;
    pthread_t clients;
    char text[128];
    int error;

    (void)argc;
    (void)argv;
    (void)snprintf(text, sizeof(text), "unix:@%s", path);
    error = vine_address_parse(text, &address);
    if (error == 0)
        error = vine_service_start(&vine_service_working, &address, &options, &running);
    if (error == -EOPNOTSUPP) {
        (void)printf("skipped: %s\n", vine_isolation_why());
        return CANNOT;
    }
    if (error != 0 || pthread_create(&clients, NULL, be_clients, NULL) != 0)
        return 1;
    (void)pthread_detach(clients);
    return VINE_MAIN_GOES_ON;
}

static void serve_with(uint8_t kind, char *backend)
{
    char *argv[] = {"program",
                    "--smp",
                    "2",
                    "--overprovisioned",
                    "--memory",
                    "128M",
                    "--blocked-reactor-notify-ms",
                    "10000",
                    "--reactor-backend",
                    backend,
                    NULL};
    const int argc = (int)(sizeof(argv) / sizeof(argv[0])) - 1;
    int status;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "vine-test-running-%d-%s-%d", kind, backend, getpid());
    isolation = kind;
    (void)fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(HANG_S);
        exit(vine_main(argc, argv, NULL, begin));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != CANNOT)
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void serve_by(char *backend)
{
    serve_with(VINE_ISOLATE_NONE, backend);
    serve_with(VINE_ISOLATE_MPROTECT, backend);
    serve_with(VINE_ISOLATE_PKU, backend);
}

static void a_program_serves_with_each_guard(void **state)
{
    (void)state;
    serve_by("auto");
}

static void so_it_does_by_epoll(void **state)
{
    (void)state;
    serve_by("epoll");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_serves_with_each_guard),
        cmocka_unit_test(so_it_does_by_epoll),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

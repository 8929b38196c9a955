/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * A program with a service from its start to its end, with each guard and each way to the kernel
 * that there is here, on two cores; its clients are a thread of its own that knows nothing of
 * reactors. Each is a child of fork. And what a fault elsewhere than in the service's code does to
 * such a program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/coroutine.h>
#include <vine/log.h>
#include <vine/outside.h>
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

/* Outside: its own fault, and that of a function of libc that it calls. */
UNSEEN static int64_t fail_outside(struct vine_outside *outside, const void *asked)
{
    (void)outside;
    (void)asked;
    *nowhere = 1;
    return 0;
}

static void *(*volatile copy)(void *, const void *, size_t) = memcpy;

UNSEEN static int64_t fail_in_a_leaf_outside(struct vine_outside *outside, const void *asked)
{
    (void)outside;
    (void)asked;
    (void)copy(nowhere, "x", 1);
    return 0;
}

/* One of libc's that is not listed, and may hold a lock. */
static void (*volatile call_free)(void *) = free;

VINE_COROUTINE(working)
{
    struct {
        char text[128];
        char *more;
        ssize_t length;
        int64_t result;
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
        } else if (strcmp(self->text, "outside\n") == 0) {
            vine_outside(self->result, fail_outside, NULL, 0);
        } else if (strcmp(self->text, "leaf outside\n") == 0) {
            vine_outside(self->result, fail_in_a_leaf_outside, NULL, 0);
        } else if (strcmp(self->text, "free\n") == 0) {
            call_free((void *)0x700000001000);
        } else if (strcmp(self->text, "clock\n") == 0) {
            vine_writef("%d\n", vine_clock_now(VINE_CLOCK_COARSE) > 0);
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

/* What ends the program when it is asked for; or NULL. */
static const char *ending;

static void *be_clients(void *nothing)
{
    static const char *const words[] = {"core\n", "log\n", "malloc\n", "grow\n", "sleep\n"};
    int fds[CLIENTS], dying;

    for (dying = -1; ending != NULL; close(dying)) {
        dying = connect_one();
        ask(dying, "still\n", "still\n");
        ask(dying, ending, "");
        if (wrong != 0)
            exit(0); /* it was answered */
    }
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

/* Returns how it ended, as waitpid has it. */
static int run_program(uint8_t kind, char *backend)
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
        (void)signal(SIGSEGV, SIG_DFL); /* of which the tests' harness has a handler */
        exit(vine_main(argc, argv, NULL, begin));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void serve_with(uint8_t kind, char *backend)
{
    const int status = run_program(kind, backend);

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

/* By the signal, unless a sanitizer has it say more first; and not before a client asks for it. */
static void end_by(const char *word, uint8_t kind)
{
    int status;

    ending = word;
    status = run_program(kind, "auto");
    ending = NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
        return;
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT)
        assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void a_fault_outside_or_in_other_functions_of_libc_ends_it(void **state)
{
    static const char *const words[] = {"outside\n", "leaf outside\n", "free\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        end_by(words[i], VINE_ISOLATE_NONE);
        end_by(words[i], VINE_ISOLATE_MPROTECT);
        end_by(words[i], VINE_ISOLATE_PKU);
    }
}

static void with_keys_so_does_a_function_of_the_runtime_that_is_not_for_coroutines(void **state)
{
    (void)state;
    end_by("clock\n", VINE_ISOLATE_PKU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_serves_with_each_guard),
        cmocka_unit_test(so_it_does_by_epoll),
        cmocka_unit_test(a_fault_outside_or_in_other_functions_of_libc_ends_it),
        cmocka_unit_test(with_keys_so_does_a_function_of_the_runtime_that_is_not_for_coroutines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

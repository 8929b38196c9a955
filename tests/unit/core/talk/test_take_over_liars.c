/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes an appliance's place, or is to leave its own, and does not do what it says. The other
 * one refuses it, or goes on with what it has; and applications are served.
 */
#include "harness/must.h"
#include "served.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "arch/peer/peer.h"
#include "core/talk/message.h"

#define NOBODY 65534

static struct served served;

static void begin(bool leaves)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .leaves = leaves};

    served_start(&served, &options, 1);
}

static void run_one(struct vine_pipe *pipe)
{
    assert_int_equal(vine_task_run(pipe, served_get(pipe, "noop"), NULL, LIMIT, NULL, NULL), 0);
}

static int try_one(void)
{
    struct vine_procedure *noop = NULL;
    struct vine_pipe *pipe = NULL;
    int error = vine_pipe_open(served.path, NULL, &pipe);

    if (!error)
        error = vine_procedure_get(pipe, "noop", &noop);
    if (!error)
        error = vine_task_run(pipe, noop, NULL, LIMIT, NULL, NULL);
    vine_pipe_close(pipe);
    return error;
}

/* Whose pipe goes away with a liar comes again. */
static void is_served(void)
{
    int error;

    while ((error = try_one()) != 0)
        assert_int_equal(error, -VINE_EPEERLOST);
}

static int connect_there(void)
{
    int fd = -1;

    assert_int_equal(vine__peer_connect(served.path, LIMIT, &fd), 0);
    return fd;
}

static void say(int socket_fd, const void *message, int fd)
{
    assert_int_equal(vine__talk_send(socket_fd, message, fd, LIMIT), 0);
}

static const struct vine_talk_take_over question = {
    .head = VINE__TALK_HEAD(VINE_TALK_TAKE_OVER, question),
    .major = VINE_TALK_MAJOR,
    .minor = VINE_TALK_MINOR,
};

/* The next message, and its descriptor. */
static uint16_t hear(int socket_fd, int *ret_fd)
{
    union vine__talk_any message;
    struct vine__why why = {""};

    *ret_fd = -1;
    assert_int_equal(vine__talk_receive(socket_fd, &message, ret_fd, LIMIT, &why), 0);
    return message.head.type;
}

/* Until the other one has hung up. */
static void hear_to_the_end(int socket_fd)
{
    union vine__talk_any message;
    struct vine__why why = {""};
    int error = 0;

    while (error == 0) {
        int fd = -1;

        error = vine__talk_receive(socket_fd, &message, &fd, LIMIT, &why);
        if (fd >= 0)
            close(fd);
    }
    assert_int_equal(error, -VINE_EPEERLOST);
}

static void expect(int socket_fd, uint16_t type)
{
    int fd = -1;

    assert_int_equal(hear(socket_fd, &fd), type);
    if (fd >= 0)
        close(fd);
}

/* ---- successors ------------------------------------------------------------------------------ */

/* A session keeps its pipe, and so its appliance, where it is: one that has left all ends. */
static struct vine_pipe *hold(struct vine_session **ret_session)
{
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_procedure *sum = served_get(pipe, "sum");
    uint64_t number = 1;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};

    assert_int_equal(vine_session_open(pipe, sum, ret_session), 0);
    options.session = *ret_session;
    assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, NULL, NULL), 0);
    return pipe;
}

static void let_go(struct vine_pipe *pipe, struct vine_session *session)
{
    struct vine_pipe_stats stats;

    run_one(pipe);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.renewals, 0);
    vine_session_close(session);
    vine_pipe_close(pipe);
}

static void ask_and_hang_up(void)
{
    const int fd = connect_there();

    say(fd, &question, -1);
    close(fd);
}

/* Who asks while the one before has not been seen to go is refused. */
static int be_left_the_listener(void)
{
    for (;;) {
        const int fd = connect_there();
        int listener_fd = -1;

        say(fd, &question, -1);

        const uint16_t type = hear(fd, &listener_fd);
        if (listener_fd >= 0)
            close(listener_fd);
        if (type == VINE_TALK_LISTENER)
            return fd;
        assert_int_equal(type, VINE_TALK_REFUSE);
        close(fd);
    }
}

static void who_asks_and_hangs_up_changes_nothing(void **state)
{
    struct vine_session *session = NULL;

    (void)state;
    begin(true);

    struct vine_pipe *pipe = hold(&session);
    for (int i = 0; i < 50; i++) {
        if (i % 2)
            close(be_left_the_listener());
        else
            ask_and_hang_up();
        is_served();
    }
    let_go(pipe, session);
    served_stop(&served);
}

static void who_says_more_than_that_it_asks_is_left_nothing_more(void **state)
{
    struct vine_session *session = NULL;

    (void)state;
    begin(true);

    struct vine_pipe *pipe = hold(&session);
    for (int i = 0; i < 20; i++) {
        const int fd = connect_there();

        say(fd, &question, -1);
        say(fd, &question, -1); /* all has been said */
        hear_to_the_end(fd);
        close(fd);
        is_served();
    }
    let_go(pipe, session);
    served_stop(&served);
}

/* By status alone: a task that is issued before the pipe is known to be left may be lost. */
static void await_renewal(struct vine_pipe *pipe)
{
    struct vine_pipe_stats stats;

    do {
        const int status = vine_pipe_status(pipe);

        assert_true(status == 0 || status == -EAGAIN);
        vine_pipe_get_stats(pipe, &stats);
    } while (stats.renewals == 0);
    assert_int_equal(stats.renewals, 1);
}

/* It takes both pipes, and `tell` says what their applications hear of it. */
static void pipes_come_back_by_their_own_wish(void (*tell)(int pipe_fd))
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .reconnect_ns = LIMIT};

    begin(true);

    struct vine_session *session = NULL;
    struct vine_pipe *held = hold(&session);
    struct vine_pipe *patient = served_open(&served, &options);
    struct vine_pipe *other = served_open(&served, NULL);
    struct vine_procedure *noop = served_get(other, "noop");
    run_one(patient);
    run_one(other);

    const int fd = connect_there();
    int pipe_fd = -1;

    say(fd, &question, -1);
    expect(fd, VINE_TALK_LISTENER);
    expect(fd, VINE_TALK_LOCK);
    for (int gone = 0; gone < 2; gone++) {
        assert_int_equal(hear(fd, &pipe_fd), VINE_TALK_PIPE);
        tell(pipe_fd);
        close(pipe_fd);
    }
    close(fd);
    await_renewal(patient);
    run_one(patient);
    assert_int_equal(vine_task_run(other, noop, NULL, LIMIT, NULL, NULL), -VINE_EPEERLOST);
    vine_pipe_close(patient);
    vine_pipe_close(other);
    let_go(held, session);
    served_stop(&served);
}

static void say_nothing(int pipe_fd)
{
    (void)pipe_fd;
}

static void pipes_that_go_to_a_liar_come_back_by_their_own_wish(void **state)
{
    (void)state;
    pipes_come_back_by_their_own_wish(say_nothing);
}

/* As an appliance does that shuts down before it has all. */
static void refuse_it(int pipe_fd)
{
    vine__talk_send_reason(pipe_fd, VINE_TALK_REFUSE, -VINE_EDRAINING, "it is shutting down");
}

static void pipes_that_a_successor_refuses_come_back_by_their_own_wish(void **state)
{
    (void)state;
    pipes_come_back_by_their_own_wish(refuse_it);
}

/* By then nothing is left to stay with: the address is the successor's, there or not. */
static void who_hangs_up_when_all_is_its_own_keeps_the_address(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        int listener_fd = -1;
        int lock_fd = -1;

        begin(true);

        const int fd = connect_there();

        say(fd, &question, -1);
        assert_int_equal(hear(fd, &listener_fd), VINE_TALK_LISTENER);
        assert_int_equal(hear(fd, &lock_fd), VINE_TALK_LOCK);
        expect(fd, VINE_TALK_THAT_WAS_ALL);
        close(fd);
        served_end(&served);
        close(connect_there());
        close(listener_fd);
        close(lock_fd);
        served_remove(&served);
    }
}

/* ---- other users ----------------------------------------------------------------------------- */

/* In a process of nobody's: returns the exit code of `body`. */
static int as_nobody(int (*body)(void))
{
    const pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
            _exit(77);
        _exit(body());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What it is told, as an exit code: 0 where it is refused with a reason that names users. */
static int ask_for_all(void)
{
    union vine__talk_any message;
    struct vine__why why = {""};
    int descriptor = -1;
    int fd = -1;

    if (vine__peer_connect(served.path, LIMIT, &fd) != 0)
        return 1;
    if (vine__talk_send(fd, &question, -1, LIMIT) != 0)
        return 2;
    if (vine__talk_receive(fd, &message, &descriptor, LIMIT, &why) != 0)
        return 3;
    if (message.head.type != VINE_TALK_REFUSE || descriptor >= 0)
        return 4;
    return strstr(message.reason.text, "user") != NULL ? 0 : 5;
}

static void another_user_is_left_nothing(void **state)
{
    (void)state;
    if (getuid() != 0) {
        print_message("skipped: only root can be another user\n");
        skip();
    }
    begin(true);
    assert_int_equal(chmod(served.folder, 0755), 0);
    assert_int_equal(chmod(served.path, 0777), 0);
    assert_int_equal(as_nobody(ask_for_all), 0);
    is_served();
    served_stop(&served);
}

/* ---- predecessors ---------------------------------------------------------------------------- */

/* One that listens at the address, and answers whoever asks with what a test says. */
struct liar {
    struct vine__peer_listener listener;
    char folder[32];
    char path[64];
    void (*answer)(struct liar *liar, int fd);
    pthread_t thread;
};

static void *answer(void *context)
{
    struct liar *liar = context;
    int fd = -1;
    int question_fd = -1;

    MUST_BE(vine__peer_accept(liar->listener.fd, LIMIT, &fd), 0);
    MUST_BE(hear(fd, &question_fd), VINE_TALK_TAKE_OVER);
    liar->answer(liar, fd);
    close(fd);
    return NULL;
}

static void begin_to_lie(struct liar *liar, void (*answers)(struct liar *liar, int fd))
{
    pid_t holder = 0;

    *liar = (struct liar){.answer = answers, .folder = "/tmp/vine-test-XXXXXX"};
    assert_non_null(mkdtemp(liar->folder));
    (void)snprintf(liar->path, sizeof liar->path, "%s/socket", liar->folder);
    assert_int_equal(vine__peer_listen(&liar->listener, liar->path, &holder), 0);
    assert_int_equal(pthread_create(&liar->thread, NULL, answer, liar), 0);
}

static void end_to_lie(struct liar *liar)
{
    assert_int_equal(pthread_join(liar->thread, NULL), 0);
    vine__peer_listener_close(&liar->listener);
    (void)rmdir(liar->folder);
}

static int take_over(const struct liar *liar)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options};
    struct vine_appliance *appliance = NULL;
    int error;

    assert_int_equal(vine_appliance_create(&options, &appliance), 0);
    error = vine_appliance_take_over(appliance, liar->path, LIMIT);
    vine_appliance_destroy(appliance);
    return error;
}

static struct vine_talk_left left(const struct liar *liar, uint16_t type)
{
    return (struct vine_talk_left){
        .head = VINE__TALK_HEAD(type, struct vine_talk_left),
        .device = liar->listener.device,
        .inode = liar->listener.inode,
    };
}

static void say_left(const struct liar *liar, int fd, uint16_t type, int descriptor)
{
    const struct vine_talk_left message = left(liar, type);

    (void)!vine__talk_send(fd, &message, descriptor, LIMIT);
}

static void hang_up(struct liar *liar, int fd)
{
    (void)liar;
    (void)fd;
}

static void leave_no_listener(struct liar *liar, int fd)
{
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

    say_left(liar, fd, VINE_TALK_LISTENER, nothing);
    say_left(liar, fd, VINE_TALK_LOCK, liar->listener.lock_fd);
    close(nothing);
}

static void leave_a_pipe_first(struct liar *liar, int fd)
{
    say_left(liar, fd, VINE_TALK_PIPE, fd);
}

static void leave_without_descriptors(struct liar *liar, int fd)
{
    say_left(liar, fd, VINE_TALK_LISTENER, -1);
}

static void who_leaves_what_is_none_is_not_succeeded(void **state)
{
    static const struct {
        void (*answers)(struct liar *liar, int fd);
        int error;
    } lies[] = {
        {hang_up, -VINE_EPEERLOST},
        {leave_no_listener, -ENOTSOCK},
        {leave_a_pipe_first, -VINE_EPROTOCOL},
        {leave_without_descriptors, -VINE_EPROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct liar liar;

        begin_to_lie(&liar, lies[i].answers);
        assert_int_equal(take_over(&liar), lies[i].error);
        end_to_lie(&liar);
    }
}

/* As pipes: a file, sockets of other kinds, the listener, and one over which the liar asks for all.
 */
static void leave_nonsense(struct liar *liar, int fd)
{
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int memory = memfd_create("liar", MFD_CLOEXEC);
    const int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int pair[2] = {-1, -1};

    (void)!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    say_left(liar, fd, VINE_TALK_LISTENER, liar->listener.fd);
    say_left(liar, fd, VINE_TALK_LOCK, liar->listener.lock_fd);
    say_left(liar, fd, VINE_TALK_PIPE, nothing);
    say_left(liar, fd, VINE_TALK_PIPE, memory);
    say_left(liar, fd, VINE_TALK_PIPE, stream);
    say_left(liar, fd, VINE_TALK_PIPE, inet);
    say_left(liar, fd, VINE_TALK_PIPE, liar->listener.fd);
    say_left(liar, fd, VINE_TALK_PIPE, pair[0]);
    /* Who is left takes it for an application's: which asks for all, and is refused. */
    (void)!vine__talk_send(pair[1], &question, -1, LIMIT);
    say_left(liar, fd, VINE_TALK_LISTENER, liar->listener.fd);
    close(nothing);
    close(memory);
    close(stream);
    close(inet);
    close(pair[0]);
    close(pair[1]);
}

static void *serve(void *appliance)
{
    MUST_BE(vine_appliance_serve(appliance), 0);
    return NULL;
}

static void pipes_that_are_none_are_let_go_and_others_served(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options};
    struct vine_appliance *appliance = NULL;
    struct vine_pipe *pipe = NULL;
    struct liar liar;
    pthread_t thread;

    (void)state;
    begin_to_lie(&liar, leave_nonsense);
    assert_int_equal(vine_appliance_create(&options, &appliance), 0);
    for (size_t i = 0; i < SERVED_PROCEDURES; i++)
        assert_int_equal(vine_appliance_register(appliance, &served_procedures[i]), 0);
    assert_int_equal(vine_appliance_take_over(appliance, liar.path, LIMIT), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, appliance), 0);
    assert_int_equal(vine_pipe_open(liar.path, NULL, &pipe), 0);
    run_one(pipe);
    vine_pipe_close(pipe);
    vine_appliance_stop(appliance);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vine_appliance_destroy(appliance);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
    close(liar.listener.fd);
    close(liar.listener.lock_fd);
    assert_int_not_equal(access(liar.path, F_OK), 0); /* its name was the successor's */
    (void)rmdir(liar.folder);
}

/* Applications' ends of two pipes that are left. */
static int left_fds[2];

static void leave_two(struct liar *liar, int fd)
{
    say_left(liar, fd, VINE_TALK_LISTENER, liar->listener.fd);
    say_left(liar, fd, VINE_TALK_LOCK, liar->listener.lock_fd);
    for (int i = 0; i < 2; i++) {
        int pair[2] = {-1, -1};

        (void)!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
        left_fds[i] = pair[1];
        say_left(liar, fd, VINE_TALK_PIPE, pair[0]);
        close(pair[0]);
    }
    say_left(liar, fd, VINE_TALK_THAT_WAS_ALL, -1);
}

static struct rlimit usual;

static void give_room(void *context, enum vine_log_level level, const char *text)
{
    (void)context;
    (void)level;
    if (strstr(text, "no descriptor") != NULL)
        (void)setrlimit(RLIMIT_NOFILE, &usual);
}

static void who_has_no_descriptor_for_a_pipe_is_left_the_others(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .log = give_room};
    struct vine_appliance *appliance = NULL;
    struct rlimit full;
    struct liar liar;
    pthread_t thread;

    (void)state;
    begin_to_lie(&liar, leave_two);
    assert_int_equal(vine_appliance_create(&options, &appliance), 0);
    assert_int_equal(vine_appliance_take_over(appliance, liar.path, LIMIT), 0);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    full = usual;
    full.rlim_cur = (rlim_t)dup(STDIN_FILENO);
    close((int)full.rlim_cur);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, appliance), 0);
    hear_to_the_end(left_fds[0]);
    say(left_fds[1], &question, -1); /* which is answered */
    expect(left_fds[1], VINE_TALK_REFUSE);
    close(left_fds[0]);
    close(left_fds[1]);
    vine_appliance_stop(appliance);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vine_appliance_destroy(appliance);
    close(liar.listener.fd);
    close(liar.listener.lock_fd);
    (void)rmdir(liar.folder);
}

/* An application's end of a pipe that is left after it has been closed. */
static int closed_fd;

static void leave_what_was_closed(struct liar *liar, int fd)
{
    const struct vine_talk_left message = {
        .head = VINE__TALK_HEAD(VINE_TALK_PIPE, struct vine_talk_left),
        .flags = VINE_TALK_PIPE_GREETED,
    };
    int pair[2] = {-1, -1};

    (void)!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    closed_fd = pair[1];
    vine__talk_send_reason(closed_fd, VINE_TALK_BYE, -VINE_ECLOSED, "closed by the application");
    say_left(liar, fd, VINE_TALK_LISTENER, liar->listener.fd);
    say_left(liar, fd, VINE_TALK_LOCK, liar->listener.lock_fd);
    (void)!vine__talk_send(fd, &message, pair[0], LIMIT);
    say_left(liar, fd, VINE_TALK_THAT_WAS_ALL, -1);
    close(pair[0]);
}

static void count_closed(void *context, const struct vine_appliance_event *event)
{
    if (event->kind == VINE_APPLIANCE_PIPE_CLOSED && event->error == 0)
        ++*(int *)context;
}

static void who_has_closed_before_it_was_left_breaks_nothing(void **state)
{
    int closed = 0;
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .event = count_closed, .event_context = &closed};
    struct vine_appliance_stats stats;
    struct vine_appliance *appliance = NULL;
    struct liar liar;
    pthread_t thread;

    (void)state;
    begin_to_lie(&liar, leave_what_was_closed);
    assert_int_equal(vine_appliance_create(&options, &appliance), 0);
    assert_int_equal(vine_appliance_take_over(appliance, liar.path, LIMIT), 0);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, appliance), 0);
    hear_to_the_end(closed_fd);
    close(closed_fd);
    vine_appliance_stop(appliance);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vine_appliance_get_stats(appliance, &stats);
    assert_int_equal(closed, 1);
    assert_int_equal(stats.pipes_broken, 0);
    assert_int_equal(stats.pipes_refused, 0);
    vine_appliance_destroy(appliance);
    close(liar.listener.fd);
    close(liar.listener.lock_fd);
    (void)rmdir(liar.folder);
}

/* More than are heard at once, and that it was all. */
static void leave_many(struct liar *liar, int fd)
{
    say_left(liar, fd, VINE_TALK_LISTENER, liar->listener.fd);
    say_left(liar, fd, VINE_TALK_LOCK, liar->listener.lock_fd);
    for (int i = 0; i < 50; i++) {
        int pair[2] = {-1, -1};

        (void)!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
        say_left(liar, fd, VINE_TALK_PIPE, pair[0]);
        close(pair[0]);
        close(pair[1]);
    }
    say_left(liar, fd, VINE_TALK_THAT_WAS_ALL, -1);
}

static void who_ends_when_all_was_left_to_it_takes_the_address_along(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options};
    struct vine_appliance *appliance = NULL;
    struct liar liar;

    (void)state;
    begin_to_lie(&liar, leave_many);
    assert_int_equal(vine_appliance_create(&options, &appliance), 0);
    assert_int_equal(vine_appliance_take_over(appliance, liar.path, LIMIT), 0);
    assert_int_equal(pthread_join(liar.thread, NULL), 0); /* it has said all */
    vine_appliance_stop(appliance);
    assert_int_equal(vine_appliance_serve(appliance), 0);
    vine_appliance_destroy(appliance);
    close(liar.listener.fd);
    close(liar.listener.lock_fd);
    assert_int_not_equal(access(liar.path, F_OK), 0);
    (void)rmdir(liar.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_and_hangs_up_changes_nothing),
        cmocka_unit_test(who_says_more_than_that_it_asks_is_left_nothing_more),
        cmocka_unit_test(pipes_that_go_to_a_liar_come_back_by_their_own_wish),
        cmocka_unit_test(pipes_that_a_successor_refuses_come_back_by_their_own_wish),
        cmocka_unit_test(who_hangs_up_when_all_is_its_own_keeps_the_address),
        cmocka_unit_test(another_user_is_left_nothing),
        cmocka_unit_test(who_leaves_what_is_none_is_not_succeeded),
        cmocka_unit_test(pipes_that_are_none_are_let_go_and_others_served),
        cmocka_unit_test(who_has_no_descriptor_for_a_pipe_is_left_the_others),
        cmocka_unit_test(who_has_closed_before_it_was_left_breaks_nothing),
        cmocka_unit_test(who_ends_when_all_was_left_to_it_takes_the_address_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

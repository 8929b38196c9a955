/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/peer.h"

#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define LIMIT  (60 * SECOND) /* a hang guard, never reached */
#define NO_LISTENER                                                                                \
    {                                                                                              \
        .fd = -1, .lock_fd = -1                                                                    \
    }

static char folder[] = "/tmp/vine-test-XXXXXX";
static char path[64];
static char lock_path[80];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/socket", folder);
    snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A socket bound at `path` by other means than ours. */
static int bind_plainly(int type, bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (listens)
        assert_int_equal(listen(fd, 0), 0);
    return fd;
}

static void a_live_listener_is_never_stolen_from(void **state)
{
    (void)state;
    struct vine__peer_listener listener, other;
    pid_t holder = -1;
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    assert_int_equal(vine__peer_listen(&other, path, &holder), -EADDRINUSE);
    assert_int_equal(holder, getpid());
    assert_int_equal(other.fd, -1);
    vine__peer_listener_close(&other);
    int fd;
    assert_int_equal(vine__peer_connect(path, LIMIT, &fd), 0);
    close(fd);
    vine__peer_listener_close(&listener);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(lock_path, F_OK), -1);
}

static void a_foreign_listener_without_our_lock_is_not_stolen_from_either(void **state)
{
    (void)state;
    const int types[] = {SOCK_SEQPACKET, SOCK_STREAM};
    for (size_t i = 0; i < 2; i++) {
        struct vine__peer_listener listener;
        pid_t holder = -1;
        const int foreign = bind_plainly(types[i], true);
        for (int attempt = 0; attempt < 3; attempt++) { /* the last ones find its queue full */
            assert_int_equal(vine__peer_listen(&listener, path, &holder), -EADDRINUSE);
            assert_int_equal(holder, 0);
        }
        struct stat found;
        assert_int_equal(lstat(path, &found), 0);
        assert_int_equal(access(lock_path, F_OK), -1);
        close(foreign);
        unlink(path);
    }
}

static void a_full_queue_is_a_live_listener(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    const int foreign = bind_plainly(SOCK_SEQPACKET, true);
    int waiting = -1, other;
    assert_int_equal(vine__peer_connect(path, 0, &waiting), 0);
    assert_int_equal(vine__peer_connect(path, 0, &other), -ETIMEDOUT);
    assert_int_equal(vine__peer_connect(path, SECOND / 50, &other), -ETIMEDOUT);
    assert_int_equal(vine__peer_listen(&listener, path, NULL), -EADDRINUSE);
    close(waiting);
    close(foreign);
    unlink(path);
}

static void a_stale_socket_is_taken_over(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    int fd;
    close(bind_plainly(SOCK_SEQPACKET, true));
    assert_int_equal(vine__peer_connect(path, 0, &fd), -ECONNREFUSED);
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    assert_int_equal(vine__peer_connect(path, 0, &fd), 0);
    close(fd);
    vine__peer_listener_close(&listener);
}

static void a_killed_listener_is_succeeded(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (vine__peer_listen(&listener, path, NULL) != 0)
            _exit(1);
        (void)!write(ends[1], "x", 1);
        for (;;)
            pause();
    }
    pid_t holder = 0;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(vine__peer_listen(&listener, path, &holder), -EADDRINUSE);
    assert_int_equal(holder, child);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    vine__peer_listener_close(&listener);
    close(ends[0]);
    close(ends[1]);
}

/* Another process has had the listener, and is gone. */
static void who_listens_again_is_the_holder_again(void **state)
{
    (void)state;
    struct vine__peer_listener listener, other;
    pid_t holder = 0;
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(vine__peer_listener_take(&other, &listener, path) == 0 ? 0 : 1);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(vine__peer_listen(&other, path, &holder), -EADDRINUSE);
    assert_int_equal(holder, child);
    assert_int_equal(vine__peer_listen_again(&listener), 0);
    assert_int_equal(vine__peer_listen(&other, path, &holder), -EADDRINUSE);
    assert_int_equal(holder, getpid());
    vine__peer_listener_close(&listener);
}

/* Take it, and do what a byte says: return it, or stay. Does not return. */
static void be_another(const struct vine__peer_listener *listener, int commands)
{
    struct vine__peer_listener other;
    char byte = vine__peer_listener_take(&other, listener, path) == 0 ? 'y' : 'n';
    (void)!write(commands, &byte, 1);
    while (read(commands, &byte, 1) == 1) {
        vine__peer_listener_return(&other);
        (void)!write(commands, "y", 1);
    }
    _exit(0);
}

static void a_listener_is_free_when_whoever_has_it_lets_go_or_ends(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    assert_true(vine__peer_listener_is_free(&listener, 0));
    for (int ends = 0; ends < 2; ends++) {
        char byte = 0;
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(pair[0]);
            be_another(&listener, pair[1]);
        }
        close(pair[1]);
        assert_int_equal(read(pair[0], &byte, 1), 1);
        assert_int_equal(byte, 'y');
        assert_false(vine__peer_listener_is_free(&listener, getpid()));
        assert_false(vine__peer_listener_is_free(&listener, child));
        if (!ends) {
            assert_int_equal(write(pair[0], "x", 1), 1);
            assert_int_equal(read(pair[0], &byte, 1), 1);
            assert_true(vine__peer_listener_is_free(&listener, 0));
            assert_int_equal(vine__peer_listen_again(&listener), 0);
        }
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(pair[0]);
        assert_true(vine__peer_listener_is_free(&listener, 0));
    }
    unlink(path); /* by who had it last, as it ended */
    assert_false(vine__peer_listener_is_free(&listener, 0));
    vine__peer_listener_close(&listener);
}

static void what_is_no_socket_keeps_its_name(void **state)
{
    (void)state;
    struct vine__peer_listener listener = NO_LISTENER;
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(vine__peer_listen(&listener, path, NULL), -ENOTSOCK);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(lock_path, F_OK), -1);
    unlink(path);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(vine__peer_listen(&listener, path, NULL), -ENOTSOCK);
    unlink(path);
}

static void impossible_paths_are_refused(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    char long_path[200];
    int fd = -7;
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(vine__peer_listen(&listener, long_path, NULL), -ENAMETOOLONG);
    assert_int_equal(vine__peer_listen(&listener, "", NULL), -EINVAL);
    assert_int_equal(vine__peer_connect(long_path, 0, &fd), -ENAMETOOLONG);
    assert_int_equal(vine__peer_connect("", 0, &fd), -EINVAL);
    long_path[107] = '\0';
    assert_int_equal(vine__peer_connect(long_path, 0, &fd), -ENOENT);
    assert_int_equal(vine__peer_connect(path, LIMIT, &fd), -ENOENT);
    assert_int_equal(fd, -7);
}

static void a_listener_of_another_type_is_told_from_ours(void **state)
{
    (void)state;
    int fd;
    const int foreign = bind_plainly(SOCK_STREAM, true);
    assert_int_equal(vine__peer_connect(path, LIMIT, &fd), -EPROTOTYPE);
    close(foreign);
    unlink(path);
}

static void closing_leaves_a_name_that_is_not_ours_any_more(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    vine__peer_listener_close(&listener);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
}

static void nobody_to_accept_is_eagain(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    int fd = -7;
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    assert_int_equal(vine__peer_accept(listener.fd, 0, &fd), -EAGAIN);
    assert_int_equal(vine__peer_accept(listener.fd, SECOND / 100, &fd), -EAGAIN);
    assert_int_equal(vine__peer_accept(-1, 0, &fd), -EBADF);
    assert_int_equal(fd, -7);
    vine__peer_listener_close(&listener);
}

static void only_the_owner_may_connect(void **state)
{
    (void)state;
    struct vine__peer_listener listener;
    struct stat found;
    const mode_t mask = umask(0);
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    umask(mask);
    assert_int_equal(lstat(path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    assert_int_equal(lstat(lock_path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    vine__peer_listener_close(&listener);
}

static void of_many_that_start_at_once_one_listens(void **state)
{
    (void)state;
    enum { CHILDREN = 8, ROUNDS = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        /* A stale socket, so that all want to take it over. */
        close(bind_plainly(SOCK_SEQPACKET, true));
        int go[2], told[2];
        assert_int_equal(pipe(go), 0);
        assert_int_equal(pipe(told), 0);
        pid_t children[CHILDREN];
        for (int i = 0; i < CHILDREN; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i] != 0)
                continue;
            struct vine__peer_listener listener;
            char byte;
            close(go[1]);
            (void)!read(go[0], &byte, 1); /* until the other end closes: all at once */
            const int error = vine__peer_listen(&listener, path, NULL);
            byte = error == 0 ? 'L' : error == -EADDRINUSE ? 'n' : '?';
            (void)!write(told[1], &byte, 1);
            for (;;)
                pause();
        }
        close(go[0]);
        close(go[1]);
        int listening = 0, refused = 0;
        for (int i = 0; i < CHILDREN; i++) {
            char byte = 0;
            assert_int_equal(read(told[0], &byte, 1), 1);
            listening += byte == 'L';
            refused += byte == 'n';
        }
        assert_int_equal(listening, 1);
        assert_int_equal(refused, CHILDREN - 1);
        int fd;
        assert_int_equal(vine__peer_connect(path, LIMIT, &fd), 0);
        close(fd);
        for (int i = 0; i < CHILDREN; i++) {
            kill(children[i], SIGKILL);
            assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
        }
        close(told[0]);
        close(told[1]);
        unlink(path);
        unlink(lock_path);
    }
}

static void a_folder_that_others_can_enter_is_not_private(void **state)
{
    (void)state;
    char inner[80], link[80];
    snprintf(inner, sizeof(inner), "%s/inner", folder);
    snprintf(link, sizeof(link), "%s/link", folder);
    const mode_t mask = umask(0);
    assert_int_equal(vine__private_folder(inner), 0);
    umask(mask);
    struct stat found;
    assert_int_equal(lstat(inner, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0700);
    assert_int_equal(vine__private_folder(inner), 0);
    assert_int_equal(chmod(inner, 0750), 0);
    assert_int_equal(vine__private_folder(inner), -EPERM);
    assert_int_equal(chmod(inner, 0701), 0);
    assert_int_equal(vine__private_folder(inner), -EPERM);
    assert_int_equal(chmod(inner, 0700), 0);
    assert_int_equal(symlink(inner, link), 0);
    const int error = vine__private_folder(link);
    assert_true(error == -ELOOP || error == -ENOTDIR);
    unlink(link);
    close(open(link, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(vine__private_folder(link), -ENOTDIR);
    unlink(link);
    if (geteuid() == 0) {
        assert_int_equal(chown(inner, 1, 1), 0);
        assert_int_equal(vine__private_folder(inner), -EPERM);
    }
    rmdir(inner);
    snprintf(inner, sizeof(inner), "%s/missing/inner", folder);
    assert_int_equal(vine__private_folder(inner), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_live_listener_is_never_stolen_from),
        cmocka_unit_test(a_foreign_listener_without_our_lock_is_not_stolen_from_either),
        cmocka_unit_test(a_full_queue_is_a_live_listener),
        cmocka_unit_test(a_stale_socket_is_taken_over),
        cmocka_unit_test(a_killed_listener_is_succeeded),
        cmocka_unit_test(who_listens_again_is_the_holder_again),
        cmocka_unit_test(a_listener_is_free_when_whoever_has_it_lets_go_or_ends),
        cmocka_unit_test(what_is_no_socket_keeps_its_name),
        cmocka_unit_test(impossible_paths_are_refused),
        cmocka_unit_test(a_listener_of_another_type_is_told_from_ours),
        cmocka_unit_test(closing_leaves_a_name_that_is_not_ours_any_more),
        cmocka_unit_test(nobody_to_accept_is_eagain),
        cmocka_unit_test(only_the_owner_may_connect),
        cmocka_unit_test(of_many_that_start_at_once_one_listens),
        cmocka_unit_test(a_folder_that_others_can_enter_is_not_private),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

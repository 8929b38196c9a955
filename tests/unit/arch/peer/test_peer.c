/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/peer.h"
#include "arch/peer/peer_internal.h"

#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define LIMIT  (60 * SECOND) /* a hang guard, never reached */

static uint8_t buffer[256];

static struct vine__peer_message message_of(size_t capacity_bytes, uint32_t fd_count_max)
{
    return (struct vine__peer_message){
        .bytes = buffer, .capacity_bytes = capacity_bytes, .fd_count_max = fd_count_max};
}

static int open_fd_count(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void make_pair(int ret_fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds), 0);
}

/* What a hostile peer sends: any number of descriptors, no check of ours in between. */
static void send_raw(int fd, size_t size, int passed, size_t count)
{
    static union {
        char bytes[CMSG_SPACE(sizeof(int) * 253)];
        struct cmsghdr align;
    } control;
    static uint8_t bytes[65536];
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *first = CMSG_FIRSTHDR(&header);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(int) * count);
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(first) + i * sizeof(int), &passed, sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &header, 0), size);
}

static void a_message_longer_than_the_buffer_is_refused_and_gone(void **state)
{
    (void)state;
    int ends[2];
    make_pair(ends);
    const int before = open_fd_count();
    struct vine__peer_message message = message_of(16, 2);
    send_raw(ends[0], 17, ends[0], 1);
    send_raw(ends[0], 5000, -1, 0);
    send_raw(ends[0], 16, -1, 0);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), -VINE_EPROTOCOL);
    assert_int_equal(message.fd_count, 0);
    assert_int_equal(message.size_bytes, 0);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), -VINE_EPROTOCOL);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), 0);
    assert_int_equal(message.size_bytes, 16);
    assert_int_equal(open_fd_count(), before);
    close(ends[0]);
    close(ends[1]);
}

static void more_descriptors_than_expected_are_refused_and_closed(void **state)
{
    (void)state;
    int ends[2];
    make_pair(ends);
    const int before = open_fd_count();
    const size_t counts[] = {1, 3, VINE__PEER_FDS_MAX, VINE__PEER_FDS_MAX + 1, 200, 253};
    const uint32_t maxima[] = {0, 2, VINE__PEER_FDS_MAX - 1, VINE__PEER_FDS_MAX, 1, 16};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct vine__peer_message message = message_of(sizeof(buffer), maxima[i]);
        send_raw(ends[0], 10, ends[0], counts[i]);
        assert_int_equal(vine__peer_receive(ends[1], &message, 0), -VINE_EPROTOCOL);
        assert_int_equal(message.fd_count, 0);
        assert_int_equal(open_fd_count(), before);
    }
    close(ends[0]);
    close(ends[1]);
}

static void descriptors_beyond_our_own_limit_are_emfile_and_none_leaks(void **state)
{
    (void)state;
    int ends[2];
    struct rlimit old, low;
    make_pair(ends);
    const int before = open_fd_count();
    struct vine__peer_message message = message_of(sizeof(buffer), 8);
    send_raw(ends[0], 10, ends[0], 8);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)ends[1] + 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    const int error = vine__peer_receive(ends[1], &message, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(error, -EMFILE);
    assert_int_equal(message.fd_count, 0);
    assert_int_equal(open_fd_count(), before);
    close(ends[0]);
    close(ends[1]);
}

static void an_empty_message_is_taken_for_a_close_and_with_descriptors_for_a_breach(void **state)
{
    (void)state;
    int ends[2];
    make_pair(ends);
    const int before = open_fd_count();
    struct vine__peer_message message = message_of(sizeof(buffer), 2);
    send_raw(ends[0], 0, -1, 0);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), -VINE_EPEERLOST);
    send_raw(ends[0], 0, ends[0], 2);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), -VINE_EPROTOCOL);
    assert_int_equal(open_fd_count(), before);
    close(ends[0]);
    close(ends[1]);
}

static void sockets_of_other_kinds_are_refused(void **state)
{
    (void)state;
    struct vine__peer_message message = message_of(sizeof(buffer), 0);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(vine__peer_check(ends[0]), -EPROTOTYPE);
    assert_int_equal(write(ends[0], "x", 1), 1);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), -EPROTOTYPE);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    assert_int_equal(vine__peer_check(ends[0]), -EPROTOTYPE);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(vine__peer_check(ends[0]), -ENOTSOCK);
    close(ends[0]);
    close(ends[1]);
    const int udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (udp >= 0) {
        assert_int_equal(vine__peer_check(udp), -EAFNOSUPPORT);
        close(udp);
    }
    assert_int_equal(vine__peer_check(1 << 20), -EBADF);
}

static void sending_nothing_or_too_much_is_refused(void **state)
{
    (void)state;
    int ends[2];
    int fds[VINE__PEER_FDS_MAX + 1] = {0};
    static uint8_t huge[4 << 20];
    make_pair(ends);
    assert_int_equal(vine__peer_send(ends[0], "", 0, NULL, 0, 0), -EINVAL);
    assert_int_equal(vine__peer_send(ends[0], "x", 1, fds, VINE__PEER_FDS_MAX + 1, 0), -EINVAL);
    assert_int_equal(vine__peer_send(ends[0], huge, sizeof(huge), NULL, 0, 0), -EMSGSIZE);
    fds[0] = 1 << 20;
    assert_int_equal(vine__peer_send(ends[0], "x", 1, fds, 1, 0), -EBADF);
    close(ends[0]);
    close(ends[1]);
}

static void a_queue_that_nobody_reads_is_eagain_in_time(void **state)
{
    (void)state;
    int ends[2];
    make_pair(ends);
    int error = 0;
    int sent = 0;
    for (; error == 0 && sent < 1000000; sent++)
        error = vine__peer_send(ends[0], buffer, sizeof(buffer), NULL, 0, 0);
    assert_int_equal(error, -EAGAIN);
    assert_int_equal(vine__peer_send(ends[0], buffer, sizeof(buffer), NULL, 0, SECOND / 100),
                     -EAGAIN);
    struct vine__peer_message message = message_of(sizeof(buffer), 0);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), 0);
    close(ends[0]);
    close(ends[1]);
}

static void silence_is_eagain_in_time(void **state)
{
    (void)state;
    int ends[2];
    struct vine__peer_message message = message_of(sizeof(buffer), 0);
    make_pair(ends);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), -EAGAIN);
    assert_int_equal(vine__peer_receive(ends[1], &message, SECOND / 100), -EAGAIN);
    close(ends[0]);
    close(ends[1]);
}

static void a_peer_that_closed_is_lost_after_its_last_message(void **state)
{
    (void)state;
    int ends[2];
    struct vine__peer_message message = message_of(sizeof(buffer), 0);
    make_pair(ends);
    assert_int_equal(vine__peer_send(ends[0], "last", 4, NULL, 0, 0), 0);
    close(ends[0]);
    assert_int_equal(vine__peer_send(ends[1], "late", 4, NULL, 0, 0), -VINE_EPEERLOST);
    assert_int_equal(vine__peer_receive(ends[1], &message, VINE_FOREVER), 0);
    assert_int_equal(message.size_bytes, 4);
    assert_memory_equal(buffer, "last", 4);
    assert_int_equal(vine__peer_receive(ends[1], &message, VINE_FOREVER), -VINE_EPEERLOST);
    close(ends[1]);

    /* With something of ours unread, it is a reset. */
    make_pair(ends);
    assert_int_equal(vine__peer_send(ends[1], "unread", 6, NULL, 0, 0), 0);
    close(ends[0]);
    assert_int_equal(vine__peer_receive(ends[1], &message, VINE_FOREVER), -VINE_EPEERLOST);
    close(ends[1]);
}

static void descriptors_arrive_in_order_and_closed_on_exec(void **state)
{
    (void)state;
    int ends[2];
    int fds[3];
    make_pair(ends);
    for (int i = 0; i < 3; i++) {
        fds[i] = memfd_create("passed", 0);
        assert_int_equal(ftruncate(fds[i], (i + 1) * 100), 0);
    }
    assert_int_equal(vine__peer_send(ends[0], "fds", 3, fds, 3, 0), 0);
    struct vine__peer_message message = message_of(3, 3);
    assert_int_equal(vine__peer_receive(ends[1], &message, 0), 0);
    assert_int_equal(message.size_bytes, 3);
    assert_int_equal(message.fd_count, 3);
    for (int i = 0; i < 3; i++) {
        struct stat found;
        assert_int_equal(fstat(message.fds[i], &found), 0);
        assert_int_equal(found.st_size, (i + 1) * 100);
        assert_int_equal(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        close(fds[i]);
    }
    const int last = message.fds[2];
    vine__peer_message_close(&message);
    assert_int_equal(fcntl(last, F_GETFD), -1);
    vine__peer_message_close(&message);
    close(ends[0]);
    close(ends[1]);
}

/* There only to interrupt. */
static void handle_signal(int number)
{
    (void)number;
}

struct interrupted {
    int fd;
    int error;
    pthread_barrier_t ready;
};

static void *receive_one(void *shared)
{
    struct interrupted *state = shared;
    struct vine__peer_message message = message_of(sizeof(buffer), 0);
    pthread_barrier_wait(&state->ready);
    state->error = vine__peer_receive(state->fd, &message, LIMIT);
    return NULL;
}

static void a_signal_does_not_end_a_wait(void **state)
{
    (void)state;
    int ends[2];
    struct interrupted shared = {.error = -1};
    struct sigaction action = {.sa_handler = handle_signal}, old;
    pthread_t thread;
    make_pair(ends);
    assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
    assert_int_equal(pthread_barrier_init(&shared.ready, NULL, 2), 0);
    shared.fd = ends[1];
    assert_int_equal(pthread_create(&thread, NULL, receive_one, &shared), 0);
    pthread_barrier_wait(&shared.ready);
    for (int i = 0; i < 50; i++) {
        pthread_kill(thread, SIGUSR1);
        sched_yield();
    }
    assert_int_equal(vine__peer_send(ends[0], "x", 1, NULL, 0, 0), 0);
    pthread_join(thread, NULL);
    assert_int_equal(shared.error, 0);
    sigaction(SIGUSR1, &old, NULL);
    pthread_barrier_destroy(&shared.ready);
    close(ends[0]);
    close(ends[1]);
}

static void credentials_are_those_of_the_process_that_made_the_connection(void **state)
{
    (void)state;
    int ends[2];
    struct vine__peer_credentials credentials;
    make_pair(ends);
    assert_int_equal(vine__peer_credentials(ends[0], &credentials), 0);
    assert_int_equal(credentials.pid, getpid());
    assert_int_equal(credentials.uid, geteuid());
    assert_int_equal(credentials.gid, getegid());
    assert_int_equal(vine__peer_credentials(1 << 20, &credentials), -EBADF);
    close(ends[0]);
    close(ends[1]);
}

static void a_pidfd_tells_the_peer_s_death_though_its_child_keeps_the_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/vine-test-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
    struct vine__peer_listener listener;
    assert_int_equal(vine__peer_listen(&listener, path, NULL), 0);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd;
        char byte;
        close(ends[1]);
        if (vine__peer_connect(path, LIMIT, &fd) != 0)
            _exit(1);
        const pid_t grandchild = fork();
        if (grandchild == 0) {
            if (vine__peer_send(fd, "here", 4, NULL, 0, 0) != 0)
                _exit(1);
            (void)!read(ends[0], &byte, 1); /* until the test is over */
            _exit(0);
        }
        for (;;)
            pause();
    }
    int fd, pidfd = -1;
    struct vine__peer_credentials credentials;
    assert_int_equal(vine__peer_accept(listener.fd, LIMIT, &fd), 0);
    assert_int_equal(vine__peer_credentials(fd, &credentials), 0);
    assert_int_equal(credentials.pid, child);
    const int error = vine__peer_pidfd(fd, &pidfd);
    if (error == 0)
        assert_int_equal(vine__peer_is_dead(pidfd), 0);
    else
        assert_int_equal(error, -ENOSYS);
    struct vine__peer_message message = message_of(sizeof(buffer), 0);
    assert_int_equal(vine__peer_receive(fd, &message, LIMIT), 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(vine__peer_receive(fd, &message, 0), -EAGAIN); /* no hang-up */
    if (error == 0) {
        assert_int_equal(vine__peer_is_dead(pidfd), 1);
        assert_int_equal(fcntl(pidfd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        close(pidfd);
        assert_int_equal(vine__peer_pidfd(fd, &pidfd), -VINE_EPEERLOST);
    } else {
        print_message("pidfds are not to be had here\n");
    }
    close(fd);
    close(ends[0]);
    close(ends[1]);
    vine__peer_listener_close(&listener);
    rmdir(folder);
}

static void without_the_kernel_s_help_a_pid_of_somebody_else_is_refused(void **state)
{
    (void)state;
    struct vine__peer_credentials credentials = {
        .pid = getpid(), .uid = geteuid(), .gid = getegid()};
    int pidfd = -7;
    const int error = vine__peer_pidfd_by_number(&credentials, &pidfd);
    if (error == -ENOSYS) {
        print_message("skipped: pidfds are not to be had here\n");
        skip();
    }
    assert_int_equal(error, 0);
    assert_int_equal(vine__peer_is_dead(pidfd), 0);
    close(pidfd);
    pidfd = -7;

    credentials.pid = 0; /* in a namespace that we do not see */
    assert_int_equal(vine__peer_pidfd_by_number(&credentials, &pidfd), -ENOSYS);

    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (;;)
            pause();
    }
    credentials.pid = child;
    kill(child, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(vine__peer_pidfd_by_number(&credentials, &pidfd), -VINE_EPEERLOST);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(vine__peer_pidfd_by_number(&credentials, &pidfd), -VINE_EPEERLOST);

    /* The number lives, but as somebody else: its user is not who connected. */
    credentials.pid = getpid();
    credentials.uid = geteuid() + 1;
    if (geteuid() != 0)
        assert_int_equal(vine__peer_pidfd_by_number(&credentials, &pidfd), -VINE_EPEERLOST);
    assert_int_equal(pidfd, -7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_longer_than_the_buffer_is_refused_and_gone),
        cmocka_unit_test(more_descriptors_than_expected_are_refused_and_closed),
        cmocka_unit_test(descriptors_beyond_our_own_limit_are_emfile_and_none_leaks),
        cmocka_unit_test(an_empty_message_is_taken_for_a_close_and_with_descriptors_for_a_breach),
        cmocka_unit_test(sockets_of_other_kinds_are_refused),
        cmocka_unit_test(sending_nothing_or_too_much_is_refused),
        cmocka_unit_test(a_queue_that_nobody_reads_is_eagain_in_time),
        cmocka_unit_test(silence_is_eagain_in_time),
        cmocka_unit_test(a_peer_that_closed_is_lost_after_its_last_message),
        cmocka_unit_test(descriptors_arrive_in_order_and_closed_on_exec),
        cmocka_unit_test(a_signal_does_not_end_a_wait),
        cmocka_unit_test(credentials_are_those_of_the_process_that_made_the_connection),
        cmocka_unit_test(a_pidfd_tells_the_peer_s_death_though_its_child_keeps_the_socket),
        cmocka_unit_test(without_the_kernel_s_help_a_pid_of_somebody_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

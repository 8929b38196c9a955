/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/* The server runs in a thread, the test is its clients and, in QEMU's place, its peers. */
#include "vmm/engine/bells.h"
#include "vmm/engine/bells_client.h"
#include "vmm/engine/bells_internal.h"

#include "arch/peer/peer.h"
#include "arch/wake/eventfd.h"
#include "arch/wake/ivshmem_protocol.h"
#include "harness/folder.h"
#include "utils/atomic.h"

#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LIMIT_MS 60000 /* a hang guard, never reached */
#define STEP_NS  (VINE_NS_PER_SECOND / 100)

struct fixture {
    char folder[32];
    char path[64];
    struct vine__bells *bells;
    pthread_t thread;
    uint32_t stops;
    int control;
};

static void *serve(void *context)
{
    struct fixture *const fixture = context;

    /* Pairs with stop(): nothing but the flag itself. */
    while (vine__load_acquire_u32(&fixture->stops) == 0)
        if (vine__bells_step(fixture->bells, STEP_NS) != 0)
            break;
    return NULL;
}

static void start(struct fixture *fixture, uint64_t patience_ns)
{
    const struct vine__bells_options options = {.path = fixture->path, .patience_ns = patience_ns};

    vine__store_release_u32(&fixture->stops, 0);
    assert_int_equal(vine__bells_create(&fixture->bells, &options), 0);
    assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
    assert_int_equal(vine__bells_connect(fixture->path, &fixture->control), 0);
}

static void stop(struct fixture *fixture)
{
    /* Pairs with serve(). */
    vine__store_release_u32(&fixture->stops, 1);
    assert_int_equal(pthread_join(fixture->thread, NULL), 0);
    vine__bells_destroy(fixture->bells);
    if (fixture->control >= 0)
        (void)close(fixture->control);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    (void)snprintf(fixture.folder, sizeof(fixture.folder), "/tmp/vine-test-XXXXXX");
    assert_int_equal(folder_make(fixture.folder), 0);
    (void)snprintf(fixture.path, sizeof(fixture.path), "%s/bells", fixture.folder);
    start(&fixture, 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    stop(*state);
    return 0;
}

struct news {
    int64_t message;
    int fd;
};

/* The next message to a peer. */
static struct news hear(int fd)
{
    struct news news = {.fd = -1};
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = &news.message, .iov_len = sizeof(news.message)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};

    assert_int_equal(poll(&poll_fd, 1, LIMIT_MS), 1);
    assert_int_equal(recvmsg(fd, &header, MSG_CMSG_CLOEXEC), sizeof(news.message));
    const struct cmsghdr *const passed = CMSG_FIRSTHDR(&header);
    if (passed != NULL)
        memcpy(&news.fd, CMSG_DATA(passed), sizeof(news.fd));
    return news;
}

static void hear_and_forget(int fd, int64_t message, bool has_fd)
{
    const struct news news = hear(fd);

    assert_int_equal(news.message, message);
    assert_int_equal(news.fd >= 0, has_fd);
    if (has_fd)
        (void)close(news.fd);
}

static void hear_the_end(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char byte;

    assert_int_equal(poll(&poll_fd, 1, LIMIT_MS), 1);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static void assert_silent(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&poll_fd, 1, 0), 0);
}

static void hear_greeting(int fd, uint32_t id)
{
    struct stat status;

    hear_and_forget(fd, VINE_IVSHMEM_VERSION, false);
    hear_and_forget(fd, id, false);
    const struct news memory = hear(fd);
    assert_int_equal(memory.message, VINE_IVSHMEM_MEMORY);
    assert_int_equal(fstat(memory.fd, &status), 0);
    assert_int_equal(status.st_size, 4096);
    assert_int_equal(ftruncate(memory.fd, 0), -1);
    (void)close(memory.fd);
}

/* A peer that has been greeted and knows its own vectors, with the eventfd of its first. */
static uint32_t join(struct fixture *fixture, const char *name, uint32_t vectors, int *ret_fd,
                     int *ret_own)
{
    uint32_t id;

    assert_int_equal(vine__bells_add(fixture->control, name, vectors, &id, ret_fd), 0);
    hear_greeting(*ret_fd, id);
    for (uint32_t i = 0; i < vectors; i++) {
        const struct news own = hear(*ret_fd);
        assert_int_equal(own.message, id);
        if (i == 0)
            *ret_own = own.fd;
        else
            (void)close(own.fd);
    }
    return id;
}

static uint32_t count_peers(struct fixture *fixture)
{
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
    uint32_t count;

    assert_int_equal(vine__bells_list(fixture->control, entries, &count), 0);
    return count;
}

/* Whoever leaves by itself has left some turn later. */
static void wait_for_peers(struct fixture *fixture, uint32_t count)
{
    while (count_peers(fixture) != count)
        continue;
}

static int open_fd_count(void)
{
    DIR *const folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static void a_peer_is_told_of_nobody_but_itself(void **state)
{
    struct fixture *const fixture = *state;
    int fds[2];
    int own[2];
    const uint32_t a = join(fixture, "a", 3, &fds[0], &own[0]);
    const uint32_t b = join(fixture, "b", 1, &fds[1], &own[1]);

    assert_int_not_equal(a, b);
    assert_int_equal(count_peers(fixture), 2);
    assert_silent(fds[0]);
    assert_silent(fds[1]);
    for (int i = 0; i < 2; i++) {
        (void)close(fds[i]);
        (void)close(own[i]);
    }
    wait_for_peers(fixture, 0);
}

static void those_who_are_allowed_ring_one_another(void **state)
{
    struct fixture *const fixture = *state;
    int fds[3];
    int own[3];
    uint64_t count;
    const uint32_t a = join(fixture, "a", 2, &fds[0], &own[0]);
    const uint32_t b = join(fixture, "b", 1, &fds[1], &own[1]);
    (void)join(fixture, "c", 2, &fds[2], &own[2]);

    assert_int_equal(vine__bells_allow(fixture->control, a, b), 0);
    assert_int_equal(vine__bells_allow(fixture->control, b, a), 0); /* done twice is done */
    /* No more vectors than either has: a device complains of more than its own. */
    const struct news bell = hear(fds[0]);
    assert_int_equal(bell.message, b);
    const struct news back = hear(fds[1]);
    assert_int_equal(back.message, a);
    assert_int_equal(vine__eventfd_signal(bell.fd), 0);
    assert_int_equal(vine__eventfd_drain(own[1], &count), 0);
    assert_int_equal(vine__eventfd_drain(own[0], &count), -EAGAIN);
    assert_int_equal(vine__eventfd_signal(back.fd), 0);
    assert_int_equal(vine__eventfd_drain(own[0], &count), 0);

    assert_int_equal(vine__bells_forbid(fixture->control, a, b), 0);
    hear_and_forget(fds[0], b, false);
    hear_and_forget(fds[1], a, false);
    assert_int_equal(vine__bells_allow(fixture->control, b, a), 0);
    hear_and_forget(fds[0], b, true);
    hear_and_forget(fds[1], a, true);
    assert_int_equal(count_peers(fixture), 3); /* an answer comes after what was told before it */
    for (int i = 0; i < 3; i++)
        assert_silent(fds[i]);
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i]);
        (void)close(own[i]);
    }
    (void)close(bell.fd);
    (void)close(back.fd);
}

static void who_leaves_is_told_to_its_links_alone(void **state)
{
    struct fixture *const fixture = *state;
    int fds[3];
    int own[3];
    const uint32_t a = join(fixture, "a", 1, &fds[0], &own[0]);
    const uint32_t b = join(fixture, "b", 1, &fds[1], &own[1]);
    (void)join(fixture, "c", 1, &fds[2], &own[2]);

    assert_int_equal(vine__bells_allow(fixture->control, a, b), 0);
    hear_and_forget(fds[0], b, true);
    hear_and_forget(fds[1], a, true);
    (void)close(fds[0]);
    hear_and_forget(fds[1], a, false);
    assert_int_equal(vine__bells_remove(fixture->control, a), -ENOENT);
    assert_silent(fds[2]);

    assert_int_equal(vine__bells_remove(fixture->control, b), 0);
    hear_the_end(fds[1]);
    assert_int_equal(count_peers(fixture), 1);
    for (int i = 0; i < 3; i++)
        (void)close(own[i]);
    (void)close(fds[1]);
    (void)close(fds[2]);
}

static void an_id_that_somebody_may_remember_is_given_to_nobody(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_request request = {.count = 1};
    struct vine__bells_peer *peers[3];
    int fds[3];

    /* Step by step, to turn the clock of ids. */
    stop(fixture);
    const struct vine__bells_options options = {.path = fixture->path};
    assert_int_equal(vine__bells_create(&fixture->bells, &options), 0);
    fixture->bells->next_id = 0;
    for (int i = 0; i < 2; i++) {
        request.name[0] = (char)('a' + i);
        assert_int_equal(vine__bells_peer_add(fixture->bells, &request, &peers[i], &fds[i]),
                         VINE_BELLS_DONE);
        assert_int_equal(peers[i]->id, i);
    }
    peers[0]->links = UINT64_C(1) << (peers[1] - fixture->bells->peers);
    (void)vine__bells_tell(fixture->bells);
    vine__bells_peer_leave(fixture->bells, peers[1]);
    (void)vine__bells_tell(fixture->bells);
    assert_int_equal(peers[1]->life, VINE__BELLS_FREE);

    fixture->bells->next_id = VINE_IVSHMEM_IDS - 1;
    for (uint32_t i = 0; i < 2; i++) {
        static const uint32_t ids[] = {VINE_IVSHMEM_IDS - 1, 2}; /* not 0, not 1 */

        request.name[0] = 'c';
        assert_int_equal(vine__bells_peer_add(fixture->bells, &request, &peers[2], &fds[2]),
                         VINE_BELLS_DONE);
        assert_int_equal(peers[2]->id, ids[i]);
        vine__bells_peer_leave(fixture->bells, peers[2]);
        (void)close(fds[2]);
    }
    /* Nobody is left that could remember. */
    vine__bells_peer_leave(fixture->bells, peers[0]);
    (void)vine__bells_tell(fixture->bells);
    fixture->bells->next_id = 0;
    assert_int_equal(vine__bells_peer_add(fixture->bells, &request, &peers[2], &fds[2]),
                     VINE_BELLS_DONE);
    assert_int_equal(peers[2]->id, 0);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    vine__bells_destroy(fixture->bells);
    start(fixture, 0);
}

static void the_host_rings_and_lists(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
    int fds[2];
    int own[2];
    int event_fd;
    uint32_t count;
    uint64_t rings;
    const uint32_t a = join(fixture, "app-1", 2, &fds[0], &own[0]);
    uint32_t b;

    assert_int_equal(vine__bells_add(fixture->control, "b", 4, &b, &fds[1]), 0);
    assert_int_equal(vine__bells_event(fixture->control, a, 0, &event_fd), 0);
    assert_int_equal(vine__eventfd_signal(event_fd), 0);
    assert_int_equal(vine__eventfd_drain(own[0], &rings), 0);
    (void)close(event_fd);
    assert_int_equal(vine__bells_event(fixture->control, a, 2, &event_fd), -ENOENT);
    assert_int_equal(vine__bells_event(fixture->control, 999, 0, &event_fd), -ENOENT);
    assert_int_equal(vine__bells_allow(fixture->control, a, 999), -ENOENT);
    assert_int_equal(vine__bells_allow(fixture->control, a, a), -VINE_EPROTOCOL);
    assert_int_equal(vine__bells_forbid(fixture->control, 999, a), -ENOENT);
    assert_int_equal(vine__bells_remove(fixture->control, 999), -ENOENT);

    assert_int_equal(vine__bells_allow(fixture->control, a, b), 0);
    hear_and_forget(fds[0], b, true);
    hear_and_forget(fds[0], b, true);
    assert_int_equal(vine__bells_list(fixture->control, entries, &count), 0);
    assert_int_equal(count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const bool is_a = entries[i].id == a;

        assert_string_equal(entries[i].name, is_a ? "app-1" : "b");
        assert_int_equal(entries[i].vector_count, is_a ? 2 : 4);
        assert_int_equal(entries[i].state, is_a ? VINE_BELLS_CURRENT : VINE_BELLS_BEHIND);
        assert_int_equal(entries[i].links, UINT64_C(1) << (1 - i));
    }
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)close(own[0]);
}

static void names_counts_and_places_have_bounds(void **state)
{
    struct fixture *const fixture = *state;
    static const char *const bad[] = {"", "a b", "a/b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "\xc3"};
    int fds[VINE_BELLS_PEERS_MAX];
    char name[16];
    uint32_t id;
    int fd;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(vine__bells_add(fixture->control, bad[i], 1, &id, &fd), -EINVAL);
    assert_int_equal(vine__bells_add(fixture->control, "a", 0, &id, &fd), -EINVAL);
    assert_int_equal(vine__bells_add(fixture->control, "a", VINE_BELLS_VECTORS_MAX + 1, &id, &fd),
                     -EINVAL);
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "peer-%u", i);
        assert_int_equal(vine__bells_add(fixture->control, name, 1, &id, &fds[i]), 0);
    }
    assert_int_equal(vine__bells_add(fixture->control, "peer-0", 1, &id, &fd), -EEXIST);
    assert_int_equal(vine__bells_add(fixture->control, "one-more", 1, &id, &fd), -ENOSPC);
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        (void)close(fds[i]);
    wait_for_peers(fixture, 0);
    assert_int_equal(vine__bells_add(fixture->control, "peer-0", 1, &id, &fd), 0);
    (void)close(fd);
}

static void a_peer_that_says_something_loses_its_place(void **state)
{
    struct fixture *const fixture = *state;
    int fds[2];
    int own[2];
    const uint32_t a = join(fixture, "a", 1, &fds[0], &own[0]);
    const uint32_t b = join(fixture, "b", 1, &fds[1], &own[1]);

    assert_int_equal(vine__bells_allow(fixture->control, a, b), 0);
    hear_and_forget(fds[1], a, true);
    assert_int_equal(send(fds[0], "!", 1, MSG_NOSIGNAL), 1);
    hear_and_forget(fds[1], a, false);
    assert_int_equal(count_peers(fixture), 1);
    for (int i = 0; i < 2; i++) {
        (void)close(fds[i]);
        (void)close(own[i]);
    }
}

static void a_peer_that_does_not_read_goes_and_nobody_waits_for_it(void **state)
{
    struct fixture *const fixture = *state;
    int fds[VINE_BELLS_PEERS_MAX];
    uint32_t ids[VINE_BELLS_PEERS_MAX];
    int own;
    char name[16];
    uint32_t count = 0;

    stop(fixture);
    start(fixture, 1);
    const uint32_t reader = join(fixture, "reader", 1, &fds[0], &own);
    assert_int_equal(
        vine__bells_add(fixture->control, "sleeper", VINE_BELLS_VECTORS_MAX, &ids[1], &fds[1]), 0);
    /* Its buffer may be too small for its own vectors already. */
    if (vine__bells_allow(fixture->control, reader, ids[1]) == 0) {
        hear_and_forget(fds[0], ids[1], true);
        for (count = 2; count < VINE_BELLS_PEERS_MAX; count++) {
            (void)snprintf(name, sizeof(name), "peer-%u", count);
            assert_int_equal(vine__bells_add(fixture->control, name, 8, &ids[count], &fds[count]),
                             0);
            if (vine__bells_allow(fixture->control, ids[1], ids[count]) != 0)
                break;
        }
        assert_in_range(count, 2, VINE_BELLS_PEERS_MAX - 1);
        hear_and_forget(fds[0], ids[1], false);
        for (uint32_t i = 2; i <= count; i++)
            (void)close(fds[i]);
    }
    assert_int_equal(vine__bells_remove(fixture->control, ids[1]), -ENOENT);
    (void)close(fds[1]);
    (void)close(fds[0]);
    (void)close(own);
}

static void a_patient_server_tells_all_of_it_to_who_reads_late(void **state)
{
    struct fixture *const fixture = *state;
    uint32_t told[16] = {0};
    uint32_t ids[16];
    int fds[16];
    char name[16];

    for (uint32_t i = 0; i < 16; i++) {
        (void)snprintf(name, sizeof(name), "peer-%u", i);
        assert_int_equal(
            vine__bells_add(fixture->control, name, VINE_BELLS_VECTORS_MAX, &ids[i], &fds[i]), 0);
        if (i > 0)
            assert_int_equal(vine__bells_allow(fixture->control, ids[0], ids[i]), 0);
    }
    hear_greeting(fds[0], ids[0]);
    for (uint32_t i = 0; i < 16 * VINE_BELLS_VECTORS_MAX; i++) {
        const struct news news = hear(fds[0]);

        assert_true(news.fd >= 0);
        (void)close(news.fd);
        for (uint32_t j = 0; j < 16; j++)
            told[j] += news.message == ids[j];
    }
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(told[i], VINE_BELLS_VECTORS_MAX);
        (void)close(fds[i]);
    }
}

static void garbage_ends_its_own_connection(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_request request = {
        .magic = VINE_BELLS_MAGIC, .version = VINE_BELLS_VERSION, .type = VINE_BELLS_LIST};
    struct vine_bells_answer answer;
    int fds[4];

    assert_int_equal(count_peers(fixture), 0); /* the server has accepted us */
    const int before = open_fd_count();
    for (int i = 0; i < 4; i++)
        assert_int_equal(vine__bells_connect(fixture->path, &fds[i]), 0);
    assert_int_equal(send(fds[0], "?", 1, 0), 1);
    hear_the_end(fds[0]);
    request.magic++;
    assert_int_equal(send(fds[1], &request, sizeof(request), 0), sizeof(request));
    hear_the_end(fds[1]);
    request.magic--;
    assert_int_equal(vine__peer_send(fds[2], &request, sizeof(request), &fds[3], 1, 0), 0);
    hear_the_end(fds[2]);

    request.version++;
    assert_int_equal(send(fds[3], &request, sizeof(request), 0), sizeof(request));
    assert_int_equal(recv(fds[3], &answer, sizeof(answer), 0), sizeof(answer));
    assert_int_equal(answer.outcome, VINE_BELLS_OTHER_VERSION);
    request.version--;
    request.type = 99;
    assert_int_equal(send(fds[3], &request, sizeof(request), 0), sizeof(request));
    assert_int_equal(recv(fds[3], &answer, sizeof(answer), 0), sizeof(answer));
    assert_int_equal(answer.outcome, VINE_BELLS_MALFORMED);
    assert_int_equal(answer.type, 99);

    assert_int_equal(count_peers(fixture), 0);
    for (int i = 0; i < 4; i++)
        (void)close(fds[i]);
    while (open_fd_count() > before) /* those of the server, which are of this process */
        assert_int_equal(count_peers(fixture), 0);
}

static void a_client_that_reads_no_answer_is_closed(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_request request = {
        .magic = VINE_BELLS_MAGIC, .version = VINE_BELLS_VERSION, .type = VINE_BELLS_LIST};
    int fd;

    assert_int_equal(vine__bells_connect(fixture->path, &fd), 0);
    while (send(fd, &request, sizeof(request), MSG_NOSIGNAL) > 0)
        continue;
    assert_true(errno == EPIPE || errno == ECONNRESET);
    assert_int_equal(count_peers(fixture), 0);
    (void)close(fd);
}

static void a_second_server_does_not_steal_the_name(void **state)
{
    struct fixture *const fixture = *state;
    const struct vine__bells_options options = {.path = fixture->path};
    struct vine__bells *second = NULL;

    assert_int_equal(vine__bells_create(&second, &options), -EADDRINUSE);
    assert_null(second);
    assert_int_equal(count_peers(fixture), 0);
}

static void more_clients_than_places_are_refused(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
    int fds[VINE__BELLS_CLIENTS_MAX];
    uint32_t count;
    int fd;

    for (int i = 0; i < VINE__BELLS_CLIENTS_MAX - 1; i++) {
        assert_int_equal(vine__bells_connect(fixture->path, &fds[i]), 0);
        assert_int_equal(vine__bells_list(fds[i], entries, &count), 0);
    }
    assert_int_equal(vine__bells_connect(fixture->path, &fd), 0);
    hear_the_end(fd);
    (void)close(fd);
    for (int i = 0; i < VINE__BELLS_CLIENTS_MAX - 1; i++)
        (void)close(fds[i]);
}

/* Somebody who runs a machine: adds two peers, gives their sockets to others, and lives no longer
 * than it has to. */
static _Noreturn void run_and_hang(const char *path, int say)
{
    uint32_t ids[2];
    int control;
    int fds[2];

    if (vine__bells_connect(path, &control) == 0 &&
        vine__bells_add(control, "a", 1, &ids[0], &fds[0]) == 0 &&
        vine__bells_add(control, "b", 1, &ids[1], &fds[1]) == 0 &&
        vine__bells_allow(control, ids[0], ids[1]) == 0)
        (void)!vine__peer_send(say, ids, sizeof(ids), fds, 2, 0);
    for (;;)
        (void)pause();
}

static void a_killed_client_finds_all_of_it_again(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
    uint32_t ids[2];
    struct vine__peer_message message = {
        .bytes = ids, .capacity_bytes = sizeof(ids), .fd_count_max = 2};
    uint32_t count;
    int said[2];
    int own[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, said), 0);
    const pid_t pid = fork();
    if (pid == 0)
        run_and_hang(fixture->path, said[1]);
    assert_int_equal(vine__peer_receive(said[0], &message, LIMIT_MS * UINT64_C(1000000)), 0);
    assert_int_equal(message.fd_count, 2);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);

    assert_int_equal(vine__bells_list(fixture->control, entries, &count), 0);
    assert_int_equal(count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_string_equal(entries[i].name, entries[i].id == ids[0] ? "a" : "b");
        assert_int_equal(entries[i].links, UINT64_C(1) << (1 - i));
        hear_greeting(message.fds[i], ids[i]);
        const struct news first = hear(message.fds[i]);
        const struct news second = hear(message.fds[i]);
        assert_int_equal(first.message + second.message, ids[0] + ids[1]);
        own[i] = first.message == ids[i] ? first.fd : second.fd;
        (void)close(first.message == ids[i] ? second.fd : first.fd);
    }
    assert_int_equal(vine__bells_forbid(fixture->control, ids[0], ids[1]), 0);
    hear_and_forget(message.fds[0], ids[1], false);
    for (int i = 0; i < 2; i++) {
        (void)close(own[i]);
        (void)close(said[i]);
    }
    vine__peer_message_close(&message);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

static int make_memory(char first)
{
    const int fd = memfd_create("test", MFD_CLOEXEC);

    assert_int_equal(write(fd, &first, 1), 1);
    return fd;
}

static void expect_kept(struct fixture *fixture, const char *name, char first)
{
    char byte = 0;
    int fd;

    assert_int_equal(vine__bells_take(fixture->control, name, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    assert_int_equal(byte, first);
    (void)close(fd);
}

static void what_is_kept_outlives_who_left_it(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_kept kept[VINE_BELLS_KEPT_MAX];
    const int one = make_memory('a');
    const int other = make_memory('b');
    uint32_t count;
    int fd;

    assert_int_equal(vine__bells_keep(fixture->control, "vm.1.page", one), 0);
    assert_int_equal(vine__bells_keep(fixture->control, "vm.2.page", other), 0);
    assert_int_equal(vine__bells_keep(fixture->control, "vm.2.page", one), -EEXIST);
    (void)close(one);
    (void)close(other);
    (void)close(fixture->control);
    assert_int_equal(vine__bells_connect(fixture->path, &fixture->control), 0);
    assert_int_equal(vine__bells_list_kept(fixture->control, kept, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(kept[0].name, "vm.1.page");
    assert_string_equal(kept[1].name, "vm.2.page");
    for (int round = 0; round < 2; round++) {
        expect_kept(fixture, "vm.1.page", 'a');
        expect_kept(fixture, "vm.2.page", 'b');
    }
    assert_int_equal(vine__bells_forget(fixture->control, "vm.1.page"), 0);
    assert_int_equal(vine__bells_forget(fixture->control, "vm.1.page"), -ENOENT);
    assert_int_equal(vine__bells_take(fixture->control, "vm.1.page", &fd), -ENOENT);
    expect_kept(fixture, "vm.2.page", 'b');
}

static void what_is_kept_has_limits(void **state)
{
    struct fixture *const fixture = *state;
    struct vine_bells_kept kept[VINE_BELLS_KEPT_MAX];
    const struct vine_bells_request without = {.magic = VINE_BELLS_MAGIC,
                                               .version = VINE_BELLS_VERSION,
                                               .type = VINE_BELLS_KEEP,
                                               .name = "x"};
    const int memory = make_memory('a');
    char name[VINE_BELLS_NAME_BYTES + 1];
    uint32_t count;

    assert_int_equal(vine__bells_keep(fixture->control, "", memory), -EINVAL);
    assert_int_equal(vine__bells_keep(fixture->control, "a/b", memory), -EINVAL);
    assert_int_equal(
        vine__bells_keep(fixture->control, "a-name-of-40-letters-is-too-long-for-it.", memory),
        -EINVAL);
    assert_int_equal(vine__bells_keep(fixture->control, "none", -1), -EINVAL);
    assert_int_equal(vine__bells_keep(fixture->control, "own", fixture->control), -EINVAL);
    const int before = open_fd_count();

    for (uint32_t i = 0; i <= VINE_BELLS_KEPT_MAX; i++) {
        (void)snprintf(name, sizeof(name), "a-name-of-39-letters-is-all-that-is.%03u", i);
        assert_int_equal(vine__bells_keep(fixture->control, name, memory),
                         i < VINE_BELLS_KEPT_MAX ? 0 : -ENOSPC);
    }
    assert_int_equal(vine__bells_list_kept(fixture->control, kept, &count), 0);
    assert_int_equal(count, VINE_BELLS_KEPT_MAX);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(vine__bells_forget(fixture->control, kept[i].name), 0);
    assert_int_equal(open_fd_count(), before);
    (void)close(memory);
    /* Who says that it leaves something, and does not, is no client of ours. */
    assert_int_equal(send(fixture->control, &without, sizeof(without), 0), sizeof(without));
    assert_int_equal(vine__bells_list_kept(fixture->control, kept, &count), -VINE_EPEERLOST);
}

static void nothing_stays_open_when_all_have_left(void **state)
{
    struct fixture *const fixture = *state;
    int fds[8];
    int own[8];
    char name[16];
    uint32_t ids[8];

    assert_int_equal(count_peers(fixture), 0); /* the server has accepted us */
    const int before = open_fd_count();
    for (uint32_t i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "peer-%u", i);
        ids[i] = join(fixture, name, 1, &fds[i], &own[i]);
        for (uint32_t j = 0; j < i; j++) {
            assert_int_equal(vine__bells_allow(fixture->control, ids[i], ids[j]), 0);
            hear_and_forget(fds[i], ids[j], true);
            hear_and_forget(fds[j], ids[i], true);
        }
    }
    for (uint32_t i = 0; i < 8; i++) {
        (void)close(fds[i]);
        (void)close(own[i]);
    }
    wait_for_peers(fixture, 0);
    while (open_fd_count() > before)
        assert_int_equal(count_peers(fixture), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_peer_is_told_of_nobody_but_itself),
        TEST(those_who_are_allowed_ring_one_another),
        TEST(who_leaves_is_told_to_its_links_alone),
        TEST(an_id_that_somebody_may_remember_is_given_to_nobody),
        TEST(the_host_rings_and_lists),
        TEST(names_counts_and_places_have_bounds),
        TEST(a_peer_that_says_something_loses_its_place),
        TEST(a_peer_that_does_not_read_goes_and_nobody_waits_for_it),
        TEST(a_patient_server_tells_all_of_it_to_who_reads_late),
        TEST(garbage_ends_its_own_connection),
        TEST(a_client_that_reads_no_answer_is_closed),
        TEST(a_second_server_does_not_steal_the_name),
        TEST(more_clients_than_places_are_refused),
        TEST(a_killed_client_finds_all_of_it_again),
        TEST(what_is_kept_outlives_who_left_it),
        TEST(what_is_kept_has_limits),
        TEST(nothing_stays_open_when_all_have_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

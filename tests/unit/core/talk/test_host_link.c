/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/* Processes of the host as ends of a link, here both of them: what they are given, what they refuse
 * to take, and how they lose it. Who hands it out is a thread of the test. */
#include "served.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "arch/guest/host_protocol.h"
#include "arch/peer/peer.h"
#include "harness/folder.h"
#include "utils/atomic.h"
#include "vmm/engine/link.h"

#define BYTES (UINT64_C(1) << 20)

/* Who hands an end out, to whoever comes, and as the test wants it. */
struct giver {
    struct vine__machine_link *link;
    enum vine_status_end end;
    struct vine__peer_listener listener;
    char address[64];
    pthread_t thread;
    uint32_t is_over; /* atomic */
    uint32_t left;    /* atomic: processes that have said that they leave */
    void (*spoil)(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS]);
};

static char folder[32];
static struct vine__machine_link *link_of_both;
static struct giver givers[2];

static int reopen(int fd)
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void give(struct giver *giver, int fd)
{
    const int other = 1 - (int)giver->end;
    struct vine_host_end answer = {.magic = VINE_HOST_END_MAGIC, .version = VINE_HOST_END_VERSION};
    struct vine__peer_message message = {.bytes = &(char){0}, .capacity_bytes = 1};
    int fds[VINE_HOST_END_DESCRIPTORS];

    fds[VINE_HOST_END_PAGE] = reopen(vine__machine_link_host_page(giver->link, giver->end));
    fds[1 + giver->end] = fcntl(vine__machine_link_fd(giver->link, giver->end), F_DUPFD_CLOEXEC, 0);
    fds[1 + other] = reopen(vine__machine_link_fd(giver->link, (enum vine_status_end)other));
    if (giver->spoil != NULL)
        giver->spoil(&answer, fds);
    assert_int_equal(vine__peer_send(fd, &answer, sizeof answer, fds, 3, LIMIT), 0);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    if (vine__peer_receive(fd, &message, LIMIT) == 0)
        vine__store_release_u32(&giver->left, giver->left + 1);
}

static void *serve_end(void *argument)
{
    struct giver *giver = argument;

    while (vine__load_acquire_u32(&giver->is_over) == 0) {
        int fd;

        if (vine__peer_accept(giver->listener.fd, SECOND / 100, &fd) != 0)
            continue;
        give(giver, fd);
        (void)close(fd);
    }
    return NULL;
}

static int set_up(void **state)
{
    char made[] = "/tmp/vine-host-XXXXXX";

    (void)state;
    assert_int_equal(folder_make(made), 0);
    memcpy(folder, made, sizeof made);
    assert_int_equal(
        vine__machine_link_create("zip", (const uint64_t[2]){BYTES, BYTES}, &link_of_both), 0);
    for (int end = 0; end < 2; end++) {
        struct giver *giver = &givers[end];
        char path[48];

        (void)snprintf(path, sizeof path, "%s/%d", folder, end);
        *giver = (struct giver){.link = link_of_both, .end = (enum vine_status_end)end};
        (void)snprintf(giver->address, sizeof giver->address, "link:%s", path);
        assert_int_equal(vine__machine_link_attach_host(link_of_both, giver->end), 0);
        assert_int_equal(vine__peer_listen(&giver->listener, path, NULL), 0);
        assert_int_equal(pthread_create(&giver->thread, NULL, serve_end, giver), 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        vine__store_release_u32(&givers[end].is_over, 1);
        assert_int_equal(pthread_join(givers[end].thread, NULL), 0);
        vine__peer_listener_close(&givers[end].listener);
    }
    vine__machine_link_close(link_of_both);
    return rmdir(folder);
}

static void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

static int open_renewed(uint64_t reconnect_ns, struct vine_pipe **ret_pipe)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                              .connect_timeout_ns = LIMIT,
                                              .reconnect_ns = reconnect_ns,
                                              .log = keep_quiet};

    return vine_pipe_open(givers[0].address, &options, ret_pipe);
}

static int open_pipe(struct vine_pipe **ret_pipe)
{
    return open_renewed(0, ret_pipe);
}

static void serve(struct served *served)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .log = keep_quiet};

    served_start_address(served, givers[1].address, &options, 1);
}

static void works(struct vine_pipe *pipe)
{
    char text[] = "abc";
    char turned[3];
    size_t size = 0;

    assert_int_equal(vine_pipe_call(pipe, "turn", text, 3, turned, 3, &size), 0);
    assert_int_equal(size, 3);
    assert_memory_equal(turned, "ABC", 3);
}

static void processes_of_the_host_are_both_ends(void **state)
{
    struct served served;

    (void)state;
    serve(&served);
    for (uint32_t i = 1; i <= 5; i++) {
        struct vine_pipe *pipe = NULL;

        assert_int_equal(open_pipe(&pipe), 0);
        works(pipe);
        vine_pipe_close(pipe);
        while (vine__load_acquire_u32(&givers[0].left) < i)
            sched_yield();
    }
    served_stop(&served);
    while (vine__load_acquire_u32(&givers[1].left) == 0)
        sched_yield();
}

static void who_loses_its_other_end_is_told(void **state)
{
    struct served served;
    struct vine_pipe *pipe = NULL;

    (void)state;
    serve(&served);
    assert_int_equal(open_pipe(&pipe), 0);
    works(pipe);
    vine__machine_link_set_host(link_of_both, VINE_STATUS_APPLIANCE, VINE_STATUS_LOST,
                                VINE_STATUS_REASON_CRASH);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    vine_pipe_close(pipe);
    /* Nobody is there, and nobody is waited for. */
    assert_int_equal(open_pipe(&pipe), -VINE_ENOAPPLIANCE);
    /* Whoever takes the end next is another. */
    vine__machine_link_set_host(link_of_both, VINE_STATUS_APPLIANCE, VINE_STATUS_ATTACHED,
                                VINE_STATUS_REASON_NONE);
    assert_int_equal(vine__machine_link_side(link_of_both, VINE_STATUS_APPLIANCE).generation, 2);
    assert_int_equal(open_pipe(&pipe), 0);
    works(pipe);
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* The application's process keeps its end. */
static void who_waits_goes_on_with_the_next_process(void **state)
{
    struct served served;
    struct vine_pipe *pipe = NULL;
    struct vine_pipe_stats stats;

    (void)state;
    serve(&served);
    assert_int_equal(open_renewed(LIMIT, &pipe), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        works(pipe);
        served_stop(&served);
        while (vine__load_acquire_u32(&givers[1].left) < i)
            sched_yield();
        vine__machine_link_set_host(link_of_both, VINE_STATUS_APPLIANCE, VINE_STATUS_LOST,
                                    VINE_STATUS_REASON_SHUTDOWN);
        assert_int_equal(vine_pipe_status(pipe), -EAGAIN);
        vine__machine_link_set_host(link_of_both, VINE_STATUS_APPLIANCE, VINE_STATUS_ATTACHED,
                                    VINE_STATUS_REASON_NONE);
        serve(&served);
    }
    works(pipe);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.renewals, 3);
    assert_int_equal(vine__load_acquire_u32(&givers[0].left), 0);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void nobody_to_ask_is_no_appliance(void **state)
{
    struct vine_pipe *pipe = NULL;
    struct vine_appliance *appliance = NULL;
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .log = keep_quiet};

    (void)state;
    assert_int_equal(vine_pipe_open("link:/nowhere/at/all", NULL, &pipe), -VINE_ENOAPPLIANCE);
    assert_int_equal(vine_pipe_open("link:", NULL, &pipe), -VINE_ECONFIG);
    assert_int_equal(vine_appliance_create(&options, &appliance), 0);
    assert_int_equal(vine_appliance_listen(appliance, "link:/nowhere/at/all"), -VINE_ENOAPPLIANCE);
    vine_appliance_destroy(appliance);
}

/* ---- what is not taken ----------------------------------------------------------------------- */

static void spoil_magic(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    (void)fds;
    answer->magic++;
}

static void spoil_version(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    (void)fds;
    answer->version++;
}

static void spoil_place(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    (void)fds;
    answer->place = VINE_STATUS_LINKS_MAX;
}

/* Bells are spoken of, and no socket came. */
static void spoil_count(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    (void)fds;
    answer->vector_count = 2;
}

static void say_busy(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    (void)fds;
    answer->outcome = VINE_HOST_END_BUSY;
}

/* Memory that whoever has it could cut off under its reader. */
static void unseal(int *fd)
{
    (void)close(*fd);
    *fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(*fd >= 0 && ftruncate(*fd, BYTES) == 0);
}

static void unseal_page(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    (void)answer;
    unseal(&fds[VINE_HOST_END_PAGE]);
}

static void unseal_memory(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    (void)answer;
    unseal(&fds[VINE_HOST_END_APPLIANCE]);
}

static void swap_memory(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS])
{
    const int ours = fds[VINE_HOST_END_APPLICATION];

    (void)answer;
    fds[VINE_HOST_END_APPLICATION] = fds[VINE_HOST_END_APPLIANCE];
    fds[VINE_HOST_END_APPLIANCE] = ours;
}

static void what_is_no_end_is_refused(void **state)
{
    static const struct {
        void (*spoil)(struct vine_host_end *answer, int fds[VINE_HOST_END_DESCRIPTORS]);
        int error;
    } cases[] = {
        {spoil_magic, -VINE_EPROTOCOL},
        {spoil_version, -VINE_EVERSION},
        {spoil_place, -VINE_EPROTOCOL},
        {spoil_count, -VINE_EPROTOCOL},
        {say_busy, -EBUSY},
        {unseal_page, -VINE_EUNSEALED},
        {unseal_memory, -VINE_EUNSEALED},
        {swap_memory, -EACCES},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vine_pipe *pipe = NULL;

        givers[0].spoil = cases[i].spoil;
        assert_int_equal(open_pipe(&pipe), cases[i].error);
    }
    givers[0].spoil = NULL;
}

#define GIVEN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GIVEN(processes_of_the_host_are_both_ends),
        GIVEN(who_loses_its_other_end_is_told),
        GIVEN(who_waits_goes_on_with_the_next_process),
        GIVEN(nobody_to_ask_is_no_appliance),
        GIVEN(what_is_no_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/* A doorbell on a socket, with the test as its server and with the real one; and what is said where
 * a guest has no doorbell. One that works is in tests/vm. */
#include "arch/wake/doorbell.h"

#include "../memory/fake_sysfs.h"
#include "arch/wake/eventfd.h"
#include "arch/wake/ivshmem_protocol.h"
#include "vmm/engine/bells_internal.h"

#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/socket.h>

#define BDF "0000:00:03.0"

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

/* ---- a socket -------------------------------------------------------------------------------- */

/* Say some bytes of a message, with descriptors. */
static void say_bytes(int fd, const void *bytes, size_t size, const int *fds, uint32_t count)
{
    assert_int_equal(vine__peer_send(fd, bytes, size, fds, count, 0), 0);
}

static void say(int fd, int64_t message, int passed)
{
    say_bytes(fd, &message, sizeof(message), &passed, passed >= 0);
}

/* What a server says first, up to the eventfd `own` of the only vector. */
static void greet(int fd, uint32_t id, int own)
{
    say(fd, VINE_IVSHMEM_VERSION, -1);
    say(fd, id, -1);
    say(fd, VINE_IVSHMEM_MEMORY, own); /* any descriptor does: nobody looks */
    say(fd, id, own);
}

static int open_socket(int fd, uint32_t vector_count, struct vine__doorbell **ret_doorbell,
                       char *ret_why)
{
    const struct vine__doorbell_options options = {
        .socket_fd = fd, .vector_count = vector_count, .timeout_ns = 1, .ret_why = ret_why};

    return vine__doorbell_open(ret_doorbell, &options);
}

struct fixture {
    int fds[2]; /* the server's end, the client's */
    int event;
    struct vine__doorbell *doorbell;
};

static void start(struct fixture *fixture)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fixture->fds), 0);
    assert_int_equal(vine__eventfd_create(&fixture->event), 0);
    greet(fixture->fds[0], 7, fixture->event);
    assert_int_equal(open_socket(fixture->fds[1], 1, &fixture->doorbell, NULL), 0);
}

static void stop(struct fixture *fixture)
{
    vine__doorbell_close(fixture->doorbell);
    (void)close(fixture->fds[0]);
    (void)close(fixture->event);
}

static void a_server_says_who_we_are_and_rings(void **state)
{
    struct fixture fixture;

    (void)state;
    start(&fixture);
    assert_int_equal(vine__doorbell_self(fixture.doorbell), 7);
    assert_int_equal(vine__doorbell_vector_count(fixture.doorbell), 1);
    assert_int_equal(vine__doorbell_news_fd(fixture.doorbell), fixture.fds[1]);
    assert_int_equal(vine__doorbell_drain(fixture.doorbell, 0), -EAGAIN);
    assert_int_equal(vine__doorbell_wait(fixture.doorbell, 0, 0), -EAGAIN);
    assert_int_equal(vine__eventfd_signal(fixture.event), 0);
    assert_int_equal(vine__doorbell_wait(fixture.doorbell, 0, VINE_FOREVER), 0);
    assert_int_equal(vine__doorbell_drain(fixture.doorbell, 0), -EAGAIN);
    stop(&fixture);
}

static void others_join_are_rung_and_leave(void **state)
{
    struct fixture fixture;
    uint64_t count;
    int event;

    (void)state;
    start(&fixture);
    assert_int_equal(vine__eventfd_create(&event), 0);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 9, 0), -ENOENT);
    say(fixture.fds[0], 9, event);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 9, 0), 0);
    assert_int_equal(vine__eventfd_drain(event, &count), 0);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 9, 1), -ENOENT);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 0x10009, 0), -ENOENT);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 7, 0), -ENOENT); /* itself */
    say(fixture.fds[0], 9, -1);
    say(fixture.fds[0], 11, -1); /* nobody knew it */
    assert_int_equal(vine__doorbell_update(fixture.doorbell), 0);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 9, 0), -ENOENT);
    (void)close(event);
    stop(&fixture);
}

static void whom_we_know_we_ring_without_a_server(void **state)
{
    struct fixture fixture;
    uint64_t count;
    int event;

    (void)state;
    start(&fixture);
    assert_int_equal(vine__eventfd_create(&event), 0);
    say(fixture.fds[0], 9, event);
    assert_int_equal(vine__doorbell_update(fixture.doorbell), 0);
    assert_int_equal(shutdown(fixture.fds[0], SHUT_RDWR), 0);
    assert_int_equal(vine__doorbell_update(fixture.doorbell), -VINE_EPEERLOST);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 9, 0), 0);
    assert_int_equal(vine__eventfd_drain(event, &count), 0);
    assert_int_equal(vine__eventfd_signal(fixture.event), 0);
    assert_int_equal(vine__doorbell_wait(fixture.doorbell, 0, VINE_FOREVER), 0);
    (void)close(event);
    stop(&fixture);
}

static void a_message_may_come_in_pieces(void **state)
{
    struct fixture fixture;
    const int64_t message = 9;
    int event;

    (void)state;
    start(&fixture);
    assert_int_equal(vine__eventfd_create(&event), 0);
    say_bytes(fixture.fds[0], &message, 3, &event, 1);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 9, 0), -ENOENT);
    say_bytes(fixture.fds[0], (const char *)&message + 3, 5, NULL, 0);
    assert_int_equal(vine__doorbell_ring(fixture.doorbell, 9, 0), 0);
    (void)close(event);
    stop(&fixture);
}

static void what_no_server_says_is_an_error(void **state)
{
    static const int64_t wrong[][4] = {
        /* version, id, memory, own; a descriptor goes with the last two */
        {1, 7, -1, 7},      {0, -1, -1, 7}, {0, 7, 0, 7},          {0, 7, -1, -1},
        {0, 0xffff, -1, 7}, {0, 7, -2, 7},  {0, 7, -1, INT64_MIN},
    };
    char why[VINE__DOORBELL_WHY_BYTES];
    struct vine__doorbell *doorbell = NULL;
    const int before = open_fd_count();
    int fds[2];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        for (int j = 0; j < 4; j++)
            say(fds[0], wrong[i][j], j >= 2 ? fds[0] : -1);
        assert_int_equal(open_socket(fds[1], 1, &doorbell, why), -VINE_EPROTOCOL);
        assert_non_null(strstr(why, "server of bells"));
        (void)close(fds[0]);
        (void)close(fds[1]); /* still the caller's */
        assert_int_equal(open_fd_count(), before);
    }
    assert_null(doorbell);
}

static void descriptors_too_many_or_too_few_are_an_error(void **state)
{
    const int64_t message = 9;
    const int before = open_fd_count();
    struct fixture fixture;
    struct vine__doorbell *doorbell;
    char why[VINE__DOORBELL_WHY_BYTES];
    int fds[2];

    (void)state;
    for (uint32_t count = 2; count <= 16; count += 14) {
        int passed[16];

        start(&fixture);
        for (uint32_t i = 0; i < count; i++)
            passed[i] = fixture.event;
        say_bytes(fixture.fds[0], &message, sizeof(message), passed, count);
        assert_int_equal(vine__doorbell_update(fixture.doorbell), -VINE_EPROTOCOL);
        stop(&fixture);
        assert_int_equal(open_fd_count(), before);
    }
    start(&fixture);
    say(fixture.fds[0], 7, -1); /* that we have left */
    assert_int_equal(vine__doorbell_update(fixture.doorbell), -VINE_EPROTOCOL);
    for (int i = 0; i <= VINE__DOORBELL_VECTORS_MAX; i++)
        say(fixture.fds[0], 9, fixture.event);
    assert_int_equal(vine__doorbell_update(fixture.doorbell), -VINE_EPROTOCOL);
    stop(&fixture);

    /* A server that stops half way. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    greet(fds[0], 7, fds[0]);
    assert_int_equal(open_socket(fds[1], 2, &doorbell, why), -ETIMEDOUT);
    assert_string_equal(why, "the server of bells has said 1 of 2 vectors in time");
    (void)close(fds[0]);
    assert_int_equal(open_socket(fds[1], 2, &doorbell, why), -VINE_EPEERLOST);
    assert_int_equal(open_socket(fds[1], 0, &doorbell, why), -EINVAL);
    (void)close(fds[1]);
    assert_int_equal(open_fd_count(), before);
}

static void two_processes_ring_through_the_real_server(void **state)
{
    char path[] = "/tmp/vine-test-XXXXXX/bells";
    struct vine__bells_peer *peers[2];
    struct vine__doorbell *doorbells[2];
    struct vine_bells_request request = {.count = 3};
    struct vine__bells *bells;
    int fds[2];

    (void)state;
    path[sizeof(path) - sizeof("/bells")] = '\0';
    assert_non_null(mkdtemp(path));
    path[sizeof(path) - sizeof("/bells")] = '/';
    const struct vine__bells_options options = {.path = path};
    assert_int_equal(vine__bells_create(&bells, &options), 0);
    for (int i = 0; i < 2; i++) {
        request.name[0] = (char)('a' + i);
        assert_int_equal(vine__bells_peer_add(bells, &request, &peers[i], &fds[i]),
                         VINE_BELLS_DONE);
    }
    peers[0]->links = UINT64_C(1) << (peers[1] - bells->peers);
    peers[1]->links = UINT64_C(1) << (peers[0] - bells->peers);
    assert_int_equal(vine__bells_step(bells, 0), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(open_socket(fds[i], 3, &doorbells[i], NULL), 0);
    assert_int_equal(vine__doorbell_ring(doorbells[0], vine__doorbell_self(doorbells[1]), 2), 0);
    assert_int_equal(vine__doorbell_wait(doorbells[1], 2, VINE_FOREVER), 0);
    assert_int_equal(vine__doorbell_drain(doorbells[1], 1), -EAGAIN);
    vine__doorbell_close(doorbells[1]);
    assert_int_equal(vine__bells_step(bells, 0), 0);
    assert_int_equal(vine__doorbell_ring(doorbells[0], peers[1]->id, 3),
                     -ENOENT); /* and hears the news */
    assert_int_equal(vine__doorbell_ring(doorbells[0], peers[1]->id, 2), -ENOENT);
    vine__doorbell_close(doorbells[0]);
    vine__bells_destroy(bells);
    path[sizeof(path) - sizeof("/bells")] = '\0';
    (void)fake_sysfs_destroy(path);
}

/* ---- a device -------------------------------------------------------------------------------- */

static char root[] = "/tmp/vine-test-XXXXXX";

static void make(const char *name, const char *link_target)
{
    char path[FAKE_SYSFS_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    if (link_target != NULL)
        assert_int_equal(symlink(link_target, path), 0);
    else
        assert_int_equal(mkdir(path, 0700), 0);
}

static void make_file(const char *name)
{
    char path[FAKE_SYSFS_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void remove_file(const char *name)
{
    char path[FAKE_SYSFS_PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(remove(path), 0);
}

static void assert_refused(const char *bdf, int error, const char *why)
{
    char told[VINE__DOORBELL_WHY_BYTES];
    struct vine__doorbell *doorbell = NULL;
    const struct vine__doorbell_options options = {
        .bdf = bdf, .socket_fd = -1, .sysfs_root = root, .dev_root = root, .ret_why = told};
    const int before = open_fd_count();

    assert_int_equal(vine__doorbell_open(&doorbell, &options), error);
    if (strstr(told, why) == NULL)
        assert_string_equal(told, why);
    assert_null(doorbell);
    assert_int_equal(open_fd_count(), before);
}

static void what_is_missing_is_named(void **state)
{
    const struct fake_device device = {BDF, 0x1af4, 0x1110, 4096, 4096, 0, 1};
    const struct fake_device other = {"0000:00:04.0", 0x8086, 0x1110, 4096, 4096, 0, 1};

    (void)state;
    assert_int_equal(fake_sysfs_create(root), 0);
    assert_int_equal(fake_sysfs_add(root, &device), 0);
    assert_int_equal(fake_sysfs_add(root, &other), 0);
    assert_refused("03.0", -EINVAL, "'03.0' is no PCI address");
    assert_refused("0000:00:03.0/", -EINVAL, "no PCI address");
    assert_refused("../../../00", -EINVAL, "no PCI address");
    assert_refused("0000:00:05.0", -ENODEV, "is not there");
    assert_refused("0000:00:04.0", -ENODEV, "is no 1af4:1110");
    assert_refused(BDF, -ENODEV, "the guest has no IOMMU: start it with one");

    make("bus/pci/devices/" BDF "/iommu_group", "../../../kernel/iommu_groups/4");
    make("bus/pci/devices/" BDF "/driver", "../../../bus/pci/drivers/pci-stub");
    assert_refused(BDF, -EBUSY, "in the hands of the driver pci-stub");
    remove_file("bus/pci/devices/" BDF "/driver");
    assert_refused(BDF, -ENOENT, "the module vfio-pci is not loaded");
    make("bus/pci/drivers", NULL);
    make("bus/pci/drivers/vfio-pci", NULL);
    make_file("bus/pci/devices/" BDF "/driver_override");
    make_file("bus/pci/drivers_probe");
    assert_refused(BDF, -ENOENT, "the driver vfio-pci does not take device " BDF);
    make("bus/pci/devices/" BDF "/driver", "../../../bus/pci/drivers/vfio-pci");
    assert_refused(BDF, -ENOENT, "the module vfio is not loaded");
    make("vfio", NULL);
    make_file("vfio/vfio");
    assert_refused(BDF, -VINE_EVERSION, "another version");
    (void)fake_sysfs_destroy(root);
}

static void the_driver_is_asked_for_in_its_own_words(void **state)
{
    const struct fake_device device = {BDF, 0x1af4, 0x1110, 4096, 4096, 0, 1};
    char path[FAKE_SYSFS_PATH_MAX];
    char text[32] = "";

    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/vine-test-XXXXXX");
    assert_int_equal(fake_sysfs_create(root), 0);
    assert_int_equal(fake_sysfs_add(root, &device), 0);
    make("bus/pci/devices/" BDF "/iommu_group", "../../../kernel/iommu_groups/4");
    make("bus/pci/drivers", NULL);
    make("bus/pci/drivers/vfio-pci", NULL);
    make_file("bus/pci/devices/" BDF "/driver_override");
    make_file("bus/pci/drivers_probe");
    assert_refused(BDF, -ENOENT, "does not take device");
    static const struct {
        const char *file, *text;
    } written[] = {{"bus/pci/devices/" BDF "/driver_override", "vfio-pci"},
                   {"bus/pci/drivers_probe", BDF}};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", root, written[i].file);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        const ssize_t size = read(fd, text, sizeof(text) - 1);
        assert_int_equal(size, strlen(written[i].text));
        text[size] = '\0';
        assert_string_equal(text, written[i].text);
        (void)close(fd);
    }
    (void)fake_sysfs_destroy(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_says_who_we_are_and_rings),
        cmocka_unit_test(others_join_are_rung_and_leave),
        cmocka_unit_test(whom_we_know_we_ring_without_a_server),
        cmocka_unit_test(a_message_may_come_in_pieces),
        cmocka_unit_test(what_no_server_says_is_an_error),
        cmocka_unit_test(descriptors_too_many_or_too_few_are_an_error),
        cmocka_unit_test(two_processes_ring_through_the_real_server),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(the_driver_is_asked_for_in_its_own_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's side: which descriptors are refused, and that what is taken cannot be hurt. */
#include "harness/emulator.h"
#include "memory_tests.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define SEALS_ALL (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)
#define BYTES     (UINT64_C(16) * PAGE)

/* A peer that makes its memory by hand. `written` pages from the front are there. */
static int peer_memfd(uint64_t size_bytes, uint64_t written_bytes, int seals)
{
    const int fd = memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    for (uint64_t at = 0; at < written_bytes; at += PAGE)
        assert_int_equal(pwrite(fd, "x", 1, (off_t)at), 1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* The same in steps of three pages. */
static int take_in_steps(int fd, uint64_t claimed_bytes)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__memory *memory = NULL;
    options.size_max_bytes = UINT64_C(1) << 20;
    options.in_steps = true;
    const uint64_t open_fds = count_fds();
    int error = vine__memory_from_fd(fd, claimed_bytes, &options, &memory);
    uint64_t steps = 0;
    if (error == 0) {
        while ((error = vine__memory_step(memory, 3 * PAGE + 1)) > 0)
            steps++;
        assert_true(steps <= claimed_bytes / (3 * PAGE));
        assert_true(error != 0 || vine__memory_fd(memory) == -1);
    }
    vine__memory_close(memory);
    assert_int_equal(count_fds(), open_fds);
    return error;
}

static int take(int fd, uint64_t claimed_bytes, char why[256])
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__memory *memory = NULL;
    why[0] = '\0';
    options.why = why;
    options.why_size = 256;
    options.size_max_bytes = UINT64_C(1) << 20;
    const int error = vine__memory_from_fd(fd, claimed_bytes, &options, &memory);
    assert_true((error == 0) == (memory != NULL));
    vine__memory_close(memory);
    assert_int_equal(take_in_steps(fd, claimed_bytes), error);
    return error;
}

static void each_missing_seal_is_refused_and_named(void **state)
{
    (void)state;
    const struct {
        int seal;
        const char *name;
    } seals[] = {{F_SEAL_SHRINK, " SHRINK"},
                 {F_SEAL_GROW, " GROW"},
                 {F_SEAL_FUTURE_WRITE, " FUTURE_WRITE"},
                 {F_SEAL_SEAL, " SEAL"}};
    char why[256];

    for (int i = 0; i < 4; i++) {
        const int fd = peer_memfd(BYTES, BYTES, SEALS_ALL & ~seals[i].seal);
        assert_int_equal(take(fd, BYTES, why), -VINE_EUNSEALED);
        assert_non_null(strstr(why, seals[i].name));
        for (int j = 0; j < 4; j++)
            assert_true(i == j || strstr(why, seals[j].name) == NULL);
        (void)close(fd);
    }
}

static void a_memfd_without_any_seal_is_refused(void **state)
{
    (void)state;
    char why[256];
    const int fd = peer_memfd(BYTES, BYTES, 0);
    assert_int_equal(take(fd, BYTES, why), -VINE_EUNSEALED);
    (void)close(fd);
}

static void a_write_seal_is_no_substitute_for_future_write(void **state)
{
    (void)state;
    char why[256];
    const int fd =
        peer_memfd(BYTES, BYTES, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    assert_int_equal(take(fd, BYTES, why), -VINE_EUNSEALED);
    (void)close(fd);
}

static void a_hole_at_either_end_or_in_the_middle_is_refused(void **state)
{
    (void)state;
    skip_if_emulated("answers by itself what would show a hole");
    char why[256];
    for (uint64_t hole = 0; hole < 16; hole += 5) {
        const int fd = peer_memfd(BYTES, BYTES, 0);
        assert_int_equal(
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(hole * PAGE), PAGE),
            0);
        /* More pages behind the end, so that the count of blocks is right again. */
        assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)BYTES, PAGE), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS_ALL), 0);
        assert_int_equal(take(fd, BYTES, why), -VINE_EUNSEALED);
        assert_non_null(strstr(why, "hole"));
        (void)close(fd);
    }
}

static void memory_that_was_never_allocated_is_refused(void **state)
{
    (void)state;
    skip_if_emulated("answers by itself what would show a hole");
    char why[256];
    const int fd = peer_memfd(BYTES, 0, SEALS_ALL);
    assert_int_equal(take(fd, BYTES, why), -VINE_EUNSEALED);
    (void)close(fd);
}

static void a_claim_beyond_the_real_size_is_refused(void **state)
{
    (void)state;
    char why[256];
    const int fd = peer_memfd(BYTES, BYTES, SEALS_ALL);
    assert_int_equal(take(fd, BYTES + 1, why), -VINE_ETRUNCATED);
    assert_int_equal(take(fd, UINT64_C(1) << 20, why), -VINE_ETRUNCATED);
    assert_int_equal(take(fd, BYTES, why), 0);
    (void)close(fd);
}

static void a_claim_of_nothing_or_of_everything_is_refused(void **state)
{
    (void)state;
    char why[256];
    const int fd = peer_memfd(BYTES, BYTES, SEALS_ALL);
    assert_int_equal(take(fd, 0, why), -EINVAL);
    assert_int_equal(take(fd, UINT64_MAX, why), -EINVAL);
    assert_int_equal(take(fd, (UINT64_C(1) << 20) + 1, why), -VINE_ETOOBIG);
    (void)close(fd);
}

static void descriptors_of_other_things_are_refused(void **state)
{
    (void)state;
    char why[256];
    int pair[2];
    int pipe_fds[2];
    char path[] = "/tmp/vine-other-XXXXXX";
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(pipe(pipe_fds), 0);
    const int disk_fd = mkstemp(path);
    assert_true(disk_fd >= 0);
    (void)unlink(path);
    assert_int_equal(ftruncate(disk_fd, (off_t)BYTES), 0);
    assert_int_equal(posix_fallocate(disk_fd, 0, (off_t)BYTES), 0);
    char shm_name[64];
    (void)snprintf(shm_name, sizeof(shm_name), "/vine-other-%d", (int)getpid());
    const int shm_fd = shm_open(shm_name, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(shm_fd >= 0);
    (void)shm_unlink(shm_name);
    assert_int_equal(ftruncate(shm_fd, (off_t)BYTES), 0);
    const int memfd = peer_memfd(BYTES, BYTES, SEALS_ALL);
    char proc_path[64];
    (void)snprintf(proc_path, sizeof(proc_path), "/proc/self/fd/%d", memfd);

    const int fds[] = {
        pair[0],
        pipe_fds[0],
        disk_fd,
        shm_fd,
        eventfd(0, EFD_CLOEXEC),
        open("/proc/self/maps", O_RDONLY | O_CLOEXEC),
        open("/dev/zero", O_RDWR | O_CLOEXEC),
        open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        open(proc_path, O_PATH | O_CLOEXEC),
    };
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        assert_true(fds[i] >= 0);
        assert_int_equal(take(fds[i], PAGE, why), -VINE_EUNSEALED);
        assert_true(why[0] != '\0');
        (void)close(fds[i]);
    }
    (void)close(pair[1]);
    (void)close(pipe_fds[1]);
    (void)close(memfd);
}

static void a_closed_descriptor_is_a_bad_descriptor(void **state)
{
    (void)state;
    char why[256];
    const int fd = peer_memfd(BYTES, BYTES, SEALS_ALL);
    (void)close(fd);
    assert_int_equal(take(fd, BYTES, why), -EBADF);
    assert_int_equal(take(-1, BYTES, why), -EBADF);
}

static void huge_pages_are_refused_unless_asked_for_and_then_must_all_exist(void **state)
{
    (void)state;
    skip_if_emulated("hides why a page cannot be had");
    struct stat status;
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__memory *memory = NULL;
    const int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (fd < 0 || fstat(fd, &status) != 0) {
        print_message("skipped: this kernel has no huge pages\n");
        skip();
    }
    const uint64_t bytes = (uint64_t)status.st_blksize;
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS_ALL), 0);
    assert_int_equal(vine__memory_from_fd(fd, bytes, &options, &memory), -VINE_EUNSEALED);

    /* Of a pool that is empty, the page that the file claims to have cannot be read: not a signal
     * but a refusal. With pages in the pool the read provides it, and that is fine as well. */
    options.huge_pages = true;
    const int error = vine__memory_from_fd(fd, bytes, &options, &memory);
    assert_true(error == 0 || error == -VINE_EUNSEALED || error == -ENOMEM);
    if (error == 0)
        assert_int_equal(*(const unsigned char *)vine__memory_base(memory), 0);
    vine__memory_close(memory);
    (void)close(fd);
}

static void what_was_taken_is_read_only_and_needs_no_descriptor(void **state)
{
    (void)state;
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__memory *memory = NULL;
    const int fd = peer_memfd(BYTES, BYTES, SEALS_ALL);
    assert_int_equal(vine__memory_from_fd(fd, BYTES, &options, &memory), 0);
    (void)close(fd);
    assert_int_equal(vine__memory_fd(memory), -1);
    assert_int_equal(vine__memory_size(memory), BYTES);
    assert_int_equal(mprotect(vine__memory_base(memory), PAGE, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(*(const char *)vine__memory_base(memory), 'x');
    vine__memory_close(memory);
}

static void the_owner_cannot_cut_punch_grow_or_unseal_what_was_taken(void **state)
{
    (void)state;
    skip_if_emulated("answers some advice by itself");
    struct vine__memory_options options = options_for(VINE__MEMORY_MEMFD, BYTES);
    struct vine__memory *own = NULL;
    struct vine__memory *taken = NULL;
    assert_int_equal(vine__memory_create(&options, &own), 0);
    const int fd = vine__memory_fd(own);
    assert_int_equal(vine__memory_from_fd(fd, BYTES, &options, &taken), 0);

    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, (off_t)BYTES * 2), -1);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), -1);
    assert_int_equal(madvise(vine__memory_base(own), PAGE, MADV_REMOVE), -1);
    assert_int_equal(pwrite(fd, "y", 1, 0), -1);
    assert_ptr_equal(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);

    /* And it still writes through the mapping that it has. */
    *(char *)vine__memory_base(own) = 'z';
    assert_int_equal(*(const char *)vine__memory_base(taken), 'z');
    vine__memory_close(own);
    assert_int_equal(*(const char *)vine__memory_base(taken), 'z');
    vine__memory_close(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_missing_seal_is_refused_and_named),
        cmocka_unit_test(a_memfd_without_any_seal_is_refused),
        cmocka_unit_test(a_write_seal_is_no_substitute_for_future_write),
        cmocka_unit_test(a_hole_at_either_end_or_in_the_middle_is_refused),
        cmocka_unit_test(memory_that_was_never_allocated_is_refused),
        cmocka_unit_test(a_claim_beyond_the_real_size_is_refused),
        cmocka_unit_test(a_claim_of_nothing_or_of_everything_is_refused),
        cmocka_unit_test(descriptors_of_other_things_are_refused),
        cmocka_unit_test(a_closed_descriptor_is_a_bad_descriptor),
        cmocka_unit_test(huge_pages_are_refused_unless_asked_for_and_then_must_all_exist),
        cmocka_unit_test(what_was_taken_is_read_only_and_needs_no_descriptor),
        cmocka_unit_test(the_owner_cannot_cut_punch_grow_or_unseal_what_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

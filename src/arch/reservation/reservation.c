/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses first, aligned, with nothing behind them; then pages of the asked kind over them. */
#include "arch/reservation/reservation.h"

#include "utils/assert.h"
#include "utils/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NODES_MAX        1024
#define WORD_BITS        64
#define BYTES_MAX        (UINT64_C(1) << 47)
#define HUGETLBFS        0x958458f6U /* HUGETLBFS_MAGIC of <linux/magic.h> */
#define POLICY_PREFERRED 1 /* MPOL_PREFERRED of <numaif.h>, which would need libnuma's package */
#define POLICY_BIND      2 /* MPOL_BIND */
#define NAME_BYTES       512
#define NAME_TRIES       100

static int refuse(int error, const char *what, const char **ret_what)
{
    if (ret_what != NULL)
        *ret_what = what;
    return error;
}

static int check(const struct vine__reservation_options *options, const char **ret_what)
{
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

    if (options->size_bytes == 0 || options->size_bytes > BYTES_MAX)
        return refuse(-EINVAL, "its size is none that memory can have", ret_what);
    if (options->alignment_bytes < page_bytes || options->alignment_bytes > BYTES_MAX ||
        (options->alignment_bytes & (options->alignment_bytes - 1)) != 0)
        return refuse(-EINVAL, "its alignment is no power of two, or less than a page", ret_what);
    if (options->node < VINE__RESERVATION_NODE_ANY || options->node >= NODES_MAX)
        return refuse(-EINVAL, "there is no NUMA node of that number", ret_what);

    uint64_t left_bytes = options->size_bytes;

    for (uint32_t i = 0; i < options->piece_count; i++) {
        const struct vine__reservation_piece *const piece = &options->pieces[i];

        if (piece->node < 0 || piece->node >= NODES_MAX)
            return refuse(-EINVAL, "there is no NUMA node of that number", ret_what);
        if (piece->size_bytes == 0 || piece->size_bytes > left_bytes ||
            piece->size_bytes % page_bytes != 0)
            return refuse(-EINVAL, "its pieces are not whole pages, or more than all of it",
                          ret_what);
        left_bytes -= piece->size_bytes;
    }
    return 0;
}

/* Take more addresses than wanted, and give back what lies before and behind the aligned ones. */
static int reserve(struct vine__reservation *reservation,
                   const struct vine__reservation_options *options, const char **ret_what)
{
    const uint64_t alignment = options->alignment_bytes;
    const uint64_t wanted = vine__round_up_u64(options->size_bytes, alignment);
    unsigned char *const all = mmap(NULL, (size_t)(wanted + alignment), PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (all == MAP_FAILED)
        return refuse(-errno, "there are not that many addresses; `ulimit -v` limits them",
                      ret_what);

    const uint64_t before = (alignment - ((uintptr_t)all & (alignment - 1))) & (alignment - 1);

    reservation->base = all + before;
    reservation->size_bytes = options->size_bytes;
    reservation->mapped_bytes = wanted;
    if (before > 0)
        VINE_ASSERT(munmap(all, (size_t)before) == 0);
    if (before < alignment)
        VINE_ASSERT(munmap(reservation->base + wanted, (size_t)(alignment - before)) == 0);
    return 0;
}

/* A file of a hugetlbfs mount that nobody else sees. The name is gone before the file is used. */
static int open_huge_file(const char *folder, int *ret_fd, const char **ret_what)
{
    struct statfs status;
    char name[NAME_BYTES];
    const int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (folder_fd < 0)
        return refuse(-errno, "the folder of huge pages cannot be opened", ret_what);

    const int error = fstatfs(folder_fd, &status) != 0 ? -errno : 0;

    if (error != 0 || (uint32_t)status.f_type != HUGETLBFS) {
        (void)close(folder_fd);
        return refuse(error != 0 ? error : -EMEDIUMTYPE,
                      "the folder of huge pages is no mount of hugetlbfs; `mount -t hugetlbfs none "
                      "FOLDER` makes one",
                      ret_what);
    }

    int fd = -1;

    for (int number = 0; fd < 0 && number < NAME_TRIES; number++) {
        (void)snprintf(name, sizeof(name), "vine-%d-%d", (int)getpid(), number);
        fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }

    const int failure = fd < 0 ? -errno : 0;

    if (fd >= 0)
        (void)unlinkat(folder_fd, name, 0);
    (void)close(folder_fd);
    if (failure != 0)
        return refuse(failure, "no file can be made in the folder of huge pages", ret_what);
    *ret_fd = fd;
    return 0;
}

/* Private, so that a child of fork has a copy as it has of all else. The kernel sets the huge pages
 * aside as it maps them, or refuses here. */
static int map_huge(struct vine__reservation *reservation,
                    const struct vine__reservation_options *options, const char **ret_what)
{
    int fd = -1;
    const int flags = MAP_PRIVATE | MAP_FIXED |
                      (options->huge_page_folder == NULL ? MAP_ANONYMOUS | MAP_HUGETLB : 0);

    if (options->huge_page_folder != NULL) {
        const int error = open_huge_file(options->huge_page_folder, &fd, ret_what);
        if (error != 0)
            return error;
    }

    const void *const mapped = mmap(reservation->base, (size_t)reservation->size_bytes,
                                    PROT_READ | PROT_WRITE, flags, fd, 0);
    const int error = mapped == MAP_FAILED ? -errno : 0;

    if (fd >= 0)
        (void)close(fd);
    if (error != 0)
        return refuse(error,
                      "there are too few huge pages; /proc/sys/vm/nr_hugepages says how many there "
                      "are, and the size is a whole number of them",
                      ret_what);
    return 0;
}

static int map(struct vine__reservation *reservation,
               const struct vine__reservation_options *options, const char **ret_what)
{
    if (options->huge_pages || options->huge_page_folder != NULL)
        return map_huge(reservation, options, ret_what);
    if (mprotect(reservation->base, (size_t)reservation->size_bytes, PROT_READ | PROT_WRITE) != 0)
        return refuse(-errno,
                      "the kernel does not promise that much memory; "
                      "/proc/sys/vm/overcommit_memory says how it decides",
                      ret_what);
    return 0;
}

static int set_policy(unsigned char *from, uint64_t size_bytes, int policy, int node,
                      const char **ret_what)
{
    uint64_t nodes[NODES_MAX / WORD_BITS] = {0};

    nodes[node / WORD_BITS] |= UINT64_C(1) << (node % WORD_BITS);
    /* The kernel counts one bit less than it is told. */
    if (syscall(SYS_mbind, from, size_bytes, policy, nodes, NODES_MAX + 1, 0) == 0)
        return 0;
    if (errno == EPERM)
        return refuse(-EPERM, "a container's filter forbids binding memory to a NUMA node",
                      ret_what);
    return refuse(-errno, "there is no NUMA node of that number for this process", ret_what);
}

/* Before any page is there. Pieces are a wish, since how much a node has left changes: what one of
 * them lacks comes from another one, where a node alone is an order. */
static int bind(const struct vine__reservation *reservation,
                const struct vine__reservation_options *options, const char **ret_what)
{
    unsigned char *from = reservation->base;
    int error = 0;

    if (options->piece_count == 0)
        return options->node == VINE__RESERVATION_NODE_ANY
                   ? 0
                   : set_policy(from, reservation->size_bytes, POLICY_BIND, options->node,
                                ret_what);
    for (uint32_t i = 0; i < options->piece_count && error == 0; i++) {
        error = set_policy(from, options->pieces[i].size_bytes, POLICY_PREFERRED,
                           options->pieces[i].node, ret_what);
        from += options->pieces[i].size_bytes;
    }
    return error;
}

static int lock(const struct vine__reservation *reservation, const char **ret_what)
{
    /* The call itself: sanitizers make nothing of libc's function. */
    if (syscall(SYS_mlock, reservation->base, (size_t)reservation->size_bytes) == 0)
        return 0;
    return refuse(
        -errno,
        "it cannot be locked: `ulimit -l` limits how much may be, or there is less memory "
        "than that",
        ret_what);
}

int vine__reservation_open(const struct vine__reservation_options *options,
                           struct vine__reservation *ret_reservation, const char **ret_what)
{
    struct vine__reservation reservation = {0};
    int error = check(options, ret_what);

    if (error == 0)
        error = reserve(&reservation, options, ret_what);
    if (error == 0)
        error = map(&reservation, options, ret_what);
    if (error == 0)
        error = bind(&reservation, options, ret_what);
    if (error == 0 && options->lock)
        error = lock(&reservation, ret_what);
    if (error != 0) {
        vine__reservation_close(&reservation);
        return error;
    }
    *ret_reservation = reservation;
    return 0;
}

void vine__reservation_close(struct vine__reservation *reservation)
{
    if (reservation->base != NULL)
        VINE_ASSERT(munmap(reservation->base, (size_t)reservation->mapped_bytes) == 0);
    *reservation = (struct vine__reservation){0};
}

uint64_t vine__reservation_touched(const struct vine__reservation *reservation)
{
    unsigned char there[4096];
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t step_bytes = sizeof(there) * page_bytes;
    uint64_t count = 0;

    for (uint64_t at = 0; at < reservation->size_bytes; at += step_bytes) {
        const uint64_t left = reservation->size_bytes - at;
        const uint64_t bytes = left < step_bytes ? left : step_bytes;

        if (mincore(reservation->base + at, (size_t)bytes, there) != 0)
            return 0;
        for (uint64_t page = 0; page < (bytes + page_bytes - 1) / page_bytes; page++)
            count += there[page] & 1;
    }
    return count * page_bytes;
}

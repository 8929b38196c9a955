/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/identity.h"

#include "arch/peer/process.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hash ^= ((const unsigned char *)bytes)[i];
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static uint64_t scope_of_self(void)
{
    static const char *const namespaces[] = {"/proc/self/ns/pid", "/proc/self/ns/time"};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    char boot_id[64];
    struct stat status;

    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const ssize_t size = read(fd, boot_id, sizeof(boot_id));
        if (size > 0)
            hash = hash_bytes(hash, boot_id, (size_t)size);
        (void)close(fd);
    }
    /* Pids count in the one, start times in the other; the inode of a namespace's file is its
     * number. */
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
        if (stat(namespaces[i], &status) == 0)
            hash = hash_bytes(hash, &status.st_ino, sizeof(status.st_ino));
    return hash != 0 ? hash : 1;
}

void vine__identity_of_self(struct vine__identity *ret_identity)
{
    uint64_t start_ticks = 0;
    const pid_t pid = getpid();

    if (vine__process_start_time(pid, &start_ticks) != 0)
        start_ticks = 0;
    *ret_identity = (struct vine__identity){
        .pid = pid,
        .uid = geteuid(),
        .start_ticks = start_ticks,
        .scope = scope_of_self(),
    };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "library_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <sys/mman.h>
#include <unistd.h>

#include "library.h"

/* From Linux 6.3: asks for what was the rule before, where an administrator has changed the
 * rule. */
#define LIBRARY_MFD_EXEC 0x0010u

#define LIBRARY_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

bool library_is_ours(const struct stat *status, char reason[LIBRARY_REASON_BYTES])
{
    if (status->st_uid != geteuid() && status->st_uid != 0) {
        snprintf(reason, LIBRARY_REASON_BYTES,
                 "it belongs to user %u: only the user's own and root's are taken",
                 (unsigned)status->st_uid);
        return false;
    }
    if (status->st_mode & (S_IWGRP | S_IWOTH)) {
        snprintf(reason, LIBRARY_REASON_BYTES,
                 "others may write it (mode %04o): chmod go-w would do",
                 (unsigned)(status->st_mode & 07777));
        return false;
    }
    return true;
}

bool library_is_same(const struct library_identity *one, const struct library_identity *other)
{
    return one->device == other->device && one->inode == other->inode &&
           one->size_bytes == other->size_bytes && one->changed_ns == other->changed_ns &&
           one->modified_ns == other->modified_ns;
}

static int64_t to_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * (int64_t)VINE_NS_PER_SECOND + time->tv_nsec;
}

static struct library_identity identity_of(const struct stat *status)
{
    return (struct library_identity){
        .device = status->st_dev,
        .inode = status->st_ino,
        .size_bytes = (uint64_t)status->st_size,
        .changed_ns = to_ns(&status->st_ctim),
        .modified_ns = to_ns(&status->st_mtim),
    };
}

/*
 * Keep writers out while we read. Returns 0 if nobody writes, or the file system cannot tell;
 * -EAGAIN if somebody has it open for writing.
 *
 * A lease that is broken sends a signal: one that does nothing by default is chosen. Who wants to
 * write waits until our lease is given back, for milliseconds.
 */
static int keep_writers_out(int file)
{
    if (fcntl(file, F_SETSIG, SIGURG) < 0)
        return 0;
    if (fcntl(file, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN)
        return -EAGAIN;
    return 0;
}

static int make_memory(const char *name)
{
    char shown[64];
    int memory;

    snprintf(shown, sizeof(shown), "vine-library-%s", name);
    memory = memfd_create(shown, MFD_CLOEXEC | MFD_ALLOW_SEALING | LIBRARY_MFD_EXEC);
    if (memory < 0 && errno == EINVAL)
        memory = memfd_create(shown, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return memory < 0 ? -errno : memory;
}

static int copy_bytes(int file, int memory, uint64_t size_bytes)
{
    uint64_t done = 0;

    while (done < size_bytes) {
        uint8_t piece[65536];
        const ssize_t got = pread(file, piece, sizeof(piece), (off_t)done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0 || done + (uint64_t)got > size_bytes)
            return -EAGAIN; /* it has another size by now */
        for (ssize_t written = 0; written < got;) {
            const ssize_t wrote = write(memory, piece + written, (size_t)(got - written));

            if (wrote < 0 && errno != EINTR)
                return -errno;
            if (wrote > 0)
                written += wrote;
        }
        done += (uint64_t)got;
    }
    return 0;
}

static bool lies_within(uint64_t offset, uint64_t size, uint64_t limit)
{
    return offset <= limit && size <= limit - offset;
}

/* Whether all of a shared object is there. The loader maps what the headers say: where the file
 * ends before, the first touch would kill the process. */
static bool is_whole(int memory, uint64_t size_bytes)
{
    Elf64_Ehdr header;

    if (pread(memory, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
        return false;
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr))
        return false;
    if (!lies_within(header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize, size_bytes))
        return false;
    for (unsigned index = 0; index < header.e_phnum; index++) {
        Elf64_Phdr part;
        const uint64_t at = (uint64_t)index * sizeof(part);

        if (!lies_within(header.e_phoff, at + sizeof(part), size_bytes) ||
            pread(memory, &part, sizeof(part), (off_t)(header.e_phoff + at)) !=
                (ssize_t)sizeof(part))
            return false;
        if (!lies_within(part.p_offset, part.p_filesz, size_bytes))
            return false;
    }
    return true;
}

/* The copy of what is open as `file`. As library_copy. */
static int copy_file(int file, const char *name, const struct library_identity *identity,
                     int *ret_copy, char reason[LIBRARY_REASON_BYTES])
{
    struct library_identity after;
    struct stat status;
    const int memory = make_memory(name);
    int error;

    if (memory < 0) {
        snprintf(reason, LIBRARY_REASON_BYTES, "no memory for a copy: %s", strerror(-memory));
        return memory;
    }
    error = copy_bytes(file, memory, identity->size_bytes);
    if (error == 0 && fstat(file, &status) < 0)
        error = -errno;
    if (error == 0) {
        after = identity_of(&status);
        if (!library_is_same(identity, &after))
            error = -EAGAIN;
    }
    if (error == 0 && fcntl(memory, F_ADD_SEALS, LIBRARY_SEALS) < 0)
        error = -errno;
    if (error < 0) {
        snprintf(reason, LIBRARY_REASON_BYTES, "it cannot be copied: %s", strerror(-error));
    } else if (!is_whole(memory, identity->size_bytes)) {
        snprintf(reason, LIBRARY_REASON_BYTES, "it is no shared object, or not all of one");
        error = -ENOEXEC;
    }
    if (error < 0) {
        close(memory);
        return error;
    }
    *ret_copy = memory;
    return 0;
}

int library_copy(int directory, const char *name, const struct library_identity *seen,
                 struct library_identity *ret_identity, int *ret_copy,
                 char reason[LIBRARY_REASON_BYTES])
{
    struct stat status;
    int error = 0;
    /* Not to wait for the other end of a fifo. */
    const int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (file < 0 || fstat(file, &status) < 0) {
        error = -errno;
        snprintf(reason, LIBRARY_REASON_BYTES, "it cannot be read: %s", strerror(-error));
        if (file >= 0)
            close(file);
        return error;
    }
    *ret_identity = identity_of(&status);
    if (library_is_same(ret_identity, seen)) {
        error = -EALREADY;
    } else if (!S_ISREG(status.st_mode)) {
        snprintf(reason, LIBRARY_REASON_BYTES, "it is no regular file");
        error = -ENOEXEC;
    } else if (!library_is_ours(&status, reason)) {
        error = -EPERM;
    } else if (ret_identity->size_bytes > VINE_LIBRARY_BYTES_MAX) {
        snprintf(reason, LIBRARY_REASON_BYTES, "it is larger than %llu MiB",
                 VINE_LIBRARY_BYTES_MAX >> 20);
        error = -EFBIG;
    } else {
        error = keep_writers_out(file);
    }
    if (error == 0)
        error = copy_file(file, name, ret_identity, ret_copy, reason);
    close(file); /* and the lease with it */
    return error;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A procedure that looks for a key with all that an appliance's process can do: `steal`, whose
 * input is the key's bytes, each with THIEF_MASK, so that they are not themselves what is found;
 * then the file of the key and a line's end. Its result is two words: which ways went well, and how
 * many processes of vine-keys there are. `wander`: the same, of a secret of its own. `steal_inside`
 * and `wander_inside` do so in a micro-process, if they are to be run by reactors.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/coroutine.h>
#include <vine/error.h>
#include <vine/handler.h>
#include <vine/procedure.h>

#define THIEF_MASK 0x5a
#define KEY_BYTES  32
#define BLOCK      (1 << 20)

enum {
    FOUND_IN_MEMORY = 1, /* of this process, in all that it maps */
    FOUND_IN_FILE = 2,   /* by its path, or that of another process's root or descriptors */
    FOUND_BY_MEM = 4,    /* /proc/PID/mem of vine-keys opens */
    FOUND_BY_READV = 8,  /* process_vm_readv reads anything there */
    FOUND_BY_TRACE = 16, /* it lets itself be traced */
    FOUND_BY_FD = 32,    /* its descriptors can be had, or what they are */
};

struct hunt {
    const uint8_t *masked;
    char file[4096];
    uint64_t found;
    uint64_t processes;
    uintptr_t there; /* some address in the other process */
};

static uint8_t block[BLOCK + KEY_BYTES];

/* Seen from outside, so that no compiler leaves it out. */
uint8_t thief_secret[KEY_BYTES];

static int holds_key(const struct hunt *hunt, const uint8_t *bytes, size_t size)
{
    const uint8_t *end = bytes + size, *at = bytes;

    while (at + KEY_BYTES <= end &&
           (at = memchr(at, hunt->masked[0] ^ THIEF_MASK, (size_t)(end - at))) != NULL) {
        size_t i = 0;

        while (i < KEY_BYTES && at + i < end && (uint8_t)(at[i] ^ THIEF_MASK) == hunt->masked[i])
            i++;
        if (i == KEY_BYTES)
            return 1;
        at++;
    }
    return 0;
}

/* What nobody has touched is not there to be read: a core's memory is mapped as a whole. */
static int is_there(unsigned long at, size_t size)
{
    unsigned char pages[BLOCK / 4096 + 1];

    if (mincore((void *)at, size < BLOCK ? size : BLOCK, pages) != 0)
        return 1;
    for (size_t i = 0; i < (size < BLOCK ? size : BLOCK) / 4096; i++)
        if ((pages[i] & 1) != 0)
            return 1;
    return 0;
}

/* All that this process maps and can read, by way of /proc, so that nothing faults. What is read
 * lies in `block`, where it is not to be found again. */
static void hunt_in_memory(struct hunt *hunt)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    const int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[4400];

    while (maps != NULL && mem >= 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long begin, end;
        char rights[8];

        if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) != 3 || rights[0] != 'r')
            continue;
        if (end - begin > 1UL << 38)
            continue; /* a sanitizer's own */
        for (unsigned long at = begin; at < end; at += BLOCK) {
            const unsigned long left = end - at;
            const size_t size = left < sizeof block ? left : sizeof block;
            const unsigned long own = (unsigned long)(uintptr_t)block;

            if (end - begin > 1UL << 28 && !is_there(at, left))
                continue;
            if (at < own + sizeof block && own < at + size) {
                /* In parts, around it. */
                for (unsigned long part = at; part < at + size; part += 64) {
                    uint8_t few[64 + KEY_BYTES];

                    if ((part >= own && part < own + sizeof block) ||
                        pread(mem, few, sizeof few, (off_t)part) <= 0)
                        continue;
                    if (holds_key(hunt, few, sizeof few))
                        hunt->found |= FOUND_IN_MEMORY;
                }
                continue;
            }

            const ssize_t got = pread(mem, block, size, (off_t)at);

            if (got > 0 && holds_key(hunt, block, (size_t)got))
                hunt->found |= FOUND_IN_MEMORY;
        }
        memset(block, 0, sizeof block);
    }
    if (maps != NULL)
        fclose(maps);
    if (mem >= 0)
        close(mem);
}

static void try_file(struct hunt *hunt, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    hunt->found |= FOUND_IN_FILE;
    close(fd);
}

static void try_process(struct hunt *hunt, pid_t pid)
{
    char path[8192], text[4096];
    struct iovec here = {text, 64}, there = {(void *)hunt->there, 64};
    int status;

    hunt->processes++;
    errno = 0;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        hunt->found |= FOUND_BY_MEM;
        close(fd);
    }
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, hunt->file);
    try_file(hunt, path);
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    for (int number = 0; fd >= 0 && number < 16; number++) {
        const int had = (int)syscall(SYS_pidfd_getfd, fd, number, 0);

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, number);
        if (readlink(path, text, sizeof text) > 0)
            hunt->found |= FOUND_BY_FD;
        if (had >= 0) {
            hunt->found |= FOUND_BY_FD;
            close(had);
        }
    }
    if (fd >= 0)
        close(fd);
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) > 0 || errno == EFAULT)
        hunt->found |= FOUND_BY_READV;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) {
        hunt->found |= FOUND_BY_TRACE;
        if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0)
            (void)waitpid(pid, &status, __WALL);
        (void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
    }
}

static int is_of_keys(const char *pid)
{
    char path[300], name[32] = "";
    FILE *comm;

    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    comm = fopen(path, "re");
    if (comm == NULL)
        return 0;
    (void)!fgets(name, sizeof name, comm);
    fclose(comm);
    return strcmp(name, "vine-keys\n") == 0;
}

static void hunt_in_processes(struct hunt *hunt)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_of_keys(entry->d_name))
            try_process(hunt, (pid_t)atoi(entry->d_name));
    if (folder != NULL)
        closedir(folder);
}

static void hunt_in_files(struct hunt *hunt)
{
    char path[8192];

    try_file(hunt, hunt->file);
    snprintf(path, sizeof path, "/proc/self/root%s", hunt->file);
    try_file(hunt, path);
    snprintf(path, sizeof path, "/proc/1/root%s", hunt->file);
    try_file(hunt, path);
}

/* Not inlined: a coroutine has no locals, and its functions have a stack. */
static __attribute__((noinline)) int try_all(const char *input, size_t size, uint64_t result[2])
{
    struct hunt hunt = {.masked = (const uint8_t *)input, .there = (uintptr_t)&hunt};

    if (size < KEY_BYTES + 2 || size > sizeof hunt.file)
        return -VINE_EDATA;
    memcpy(hunt.file, input + KEY_BYTES, size - KEY_BYTES - 1);
    hunt_in_memory(&hunt);
    hunt_in_files(&hunt);
    hunt_in_processes(&hunt);
    result[0] = hunt.found;
    result[1] = hunt.processes;
    return 0;
}

/* What the one above has to find, if it can find anything. */
static __attribute__((noinline)) void find_own(uint64_t result[2])
{
    static uint8_t masked[KEY_BYTES];
    struct hunt hunt = {.masked = masked};

    for (unsigned i = 0; i < KEY_BYTES; i++) {
        thief_secret[i] = (uint8_t)(7 * i + 1);
        masked[i] = thief_secret[i] ^ THIEF_MASK;
    }
    hunt_in_memory(&hunt);
    result[0] = hunt.found;
    result[1] = 0;
}

static int steal(struct vine_call *call)
{
    size_t size;
    const char *input = vine_call_bytes(call, 0, &size);
    uint64_t result[2];
    const int error = try_all(input, size, result);

    return error != 0 ? error : vine_call_result(call, result, sizeof result);
}

static int wander(struct vine_call *call)
{
    uint64_t result[2];

    find_own(result);
    return vine_call_result(call, result, sizeof result);
}

VINE_COROUTINE(steal_inside)
{
    struct {
        char input[4096];
        ssize_t length;
        uint64_t result[2];
    } *self;

    vine_begin();
    vine_read_all(self->length, self->input, sizeof self->input);
    if (try_all(self->input, (size_t)self->length, self->result) != 0)
        vine_raise(-VINE_EDATA);
    vine_write(self->result, sizeof self->result);
    vine_end();
}

VINE_COROUTINE(wander_inside)
{
    struct {
        uint64_t result[2];
    } *self;

    vine_begin();
    find_own(self->result);
    vine_write(self->result, sizeof self->result);
    vine_end();
}

static const struct vine_argument arguments[] = {
    {.name = "what", .kind = VINE_INPUT, .data_type = VINE_TYPE_BYTES, .max = 4096},
    {.name = "found", .kind = VINE_RESULT, .max = 16},
};

VINE_PROCEDURE(steal, .run = steal, .arguments = arguments, .argument_count = 2);
VINE_PROCEDURE(wander, .run = wander, .arguments = arguments, .argument_count = 2);
VINE_PROCEDURE(steal_inside, .coroutine = VINE_COROUTINE_OF(steal_inside), .arguments = arguments,
               .argument_count = 2);
VINE_PROCEDURE(wander_inside, .coroutine = VINE_COROUTINE_OF(wander_inside), .arguments = arguments,
               .argument_count = 2);

VINE_PROCEDURE_LIBRARY();

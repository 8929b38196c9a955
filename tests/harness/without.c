/* SPDX-License-Identifier: Apache-2.0 */
/*
 * without [--denied] NAME... -- COMMAND...: run a command as on a kernel that lacks what is named.
 *
 * A seccomp filter answers in the kernel's place, in this process and all that come of it: with
 * ENOSYS, or EINVAL where a call is there and does not know a flag; with --denied, EPERM for what
 * would be ENOSYS, as filters of containers do that are older than a call. Exits 77 where there are
 * no filters.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define PEERPIDFD   77             /* newer than the headers of Debian 12 */
#define MEMFD_KNOWN (1u | 2u | 4u) /* CLOEXEC, ALLOW_SEALING, HUGETLB */

enum test {
    ANY,      /* the call itself is not there */
    IS,       /* the argument has this value */
    HAS_BITS, /* or one of these bits */
};

struct lack {
    const char *name;
    uint32_t number;
    uint32_t error;
    struct {
        uint32_t argument;
        enum test test;
        uint32_t value;
    } tests[2]; /* all of them */
};

static const struct lack lacks[] = {
    {"io_uring", SYS_io_uring_setup, ENOSYS, {{.test = ANY}}},
    {"io_uring_memory", SYS_io_uring_setup, ENOMEM, {{.test = ANY}}},
    {"pidfd", SYS_pidfd_open, ENOSYS, {{.test = ANY}}},
    {"peerpidfd", SYS_getsockopt, ENOPROTOOPT, {{1, IS, 1}, {2, IS, PEERPIDFD}}},
    {"membarrier", SYS_membarrier, ENOSYS, {{.test = ANY}}},
    {"memfd", SYS_memfd_create, ENOSYS, {{.test = ANY}}},
    {"memfd_flags", SYS_memfd_create, EINVAL, {{1, HAS_BITS, ~MEMFD_KNOWN}}},
    {"seal_future_write", SYS_fcntl, EINVAL, {{1, IS, 1033}, {2, HAS_BITS, 0x10}}},
    {"populate", SYS_madvise, EINVAL, {{2, IS, 22}}},
    {"populate", SYS_madvise, EINVAL, {{2, IS, 23}}},
};

#define LACKS (sizeof lacks / sizeof lacks[0])

/* Room for the start, for six instructions a lack, and for the end. */
static struct sock_filter program[3 + LACKS * 6 + 1];
static unsigned short length;

static void add(uint32_t code, uint32_t value, uint32_t if_true, uint32_t if_false)
{
    program[length++] = (struct sock_filter){
        .code = (uint16_t)code, .k = value, .jt = (uint8_t)if_true, .jf = (uint8_t)if_false};
}

static void load(size_t offset)
{
    add(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void add_lack(const struct lack *lack, bool is_denied)
{
    uint32_t tests = 0;

    while (tests < 2 && lack->tests[tests].test != ANY)
        tests++;

    /* Behind this lack: each test is two instructions, and the answer one. */
    load(offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, lack->number, 0, 2 * tests + 1);
    for (uint32_t i = 0; i < tests; i++) {
        const uint32_t operation = lack->tests[i].test == IS ? BPF_JEQ : BPF_JSET;

        /* The low half: little-endian. */
        load(offsetof(struct seccomp_data, args) + 8 * lack->tests[i].argument);
        add(BPF_JMP | operation | BPF_K, lack->tests[i].value, 0, 2 * (tests - i - 1) + 1);
    }
    add(BPF_RET | BPF_K,
        SECCOMP_RET_ERRNO | (is_denied && lack->error == ENOSYS ? (uint32_t)EPERM : lack->error), 0,
        0);
}

static bool add_named(const char *name, bool is_denied)
{
    bool is_known = false;

    for (size_t i = 0; i < LACKS; i++)
        if (strcmp(lacks[i].name, name) == 0) {
            add_lack(&lacks[i], is_denied);
            is_known = true;
        }
    return is_known;
}

int main(int argument_count, char **arguments)
{
    const bool is_denied = argument_count > 1 && strcmp(arguments[1], "--denied") == 0;
    int at = is_denied ? 2 : 1;

    load(offsetof(struct seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    for (; at < argument_count && strcmp(arguments[at], "--") != 0; at++)
        if ((size_t)length + 6 >= sizeof program / sizeof program[0] ||
            !add_named(arguments[at], is_denied)) {
            (void)fprintf(stderr, "without: %s?\n", arguments[at]);
            return 2;
        }
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    if (at + 1 >= argument_count) {
        (void)fprintf(stderr, "without [--denied] NAME... -- COMMAND...\n");
        return 2;
    }

    const struct sock_fprog filter = {.len = length, .filter = program};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        (void)fprintf(stderr, "without: no filters here: %s\n", strerror(errno));
        return 77;
    }
    (void)execvp(arguments[at + 1], arguments + at + 1);
    (void)fprintf(stderr, "without: %s: %s\n", arguments[at + 1], strerror(errno));
    return 127;
}

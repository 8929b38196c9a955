/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

/* Those of the first version; later ones are asked for by number, since headers may be older. */
#define FILES_1   0x1fffULL /* execute, write, read, list, remove, make */
#define REFER_2   0x2000ULL
#define CUT_3     0x4000ULL
#define DEVICES_5 0x8000ULL
#define TCP_4     0x3ULL

/* What the fourth version of the interface asks for; earlier kernels are given less of it. */
struct rules {
    uint64_t files;
    uint64_t network;
};

int confine_memory(void)
{
    const struct rlimit none = {0, 0};

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0)
        return -errno;
    return 0;
}

/* Who connects is looked up there, where the kernel has no better way. Without it we do without. */
static void allow_proc(int rules_fd)
{
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
        .parent_fd = open("/proc", O_PATH | O_CLOEXEC),
    };

    if (beneath.parent_fd < 0)
        return;
    (void)syscall(SYS_landlock_add_rule, rules_fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    close(beneath.parent_fd);
}

int confine_reach(void)
{
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct rules rules = {.files = FILES_1};

    if (version < 1)
        return -EOPNOTSUPP;
    rules.files |=
        (version >= 2 ? REFER_2 : 0) | (version >= 3 ? CUT_3 : 0) | (version >= 5 ? DEVICES_5 : 0);
    rules.network = version >= 4 ? TCP_4 : 0;

    const size_t size = version >= 4 ? sizeof(rules) : sizeof(rules.files);
    const int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);

    if (fd < 0)
        return -errno;
    allow_proc(fd);

    const int error = syscall(SYS_landlock_restrict_self, fd, 0) == 0 ? 0 : -errno;

    close(fd);
    return error;
}

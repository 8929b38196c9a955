/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/group.h"

#include "utils/name.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define GROUPS_FOLDER "/sys/fs/cgroup"
#define MOVES_MAX     4096

struct vine__groups {
    int fd; /* the folder of the delegated group */
};

static const char *const controllers[] = {"memory", "cpu", "pids"};

/* ---- files ----------------------------------------------------------------------------------- */

static int write_text(int folder_fd, const char *name, const char *text)
{
    const int fd = openat(folder_fd, name, O_WRONLY | O_CLOEXEC);
    int error = 0;

    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        error = -errno;
    (void)close(fd);
    return error;
}

/* The group of this process, of version 2: "/..." without a slash at its end but for the root's. */
static int find_own(const char *root, char *ret_path, size_t size)
{
    char path[4200];
    char line[4200];
    int error = -EOPNOTSUPP;

    (void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *const file = fopen(path, "re");

    while (file != NULL && error != 0 && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::/", 4) != 0 || strstr(line, "/..") != NULL)
            continue;
        if ((size_t)snprintf(ret_path, size, "%s", line + 3) < size)
            error = 0;
    }
    if (file != NULL)
        (void)fclose(file);
    return error;
}

static bool says_delegated(int fd)
{
    static const char *const names[] = {"user.delegate", "trusted.delegate"};
    char value[2];

    for (int i = 0; i < 2; i++)
        if (fgetxattr(fd, names[i], value, sizeof(value)) == 1 && value[0] == '1')
            return true;
    return false;
}

/* ---- what is delegated ----------------------------------------------------------------------- */

/* Open the folder that groups are made in, which is one above ours if ours was made for that.
 * `*ret_is_root`: it is the root of what can be seen. */
static int open_folder(const char *root, int *ret_fd, bool *ret_is_root, char *why, size_t why_size)
{
    char group[4096];
    char path[8300];
    struct statfs system;
    int error = find_own(root, group, sizeof(group));

    if (error != 0) {
        (void)snprintf(why, why_size, "there are no control groups of version 2");
        return error;
    }
    char *const last = strrchr(group, '/');

    if (strcmp(last, "/" VINE__GROUP_OWN) == 0)
        last[last == group ? 1 : 0] = '\0';
    (void)snprintf(path, sizeof(path), "%s" GROUPS_FOLDER "%s", root, group);
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* Tests have a folder in place of it. */
    if (fd < 0 ||
        (root[0] == '\0' && (fstatfs(fd, &system) != 0 || system.f_type != CGROUP2_SUPER_MAGIC))) {
        (void)snprintf(why, why_size, "control groups of version 2 are not at " GROUPS_FOLDER);
        error = -EOPNOTSUPP;
    }
    *ret_is_root = strcmp(group, "/") == 0;
    if (error == 0 &&
        (faccessat(fd, ".", W_OK, AT_EACCESS) != 0 || (!*ret_is_root && !says_delegated(fd)))) {
        (void)snprintf(why, why_size, "control group %.128s was not delegated to this program",
                       group);
        error = -EOPNOTSUPP;
    }
    if (error == 0)
        *ret_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    return error;
}

/* A group with processes gives its own no controllers: all of them go one down. */
static int move_down(int fd)
{
    char pid[32];
    int error = mkdirat(fd, VINE__GROUP_OWN, 0755) == 0 || errno == EEXIST ? 0 : -errno;

    for (int i = 0; i < MOVES_MAX && error == 0; i++) {
        const int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        const ssize_t size = procs >= 0 ? read(procs, pid, sizeof(pid) - 1) : -1;

        if (procs >= 0)
            (void)close(procs);
        if (size <= 0)
            return size == 0 ? 0 : -EIO;
        pid[size] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        error = write_text(fd, VINE__GROUP_OWN "/cgroup.procs", pid);
        if (error == -ESRCH)
            error = 0; /* it has ended */
    }
    return error != 0 ? error : -EBUSY;
}

int vine__groups_open(const char *root, struct vine__groups **ret_groups, char *why,
                      size_t why_size)
{
    struct vine__groups *const groups = calloc(1, sizeof(*groups));
    bool is_root = false;
    size_t length = 0;
    int error;

    if (why_size > 0)
        why[0] = '\0';
    if (groups == NULL)
        return -ENOMEM;
    groups->fd = -1;
    error = open_folder(root, &groups->fd, &is_root, why, why_size);
    if (error == 0 && !is_root) {
        error = move_down(groups->fd);
        if (error != 0)
            (void)snprintf(why, why_size, "this process cannot move within its control group: %s",
                           vine_error_text(error));
    }
    if (error != 0) {
        vine__groups_close(groups);
        return error;
    }
    for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "+%s", controllers[i]);
        if (write_text(groups->fd, "cgroup.subtree_control", text) == 0 || length >= why_size)
            continue;
        length += (size_t)snprintf(why + length, why_size - length, "%s%s",
                                   length == 0 ? "control groups do not limit here: " : ", ",
                                   controllers[i]);
    }
    *ret_groups = groups;
    return 0;
}

void vine__groups_close(struct vine__groups *groups)
{
    if (groups == NULL)
        return;
    if (groups->fd >= 0)
        (void)close(groups->fd);
    free(groups);
}

/* ---- a group --------------------------------------------------------------------------------- */

static bool name_group(const char *name, char ret_folder[48])
{
    return vine__is_name(name, 33) && snprintf(ret_folder, 48, "vm.%s", name) < 48;
}

/* Not limited is said too: the group may be one that was left. */
static int limit(int fd, const char *name, uint64_t value, const char *unit, const char *none)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%llu%s", (unsigned long long)value, unit);
    const int error = write_text(fd, name, value != 0 ? text : none);

    return error == -ENOENT ? 0 : error;
}

static int set_limits(int fd, const struct vine__group_limits *limits)
{
    int error = limit(fd, "memory.max", limits->memory_bytes, "", "max");

    if (error == 0)
        error = limit(fd, "cpu.max", (uint64_t)limits->cpu_percent * 1000, " 100000", "max");
    if (error == 0)
        error = limit(fd, "cpu.weight", limits->cpu_weight, "", "100");
    if (error == 0)
        error = limit(fd, "pids.max", limits->task_count, "", "max");
    return error;
}

int vine__group_make(struct vine__groups *groups, const char *name,
                     const struct vine__group_limits *limits, int *ret_fd)
{
    char folder[48];
    int error;

    if (!name_group(name, folder))
        return -EINVAL;
    if (mkdirat(groups->fd, folder, 0755) != 0 && errno != EEXIST)
        return -errno;
    const int fd = openat(groups->fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    error = set_limits(fd, limits);
    if (error == 0) {
        *ret_fd = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        error = *ret_fd >= 0 ? 0 : -errno;
    }
    (void)close(fd);
    if (error != 0)
        vine__group_remove(groups, name);
    return error;
}

void vine__group_remove(struct vine__groups *groups, const char *name)
{
    char folder[48];

    if (name_group(name, folder))
        (void)unlinkat(groups->fd, folder, AT_REMOVEDIR);
}

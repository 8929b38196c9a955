/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/group.h"

#include "utils/name.h"
#include "utils/tables.h"

#include <vine/error.h>

#include <dirent.h>
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
#define MACHINE       "vm." /* and its name: the group of a machine */
#define MOVES_MAX     4096

struct vine__groups {
    int fd; /* the folder of the delegated group */
};

static const char *const controllers[] = {"+memory", "+cpu", "+pids"};

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

/* Open the folder that groups are made in, which is one above ours if ours was made for that. */
static int open_folder(const char *root, int *ret_fd, char *why, size_t why_size)
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
    if (error == 0 && (faccessat(fd, ".", W_OK, AT_EACCESS) != 0 ||
                       (strcmp(group, "/") != 0 && !says_delegated(fd)))) {
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

/* A group with processes gives its own no controllers: all of them go one down. The first of all
 * groups alone may have both, and it has no events; that of a container is the first that can be
 * seen there, and a group like any other. */
static int move_down(int fd)
{
    char pid[32];
    int error;

    if (faccessat(fd, "cgroup.events", F_OK, 0) != 0)
        return 0;
    error = mkdirat(fd, VINE__GROUP_OWN, 0755) == 0 || errno == EEXIST ? 0 : -errno;

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

/* Groups of machines that ended when nobody was there. One with processes stays: the kernel sees to
 * that. */
static void remove_left(int fd)
{
    const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *const folder = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    if (folder == NULL && copy >= 0)
        (void)close(copy);
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strncmp(entry->d_name, MACHINE, strlen(MACHINE)) == 0)
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    if (folder != NULL)
        (void)closedir(folder);
}

int vine__groups_open(const char *root, struct vine__groups **ret_groups, char *why,
                      size_t why_size)
{
    struct vine__groups *const groups = calloc(1, sizeof(*groups));
    int error;

    if (why_size > 0)
        why[0] = '\0';
    if (groups == NULL)
        return -ENOMEM;
    groups->fd = -1;
    error = open_folder(root, &groups->fd, why, why_size);
    if (error == 0) {
        error = move_down(groups->fd);
        if (error != 0)
            (void)snprintf(why, why_size, "this process cannot move within its control group: %s",
                           vine_error_text(error));
    }
    if (error != 0) {
        vine__groups_close(groups);
        return error;
    }
    remove_left(groups->fd);
    /* One by one: what is not to be had keeps none of the others away. */
    for (size_t i = 0; i < VINE_ARRAY_COUNT(controllers); i++)
        (void)!write_text(groups->fd, "cgroup.subtree_control", controllers[i]);
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
    return vine__is_name(name, 33) && snprintf(ret_folder, 48, MACHINE "%s", name) < 48;
}

/* Not limited is said too: the group may be one that was left. */
static int set_limits(int fd, const struct vine__group_limits *limits, char *why, size_t why_size)
{
    const struct {
        const char *name;
        uint64_t value;
        const char *unit, *none;
    } all[] = {
        {"memory.max", limits->memory_bytes, "", "max"},
        {"cpu.max", (uint64_t)limits->cpu_percent * 1000, " 100000", "max"},
        {"cpu.weight", limits->cpu_weight, "", "100"},
        {"pids.max", limits->task_count, "", "max"},
    };
    char text[64];
    size_t length = 0;

    for (size_t i = 0; i < VINE_ARRAY_COUNT(all); i++) {
        (void)snprintf(text, sizeof(text), "%llu%s", (unsigned long long)all[i].value, all[i].unit);
        const int error = write_text(fd, all[i].name, all[i].value != 0 ? text : all[i].none);

        if (error != 0 && error != -ENOENT)
            return error;
        if (error != 0 && all[i].value != 0 && length < why_size)
            length +=
                (size_t)snprintf(why + length, why_size - length, "%s%s",
                                 length == 0 ? "its control group has no " : ", ", all[i].name);
    }
    return 0;
}

int vine__group_make(struct vine__groups *groups, const char *name,
                     const struct vine__group_limits *limits, int *ret_fd, char *why,
                     size_t why_size)
{
    char folder[48];
    int error;

    if (why_size > 0)
        why[0] = '\0';
    if (!name_group(name, folder))
        return -EINVAL;
    /* What it counted of another machine goes with it, if that is over. */
    (void)unlinkat(groups->fd, folder, AT_REMOVEDIR);
    if (mkdirat(groups->fd, folder, 0755) != 0 && errno != EEXIST)
        return -errno;
    const int fd = openat(groups->fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    error = set_limits(fd, limits, why, why_size);
    if (error == 0) {
        *ret_fd = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        error = *ret_fd >= 0 ? 0 : -errno;
    }
    (void)close(fd);
    if (error != 0)
        vine__group_remove(groups, name);
    return error;
}

/* A counter of the group's events of memory; 0 also if there are none. */
static unsigned long count_of(const char *events, const char *name)
{
    const char *const at = strstr(events, name);

    return at != NULL ? strtoul(at + strlen(name), NULL, 10) : 0;
}

const char *vine__group_lack(struct vine__groups *groups, const char *name)
{
    char folder[48], path[80], events[512];

    if (!name_group(name, folder))
        return NULL;
    (void)snprintf(path, sizeof(path), "%s/memory.events", folder);
    const int fd = openat(groups->fd, path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd >= 0 ? read(fd, events, sizeof(events) - 1) : -1;

    if (fd >= 0)
        (void)close(fd);
    events[size > 0 ? size : 0] = '\0';
    if (count_of(events, "oom_kill ") == 0)
        return NULL;
    return count_of(events, "oom ") != 0 ? "it took more memory than its limit"
                                         : "the host had no memory left for it";
}

void vine__group_remove(struct vine__groups *groups, const char *name)
{
    char folder[48];

    if (name_group(name, folder))
        (void)unlinkat(groups->fd, folder, AT_REMOVEDIR);
}

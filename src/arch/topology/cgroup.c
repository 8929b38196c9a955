/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the groups allow that this process is in: cgroup v2, and of v1, which may be there beside
 * it, the tree that limits memory. See topology.h.
 *
 * A limit of any group above counts as well, so the way goes up to where the tree is mounted; what
 * lies above that cannot be seen, as in a container, and need not be: its files show what came of
 * it. Of processors the closest group that says anything has the answer for all above it.
 */
#include "arch/topology/topology_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/config.h"

/* A tree of groups, as it is called in files of the kernel. */
struct tree {
    const char *controller; /* v1: which; "": v2 */
    const char *type;       /* in mountinfo */
};

static const struct tree unified = {.controller = "", .type = "cgroup2"};
static const struct tree v1_memory = {.controller = "memory", .type = "cgroup"};

/* Whether `word` is one of `list`, "a,b,c", which ends where `ends` has one of its bytes. */
static bool is_among(const char *list, const char *ends, const char *word)
{
    const size_t length = strlen(word);

    for (;;) {
        const size_t next = strcspn(list, ends);

        if (next == length && memcmp(list, word, length) == 0)
            return true;
        if (list[next] != ',')
            return false;
        list += next + 1;
    }
}

/* The path in /proc/self/cgroup, whose lines are ID:CONTROLLERS:PATH; cuts it off in place. NULL:
 * there is none. */
static char *find_own_path(const struct tree *tree, char *text)
{
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';

        char *const list = line + strspn(line, "0123456789");

        if (list == line || *list != ':' || !is_among(list + 1, ",:\n", tree->controller))
            continue;
        line = list + 1 + strcspn(list + 1, ":\n");
        if (*line != ':')
            continue;
        line++;
        line[strcspn(line, "\n")] = '\0';
        return line;
    }
    return NULL;
}

/* Names in mountinfo have blanks and backslashes as three octal digits. In place. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0';) {
        if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
            at[3] >= '0' && at[3] <= '7') {
            *to++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 4;
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
}

/* Whether "TYPE SOURCE OPTIONS" is the tree's. Of v1 the options say which controllers it has. */
static bool is_of(const struct tree *tree, const char *mount)
{
    const size_t length = strlen(tree->type);
    const char *options;

    if (strncmp(mount, tree->type, length) != 0 || mount[length] != ' ')
        return false;
    options = strrchr(mount, ' ') + 1;
    return tree->controller[0] == '\0' || is_among(options, ", \n", tree->controller);
}

/* Which part of the tree is mounted where. `text` is mountinfo, which is cut in place:
 * ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE OPTIONS */
static bool find_mount(const struct tree *tree, char *text, char **ret_root, char **ret_point)
{
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *words = NULL, *fields[5];
        char *const behind = strstr(line, " - ");
        uint32_t count = 0;

        if (behind == NULL || !is_of(tree, behind + 3))
            continue;
        for (char *word = strtok_r(line, " ", &words); word != NULL && count < 5;
             word = strtok_r(NULL, " ", &words))
            fields[count++] = word;
        if (count < 5)
            continue;
        unescape(fields[3]);
        unescape(fields[4]);
        *ret_root = fields[3];
        *ret_point = fields[4];
        return true;
    }
    return false;
}

/* What of a path lies below a root; "": all of it is hidden, or they are the same. */
static const char *below(const char *path, const char *root)
{
    const size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return "";
    path += length;
    return strstr(path, "/..") != NULL || strcmp(path, "/") == 0 ? "" : path;
}

/* Where this process stands, as a path, and how much of it is the mount's. */
static bool find_group(const struct tree *tree, const char *root, char *scratch,
                       char ret_group[PATH_MAX], size_t *ret_top_length)
{
    char own[PATH_MAX];
    char *path, *mounted, *point;

    if (vine__proc_read(root, "/proc/self/cgroup", scratch, VINE__PROC_FILE_BYTES) < 0)
        return false;
    path = find_own_path(tree, scratch);
    if (path == NULL || path[0] != '/' || strlen(path) >= sizeof(own))
        return false;
    memcpy(own, path, strlen(path) + 1);
    if (vine__proc_read(root, "/proc/self/mountinfo", scratch, VINE__PROC_FILE_BYTES) < 0 ||
        !find_mount(tree, scratch, &mounted, &point) || point[0] != '/')
        return false;
    *ret_top_length = strcmp(point, "/") == 0 ? 0 : strlen(point);

    const int length = snprintf(ret_group, PATH_MAX, "%s%s", *ret_top_length == 0 ? "" : point,
                                below(own, mounted));

    return length >= 0 && length < PATH_MAX;
}

static bool read_of(const char *root, const char *group, const char *name, char *ret_text,
                    char ret_source[PATH_MAX])
{
    const int length = snprintf(ret_source, PATH_MAX, "%s/%s", group, name);

    return length >= 0 && length < PATH_MAX &&
           vine__proc_read(root, ret_source, ret_text, VINE__PROC_FILE_BYTES) >= 0;
}

static void add_time_limit(struct vine__topology *topology, char *text, const char *source)
{
    char *const gap = strchr(text, ' ');
    uint64_t quota, period;

    if (gap == NULL)
        return;
    *gap = '\0';
    /* "max" is no number: no limit. */
    if (vine__parse_unsigned(text, &quota) == 0 && vine__parse_unsigned(gap + 1, &period) == 0 &&
        period > 0 && quota <= UINT64_MAX / 1000)
        vine__topology_add_fact(topology, VINE__FACT_TIME_LIMIT, quota * 1000 / period, source);
}

/* Cut off the last part of a group's path. Returns false: there is none above. */
static bool go_up(char *group, size_t top_length)
{
    char *const slash = strrchr(group, '/');

    if (slash == NULL || (size_t)(slash - group) < top_length)
        return false;
    *slash = '\0';
    return true;
}

static void add_memory_limit(struct vine__topology *topology, const char *text, const char *source)
{
    uint64_t bytes;

    /* "max" is no number; v1 has one so large that nobody has as much, less what makes whole pages
     * of it. */
    if (vine__parse_unsigned(text, &bytes) == 0 && bytes < UINT64_C(1) << 62)
        vine__topology_add_fact(topology, VINE__FACT_MEMORY_LIMIT, bytes, source);
}

static void find_v1_memory(struct vine__topology *topology, const char *root, char *scratch)
{
    char group[PATH_MAX], source[PATH_MAX];
    size_t top_length;

    if (!find_group(&v1_memory, root, scratch, group, &top_length))
        return;
    do
        if (read_of(root, group, "memory.limit_in_bytes", scratch, source))
            add_memory_limit(topology, scratch, source);
    while (go_up(group, top_length));
}

static void find_unified(struct vine__topology *topology, const char *root, char *scratch)
{
    struct vine__cpus_fact *const cpus = &topology->group;
    char group[PATH_MAX], source[PATH_MAX];
    size_t top_length;

    if (!find_group(&unified, root, scratch, group, &top_length))
        return;
    do {
        if (!cpus->is_known && read_of(root, group, "cpuset.cpus.effective", scratch, source) &&
            scratch[0] != '\0' && vine__cpus_parse(scratch, &cpus->cpus) == 0) {
            cpus->is_known = true;
            snprintf(cpus->source, sizeof(cpus->source), "%.*s", (int)sizeof(cpus->source) - 1,
                     source);
        }
        if (read_of(root, group, "cpu.max", scratch, source))
            add_time_limit(topology, scratch, source);
        if (read_of(root, group, "memory.max", scratch, source))
            add_memory_limit(topology, scratch, source);
    } while (go_up(group, top_length));
}

void vine__topology_find_group(struct vine__topology *topology, const char *root, char *scratch)
{
    find_unified(topology, root, scratch);
    find_v1_memory(topology, root, scratch);
}

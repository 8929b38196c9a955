/* SPDX-License-Identifier: Apache-2.0 */
/* Huge pages: whether a path is a mount of them, and how many are free. See topology.h. */
#include "arch/topology/topology_internal.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

static bool read_count(const char *root, const char *folder, uint64_t page_bytes, const char *name,
                       uint64_t *ret_count)
{
    char path[2 * VINE__SOURCE_BYTES];
    const int length = snprintf(path, sizeof(path), "%s/hugepages-%llukB/%s", folder,
                                (unsigned long long)(page_bytes / 1024), name);

    return length < (int)sizeof(path) && vine__proc_read_number(root, path, ret_count) == 0;
}

void vine__topology_count_huge_pages(struct vine__topology *topology, const char *root)
{
    static const char machine[] = "/sys/kernel/mm/hugepages";
    struct vine__huge_pages *const huge = &topology->huge;
    uint64_t promised = 0;

    snprintf(huge->source, sizeof(huge->source), "%s/hugepages-%llukB", machine,
             (unsigned long long)(huge->page_bytes / 1024));
    huge->free_count = 0;
    if (!read_count(root, machine, huge->page_bytes, "free_hugepages", &huge->free_count))
        return;
    /* Pages that others have mapped and not touched are free, and no longer to be had. */
    (void)read_count(root, machine, huge->page_bytes, "resv_hugepages", &promised);
    huge->free_count -= promised < huge->free_count ? promised : huge->free_count;
    for (uint32_t i = 0; i < topology->node_count; i++) {
        struct vine__node *const node = &topology->nodes[i];
        char folder[VINE__SOURCE_BYTES];

        snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%u/hugepages",
                 node->os_index);
        if (!read_count(root, folder, huge->page_bytes, "free_hugepages", &node->huge_page_count))
            node->huge_page_count = topology->node_count == 1 ? huge->free_count : 0;
    }
}

void vine__topology_find_huge_pages(struct vine__topology *topology, const char *root,
                                    const char *path)
{
    struct vine__huge_pages *const huge = &topology->huge;
    struct statfs status;

    snprintf(huge->path, sizeof(huge->path), "%s", path);
    if (strlen(path) >= sizeof(huge->path))
        huge->error = -ENAMETOOLONG;
    else if (statfs(path, &status) < 0)
        huge->error = -errno;
    else if ((uint64_t)status.f_type != HUGETLBFS_MAGIC || status.f_bsize < 1024)
        huge->error = -EMEDIUMTYPE;
    if (huge->error != 0)
        return;
    huge->page_bytes = (uint64_t)status.f_bsize;
    vine__topology_count_huge_pages(topology, root);
    /* A mount with a limit of its own has block counts; others have 0 of them. */
    if (status.f_blocks > 0 && status.f_bfree < huge->free_count) {
        huge->free_count = status.f_bfree;
        snprintf(huge->source, sizeof(huge->source), "the limit of the mount %.*s",
                 (int)sizeof(huge->source) - 32, path);
    }
}

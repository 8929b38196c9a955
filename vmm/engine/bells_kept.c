/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that outlive whoever left them here: memories of links and status pages, for the next
 * one that runs the machines which map them, and the processes of these machines.
 */
#include "vmm/engine/bells_internal.h"

#include "arch/peer/process.h"
#include "utils/name.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint32_t index_of(const struct vine__bells *bells, const char *name)
{
    uint32_t index = 0;

    while (index < bells->kept_count && strcmp(bells->kept[index].name, name) != 0)
        index++;
    return index;
}

/* No other descriptor can be used so. One that may not be is none: a filter says that of all. */
static bool is_pidfd(int fd)
{
    const int error = vine__process_signal(fd, 0);

    return error == 0 || error == -ESRCH;
}

uint32_t vine__bells_kept_add(struct vine__bells *bells, const char *name, int fd)
{
    const bool is_process = is_pidfd(fd);
    struct stat status;

    /* A socket could have itself under way to itself, and never be closed. */
    if (!vine__is_name(name, VINE_BELLS_NAME_BYTES) ||
        (!is_process && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))))
        return VINE_BELLS_MALFORMED;
    if (index_of(bells, name) < bells->kept_count)
        return VINE_BELLS_TAKEN;
    if (bells->kept_count == VINE_BELLS_KEPT_MAX)
        return VINE_BELLS_FULL;
    struct vine__bells_keepsake *const kept = &bells->kept[bells->kept_count++];

    memset(kept->name, 0, sizeof(kept->name));
    memcpy(kept->name, name, strlen(name));
    kept->fd = fd;
    kept->is_process = is_process;
    return VINE_BELLS_DONE;
}

uint32_t vine__bells_kept_find(const struct vine__bells *bells, const char *name, int *ret_fd)
{
    if (!vine__is_name(name, VINE_BELLS_NAME_BYTES))
        return VINE_BELLS_MALFORMED;
    const uint32_t index = index_of(bells, name);

    if (index == bells->kept_count)
        return VINE_BELLS_UNKNOWN;
    *ret_fd = bells->kept[index].fd;
    return VINE_BELLS_DONE;
}

void vine__bells_kept_drop(struct vine__bells *bells, uint32_t index)
{
    (void)close(bells->kept[index].fd);
    bells->kept[index] = bells->kept[--bells->kept_count];
}

uint32_t vine__bells_kept_remove(struct vine__bells *bells, const char *name)
{
    int fd;
    const uint32_t outcome = vine__bells_kept_find(bells, name, &fd);

    if (outcome == VINE_BELLS_DONE)
        vine__bells_kept_drop(bells, index_of(bells, name));
    return outcome;
}

bool vine__bells_kept_has_process(const struct vine__bells *bells)
{
    for (uint32_t i = 0; i < bells->kept_count; i++)
        if (bells->kept[i].is_process)
            return true;
    return false;
}

uint32_t vine__bells_kept_list(const struct vine__bells *bells,
                               struct vine_bells_kept ret_kept[VINE_BELLS_KEPT_MAX])
{
    for (uint32_t i = 0; i < bells->kept_count; i++)
        memcpy(ret_kept[i].name, bells->kept[i].name, sizeof(ret_kept[i].name));
    return bells->kept_count;
}

void vine__bells_kept_close(struct vine__bells *bells)
{
    while (bells->kept_count > 0)
        (void)close(bells->kept[--bells->kept_count].fd);
}

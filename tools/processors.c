/* SPDX-License-Identifier: Apache-2.0 */
#include "processors.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

static cpu_set_t parts[2];
static bool are_two; /* both parts have one */
static pthread_once_t once = PTHREAD_ONCE_INIT;

uint32_t processors_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

static void split(void)
{
    cpu_set_t set;
    bool has_first = false;

    CPU_ZERO(&parts[PROCESSORS_FIRST]);
    CPU_ZERO(&parts[PROCESSORS_OTHERS]);
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return;
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &set))
            continue;
        CPU_SET(i, &parts[has_first ? PROCESSORS_OTHERS : PROCESSORS_FIRST]);
        has_first = true;
    }
    are_two = CPU_COUNT(&set) > 1;
}

bool processors_keep_to(enum processors_part part)
{
    pthread_once(&once, split);
    return are_two && sched_setaffinity(0, sizeof(parts[part]), &parts[part]) == 0;
}

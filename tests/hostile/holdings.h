/* SPDX-License-Identifier: Apache-2.0 */
/* What an appliance holds of others: for those who try to have it keep something. */
#ifndef VINE_TESTS_HOSTILE_HOLDINGS_H
#define VINE_TESTS_HOSTILE_HOLDINGS_H

#include "hostile/application_fixture.h"

#include <dirent.h>

/* Descriptors, and mappings of memory that was passed. */
struct holdings {
    unsigned descriptors;
    unsigned mappings;
};

static inline struct holdings holdings_of(pid_t process)
{
    struct holdings holdings = {0};
    char path[64];
    char line[512];

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)process);

    DIR *folder = opendir(path);

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        holdings.descriptors++;
    (void)closedir(folder);
    (void)snprintf(path, sizeof path, "/proc/%d/maps", (int)process);

    FILE *maps = fopen(path, "r");

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        holdings.mappings += strstr(line, "memfd:") != NULL;
    (void)fclose(maps);
    return holdings;
}

/* Until it holds no more than it did before; that ends, or the guard ends us. */
static inline void wait_until_it_holds(struct fixture *fixture, struct holdings before)
{
    struct holdings now;

    do {
        good_is_served(fixture);
        now = holdings_of(fixture->appliance);
    } while (now.descriptors > before.descriptors || now.mappings > before.mappings);
}

#endif

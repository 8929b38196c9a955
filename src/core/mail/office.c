/* SPDX-License-Identifier: Apache-2.0 */
/* core/mail/office.c - what a core knows of its mail: its numbers, and when all of it is over. */

#include <errno.h>

#include "arch/guard/closed.h"
#include "arch/peer/random.h"
#include "core/mail/mail_internal.h"

/* Each its core's, who alone reads and writes it. */
static struct office *offices[VINE_CORES_MAX];

struct office *vine__office_here(void)
{
    return offices[vine_core()];
}

/* ---- numbers with keys ----------------------------------------------------------------------- */

#define NUMBERS_AT_FIRST 16U

static int grow(struct numbers *numbers)
{
    const uint32_t count = numbers->count != 0 ? 2 * numbers->count : NUMBERS_AT_FIRST;
    struct number *const all =
        vine__closed_grow(numbers->all, numbers->count * sizeof(*all), count * sizeof(*all));

    if (all == NULL)
        return -ENOMEM;
    for (uint32_t i = numbers->count; i < count; i++)
        all[i] = (struct number){.next_free = i + 1 < count ? i + 2 : 0};
    numbers->free_first = numbers->count + 1;
    numbers->all = all;
    numbers->count = count;
    return 0;
}

int vine__number_take(struct numbers *numbers, void *object, uint64_t key, uint32_t *ret_number)
{
    VINE_ASSERT(object != NULL);
    if (numbers->free_first == 0 && grow(numbers) != 0)
        return -ENOMEM;

    const uint32_t number = numbers->free_first - 1;

    numbers->free_first = numbers->all[number].next_free;
    numbers->all[number] = (struct number){.object = object, .key = key};
    numbers->used++;
    *ret_number = number;
    return 0;
}

void vine__number_give(struct numbers *numbers, uint32_t number)
{
    VINE_ASSERT(number < numbers->count && numbers->all[number].object != NULL);
    numbers->all[number] = (struct number){.next_free = numbers->free_first};
    numbers->free_first = number + 1;
    numbers->used--;
}

void *vine__number_find(const struct numbers *numbers, uint32_t number, uint64_t key)
{
    if (number >= numbers->count || numbers->all[number].key != key)
        return NULL;
    return numbers->all[number].object;
}

/* ---- the office ------------------------------------------------------------------------------ */

int vine__mail_core_start(void)
{
    struct office **const here = &offices[vine_core()];

    if (*here == NULL) {
        *here = vine__closed_alloc(sizeof(**here));
        if (*here == NULL)
            return -ENOMEM;
        for (uint32_t i = 0; i < VINE_CORES_MAX; i++)
            vine__list_init(&(*here)->routes[i].waiting);
    }
    (*here)->done = NULL; /* one that was to end goes on */
    return 0;
}

static void end(struct office *office)
{
    void (*const done)(void *) = office->done;
    void *const context = office->context;

    if (done == NULL || office->under_way > 0)
        return;
    VINE_ASSERT(office->boxes.used == 0 && office->operations.used == 0);
    offices[vine_core()] = NULL;
    vine__closed_free(office->boxes.all);
    vine__closed_free(office->operations.all);
    vine__closed_free(office->names);
    vine__closed_free(office);
    done(context);
}

void vine__mail_core_stop(void (*done)(void *context), void *context)
{
    struct office *const office = vine__office_here();

    if (office == NULL) {
        done(context);
        return;
    }
    office->done = done;
    office->context = context;
    end(office);
}

void vine__office_less(struct office *office)
{
    VINE_ASSERT(office->under_way > 0);
    office->under_way--;
    end(office);
}

int vine__office_key(struct office *office, uint64_t *ret_key)
{
    if (office->random_count == 0) {
        const int error = vine__random_bytes(office->random, sizeof(office->random));

        if (error != 0)
            return error;
        office->random_count = sizeof(office->random) / sizeof(office->random[0]);
    }
    *ret_key = office->random[--office->random_count] | 1;
    return 0;
}

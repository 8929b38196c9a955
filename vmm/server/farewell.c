/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/farewell.c - see farewell.h. */

#include "vmm/server/farewell.h"

#include "utils/container_of.h"
#include "vmm/server/answer.h"

#include <vine/timer.h>

#include <stdlib.h>

#define TELL_NS (60 * UINT64_C(1000000000))

struct farewell {
    struct vine_send send;
    struct vine_connection *connection;
    char text[VINE__ANSWER_ERROR_BYTES];
};

static void is_told(struct vine_send *send)
{
    struct farewell *const farewell = VINE_CONTAINER_OF(send, struct farewell, send);

    vine_connection_close(farewell->connection, NULL);
    free(farewell);
}

void vine__farewell(struct vine_connection *connection, enum vine_server_error error,
                    const char *text)
{
    struct farewell *const farewell = calloc(1, sizeof(*farewell));
    struct vine__answer answer = {.room_bytes = sizeof(farewell->text)};

    if (farewell == NULL) {
        vine_connection_close(connection, NULL);
        return;
    }
    farewell->connection = connection;
    answer.bytes = farewell->text;
    vine__answer_refuse(&answer, NULL, 0, 0, error, text);
    vine_send(connection, &farewell->send, farewell->text, answer.size_bytes, is_told);
}

uint64_t vine__farewells_count(struct vine__farewells *farewells)
{
    const uint64_t now_ns = vine_clock_now(VINE_CLOCK_STEADY);
    uint64_t count;

    farewells->count++;
    if (farewells->told_ns != 0 && now_ns - farewells->told_ns < TELL_NS)
        return 0;
    count = farewells->count;
    *farewells = (struct vine__farewells){.told_ns = now_ns};
    return count;
}

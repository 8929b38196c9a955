/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/farewell.c - see farewell.h. */

#include "vmm/server/farewell.h"

#include "utils/container_of.h"
#include "vmm/server/answer.h"

#include <stdlib.h>

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

void vine__farewell(struct vine_connection *connection, const char *text)
{
    struct farewell *const farewell = calloc(1, sizeof(*farewell));
    struct vine__answer answer = {.room_bytes = sizeof(farewell->text)};

    if (farewell == NULL) {
        vine_connection_close(connection, NULL);
        return;
    }
    farewell->connection = connection;
    answer.bytes = farewell->text;
    vine__answer_refuse(&answer, NULL, 0, 0, VINE_SERVER_E_LIMIT, text);
    vine_send(connection, &farewell->send, farewell->text, answer.size_bytes, is_told);
}

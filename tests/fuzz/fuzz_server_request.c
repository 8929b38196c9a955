/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * What a client sends to the VM server. The first bytes choose its permissions, the room for
 * strings and the sizes of the pieces in which the rest comes. Requests are what they are however
 * they come; nothing that is not permitted is told; what is answered has its command's shape.
 */
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "vmm/server/answer.h"
#include "vmm/server/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

#define CHOICES    3
#define ROOM_MAX   256
#define HASH_START UINT64_C(0xcbf29ce484222325)

/* What came of a stream. */
struct outcome {
    uint64_t hash; /* of all that was told, pieces of a buffer put together */
    uint64_t buffer_left;
    bool is_answered; /* the request in hand */
};

static void mix(uint64_t *hash, const char *bytes, size_t size)
{
    for (size_t n = 0; n < size; n++)
        *hash = (*hash ^ (unsigned char)bytes[n]) * UINT64_C(0x100000001b3);
}

static void mix_number(uint64_t *hash, uint64_t number)
{
    mix(hash, (const char *)&number, sizeof(number));
}

/* Whether an error of one of the nine could be taken for a success. */
static void check_refusal(const struct vine__request *request)
{
    char text[VINE__ANSWER_ERROR_BYTES];
    struct vine__answer answer = {.bytes = text, .room_bytes = sizeof(text)};
    const char *line;

    vine__answer_refuse(&answer, request->command, request->number, request->version,
                        request->error, vine__request_fault_text(request->fault));
    VINE_ASSERT(vine__answer_is_whole(&answer) && text[answer.size_bytes - 1] == '\n');
    line = memchr(text, '\n', answer.size_bytes);
    VINE_ASSERT(line != NULL);
    line++;
    if (request->command == NULL || request->command->shape == VINE_SERVER_SHAPE_STATUS)
        VINE_ASSERT(line[0] != '0');
    else if (request->command->shape == VINE_SERVER_SHAPE_INTEGER)
        VINE_ASSERT(memcmp(line, "-1\n", 3) == 0);
    else
        VINE_ASSERT(memchr(line, ',', VINE__ANSWER_ERROR_BYTES - 8) != NULL);
}

static void note_strings(uint64_t *hash, const struct vine__request *request, const char *room,
                         size_t room_size)
{
    for (uint32_t n = 0; n < request->parameter_count; n++) {
        const struct vine__request_parameter *const parameter = &request->parameters[n];

        mix_number(hash, (uint64_t)parameter->integer);
        if (request->command->parameters[n] != 's')
            continue;
        VINE_ASSERT(parameter->bytes >= room &&
                    parameter->bytes + parameter->size_bytes <= room + room_size);
        mix_number(hash, parameter->size_bytes);
        mix(hash, parameter->bytes, parameter->size_bytes);
    }
}

static void note(struct outcome *outcome, const struct vine__request *request,
                 enum vine__request_told told, const char *room, size_t room_size)
{
    if (told == VINE__REQUEST_PIECE) {
        VINE_ASSERT(request->piece_bytes > 0 && request->piece_bytes <= outcome->buffer_left);
        outcome->buffer_left -= request->piece_bytes;
        mix(&outcome->hash, request->piece, request->piece_bytes);
        return;
    }
    mix_number(&outcome->hash, told);
    mix_number(&outcome->hash, request->number);
    if (told == VINE__REQUEST_REFUSED || (told == VINE__REQUEST_LOST && !request->is_refused)) {
        VINE_ASSERT(!outcome->is_answered && request->error != VINE_SERVER_E_DONE);
        mix_number(&outcome->hash, request->error);
        check_refusal(request);
        outcome->is_answered = true;
        return;
    }
    VINE_ASSERT(outcome->is_answered == request->is_refused);
    if (!request->is_refused) {
        VINE_ASSERT(vine__command_is_permitted(request->command, request->permissions));
        note_strings(&outcome->hash, request, room, room_size);
    }
    if (told == VINE__REQUEST_BUFFER)
        outcome->buffer_left = request->buffer_bytes;
    else
        outcome->is_answered = false;
    VINE_ASSERT(told != VINE__REQUEST_DONE || request->is_refused || outcome->buffer_left == 0);
}

/* The stream in pieces of `piece` bytes, each in memory of just its size. */
static uint64_t read_stream(const uint8_t *stream, size_t size, size_t piece, uint16_t permissions,
                            uint32_t room_size)
{
    struct outcome outcome = {.hash = HASH_START};
    char *const room = malloc(room_size + 1U);
    struct vine__request request;
    bool is_lost = false;

    VINE_ASSERT(room != NULL);
    vine__request_init(&request, permissions, room, room_size);
    for (size_t from = 0; from < size && !is_lost; from += piece) {
        const size_t now = size - from < piece ? size - from : piece;
        char *const bytes = malloc(now);
        enum vine__request_told told;
        size_t at = 0;

        VINE_ASSERT(bytes != NULL);
        memcpy(bytes, stream + from, now);
        while (!is_lost &&
               (told = vine__request_read(&request, bytes + at, now - at)) != VINE__REQUEST_MORE) {
            at += request.consumed_bytes;
            VINE_ASSERT(at <= now);
            note(&outcome, &request, told, room, room_size);
            is_lost = told == VINE__REQUEST_LOST;
        }
        VINE_ASSERT(is_lost || at + request.consumed_bytes == now);
        free(bytes);
    }
    free(room);
    return outcome.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    uint16_t permissions;
    uint32_t room;

    if (size_bytes <= CHOICES)
        return 0;
    permissions = bytes[0];
    room = bytes[1] % ROOM_MAX;
    VINE_ASSERT(
        read_stream(bytes + CHOICES, size_bytes - CHOICES, size_bytes, permissions, room) ==
        read_stream(bytes + CHOICES, size_bytes - CHOICES, 1 + bytes[2] % 32, permissions, room));
    return 0;
}

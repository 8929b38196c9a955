/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/answer.h - answers of the VM server, written.
 *
 * Owns:     nothing. The bytes are the caller's memory.
 * Threads:  one at a time for each answer.
 * Blocking: never; no call allocates, or calls the system.
 * Trust:    names, texts and configurations may come from anybody: none of them can end a line, a
 *           list's element or an answer.
 * Limits:   the room. What does not fit is counted and not written: who does not know how much it
 *           will be writes once without any room, and then again with as much as it took.
 */
#ifndef VINE_VMM_SERVER_ANSWER_H
#define VINE_VMM_SERVER_ANSWER_H

#include "vmm/server/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An error, whatever it is and whichever command it answers, takes no more than this. */
#define VINE__ANSWER_ERROR_BYTES 320

struct vine__answer {
    char *bytes;
    size_t room_bytes;
    size_t size_bytes; /* of all that was said; more than the room: only its beginning is there */
};

/* Whether all that was said is there. */
static inline bool vine__answer_is_whole(const struct vine__answer *answer)
{
    return answer->size_bytes <= answer->room_bytes;
}

/* Begin a successful answer; its values follow, each by one of the calls below. */
void vine__answer_begin(struct vine__answer *answer, const struct vine__command *command);

/* Begin what is pushed to who asked for events. */
void vine__answer_begin_event(struct vine__answer *answer);

/* The whole answer to a request that was refused, in its command's shape; NULL: an unknown one.
 * `detail` takes the place of the error's own text, if it is not NULL. */
void vine__answer_refuse(struct vine__answer *answer, const struct vine__command *command,
                         uint32_t number, uint32_t version, enum vine_server_error error,
                         const char *detail);

void vine__answer_integer(struct vine__answer *answer, int64_t integer);
void vine__answer_string(struct vine__answer *answer, const char *bytes, size_t size);
void vine__answer_text(struct vine__answer *answer, const char *text);

/* A string in pieces, whose size is told before: as much as the same pieces take when written to an
 * answer without room. */
void vine__answer_string_begin(struct vine__answer *answer, size_t size);
void vine__answer_piece(struct vine__answer *answer, const char *bytes, size_t size);
void vine__answer_string_end(struct vine__answer *answer);

/* A piece that is JSON: each `;`, which is within a string there, as its escape. */
void vine__answer_json_piece(struct vine__answer *answer, const char *json, size_t size);

#endif

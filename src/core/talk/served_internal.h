/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/served_internal.h - the steps of a task on the loop: decode, admit, complete.
 *
 * Owns:     nothing.
 * Threads:  the loop.
 * Blocking: never.
 * Trust:    vine__served_decode turns what an application wrote into checked, private arguments.
 * Limits:   none of its own.
 */
#ifndef VINE_CORE_TALK_SERVED_INTERNAL_H
#define VINE_CORE_TALK_SERVED_INTERNAL_H

#include <errno.h>

#include "core/talk/appliance_internal.h"

/* The submission cannot go on yet and is held, with those behind it in its channel. */
#define VINE__HELD (-EINPROGRESS)
/* Or is the next appliance's. */
#define VINE__SENT_BACK (-EREMCHG)

/* Fill a call's arguments. Returns 0; VINE__HELD, and then nothing was taken; a positive Vine error
 * that ends the task; another negative one, which breaks the pipe. */
int vine__served_decode(struct vine_call *call, const struct vine_wire_submission *submission);

/* The application's memory that a token names. Its extent may still wait in the socket, whose
 * messages are read a few at a time. Returns 0; VINE__HELD; VINE_EQUOTA  there is no room to map
 * it; another negative error. */
int vine__served_resolve(struct vine__served *pipe, const struct vine_token *token,
                         const void **ret_memory);

/* Say what the handler says, or what an errno means that does not cross. */
void vine__served_write_reason(struct vine_call *call, struct vine_wire_completion *completion);

/* The place of the channel's next completion, which vine__served_flush publishes. */
static inline struct vine_wire_completion *
vine__served_next_completion(struct vine__served_channel *channel)
{
    struct vine_slot *slot = vine__spsc_slot_at(&channel->completions, channel->unpublished++);

    return (struct vine_wire_completion *)(void *)slot->payload;
}

/* Give back all that a call took that is not to end, but to be taken again. */
void vine__served_give_back(struct vine_call *call);

/* A message that cancels a task, and came through that channel. Returns 0, or VINE__HELD: the
 * task's channel is to be opened first. */
int vine__served_take_cancel(struct vine__served *pipe, uint32_t channel_index,
                             const struct vine_wire_submission *submission);
/* Whether what was taken from that position was canceled before. Only where there are marks. */
bool vine__served_take_mark(struct vine__served_channel *channel, uint64_t position);

/* It held the loop for longer than it may: nobody else was served. */
void vine__served_tell_long_run(const struct vine_call *call);

#endif

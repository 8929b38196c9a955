/* SPDX-License-Identifier: Apache-2.0 */
/* needs: ck */
/*
 * Our ring beside ck_ring, one producer and one consumer, in memory that both sides write. Messages
 * of up to 64 bytes are its elements; larger ones lie in the sender's half. It has no bursts.
 *
 *   bench_ring_ck [ROUNDS]    11 without
 */
#include "carry.h"
#include "contests.h"

#include <ck_ring.h>
#include <string.h>

#define SLOTS 1024U

struct word {
    unsigned char bytes[8];
};
struct line {
    unsigned char bytes[64];
};
struct message {
    unsigned char bytes[DUET_BYTES];
};

CK_RING_PROTOTYPE(word, word)
CK_RING_PROTOTYPE(line, line)
CK_RING_PROTOTYPE(message, message)

/* One direction. */
struct way {
    ck_ring_t words __attribute__((aligned(64)));
    ck_ring_t lines __attribute__((aligned(64)));
    ck_ring_t messages __attribute__((aligned(64)));
    struct word word_slots[SLOTS] __attribute__((aligned(64)));
    struct line line_slots[SLOTS] __attribute__((aligned(64)));
    struct message message_slots[SLOTS] __attribute__((aligned(64)));
};

static struct way *to;
static struct way *from;

static void open(struct duet *duet)
{
    struct way *ways = (struct way *)(void *)duet->shared;

    bench_require(2 * sizeof(struct way) <= DUET_SHARED_BYTES, "room");
    to = &ways[duet->side];
    from = &ways[!duet->side];
    ck_ring_init(&to->words, SLOTS);
    ck_ring_init(&to->lines, SLOTS);
    ck_ring_init(&to->messages, SLOTS);
    carry_open(duet);
}

static bool send(struct duet *duet, const unsigned char *message)
{
    const struct line *line = (const struct line *)(const void *)message;
    struct word word;

    if (duet->bytes == sizeof(*line))
        return ck_ring_enqueue_spsc_line(&to->lines, to->line_slots, (struct line *)(void *)line);
    if (duet->bytes > sizeof(*line))
        memcpy(carry_ours(duet), message, duet->bytes);
    memcpy(&word, message, sizeof(word));
    return ck_ring_enqueue_spsc_word(&to->words, to->word_slots, &word);
}

static bool receive(const struct duet *duet, unsigned char *message)
{
    struct line *line = (struct line *)(void *)message;
    struct word word;

    if (duet->bytes == sizeof(*line))
        return ck_ring_dequeue_spsc_line(&from->lines, from->line_slots, line);
    if (!ck_ring_dequeue_spsc_word(&from->words, from->word_slots, &word))
        return false;
    if (duet->bytes > sizeof(*line))
        memcpy(message, carry_theirs(duet), duet->bytes);
    else
        memcpy(message, &word, sizeof(word));
    return true;
}

ROUND_TRIP(ck, send(duet, message), receive(duet, message))

STREAM(ck_1, 1,
       ck_ring_enqueue_spsc_message(&to->messages, to->message_slots,
                                    (struct message *)(void *)messages),
       ck_ring_dequeue_spsc_message(&from->messages, from->message_slots,
                                    (struct message *)(void *)messages))

static const struct carry_peer ck = {"ck_ring", lead_ck, follow_ck, 1};
static const struct duet_contest ck_one =
    CONTEST("peer: ck_ring, one by one", ck_1, 160000, DUET_MILLIONS, &carry_one_by_one, 0);

int main(int argc, char **argv)
{
    static const struct duet_contest *const streams[] = {&carry_one_by_one, &ck_one, NULL};
    const int rounds = duet_rounds(argc, argv, 11);

    carry_play(&ck, rounds, open);
    duet_play("ck_ring: messages of 56 bytes", streams, rounds, open);
    return 0;
}

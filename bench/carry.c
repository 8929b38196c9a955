/* SPDX-License-Identifier: Apache-2.0 */
#include "carry.h"

#include "contests.h"

#include <vine/spsc.h>

#include <stdio.h>
#include <string.h>

#define SLOTS 1024U

struct mailbox {
    uint64_t sequence;
    unsigned char payload[DUET_LARGE_BYTES];
};

struct half {
    struct mailbox mailbox;
    uint64_t consumed __attribute__((aligned(64)));
    struct vine_slot slots[SLOTS] __attribute__((aligned(64)));
    unsigned char payload[DUET_LARGE_BYTES] __attribute__((aligned(64)));
};

/* What travels in the slot of a message that does not fit. */
struct note {
    uint64_t offset;
    uint64_t size;
};

static struct half *ours;
static const struct half *theirs;
static uint64_t mail;
static struct vine_spsc_producer producer;
static struct vine_spsc_consumer consumer;

void carry_open(struct duet *duet)
{
    bench_require(DUET_AT_CARRY + sizeof(struct half) <= DUET_AT_OPEN &&
                      CARRY_AT_PAYLOAD + DUET_LARGE_BYTES <= DUET_HALF_BYTES,
                  "half");
    ours = (struct half *)(void *)(duet->ours + DUET_AT_CARRY);
    theirs = (const struct half *)(const void *)(duet->theirs + DUET_AT_CARRY);
    bench_check(vine_spsc_producer_init(&producer, ours->slots, SLOTS, &theirs->consumed),
                "producer");
    bench_check(vine_spsc_consumer_init(&consumer, theirs->slots, SLOTS, &ours->consumed),
                "consumer");
}

/* ---- the mailbox ----------------------------------------------------------------------------- */

static void send_mail(const unsigned char *message, size_t size)
{
    memcpy(ours->mailbox.payload, message, size);
    vine__store_release_u64(&ours->mailbox.sequence, mail);
}

static void receive_mail(unsigned char *message, size_t size)
{
    while (vine__load_acquire_u64(&theirs->mailbox.sequence) != mail)
        vine__cpu_relax();
    memcpy(message, theirs->mailbox.payload, size);
}

static void lead_mail(struct duet *duet, uint64_t count)
{
    unsigned char message[DUET_LARGE_BYTES] = {1};

    for (uint64_t n = 0; n < count; n++) {
        mail++;
        send_mail(message, duet->bytes);
        receive_mail(message, duet->bytes);
    }
}

static void follow_mail(struct duet *duet, uint64_t count)
{
    unsigned char message[DUET_LARGE_BYTES];

    for (uint64_t n = 0; n < count; n++) {
        mail++;
        receive_mail(message, duet->bytes);
        send_mail(message, duet->bytes);
    }
}

/* ---- ours ------------------------------------------------------------------------------------ */

/* What fits into two slots travels as a burst of two; what does not, beside them. */
static bool send(const unsigned char *message, size_t size)
{
    const struct note note = {.offset = offsetof(struct half, payload), .size = size};

    if (size <= VINE_SPSC_BYTES)
        return vine_spsc_push(&producer, message, size) == 0;
    if (size <= 2 * VINE_SPSC_BYTES)
        return vine_spsc_push_burst(&producer, message, size / 2, 2) == 2;
    memcpy(ours->payload, message, size);
    return vine_spsc_push(&producer, &note, sizeof(note)) == 0;
}

static bool receive(unsigned char *message, size_t size)
{
    unsigned char slots[2][VINE_SPSC_BYTES];
    struct note note;

    if (size <= VINE_SPSC_BYTES)
        return vine_spsc_pop(&consumer, message) == 0;
    if (size <= 2 * VINE_SPSC_BYTES) {
        if (vine_spsc_pop_burst(&consumer, slots, 2) == 0)
            return false;
        memcpy(message, slots[0], size / 2);
        memcpy(message + size / 2, slots[1], size / 2);
        return true;
    }
    if (vine_spsc_pop(&consumer, slots[0]) != 0)
        return false;
    memcpy(&note, slots[0], sizeof(note));
    memcpy(message, (const unsigned char *)theirs + note.offset, note.size);
    return true;
}

ROUND_TRIP(spsc, send(message, duet->bytes), receive(message, duet->bytes))
STREAM(one, 1, vine_spsc_push(&producer, messages, DUET_BYTES) == 0,
       vine_spsc_pop(&consumer, messages) == 0)
STREAM(many, CARRY_BATCH, vine_spsc_push_burst(&producer, messages, DUET_BYTES, want),
       vine_spsc_pop_burst(&consumer, messages, want))

const struct duet_contest carry_one_by_one =
    CONTEST("spsc, one by one", one, 320000, DUET_MILLIONS, NULL, 0);
const struct duet_contest carry_many_at_a_time =
    CONTEST("spsc, 32 at a time", many, 1280000, DUET_MILLIONS, NULL, 0);

/* ---- each size ------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    size_t bytes;
    uint64_t count;
} sizes[] = {
    {"8 B", 8, 20000},
    {"64 B", 64, 20000},
    {"1 KiB", 1024, 10000},
    {"64 KiB", DUET_LARGE_BYTES, 1500},
};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Who plays at each size. */
enum { MAILBOX, SPSC, PEER, PLAYERS };

void carry_play(const struct carry_peer *peer, int rounds, void (*open)(struct duet *duet))
{
    static const struct carry_peer mailbox = {"bare mailbox", lead_mail, follow_mail, 1};
    static const struct carry_peer spsc = {"spsc", lead_spsc, follow_spsc, 1};
    const struct carry_peer *players[PLAYERS] = {&mailbox, &spsc, peer};
    struct duet_contest contests[SIZES * PLAYERS];
    const struct duet_contest *all[SIZES * PLAYERS + 1] = {NULL};
    char names[SIZES * PLAYERS][BENCH_TEXT_MAX];
    char title[BENCH_TEXT_MAX];

    for (size_t n = 0; n < SIZES * PLAYERS; n++) {
        const size_t size = n / PLAYERS;
        const struct carry_peer *player = players[n % PLAYERS];

        (void)snprintf(names[n], sizeof(names[n]), "%s%s, %s", player == peer ? "peer: " : "",
                       player->name, sizes[size].text);
        contests[n] = (struct duet_contest){
            .name = names[n],
            .lead = player->lead,
            .follow = player->follow,
            .count = sizes[size].count / player->slowness,
            .bytes = sizes[size].bytes,
            .against = player == &mailbox ? NULL : &contests[size * PLAYERS],
        };
        all[n] = &contests[n];
    }
    (void)snprintf(title, sizeof(title), "%s: round trips", peer->name);
    duet_play(title, all, rounds, open);
}

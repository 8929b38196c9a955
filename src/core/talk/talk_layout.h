/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/talk_layout.h - what lies in the two halves of a pipe and crosses between the sides.
 *
 * Both halves have the same shape: the segment's header, a board, a table of channels, and a heap
 * from which rings and payload are allocated. Each side writes its own half and reads the other's.
 * All integers are little-endian. docs/formats/talk.md describes every byte.
 */
#ifndef VINE_CORE_TALK_LAYOUT_H
#define VINE_CORE_TALK_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>
#include <vine/spsc.h>

#include "utils/assert.h"

#define VINE_TALK_CHANNELS_MAX 64
#define VINE_TALK_EXTENTS_MAX  64
#define VINE_TALK_UNIT         64 /* bytes that a token's offset counts in */

/* One word a line, so that a writer of one does not slow down the reader of another. */
struct vine_line_u32 {
    uint32_t value;
    uint32_t reserved[15];
};

struct vine_line_u64 {
    uint64_t value;
    uint64_t reserved[7];
};

/* What who has published looks at. Bits are those of channels, by index (VINE_TALK_FEATURE_READY);
 * they are in one line with the epoch, so that to look at them costs nothing more. */
struct vine_line_sleep {
    uint32_t value; /* odd while the owner sleeps, raised at each change */
    uint32_t reserved_1;
    uint64_t answered; /* the appliance's: what it has made alike to `ready` of the application */
    uint64_t listed;   /* the appliance's: channels that it looks at by itself */
    uint64_t reserved[5];
};

/* What the appliance looks at by itself. */
struct vine_line_channels {
    uint32_t value;   /* channels that the owner has opened so far */
    uint32_t sharing; /* the application's: threads that issue through the last of them; 0: one at
                       * most. Counted now and then, and told to operators alone */
    uint64_t ready;   /* the application's: a channel is ready whose bit is another one than in
                     * `answered` of the appliance */
    uint64_t reserved[6];
};

/* The words of a side that belong to no channel. */
struct vine_board_layout {
    struct vine_line_sleep sleep_epoch;
    struct vine_line_u32 wake_count; /* raised to wake the other side of a named segment */
    struct vine_line_channels channels;
    struct vine_line_u32 closed; /* 0, or the Vine error with which the owner closed */
    uint32_t epoch; /* named segments: which claim of the application's side this half belongs to */
    uint32_t channels_max; /* segments and devices: the appliance's, what it grants */
    uint32_t tasks_max;    /* devices: the application's, what it wishes for; 0: whatever it gets */
    uint32_t features;     /* VINE_TALK_FEATURE_ */
    uint64_t meeting; /* devices: a number that the application chooses, and the appliance answers
                       * with; written last, with release; 0: none */
    uint32_t version; /* devices: VINE_TALK_VERSION */
    uint32_t reserved_1;
    char name[32]; /* devices: what the owner calls itself */
    /* Named segments, the appliance's: where its account is, in units of 64; 0: there is none. */
    uint32_t account_units;
    uint32_t reserved[47];
};

/* A channel, as one side sees it: the ring that this side produces (submissions in the
 * application's half, completions in the appliance's) and how far it has consumed the other's. */
struct vine_channel_layout {
    uint32_t state; /* 0 closed, 1 open; written last, with release */
    uint32_t slot_count;
    uint32_t ring_extent; /* where the produced slots lie: extent and offset in units of 64 */
    uint32_t ring_offset_units;
    uint32_t wait_mode; /* enum vine_wait_mode, chosen by the application */
    uint32_t reserved[11];
    struct vine_line_u64 consumed; /* position in the ring that this side consumes */
    /* Not 0 while this side sleeps on the next slot it consumes: another number for each sleep. */
    struct vine_line_u32 sleeping;
};

struct vine_half_layout {
    struct vine_board_layout board;
    struct vine_channel_layout channels[VINE_TALK_CHANNELS_MAX];
};

enum vine_wire_kind {
    VINE_WIRE_TASK = 1,        /* -> one completion */
    VINE_WIRE_RELEASE = 2,     /* gives results back: up to two tokens; no completion */
    VINE_WIRE_CANCEL = 3,      /* drop the operation of this channel; no completion of its own */
    VINE_WIRE_SESSION_END = 4, /* a session is over; no completion */
    /* Of completions, with feature bit 7: it was not begun, and is to be issued to the next one. */
    VINE_WIRE_SENT_BACK = 5,
};

#define VINE_WIRE_KIND_MASK 0x0f
/* A session: its place in the pipe's table (1 .. 255) in the low byte, and the use of that place in
 * the high byte, so that two sessions which follow each other in one place differ. */
#define VINE_WIRE_SESSION_PLACES    256u
#define VINE_WIRE_SESSION_PLACE(id) ((uint32_t)(id)&0xffu)

/* Of a procedure that has streams beside sessions (VINE_WIRE_HAS_STREAMS_TOO): the session is a
 * stream. */
#define VINE_WIRE_STREAM       0x10
#define VINE_WIRE_SESSION_LAST 0x20 /* the state ends with this task */
/* Of SESSION_END: tasks of it may still come, over another channel, and are as late as those that
 * wait. Without it none are under way. */
#define VINE_WIRE_SESSION_CUT 0x10
/* The task's last 8 bytes are no arguments, but for how many ns it is wanted from when it is first
 * seen. To appliances that say that they heed it. */
#define VINE_WIRE_HAS_DEADLINE 0x40

/* Shape: inline bytes in the low 6 bits, tokens in the high 2; 3 tokens mean one that names a
 * descriptor. Inline bytes stand at the body's start, tokens at its end. */
#define VINE_WIRE_SHAPE(bytes, tokens) ((uint8_t)((bytes) | ((tokens) << 6)))
#define VINE_WIRE_SHAPE_BYTES(shape)   ((uint32_t)(shape)&0x3fu)
#define VINE_WIRE_SHAPE_TOKENS(shape)  ((uint32_t)(shape) >> 6)
#define VINE_WIRE_DESCRIPTOR           3u
#define VINE_WIRE_BODY_BYTES           40u

struct vine_wire_submission {
    uint64_t operation;
    uint16_t procedure;
    uint16_t accelerator; /* virtual; 0 is the pipe's own */
    uint16_t session;     /* 0: none; else place and use */
    uint8_t kind;
    uint8_t shape;
    uint8_t body[VINE_WIRE_BODY_BYTES];
};

struct vine_wire_completion {
    uint64_t operation;
    uint16_t status; /* 0 or one of Vine's own errors */
    uint8_t kind;
    uint8_t shape; /* bytes at most 32 */
    uint32_t reserved;
    uint32_t queued; /* in units of 16 ns, UINT32_MAX for more */
    uint32_t run;
    uint8_t body[32];
};

/* The 16 bytes of a token as they stand in a slot; struct vine_token has the same fields. Its
 * type's high bits say whose half it lies in and what it stands for. */
#define VINE_WIRE_TYPE_MASK   0x3fff
#define VINE_WIRE_TYPE_EXPECT 0x4000 /* submission: no memory, room for a result of `length` */
#define VINE_WIRE_TYPE_THEIRS 0x8000 /* submission: lies in the appliance's half */

/* What a slot cannot hold: a block in the producer's half, followed by token_count tokens and then
 * bytes_size bytes. */
struct vine_wire_descriptor {
    uint32_t size_bytes; /* all of it */
    uint16_t token_count;
    uint16_t has_after;
    uint32_t bytes_size;
    uint32_t after_channel;
    uint64_t after_operation;
    uint64_t after_position; /* of its submission in that channel's ring */
};

/* Procedures of the protocol itself, which every appliance has. */
enum vine_wire_procedure {
    VINE_WIRE_LOOKUP = 1,              /* bytes: name -> output: one description */
    VINE_WIRE_LIST_PROCEDURES = 2,     /* -> output: descriptions */
    VINE_WIRE_LIST_ACCELERATORS = 3,   /* -> output: accelerators */
    VINE_WIRE_ACQUIRE_ACCELERATOR = 4, /* bytes: struct vine_wire_acquire */
    VINE_WIRE_RELEASE_ACCELERATOR = 5, /* bytes: u16 */
    VINE_WIRE_LIST_STATISTICS = 6,     /* bytes: u64, from where -> output: a page of statistics */
    VINE_WIRE_LIST_PIPES = 7,          /* the same of pipes */
    VINE_WIRE_EXAMINE = 8,             /* the same of what their books say */
    VINE_WIRE_PROCEDURES_FROM = 16,    /* registered ones */
};

struct vine_wire_argument {
    char name[16];
    uint32_t kind;
    uint32_t data_type;
    uint64_t min;
    uint64_t max;
};

#define VINE_WIRE_HAS_SESSIONS  4
#define VINE_WIRE_HAS_STREAMS   8  /* sessions are streams: tasks may follow the last input */
#define VINE_WIRE_IS_IDEMPOTENT 16 /* a task may run twice and have the effects of one */
#define VINE_WIRE_HAS_STREAMS_TOO                                                                  \
    32 /* streams beside sessions: VINE_WIRE_STREAM tells them apart */

struct vine_wire_description {
    char name[32];
    char accelerator_type[32];
    char summary[128];
    uint16_t id;
    uint16_t flags; /* enum vine_procedure_flags, VINE_WIRE_HAS_... */
    uint32_t argument_count;
    struct vine_wire_argument arguments[8];
};

struct vine_wire_accelerator {
    char type[32];
    char name[64];
    uint32_t parallelism;
    uint32_t tasks_queued;
    uint64_t tasks_done;
    uint64_t busy_ns;
};

struct vine_wire_acquire {
    char type[32];
    uint16_t accelerator;
    uint16_t order; /* enum vine_accelerator_order */
    uint32_t reserved;
};

/* What answers to VINE_WIRE_LIST_STATISTICS and those behind it begin with: so many records follow,
 * of which later versions may append to each. */
struct vine_wire_page {
    uint32_t record_bytes;
    uint32_t count;
    uint64_t next; /* from where to go on; 0: that was all */
};

struct vine_wire_times {
    uint64_t total_ns;
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
};

struct vine_wire_statistics {
    char name[32];
    uint64_t tasks_done;
    uint64_t tasks_failed;
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct vine_wire_times queued;
    struct vine_wire_times run;
    uint64_t tasks_late;
    uint64_t runs_long;
};

#define VINE_WIRE_PIPE_CLOSED 1u
#define VINE_WIRE_PIPE_OWN    2u /* by which it is asked */

struct vine_wire_pipe {
    uint64_t number;
    uint64_t age_ns;    /* since it was opened */
    uint64_t closed_ns; /* since it was closed */
    uint64_t tasks_done;
    uint64_t tasks_failed;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t quota_bytes;
    uint64_t held_bytes;
    uint32_t pid;   /* 0: not of this machine */
    uint32_t uid;   /* UINT32_MAX: nobody vouches for it */
    uint32_t flags; /* VINE_WIRE_PIPE_ */
    uint32_t error; /* of a closed one: 0, its application closed it */
    uint32_t in_flight;
    uint32_t channels;
    char name[32];
    char link[32]; /* to another machine, else empty */
    char reason[96];
    uint32_t sharing; /* threads that share the last channel, as the application says */
    uint32_t reserved;
};

#define VINE_WIRE_PIPE_LEAST 256u /* bytes of a record, as the first version had it */

enum vine_wire_finding_kind {
    VINE_WIRE_FOUND_TASKS = 1,   /* that were taken and have not ended; bytes of their inputs */
    VINE_WIRE_FOUND_ROOM = 2,    /* boxes for what such tasks write */
    VINE_WIRE_FOUND_RESULTS = 3, /* boxes that the application has not given back */
    VINE_WIRE_FOUND_FAULT = 4,   /* what cannot be */
};

struct vine_wire_finding {
    uint64_t pipe;
    uint32_t kind;      /* enum vine_wire_finding_kind */
    uint32_t channel;   /* of a fault; UINT32_MAX: of none */
    uint64_t count;     /* of the others: how many, */
    uint64_t bytes;     /* of so many bytes, */
    uint64_t oldest_ns; /* and since when the oldest is there */
    uint64_t ages[4];   /* younger than a second, a minute, an hour; older */
    uint64_t offset;    /* of a fault, in the application's half; UINT64_MAX: in our own books */
    char name[32];      /* of the procedure, or of what is wrong */
    char found[80];     /* of a fault */
    char expected[64];
};

#define VINE_ACCOUNT_FINDINGS 31u

/* What the appliance of a named segment says of its private books, for who looks at the segment and
 * takes no part. It writes it anew now and then. */
struct vine_account_layout {
    uint32_t version; /* raised before it is written, to an odd number, and afterwards; 0: never */
    uint32_t found;   /* how many there were */
    uint32_t count;   /* of these so many are told */
    uint32_t reserved_1;
    uint64_t at_ns; /* when the books were looked at: the machine's steady clock */
    uint64_t reserved[5];
    struct vine_wire_finding findings[VINE_ACCOUNT_FINDINGS];
};

/* clang-format off: one field a line */
VINE_LAYOUT(vine_line_u32, 64);
VINE_FIELD(vine_line_u32, value, 0);
VINE_LAYOUT(vine_line_u64, 64);
VINE_FIELD(vine_line_u64, value, 0);
VINE_LAYOUT(vine_line_sleep, 64);
VINE_FIELD(vine_line_sleep, value, 0);
VINE_FIELD(vine_line_sleep, answered, 8);
VINE_FIELD(vine_line_sleep, listed, 16);
VINE_LAYOUT(vine_line_channels, 64);
VINE_FIELD(vine_line_channels, value, 0);
VINE_FIELD(vine_line_channels, sharing, 4);
VINE_FIELD(vine_line_channels, ready, 8);
VINE_LAYOUT(vine_board_layout, 512);
VINE_FIELD(vine_board_layout, sleep_epoch, 0);
VINE_FIELD(vine_board_layout, wake_count, 64);
VINE_FIELD(vine_board_layout, channels, 128);
VINE_FIELD(vine_board_layout, closed, 192);
VINE_FIELD(vine_board_layout, epoch, 256);
VINE_FIELD(vine_board_layout, channels_max, 260);
VINE_FIELD(vine_board_layout, tasks_max, 264);
VINE_FIELD(vine_board_layout, features, 268);
VINE_FIELD(vine_board_layout, meeting, 272);
VINE_FIELD(vine_board_layout, version, 280);
VINE_FIELD(vine_board_layout, name, 288);
VINE_FIELD(vine_board_layout, account_units, 320);
VINE_LAYOUT(vine_channel_layout, 192);
VINE_FIELD(vine_channel_layout, state, 0);
VINE_FIELD(vine_channel_layout, slot_count, 4);
VINE_FIELD(vine_channel_layout, ring_extent, 8);
VINE_FIELD(vine_channel_layout, ring_offset_units, 12);
VINE_FIELD(vine_channel_layout, wait_mode, 16);
VINE_FIELD(vine_channel_layout, consumed, 64);
VINE_FIELD(vine_channel_layout, sleeping, 128);
VINE_LAYOUT(vine_half_layout, 12800);
VINE_FIELD(vine_half_layout, board, 0);
VINE_FIELD(vine_half_layout, channels, 512);
VINE_LAYOUT(vine_wire_submission, 56);
VINE_FIELD(vine_wire_submission, operation, 0);
VINE_FIELD(vine_wire_submission, procedure, 8);
VINE_FIELD(vine_wire_submission, accelerator, 10);
VINE_FIELD(vine_wire_submission, session, 12);
VINE_FIELD(vine_wire_submission, kind, 14);
VINE_FIELD(vine_wire_submission, shape, 15);
VINE_FIELD(vine_wire_submission, body, 16);
VINE_LAYOUT(vine_wire_completion, 56);
VINE_FIELD(vine_wire_completion, operation, 0);
VINE_FIELD(vine_wire_completion, status, 8);
VINE_FIELD(vine_wire_completion, kind, 10);
VINE_FIELD(vine_wire_completion, shape, 11);
VINE_FIELD(vine_wire_completion, queued, 16);
VINE_FIELD(vine_wire_completion, run, 20);
VINE_FIELD(vine_wire_completion, body, 24);
VINE_LAYOUT(vine_wire_descriptor, 32);
VINE_FIELD(vine_wire_descriptor, size_bytes, 0);
VINE_FIELD(vine_wire_descriptor, token_count, 4);
VINE_FIELD(vine_wire_descriptor, has_after, 6);
VINE_FIELD(vine_wire_descriptor, bytes_size, 8);
VINE_FIELD(vine_wire_descriptor, after_channel, 12);
VINE_FIELD(vine_wire_descriptor, after_operation, 16);
VINE_FIELD(vine_wire_descriptor, after_position, 24);
VINE_LAYOUT(vine_wire_argument, 40);
VINE_FIELD(vine_wire_argument, name, 0);
VINE_FIELD(vine_wire_argument, kind, 16);
VINE_FIELD(vine_wire_argument, data_type, 20);
VINE_FIELD(vine_wire_argument, min, 24);
VINE_FIELD(vine_wire_argument, max, 32);
VINE_LAYOUT(vine_wire_description, 520);
VINE_FIELD(vine_wire_description, name, 0);
VINE_FIELD(vine_wire_description, accelerator_type, 32);
VINE_FIELD(vine_wire_description, summary, 64);
VINE_FIELD(vine_wire_description, id, 192);
VINE_FIELD(vine_wire_description, flags, 194);
VINE_FIELD(vine_wire_description, argument_count, 196);
VINE_FIELD(vine_wire_description, arguments, 200);
VINE_LAYOUT(vine_wire_accelerator, 120);
VINE_FIELD(vine_wire_accelerator, type, 0);
VINE_FIELD(vine_wire_accelerator, name, 32);
VINE_FIELD(vine_wire_accelerator, parallelism, 96);
VINE_FIELD(vine_wire_accelerator, tasks_queued, 100);
VINE_FIELD(vine_wire_accelerator, tasks_done, 104);
VINE_FIELD(vine_wire_accelerator, busy_ns, 112);
VINE_LAYOUT(vine_wire_acquire, 40);
VINE_FIELD(vine_wire_acquire, type, 0);
VINE_FIELD(vine_wire_acquire, accelerator, 32);
VINE_FIELD(vine_wire_acquire, order, 34);
VINE_LAYOUT(vine_wire_page, 16);
VINE_FIELD(vine_wire_page, record_bytes, 0);
VINE_FIELD(vine_wire_page, count, 4);
VINE_FIELD(vine_wire_page, next, 8);
VINE_LAYOUT(vine_wire_times, 32);
VINE_FIELD(vine_wire_times, total_ns, 0);
VINE_FIELD(vine_wire_times, p50_ns, 8);
VINE_FIELD(vine_wire_times, p99_ns, 16);
VINE_FIELD(vine_wire_times, max_ns, 24);
VINE_LAYOUT(vine_wire_statistics, 144);
VINE_FIELD(vine_wire_statistics, name, 0);
VINE_FIELD(vine_wire_statistics, tasks_done, 32);
VINE_FIELD(vine_wire_statistics, tasks_failed, 40);
VINE_FIELD(vine_wire_statistics, bytes_in, 48);
VINE_FIELD(vine_wire_statistics, bytes_out, 56);
VINE_FIELD(vine_wire_statistics, queued, 64);
VINE_FIELD(vine_wire_statistics, run, 96);
VINE_FIELD(vine_wire_statistics, tasks_late, 128);
VINE_FIELD(vine_wire_statistics, runs_long, 136);
VINE_LAYOUT(vine_wire_pipe, 264);
VINE_FIELD(vine_wire_pipe, number, 0);
VINE_FIELD(vine_wire_pipe, age_ns, 8);
VINE_FIELD(vine_wire_pipe, closed_ns, 16);
VINE_FIELD(vine_wire_pipe, tasks_done, 24);
VINE_FIELD(vine_wire_pipe, tasks_failed, 32);
VINE_FIELD(vine_wire_pipe, bytes_in, 40);
VINE_FIELD(vine_wire_pipe, bytes_out, 48);
VINE_FIELD(vine_wire_pipe, quota_bytes, 56);
VINE_FIELD(vine_wire_pipe, held_bytes, 64);
VINE_FIELD(vine_wire_pipe, pid, 72);
VINE_FIELD(vine_wire_pipe, uid, 76);
VINE_FIELD(vine_wire_pipe, flags, 80);
VINE_FIELD(vine_wire_pipe, error, 84);
VINE_FIELD(vine_wire_pipe, in_flight, 88);
VINE_FIELD(vine_wire_pipe, channels, 92);
VINE_FIELD(vine_wire_pipe, name, 96);
VINE_FIELD(vine_wire_pipe, link, 128);
VINE_FIELD(vine_wire_pipe, reason, 160);
VINE_FIELD(vine_wire_pipe, sharing, 256);
VINE_LAYOUT(vine_wire_finding, 256);
VINE_FIELD(vine_wire_finding, pipe, 0);
VINE_FIELD(vine_wire_finding, kind, 8);
VINE_FIELD(vine_wire_finding, channel, 12);
VINE_FIELD(vine_wire_finding, count, 16);
VINE_FIELD(vine_wire_finding, bytes, 24);
VINE_FIELD(vine_wire_finding, oldest_ns, 32);
VINE_FIELD(vine_wire_finding, ages, 40);
VINE_FIELD(vine_wire_finding, offset, 72);
VINE_FIELD(vine_wire_finding, name, 80);
VINE_FIELD(vine_wire_finding, found, 112);
VINE_FIELD(vine_wire_finding, expected, 192);
VINE_LAYOUT(vine_account_layout, 8000);
VINE_FIELD(vine_account_layout, version, 0);
VINE_FIELD(vine_account_layout, found, 4);
VINE_FIELD(vine_account_layout, count, 8);
VINE_FIELD(vine_account_layout, at_ns, 16);
VINE_FIELD(vine_account_layout, findings, 64);
/* clang-format on */

#endif

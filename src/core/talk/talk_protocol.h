/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/talk_protocol.h - the messages on a pipe's socket: handshake, growth, waking, farewell.
 *
 * A message is one SOCK_SEQPACKET datagram, little-endian, that starts with the same 8 bytes.
 * Everything else goes through the shared memory. docs/formats/talk.md describes every byte.
 */
#ifndef VINE_CORE_TALK_PROTOCOL_H
#define VINE_CORE_TALK_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "utils/assert.h"

#define VINE_TALK_MAGIC   0x4b4c4154u /* "TALK" */
#define VINE_TALK_MAJOR   1
#define VINE_TALK_MINOR   0
#define VINE_TALK_VERSION ((uint32_t)VINE_TALK_MAJOR << 16 | VINE_TALK_MINOR)
#define VINE_TALK_MESSAGE 256 /* no message is longer */

/* A side that can fall asleep by membarrier and has registered for it. */
#define VINE_TALK_FEATURE_MEMBARRIER 1u
/* Of devices: a side that has a doorbell, so that it rings whoever sleeps. */
#define VINE_TALK_FEATURE_RINGS 2u
/* Of sockets: an appliance that heeds the application's sleep epoch. */
#define VINE_TALK_FEATURE_EPOCH 4u
/* An application that takes reasons of failed tasks which do not fit into a completion. */
#define VINE_TALK_FEATURE_REASONS 8u
/* Of sockets and named segments: a side that knows bits of channels that are ready. */
#define VINE_TALK_FEATURE_READY 16u
/* An appliance that heeds deadlines of tasks. */
#define VINE_TALK_FEATURE_DEADLINES 32u
/* Of sockets: an application that greets whoever its appliance leaves the socket to. */
#define VINE_TALK_FEATURE_RENEWS 64u
/* Of sockets: an application that keeps tasks which are sent back until it greets the next one. */
#define VINE_TALK_FEATURE_WAITS 128u
/* Of named segments: an application that counts its claim anew to go on with whoever comes; an
 * appliance that lets it, and leaves the name to the next one. */
#define VINE_TALK_FEATURE_RETURNS 256u

enum vine_talk_message {
    VINE_TALK_HELLO = 1,   /* application: here is my half (1 descriptor) */
    VINE_TALK_WELCOME = 2, /* appliance: here is mine (1 descriptor) */
    VINE_TALK_REFUSE = 3,  /* appliance: no, because */
    VINE_TALK_EXTENT = 4,  /* either: my half has grown (1 descriptor) */
    VINE_TALK_WAKE = 5,    /* either: look at the rings */
    VINE_TALK_BYE = 6,     /* either: I close the pipe, because */
    /* Between an appliance and the one that takes its place. */
    VINE_TALK_TAKE_OVER = 7,     /* successor: leave me your listener and pipes */
    VINE_TALK_LISTENER = 8,      /* predecessor: here it is (1 descriptor) */
    VINE_TALK_LOCK = 9,          /* and the lock of its name (1 descriptor) */
    VINE_TALK_PIPE = 10,         /* a pipe's socket (1 descriptor) */
    VINE_TALK_THAT_WAS_ALL = 11, /* I have none any more */
    VINE_TALK_FORMER = 12,       /* nor I, but whose place I took has: it is here (1 descriptor) */
};

#define VINE_TALK_PIPE_GREETED                                                                     \
    1u /* its application had a pipe already, and says hello in its time */

/* What `closed` of an appliance's board says of a pipe whose socket another process has from now
 * on: all tasks that were begun are completed, and the application is to greet the other one. */
#define VINE_TALK_LEFT UINT32_MAX

struct vine_talk_head {
    uint32_t magic;
    uint16_t type;
    uint16_t size_bytes; /* of the whole message */
};

struct vine_talk_hello {
    struct vine_talk_head head;
    uint16_t major;
    uint16_t minor;
    uint32_t channels_max; /* wishes; 0: the appliance's own limit */
    uint32_t tasks_max;
    uint32_t reserved;
    uint64_t memory_max_bytes;
    uint64_t features;
    uint64_t half_bytes;
    uint8_t uuid[16];
    char name[32];
};

struct vine_talk_welcome {
    struct vine_talk_head head;
    uint16_t major;
    uint16_t minor; /* the lower of both sides' */
    uint32_t channels_max;
    uint32_t tasks_max;
    uint32_t reserved;
    uint64_t memory_max_bytes;
    uint64_t features;
    uint64_t half_bytes;
    uint64_t generation;
    char name[32];
};

/* REFUSE and BYE */
struct vine_talk_reason {
    struct vine_talk_head head;
    uint16_t major;
    uint16_t minor;
    uint32_t error; /* one of Vine's own */
    char text[96];
};

struct vine_talk_extent {
    struct vine_talk_head head;
    uint32_t index; /* the next one: extents are numbered from 0, which is the half itself */
    uint32_t reserved;
    uint64_t size_bytes;
};

struct vine_talk_take_over {
    struct vine_talk_head head;
    uint16_t major;
    uint16_t minor;
    uint32_t reserved;
};

/* LISTENER, LOCK, PIPE, THAT_WAS_ALL and FORMER */
struct vine_talk_left {
    struct vine_talk_head head;
    uint32_t flags; /* VINE_TALK_PIPE_ */
    uint32_t reserved;
    uint64_t device; /* of the listener's name: it is removed only while it is still this one */
    uint64_t inode;
};

/* clang-format off: one field a line */
VINE_LAYOUT(vine_talk_take_over, 16);
VINE_FIELD(vine_talk_take_over, head, 0);
VINE_FIELD(vine_talk_take_over, major, 8);
VINE_FIELD(vine_talk_take_over, minor, 10);
VINE_LAYOUT(vine_talk_left, 32);
VINE_FIELD(vine_talk_left, head, 0);
VINE_FIELD(vine_talk_left, flags, 8);
VINE_FIELD(vine_talk_left, device, 16);
VINE_FIELD(vine_talk_left, inode, 24);
VINE_LAYOUT(vine_talk_head, 8);
VINE_FIELD(vine_talk_head, magic, 0);
VINE_FIELD(vine_talk_head, type, 4);
VINE_FIELD(vine_talk_head, size_bytes, 6);
VINE_LAYOUT(vine_talk_hello, 96);
VINE_FIELD(vine_talk_hello, head, 0);
VINE_FIELD(vine_talk_hello, major, 8);
VINE_FIELD(vine_talk_hello, minor, 10);
VINE_FIELD(vine_talk_hello, channels_max, 12);
VINE_FIELD(vine_talk_hello, tasks_max, 16);
VINE_FIELD(vine_talk_hello, memory_max_bytes, 24);
VINE_FIELD(vine_talk_hello, features, 32);
VINE_FIELD(vine_talk_hello, half_bytes, 40);
VINE_FIELD(vine_talk_hello, uuid, 48);
VINE_FIELD(vine_talk_hello, name, 64);
VINE_LAYOUT(vine_talk_welcome, 88);
VINE_FIELD(vine_talk_welcome, head, 0);
VINE_FIELD(vine_talk_welcome, major, 8);
VINE_FIELD(vine_talk_welcome, minor, 10);
VINE_FIELD(vine_talk_welcome, channels_max, 12);
VINE_FIELD(vine_talk_welcome, tasks_max, 16);
VINE_FIELD(vine_talk_welcome, memory_max_bytes, 24);
VINE_FIELD(vine_talk_welcome, features, 32);
VINE_FIELD(vine_talk_welcome, half_bytes, 40);
VINE_FIELD(vine_talk_welcome, generation, 48);
VINE_FIELD(vine_talk_welcome, name, 56);
VINE_LAYOUT(vine_talk_reason, 112);
VINE_FIELD(vine_talk_reason, head, 0);
VINE_FIELD(vine_talk_reason, major, 8);
VINE_FIELD(vine_talk_reason, minor, 10);
VINE_FIELD(vine_talk_reason, error, 12);
VINE_FIELD(vine_talk_reason, text, 16);
VINE_LAYOUT(vine_talk_extent, 24);
VINE_FIELD(vine_talk_extent, head, 0);
VINE_FIELD(vine_talk_extent, index, 8);
VINE_FIELD(vine_talk_extent, size_bytes, 16);
/* clang-format on */

#endif

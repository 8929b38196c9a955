/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guest/status_layout.h - what a host tells a guest of its links: the status page, the
 * kernel's command line, and where on the PCI bus each device stands.
 *
 * The status page is the memory of one ivshmem device that the host alone writes and the guest can
 * only read. Each place is a link that the guest has, or may get while it runs. An entry is read
 * between two looks at its `sequence`, which is odd while the host writes it.
 * docs/formats/link.md describes every byte. All integers are little-endian.
 */
#ifndef VINE_ARCH_GUEST_STATUS_LAYOUT_H
#define VINE_ARCH_GUEST_STATUS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "utils/assert.h"

#define VINE_STATUS_MAGIC         UINT64_C(0x5355544154534956) /* the bytes "VISTATUS" */
#define VINE_STATUS_VERSION_MAJOR 1
#define VINE_STATUS_VERSION_MINOR 0
#define VINE_STATUS_PAGE_BYTES    16384
#define VINE_STATUS_LINKS_MAX     32
#define VINE_STATUS_NAME_BYTES    32 /* with the zero; a name is [A-Za-z0-9._-]+ */

/* The command line: where the status device and the doorbell are (the latter is not there where no
 * doorbell is), and the links that the guest has from the start. */
#define VINE_GUEST_STATUS_OPTION   "vine.status="   /* DDDD:BB:DD.F */
#define VINE_GUEST_DOORBELL_OPTION "vine.doorbell=" /* DDDD:BB:DD.F */
#define VINE_GUEST_LINK_OPTION     "vine.link="     /* NAME,application|appliance,PLACE */

/* Bus 0. Two root ports for each place: behind the first lies the memory that the application
 * writes, behind the second what the appliance writes. Four places share the eight functions of a
 * slot. */
#define VINE_GUEST_STATUS_SLOT                     2
#define VINE_GUEST_DOORBELL_SLOT                   3
#define VINE_GUEST_PORT_FIRST_SLOT                 16
#define VINE_GUEST_PORT_SLOT(place)                (VINE_GUEST_PORT_FIRST_SLOT + (place) / 4)
#define VINE_GUEST_PORT_FUNCTION(place, appliance) ((place) % 4 * 2 + (appliance))

/* Ends of a link, in the page and in the names of ports. */
enum vine_status_end {
    VINE_STATUS_APPLICATION = 0,
    VINE_STATUS_APPLIANCE = 1,
};

/* Vectors of a guest's doorbell: one that the host rings when the page has changed, and one for
 * each place, which the other end of that link rings. */
#define VINE_STATUS_VECTOR_CHANGES     0
#define VINE_STATUS_VECTOR_LINK(place) (1 + (place))
#define VINE_STATUS_NO_DOORBELL        UINT32_MAX

enum vine_status_side_state {
    VINE_STATUS_ABSENT = 0, /* never was there since this link was plugged */
    VINE_STATUS_ATTACHED = 1,
    VINE_STATUS_PAUSED = 2, /* its machine stands still, and will go on */
    VINE_STATUS_LOST = 3,   /* `reason` says why */
};

enum vine_status_reason {
    VINE_STATUS_REASON_NONE = 0,
    VINE_STATUS_REASON_SHUTDOWN = 1,  /* it was told to, or did so itself */
    VINE_STATUS_REASON_CRASH = 2,     /* its machine ended without that */
    VINE_STATUS_REASON_PANIC = 3,     /* its kernel did */
    VINE_STATUS_REASON_UNPLUGGED = 4, /* its half of the link was taken from it */
    VINE_STATUS_REASON_RESET = 5,     /* it starts anew */
};

/* One of the two ends of a link. */
struct vine_status_side {
    uint32_t state;         /* enum vine_status_side_state */
    uint32_t reason;        /* enum vine_status_reason */
    uint64_t generation;    /* raised each time that a machine takes this end */
    uint32_t doorbell_peer; /* whom to ring; VINE_STATUS_NO_DOORBELL */
    uint32_t doorbell_vector;
    uint64_t reserved;
};

struct vine_status_link {
    uint32_t sequence;      /* odd while the host writes the entry */
    uint32_t is_plugged;    /* 0: nothing of what follows holds */
    uint32_t end;           /* the guest's own: enum vine_status_end */
    uint32_t channels;      /* that a pipe over it may have; 0: the host does not say */
    uint64_t generation;    /* raised each time that this place gets a link */
    uint64_t size_bytes[2]; /* of the memory that each end writes */
    char name[VINE_STATUS_NAME_BYTES];
    uint64_t reserved_2;
    struct vine_status_side sides[2];
    uint64_t reserved_3[14];
};

struct vine_status_page {
    uint64_t magic; /* written last */
    uint16_t version_major;
    uint16_t version_minor;
    uint32_t link_count;    /* places: at most VINE_STATUS_LINKS_MAX */
    uint32_t changes;       /* raised behind each change of an entry */
    uint32_t doorbell_peer; /* the guest's own; VINE_STATUS_NO_DOORBELL */
    uint64_t reserved[29];
    struct vine_status_link links[VINE_STATUS_LINKS_MAX];
};

/* clang-format off: one field a line */
VINE_LAYOUT(vine_status_side, 32);
VINE_FIELD(vine_status_side, state, 0);
VINE_FIELD(vine_status_side, reason, 4);
VINE_FIELD(vine_status_side, generation, 8);
VINE_FIELD(vine_status_side, doorbell_peer, 16);
VINE_FIELD(vine_status_side, doorbell_vector, 20);
VINE_LAYOUT(vine_status_link, 256);
VINE_FIELD(vine_status_link, sequence, 0);
VINE_FIELD(vine_status_link, is_plugged, 4);
VINE_FIELD(vine_status_link, end, 8);
VINE_FIELD(vine_status_link, channels, 12);
VINE_FIELD(vine_status_link, generation, 16);
VINE_FIELD(vine_status_link, size_bytes, 24);
VINE_FIELD(vine_status_link, name, 40);
VINE_FIELD(vine_status_link, sides, 80);
VINE_LAYOUT(vine_status_page, 8448);
VINE_FIELD(vine_status_page, magic, 0);
VINE_FIELD(vine_status_page, version_major, 8);
VINE_FIELD(vine_status_page, version_minor, 10);
VINE_FIELD(vine_status_page, link_count, 12);
VINE_FIELD(vine_status_page, changes, 16);
VINE_FIELD(vine_status_page, doorbell_peer, 20);
VINE_FIELD(vine_status_page, links, 256);
/* clang-format on */
VINE_STATIC_ASSERT(sizeof(struct vine_status_page) <= VINE_STATUS_PAGE_BYTES, "it fits its device");

#endif

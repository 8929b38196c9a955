/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/link.h - how two sides reach each other beside the shared memory: wake, announce
 * growth, say farewell, and learn of the other's death. One interface, a file for each way.
 *
 * Owns:     the socket and the pidfd, or the named segment, or an end of a link of devices.
 * Threads:  vine__link_wake and vine__link_peer_lost on any; the others one at a time.
 * Blocking: never, but for vine__link_connect.
 * Trust:    messages are checked for size, type and fields; descriptors by who maps them.
 * Limits:   none of its own.
 */
#ifndef VINE_CORE_TALK_LINK_H
#define VINE_CORE_TALK_LINK_H

#include <stdbool.h>
#include <string.h>

#include "core/talk/address.h"
#include "core/talk/bell.h"
#include "core/talk/device_end.h"
#include "core/talk/half.h"
#include "core/talk/mirror.h"
#include "core/talk/talk_protocol.h"

struct vine__link;
struct vine__handshake_wish;
struct vine__agreement;

struct vine__link_operations {
    /* Wake a peer that said it sleeps. */
    void (*wake)(struct vine__link *link);
    /* Tell it of extent `index` of our half. */
    int (*announce)(struct vine__link *link, uint32_t index,
                    const struct vine__half_extent *extent);
    /* Take what it sent, a few messages of it: adds extents to the mirror. 0; 1 if there may be
     * more; -VINE_EPEERLOST, -VINE_EPROTOCOL, the negated error of a BYE, ... with a sentence in
     * `why`. */
    int (*receive)(struct vine__link *link, struct vine__why *why);
    /* Whether the peer's process has ended. */
    bool (*peer_lost)(struct vine__link *link);
    /* Sleep until the other side may have woken us since vine__link_rings, or, where it cannot, for
     * a part of what was waited so far. NULL: futexes reach it. Any thread. */
    void (*rest)(struct vine__link *link, uint32_t rings, uint64_t waited_ns, uint64_t timeout_ns);
    /* Say why we close; nobody waits for an answer. */
    void (*bye)(struct vine__link *link, int error, const char *text);
    /* Of an application, where there is no socket (else NULL): whether somebody is at the other
     * side of `former`, or may come. 0; -VINE_ENOAPPLIANCE; -ENODEV  there will be nobody. */
    int (*look_for_next)(const struct vine__link *former, struct vine__why *why);
    /* And go on there by a further link, with the half that `former` has, whose memory it shares.
     * What is still read of the other half has to be a private copy by then. */
    int (*go_on)(struct vine__link *link, const struct vine__link *former,
                 const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement);
    void (*close)(struct vine__link *link);
};

struct vine__link {
    const struct vine__link_operations *operations;
    struct vine__half *half;     /* ours */
    struct vine__mirror *mirror; /* theirs */
    int socket_fd;               /* -1: none */
    int pidfd;                   /* -1: none */
    int32_t peer_pid; /* for people, and where there is no pidfd; 0: not of this machine */
    uint64_t peer_start_ticks;
    struct vine_segment *named;    /* NULL: sockets */
    struct vine__address *address; /* of it, if its name goes with the last, or of our end; NULL */
    uint32_t epoch;                /* of a named segment: the application's claim */
    uint32_t side;                 /* enum vine_segment_side: which one we are */
    bool is_fixed;                 /* the memory was there before: it does not grow, nor count */
    struct vine__device_end *end;  /* NULL: no devices */
    struct vine__guest *guest;     /* what `end` goes by, if it is the link's own */
    struct vine__bell *bell;       /* of devices: the link's own or the appliance's */
    struct vine__bell own_bell;
    uint64_t peer_bell;       /* atomic: whom to ring there, and with which vector */
    uint32_t changes;         /* atomic: of what the host says, when we last looked */
    uint32_t sequence;        /* atomic: of its sentence that we heard last */
    uint32_t wakes_heard;     /* messages that said no more than that we should look */
    uint64_t meeting;         /* of devices: on both boards while the pipe lives */
    uint64_t peer_generation; /* of the other machine, when the pipe was made */
};

/* What the handshake agreed on. */
struct vine__agreement {
    uint32_t channels_max;
    uint32_t tasks_max;
    uint64_t memory_max_bytes;
    uint64_t generation;
    bool stream;    /* both sides can fall asleep by membarrier */
    bool reasons;   /* the application takes reasons in descriptors */
    bool renews;    /* the application greets whoever its socket is left to */
    bool returns;   /* of a named segment: both sides let the application go on with the next one */
    bool waits;     /* and keeps for it what is sent back */
    bool rings;     /* the appliance sends a wake to an application whose sleep epoch is odd */
    bool ready;     /* channels that are not on the appliance's list set bits */
    bool deadlines; /* the appliance heeds deadlines of tasks */
    char peer_name[32];
    uint32_t peer_uid; /* VINE__UID_UNKNOWN where nobody vouches for it */
};

#define VINE__UID_UNKNOWN UINT32_MAX

/* As long as a sleep and its end may take, so long it is worth to look instead. */
#define VINE__SPIN_NS        50000
#define VINE__SPIN_DEVICE_NS 500000 /* between machines: two interrupts */

struct vine__handshake_wish {
    const char *name;
    uint32_t channels_max;
    uint32_t tasks_max;
    uint64_t memory_max_bytes;
    uint64_t timeout_ns;
    uint32_t without; /* features that are not offered, as by who does not know them */
    struct vine__why *why;
};

/* What the appliance gives at most. */
struct vine__grant {
    const char *name;
    uint32_t channels_max;
    uint32_t tasks_max;
    uint64_t memory_max_bytes;
    uint64_t generation;
    uint32_t without; /* as in a wish */
    struct vine__why *why;
};

/* A link of these two that is not made yet: they are empty, and may be closed from here on. */
static inline void vine__link_init(struct vine__link *link, struct vine__half *half,
                                   struct vine__mirror *mirror)
{
    memset(half, 0, sizeof *half);
    memset(mirror, 0, sizeof *mirror);
    *link = (struct vine__link){.half = half, .mirror = mirror, .socket_fd = -1, .pidfd = -1};
}

/* Each of these makes a link, its half and its mirror of one that was initialised. On failure all
 * of it has been closed. */

/* Application: connect to a socket and exchange halves. */
VINE_MUST_CHECK int vine__link_connect(struct vine__link *link, const char *path,
                                       const struct vine__handshake_wish *wish,
                                       struct vine__agreement *ret_agreement);

/* Application: the same with a half that there is already, for another appliance: the one that
 * listens at `path`, or, where that is NULL, whoever has the other end of the link's socket now.
 * The half stays in any case; that it has grown is for the caller to announce. */
VINE_MUST_CHECK int vine__link_renew(struct vine__link *link, const char *path,
                                     const struct vine__handshake_wish *wish,
                                     struct vine__agreement *ret_agreement);

/* Appliance: answer a HELLO that came over the link's socket with its half `half_fd` (which stays
 * the caller's). On failure the application has been refused. */
VINE_MUST_CHECK int vine__link_welcome(struct vine__link *link, const struct vine_talk_hello *hello,
                                       int half_fd, const struct vine__grant *grant,
                                       struct vine__agreement *ret_agreement);

/* Application: attach to a named segment and wait until its appliance has answered. */
VINE_MUST_CHECK int vine__link_attach(struct vine__link *link, const struct vine__address *address,
                                      const struct vine__handshake_wish *wish,
                                      struct vine__agreement *ret_agreement);

/* Whether the application at the other side of a named segment, if there is one, waits for the next
 * appliance when this one goes. */
VINE_MUST_CHECK bool vine__link_is_awaited(const struct vine_segment *named);

/* Appliance: who was here before is gone, and an application may be there still. Returns the claim
 * that was answered last. */
uint32_t vine__link_succeed(const struct vine_segment *named);

/* Appliance: answer whoever holds the application's side of `named`, of which ours is the other.
 * Returns 0; -EAGAIN  nobody, or nobody else than the holder of claim `epoch_answered`. */
VINE_MUST_CHECK int vine__link_answer(struct vine__link *link, struct vine_segment *named,
                                      uint32_t epoch_answered, const struct vine__grant *grant,
                                      struct vine__agreement *ret_agreement);

/* Application: take an end of a link between machines, of the address's name, and wait until its
 * appliance has answered. */
VINE_MUST_CHECK int vine__link_meet(struct vine__link *link, const struct vine__address *address,
                                    const struct vine__handshake_wish *wish,
                                    struct vine__agreement *ret_agreement);

/* Appliance: answer the application at the other end, unless it is the one of `answered`. The end
 * stays the caller's, as the link's `bell` does, which it sets before. Returns 0, and then the
 * caller says so by vine__link_welcome_device when all is ready; -EAGAIN  nobody is there, or
 * nobody else; another error: it was refused. In the latter two *ret_meeting is whom not to answer
 * again. */
VINE_MUST_CHECK int vine__link_accept_device(struct vine__link *link, struct vine__device_end *end,
                                             uint64_t answered, const struct vine__grant *grant,
                                             struct vine__agreement *ret_agreement,
                                             uint64_t *ret_meeting);
void vine__link_welcome_device(struct vine__link *link);

/* Whether the other side of a device rings whoever sleeps, as it says. */
bool vine__link_peer_rings(const struct vine__link *link);

/* Whether the memory was there until now: what was read of it is what lay in it. Only a device's
 * can go, and its host says so before. Any thread; never blocks. */
VINE_MUST_CHECK bool vine__link_device_held(const struct vine__link *link);

VINE_MUST_CHECK static inline bool vine__link_held(const struct vine__link *link)
{
    return VINE__LIKELY(link->end == NULL) || vine__link_device_held(link);
}

/* Close what was made of a link so far. */
static inline void vine__link_undo(struct vine__link *link)
{
    vine__half_close(link->half);
    vine__mirror_close(link->mirror);
    link->operations->close(link);
}

/* Taken before the last look that comes before a rest. */
static inline uint32_t vine__link_rings(const struct vine__link *link)
{
    return link->bell != NULL ? vine__bell_rings(link->bell) : 0;
}

static inline void vine__link_wake(struct vine__link *link)
{
    link->operations->wake(link);
}

#endif

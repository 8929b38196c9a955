/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/segment.h - memory with a checked header, which two participants map.
 *
 * Owns:     a handle owns its mapping, the descriptor of memory that it created or opened by name,
 *           and the side that it claimed. Handles are reference-counted.
 * Threads:  any, where a function does not say otherwise; claim, publish and detach of one handle
 *           are one thread's.
 * Blocking: creating allocates and clears every page; the rest never waits.
 * Trust:    a one-way segment (memfd or ivshmem, one half) stands a hostile owner: its header is
 *           read once into private memory, checked there, and never read again, and no access to
 *           its mapping can fault. A segment with both halves is for parties of one user.
 * Limits:   VINE_SEGMENT_REGIONS_MAX regions, VINE_SEGMENT_EXTENTS_MAX extents, 2^62 bytes.
 *
 * Caveats:  a segment does not survive fork: it is not mapped in a child, where calls return
 *           -VINE_EFORK. Pids are compared within one pid namespace of one kernel; holders from
 *           elsewhere count as alive until they detach. Removing a name does not end its use.
 */
#ifndef VINE_SEGMENT_H
#define VINE_SEGMENT_H

#include <vine/base.h>
#include <vine/error.h>

#include <stdbool.h>

VINE_BEGIN_DECLARATIONS

#define VINE_SEGMENT_REGIONS_MAX    8
#define VINE_SEGMENT_EXTENTS_MAX    64
#define VINE_SEGMENT_IDENTITY_BYTES 16
#define VINE_SEGMENT_WHY_MAX        320

/* Bytes at the front of every segment that belong to its header. */
#define VINE_SEGMENT_HEADER_BYTES 4096

enum vine_segment_backend {
    VINE_SEGMENT_MEMFD,     /* without a name, sealed, sent over a Unix socket */
    VINE_SEGMENT_POSIX,     /* a name of POSIX shared memory */
    VINE_SEGMENT_FILE,      /* a path */
    VINE_SEGMENT_IVSHMEM,   /* BAR 2 of a PCI device 1af4:1110 */
    VINE_SEGMENT_ANONYMOUS, /* within one process */
    VINE_SEGMENT_BACKEND_COUNT
};

enum vine_segment_trust {
    VINE_SEGMENT_HOSTILE_SAFE, /* the other side can be anybody */
    VINE_SEGMENT_ONE_USER,     /* the other side could harm us anyway */
};

enum vine_segment_side {
    VINE_SEGMENT_NOBODY, /* looks, takes no part */
    VINE_SEGMENT_APPLICATION,
    VINE_SEGMENT_APPLIANCE,
};

/* What a region of a segment is for. The numbers are part of the format. */
enum vine_segment_kind {
    VINE_SEGMENT_KIND_NONE = 0,
    VINE_SEGMENT_KIND_APPLICATION_HALF = 1,
    VINE_SEGMENT_KIND_APPLIANCE_HALF = 2,
    VINE_SEGMENT_KIND_RINGS = 3,
    VINE_SEGMENT_KIND_HEAP = 4,
    VINE_SEGMENT_KIND_BOARD = 5, /* wake words */
    VINE_SEGMENT_KIND_EXTENTS = 6,
    VINE_SEGMENT_KIND_USER = 7,
    VINE_SEGMENT_KIND_COUNT
};

struct vine_segment_region {
    enum vine_segment_kind kind;
    uint64_t size_bytes;
};

/* Begin with vine_segment_options_init(). */
struct vine_segment_options {
    size_t size_bytes; /* of this struct; set by the init function */
    enum vine_segment_backend backend;
    enum vine_segment_side side; /* to claim; a half that is created belongs to it */
    /* posix: the name; file: the path; ivshmem: DDDD:BB:DD.F, BB:DD.F, the path of the device's
     * resource2, or "auto"; memfd: what /proc shows, or NULL. */
    const char *name;
    /* create: at least this much, 0 for what the regions need; attach: what is expected to be
     * there, 0 for whatever there is; from_fd: what the peer claims, required. */
    uint64_t segment_bytes;
    uint64_t segment_max_bytes; /* from_fd: refuse larger claims; 0: no limit */
    uint64_t offset_bytes;      /* where the segment starts in a file or BAR */
    void *address_hint;
    uint64_t fingerprint; /* of what will be shared: vine_segment_fingerprint() */
    /* create: what is offered. attach: what we know; an upper half bit that is offered and not
     * known is refused. */
    uint64_t features;
    uint64_t generation; /* create: 0 is one more than the segment had that is replaced */
    unsigned char identity[VINE_SEGMENT_IDENTITY_BYTES]; /* create: all 0 is a random one */
    uint32_t peer_uid;                                   /* create: a hint for whoever looks */
    int numa_node;                                       /* -1: any */
    bool read_only;  /* attach without the right to write, and so without a side */
    bool truncate;   /* create, posix and file: replace whatever the file holds, and end it with
                        the segment; refused all the same while a participant lives */
    bool populate;   /* touch all pages now */
    bool huge_pages; /* create: reserved ones or fail; from_fd: take them */
    bool write_combining; /* ivshmem: where the device offers it: see vine_segment_needs_fence() */
    bool exclusive;       /* ivshmem: nobody else of this machine may map the device so */
    /* ivshmem, create: nobody but the caller can write the device. What it holds is replaced,
     * whoever it says it belongs to, and its regions keep what they held. */
    bool sole_writer;
    const char *sysfs_root; /* ivshmem; NULL is /sys */
    uint32_t region_count;  /* create: they follow the header in this order */
    struct vine_segment_region regions[VINE_SEGMENT_REGIONS_MAX];
};

/* What a failure has to say. Every call that takes one clears it first and takes NULL, too. */
struct vine_segment_report {
    char why[VINE_SEGMENT_WHY_MAX]; /* one sentence: which memory, what, at which offset */
    int32_t holder_pid;             /* with -EBUSY: who uses it; 0 if that is not known */
    int32_t dead_pid;               /* of success: whose side was taken over; 0: it was free */
};

struct vine_segment_facts {
    uint16_t version_minor; /* the smaller one of both sides */
    uint64_t features;      /* those of both sides */
    uint64_t generation;
    uint64_t size_bytes;
    unsigned char identity[VINE_SEGMENT_IDENTITY_BYTES];
    uint32_t owner_uid; /* hints, both: authority is the kernel's word on a socket */
    uint32_t peer_uid;
    enum vine_segment_backend backend;
    enum vine_segment_trust trust;
    bool name_is_made; /* of a named one: the name was made with it, or with a segment in it that
                        * was left behind, and is to be removed with it */
};

enum vine_segment_presence_state {
    VINE_SEGMENT_ABSENT,
    VINE_SEGMENT_ALIVE,
    VINE_SEGMENT_DEAD, /* it ended without detaching */
};

struct vine_segment_presence {
    enum vine_segment_presence_state state;
    int32_t pid;     /* 0: absent */
    uint64_t claims; /* how often this side was claimed: another number, another claim */
};

struct vine_segment;

/* Any thread. */
VINE_API void vine_segment_options_init(struct vine_segment_options *options);

/* A hash of numbers that both sides must agree on, such as sizes of shared structs; those of the
 * segment itself are in it. Any thread. */
VINE_API uint64_t vine_segment_fingerprint(const uint64_t *numbers, size_t count);

/* Make a segment and claim options->side, if any. Any thread.
 *
 * Its regions are zero, and it stays invisible (`initializing`) until vine_segment_publish(); if
 * the last reference goes before that, it is left `corrupted`. A named segment that exists is
 * replaced if nobody lives in it: one that is larger keeps its size, its regions are zeroed.
 *
 * Returns 0; -EBUSY         it is in use, or being made, by report->holder_pid;
 *         -VINE_EMAGIC      the file holds something else, and `truncate` is not set;
 *         -VINE_ETRUNCATED  the BAR is too small;
 *         -EINVAL           impossible options; -EACCES  another user's file;
 *         -ENOMEM, -ENOSPC  or what the system said. On failure nothing that existed has changed,
 *                           but for a file that may have grown. */
VINE_API VINE_MUST_CHECK int vine_segment_create(const struct vine_segment_options *options,
                                                 struct vine_segment **ret_segment,
                                                 struct vine_segment_report *report);

/* Let others see it, after the regions are formatted. The creator, once. Returns 0 or
 * -VINE_EFORK. */
VINE_API VINE_MUST_CHECK int vine_segment_publish(struct vine_segment *segment);

/* Map a segment that exists under a name, and claim options->side, if any. Any thread. Everything
 * is checked before anything is used; nothing is ever initialized.
 *
 * Returns 0; -ENOENT             there is none;
 *         -VINE_ETRUNCATED       empty, cut off, or smaller than its header says;
 *         -VINE_EMAGIC           no segment; -VINE_EVERSION  another major version;
 *         -VINE_EINITIALIZING    its creator is still at it: try again;
 *         -VINE_ECORRUPT         its creator died or failed, or a field is impossible;
 *         -VINE_EFINGERPRINT     other sizes of shared structs;
 *         -EOPNOTSUPP            it requires a feature that we do not know;
 *         -EBUSY                 the side is taken, by report->holder_pid;
 *         -EACCES, -EINVAL       or what the system said. */
VINE_API VINE_MUST_CHECK int vine_segment_attach(const struct vine_segment_options *options,
                                                 struct vine_segment **ret_segment,
                                                 struct vine_segment_report *report);

/* Map the half that a peer has sent, read-only. Any thread. The descriptor stays the caller's and
 * is not needed any more.
 *
 * Returns as vine_segment_attach; -VINE_EUNSEALED  it could fail under us later;
 *         -VINE_ETOOBIG  it is larger than options->segment_max_bytes. */
VINE_API VINE_MUST_CHECK int vine_segment_from_fd(int fd,
                                                  const struct vine_segment_options *options,
                                                  struct vine_segment **ret_segment,
                                                  struct vine_segment_report *report);

/* One more holder of the handle; any thread that has one. Returns `segment`. */
VINE_API struct vine_segment *vine_segment_ref(struct vine_segment *segment);

/* One holder less; the last one detaches, unmaps and frees. Any thread; NULL is fine. */
VINE_API void vine_segment_unref(struct vine_segment *segment);

/* Take a side of a named segment, also from a holder that is dead. A holder of a writable handle
 * that has no side yet; or that side: then the claim is counted anew, and who looks at the count
 * sees all that was written before. Returns 0; -EBUSY  with report->holder_pid;
 * -VINE_EINITIALIZING  it is being replaced; -EROFS; -EINVAL; -VINE_EFORK. */
VINE_API VINE_MUST_CHECK int vine_segment_claim(struct vine_segment *segment,
                                                enum vine_segment_side side,
                                                struct vine_segment_report *report);

/* Give the side back; the mapping stays. Whoever claimed it. Does nothing without a side or in a
 * child of fork. */
VINE_API void vine_segment_detach(struct vine_segment *segment);

/* Who is on a side, told by its attach word. In a one-way segment of a peer this is what the peer
 * says of itself. Any holder. Returns 0; -EINVAL; -VINE_EFORK. */
VINE_API VINE_MUST_CHECK int vine_segment_presence(const struct vine_segment *segment,
                                                   enum vine_segment_side side,
                                                   struct vine_segment_presence *ret_presence);

/* How many sides are held by the living: 0 to 2, or -VINE_EFORK. Any holder. */
VINE_API VINE_MUST_CHECK int vine_segment_participants(const struct vine_segment *segment);

/* Declare the segment unusable for whoever attaches later. A holder of a writable handle. Returns
 * 0; -EROFS; -VINE_EFORK. */
VINE_API VINE_MUST_CHECK int vine_segment_condemn(struct vine_segment *segment);

/* Where a region lies, by what the header said when it was checked. Any holder. What is found in
 * a read-only segment must not be written. Returns 0; -ENOENT  there is none; -VINE_EFORK. */
VINE_API VINE_MUST_CHECK int vine_segment_find(const struct vine_segment *segment,
                                               enum vine_segment_kind kind, void **ret_base,
                                               uint64_t *ret_size_bytes);

/* Note a further memory object that belongs to this half; its number is the count of those before.
 * The owner of a one-way segment, one thread. Returns its number, 0 or more; -ENOSPC; -EROFS;
 * -EINVAL; -VINE_EFORK. */
VINE_API VINE_MUST_CHECK int vine_segment_extent_add(struct vine_segment *segment,
                                                     uint64_t size_bytes);

/* Sizes of the further memory objects, as the owner says now. Any holder. Returns their number;
 * -VINE_ECORRUPT  it is impossible; -VINE_EFORK. */
VINE_API VINE_MUST_CHECK int
vine_segment_extents(const struct vine_segment *segment,
                     uint64_t ret_size_bytes[VINE_SEGMENT_EXTENTS_MAX]);

/* All of these: any holder. */
VINE_API void vine_segment_facts(const struct vine_segment *segment,
                                 struct vine_segment_facts *ret_facts);
VINE_API void *vine_segment_base(const struct vine_segment *segment);
VINE_API uint64_t vine_segment_size(const struct vine_segment *segment);

/* The descriptor to send to a peer, or -1; it stays the handle's. */
VINE_API int vine_segment_fd(const struct vine_segment *segment);

/* What a person calls it. Valid as long as the handle. */
VINE_API const char *vine_segment_label(const struct vine_segment *segment);

/* Whether a store with release order publishes, or vine_segment_publish_fence() must come before
 * it (write-combining memory of a device). */
VINE_API bool vine_segment_needs_fence(const struct vine_segment *segment);
VINE_API void vine_segment_publish_fence(const struct vine_segment *segment);

/* Remove the name of a posix or file segment; options name it. Any thread. Who has it mapped keeps
 * it. Where options->side is VINE_SEGMENT_NOBODY, nobody may hold a side, the caller included, and
 * nobody enters it any more. Returns 0; -EBUSY  another process is making it or holds that side, or
 * either (report->holder_pid); -VINE_EMAGIC  it holds something that is no segment; -EOPNOTSUPP; or
 * what the system said. */
VINE_API VINE_MUST_CHECK int vine_segment_remove(const struct vine_segment_options *options,
                                                 struct vine_segment_report *report);

/* Facts about a backend, for whoever shows them: "memfd", and what it can bear when it carries
 * one-way halves. Any thread; "?" for a number that is none. */
VINE_API const char *vine_segment_backend_name(enum vine_segment_backend backend);
VINE_API enum vine_segment_trust vine_segment_backend_trust(enum vine_segment_backend backend);

VINE_END_DECLARATIONS

#endif

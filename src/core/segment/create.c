/* SPDX-License-Identifier: Apache-2.0 */
/* Making segments: layout, claim, header, publication. */
#include "core/segment/segment_internal.h"

#include "arch/memory/memory.h"
#include "arch/peer/random.h"
#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#include <errno.h>
#include <string.h>

/* Regions begin at multiples of this, the page of every machine that we know or a part of it. */
#define REGION_ALIGN 4096

/* Between our looks at a name, somebody may make or remove it. */
#define TRIES_MAX 8

struct layout {
    struct vine__segment_spec specs[VINE__SEGMENT_SPEC_COUNT];
    uint64_t bytes;
};

static int plan(const struct vine_segment_options *options, const struct vine__segment_reporter *to,
                struct layout *ret_layout);
static int claim_named(const struct vine__memory_options *options, bool truncate,
                       struct vine_segment *segment, const struct vine__segment_reporter *to);
static int write_header(struct vine_segment *segment, const struct vine_segment_options *options,
                        const struct layout *layout);
static int take_device(struct vine__memory *memory, const struct vine__segment_reporter *to);

static void store_words(struct vine__segment_header *header,
                        const struct vine__segment_header *image, size_t from, size_t to);

int vine_segment_create(const struct vine_segment_options *options,
                        struct vine_segment **ret_segment, struct vine_segment_report *report)
{
    const struct vine__segment_reporter to = vine__segment_report_begin(report, options);
    struct vine__memory_options memory_options;
    struct layout layout;

    int error = vine__segment_memory_options(options, &to, &memory_options);
    if (error == 0)
        error = plan(options, &to, &layout);
    if (error != 0)
        return error;

    struct vine_segment *segment = NULL;
    error = vine__segment_alloc(options, &segment);
    if (error != 0)
        return error;
    segment->is_writable = true;

    const bool is_named =
        options->backend == VINE_SEGMENT_POSIX || options->backend == VINE_SEGMENT_FILE;
    memory_options.size_bytes = layout.bytes;
    if (is_named)
        error = claim_named(&memory_options, options->truncate, segment, &to);
    else
        error = vine__memory_create(&memory_options, &segment->memory);
    if (error != 0)
        goto fail;

    struct vine__segment_header *const header = vine__memory_base(segment->memory);
    if (options->sole_writer)
        error = take_device(segment->memory, &to);
    if (error == 0 && !is_named)
        error = vine__segment_begin(header, segment->side, &segment->self, &to);
    if (error != 0)
        goto fail;
    segment->header = header;
    segment->is_being_made = true;

    /* Sealed and anonymous memory is new, and so it is zero. */
    if (is_named || (options->backend == VINE_SEGMENT_IVSHMEM && !options->sole_writer)) {
        error = vine__memory_clear(segment->memory, VINE__SEGMENT_HEADER_BYTES);
        if (error == 0 && options->truncate)
            error = vine__memory_cut(segment->memory);
        if (error != 0) {
            (void)vine__segment_refuse(&to, error, "cannot be cleared: %s", vine_error_text(error));
            goto fail;
        }
    }
    error = write_header(segment, options, &layout);
    if (error != 0)
        goto fail;
    vine__segment_report_success(report);
    *ret_segment = segment;
    return 0;

fail:
    vine_segment_unref(segment);
    return error;
}

int vine_segment_publish(struct vine_segment *segment)
{
    VINE_ASSERT(segment->is_being_made);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;

    vine__memory_publish_fence(segment->memory);
    /* S1 pairs with A1 in vine__segment_copy(): the header and the regions before the status. */
    vine__store_release_u32(&segment->header->status, VINE__SEGMENT_STATUS_INITIALIZED);
    vine__segment_holder_leave(&segment->header->claim, &segment->self);
    segment->is_being_made = false;
    return 0;
}

int vine_segment_remove(const struct vine_segment_options *options,
                        struct vine_segment_report *report)
{
    const struct vine__segment_reporter to = vine__segment_report_begin(report, options);
    struct vine__memory_options memory_options;
    struct vine__memory *memory = NULL;
    struct vine__identity self;

    int error = vine__segment_memory_options(options, &to, &memory_options);
    if (error != 0)
        return error;
    if (options->backend != VINE_SEGMENT_POSIX && options->backend != VINE_SEGMENT_FILE)
        return vine__segment_refuse(&to, -EOPNOTSUPP, "has no name to remove");

    const bool ends = options->side == VINE_SEGMENT_NOBODY;

    memory_options.protection = ends ? VINE__MEMORY_READ_WRITE : VINE__MEMORY_READ;
    memory_options.populate = false;
    error = vine__memory_open(&memory_options, &memory);
    if (error == -VINE_ETRUNCATED) /* nothing that anybody could use */
        return vine__memory_remove(&memory_options);
    if (error != 0)
        return error;

    struct vine__segment_header *const header = vine__memory_base(memory);

    vine__identity_of_self(&self);
    if (vine__memory_size(memory) < VINE__SEGMENT_HEADER_BYTES)
        error = vine__segment_refuse(&to, -VINE_EMAGIC, "is too short for a segment");
    else if (ends)
        error = vine__segment_begin(header, VINE_SEGMENT_NOBODY, &self, &to);
    else
        error = vine__segment_check_unused(header, options->side, &self, &to);
    if (error == 0) {
        error = vine__memory_remove(&memory_options);
        if (ends && error == 0)
            vine__segment_end(header, &self);
        else if (ends)
            vine__segment_abandon(header, VINE_SEGMENT_NOBODY, &self);
    }
    vine__memory_close(memory);
    return error;
}

/* Where the regions go: one after the other behind the header. */
static int plan(const struct vine_segment_options *options, const struct vine__segment_reporter *to,
                struct layout *ret_layout)
{
    struct layout layout = {.bytes = VINE__SEGMENT_HEADER_BYTES};
    uint32_t kinds_seen = 0;

    if (options->region_count > VINE_SEGMENT_REGIONS_MAX)
        return vine__segment_refuse(to, -EINVAL, "%u regions, and there is room for %u",
                                    options->region_count, VINE_SEGMENT_REGIONS_MAX);
    for (uint32_t i = 0; i < options->region_count; i++) {
        const struct vine_segment_region *const region = &options->regions[i];
        uint64_t bytes = 0;

        if (region->kind <= VINE_SEGMENT_KIND_NONE || region->kind >= VINE_SEGMENT_KIND_COUNT ||
            (kinds_seen & UINT32_C(1) << region->kind) != 0)
            return vine__segment_refuse(to, -EINVAL, "region %u has an impossible kind, %d", i,
                                        (int)region->kind);
        kinds_seen |= UINT32_C(1) << region->kind;
        if (region->size_bytes == 0 ||
            vine__round_up_overflows_u64(region->size_bytes, REGION_ALIGN, &bytes) ||
            vine__add_overflows_u64(layout.bytes, bytes, &bytes))
            return vine__segment_refuse(to, -EINVAL, "region %u has an impossible size", i);
        layout.specs[i] = (struct vine__segment_spec){
            .kind = (uint32_t)region->kind,
            .offset_bytes = layout.bytes,
            .size_bytes = region->size_bytes,
        };
        layout.bytes = bytes;
    }
    if (layout.bytes < options->segment_bytes)
        layout.bytes = options->segment_bytes;
    *ret_layout = layout;
    return 0;
}

/* Find named memory, or make it, with a header's room at least. What is too short grows and is
 * never cut: since we looked at it, somebody may have made a segment there. */
static int find_named(const struct vine__memory_options *options, bool truncate,
                      const struct vine__segment_reporter *to, struct vine__memory **ret_memory,
                      bool *ret_is_new)
{
    struct vine__memory_options found = *options;
    struct vine__memory_options fresh = *options;
    struct vine__memory *memory = NULL;
    bool is_new = false;
    int error = -EEXIST;

    found.size_bytes = 0;
    found.populate = false;
    fresh.create_new = true;
    for (int tries = 0; tries < TRIES_MAX && (error == -EEXIST || error == -ENOENT); tries++) {
        error = vine__memory_open(&found, &memory);
        is_new = error == -ENOENT;
        if (is_new)
            error = vine__memory_create(&fresh, &memory);
        else if (error == -VINE_ETRUNCATED) /* empty, or nothing at our offset */
            error = vine__memory_create(options, &memory);
    }
    if (error != 0)
        return error;

    if (vine__memory_size(memory) < VINE__SEGMENT_HEADER_BYTES) {
        vine__memory_close(memory);
        if (!truncate)
            return vine__segment_refuse(to, -VINE_EMAGIC, "holds something that is no segment");
        error = vine__memory_create(options, &memory);
        if (error != 0)
            return error;
    }
    *ret_memory = memory;
    *ret_is_new = is_new;
    return 0;
}

static void wipe_header(struct vine__memory *memory)
{
    uint64_t *const words = vine__memory_base(memory);

    for (size_t i = 0; i < VINE__SEGMENT_HEADER_BYTES / sizeof(*words); i++)
        /* Relaxed: who makes a segment here has the lock, too, or finds something foreign. */
        vine__store_relaxed_u64(&words[i], 0);
}

/* Make a fresh header of a device that we alone write. Stores to one that its host lets us only
 * read vanish. */
static int take_device(struct vine__memory *memory, const struct vine__segment_reporter *to)
{
    uint64_t *const words = vine__memory_base(memory);

    for (uint64_t seen = 1; seen <= 2; seen++) {
        vine__store_relaxed_u64(&words[0], seen);
        vine__fence_full();
        if (vine__load_relaxed_u64(&words[0]) != seen)
            return vine__segment_refuse(to, -EROFS, "is a device that this machine only reads");
    }
    wipe_header(memory);
    return 0;
}

/* Make a fresh header of whatever lies there, unless that is a segment's. Under a lock, so that of
 * two who were told to, the second finds what the first one has made. */
static int wipe_foreign(struct vine__memory *memory, const struct vine__segment_reporter *to)
{
    struct vine__segment_header copy;

    const int error = vine__memory_lock(memory);
    if (error != 0)
        return vine__segment_refuse(to, error, "is locked by another process");
    vine__segment_copy(vine__memory_base(memory), &copy);
    if (!vine__segment_is_begun(&copy) && !vine__segment_is_fresh(&copy))
        wipe_header(memory);
    vine__memory_unlock(memory);
    return 0;
}

/* Map named memory and begin to make a segment in it. What exists is looked at before it is grown,
 * so that a refusal leaves it alone. */
static int claim_named(const struct vine__memory_options *options, bool truncate,
                       struct vine_segment *segment, const struct vine__segment_reporter *to)
{
    struct vine__memory *found = NULL;
    struct vine__memory *memory = NULL;
    bool is_new = false;

    int error = find_named(options, truncate, to, &found, &is_new);
    if (error != 0)
        return error;
    struct vine__segment_header *const header = vine__memory_base(found);
    if (truncate)
        error = wipe_foreign(found, to);
    if (error == 0)
        error = vine__segment_begin(header, segment->side, &segment->self, to);
    if (error != 0)
        goto fail;
    /* One that was killed left its name behind, and the flag with it. */
    segment->name_is_made =
        is_new || (vine__load_relaxed_u32(&header->name_flags) & VINE__SEGMENT_NAME_IS_MADE) != 0;

    /* The same file again, with as many bytes as the segment needs and no more. */
    error = vine__memory_create(options, &memory);
    if (error == 0 && !vine__segment_is_ours(vine__memory_base(memory), &segment->self)) {
        vine__memory_close(memory);
        error = vine__segment_refuse(to, -EBUSY, "was replaced while we made it");
    }
    if (error != 0) {
        vine__segment_abandon(header, segment->side, &segment->self);
        goto fail;
    }
    vine__memory_close(found);
    segment->memory = memory;
    return 0;

fail:
    vine__memory_close(found);
    return error;
}

static int write_header(struct vine_segment *segment, const struct vine_segment_options *options,
                        const struct layout *layout)
{
    struct vine__segment_checked *const checked = &segment->checked;

    /* 0 in fresh memory. */
    checked->generation = vine__load_relaxed_u64(&segment->header->generation) + 1;
    if (options->generation != 0)
        checked->generation = options->generation;
    checked->version_minor = VINE__SEGMENT_VERSION_MINOR;
    checked->features = options->features;
    checked->size_bytes = vine__memory_size(segment->memory);
    checked->owner_uid = segment->self.uid;
    checked->peer_uid = options->peer_uid;
    memcpy(checked->specs, layout->specs, sizeof(checked->specs));
    memcpy(checked->identity, options->identity, sizeof(checked->identity));
    static const unsigned char none[VINE_SEGMENT_IDENTITY_BYTES];
    if (memcmp(checked->identity, none, sizeof(none)) == 0) {
        const int error = vine__random_bytes(checked->identity, sizeof(checked->identity));
        if (error != 0)
            return error;
        /* A UUID of version 4. */
        checked->identity[6] = (unsigned char)((checked->identity[6] & 0x0fU) | 0x40U);
        checked->identity[8] = (unsigned char)((checked->identity[8] & 0x3fU) | 0x80U);
    }

    struct vine__segment_header image = {
        .fingerprint = options->fingerprint,
        .features = checked->features,
        .generation = checked->generation,
        .size_bytes = checked->size_bytes,
        .owner_uid = checked->owner_uid,
        .peer_uid = checked->peer_uid,
        .header_bytes = VINE__SEGMENT_HEADER_BYTES,
        .line_bytes = VINE__SEGMENT_LINE_BYTES,
        .slot_bytes = VINE__SEGMENT_SLOT_BYTES,
        .name_flags = segment->name_is_made ? VINE__SEGMENT_NAME_IS_MADE : 0,
    };
    memcpy(image.identity, checked->identity, sizeof(image.identity));
    memcpy(image.specs, checked->specs, sizeof(image.specs));

    /* Status and magic stand: everybody keeps off until we publish, but may be looking. */
    vine__store_relaxed_u32((uint32_t *)(void *)&segment->header->version_major,
                            (uint32_t)VINE__SEGMENT_VERSION_MAJOR |
                                (uint32_t)VINE__SEGMENT_VERSION_MINOR << 16);
    store_words(segment->header, &image, offsetof(struct vine__segment_header, fingerprint),
                offsetof(struct vine__segment_header, claim));
    store_words(segment->header, &image, offsetof(struct vine__segment_header, reserved_2),
                sizeof(image));
    return 0;
}

/* Both ends are multiples of a word. */
static void store_words(struct vine__segment_header *header,
                        const struct vine__segment_header *image, size_t from, size_t to)
{
    uint64_t *const words = (uint64_t *)(void *)header;

    for (size_t at = from; at < to; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, (const unsigned char *)image + at, sizeof(word));
        vine__store_relaxed_u64(&words[at / sizeof(uint64_t)], word);
    }
}

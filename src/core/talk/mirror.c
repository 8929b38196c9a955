/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "core/segment/view.h"
#include "core/talk/half.h"
#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"

/* An extent as large as this is looked through for holes at once: 60 us. */
#define AT_ONCE_BYTES (4ULL << 20)

int vine__mirror_place(struct vine__mirror *mirror, const void *memory, uint64_t size_bytes)
{
    if (size_bytes < sizeof(struct vine_half_layout))
        return -VINE_ETRUNCATED;
    memset(mirror, 0, sizeof *mirror);
    mirror->layout = memory;
    mirror->extents[0].base = memory;
    mirror->extents[0].size_bytes = size_bytes;
    mirror->extents[0].fd = -1;
    mirror->extent_count = 1;
    mirror->size_bytes = size_bytes;
    mirror->told_bytes = size_bytes;
    mirror->bytes_max = size_bytes;
    return 0;
}

/* A half that takes all of a device, behind its header. */
static int open_device(struct vine__mirror *mirror, const struct vine__mirror_options *options,
                       struct vine_segment_options *segment_options)
{
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;
    void *region = NULL;
    uint64_t region_bytes = 0;

    segment_options->backend = VINE_SEGMENT_IVSHMEM;
    segment_options->name = options->device;
    segment_options->sysfs_root = options->sysfs_root;
    segment_options->read_only = true;

    int error = vine_segment_attach(segment_options, &segment, &report);

    if (error) {
        vine__why_say(options->why, "%s", report.why);
        return error;
    }
    if (vine_segment_find(segment, options->kind, &region, &region_bytes) != 0 ||
        (unsigned char *)region !=
            (unsigned char *)vine_segment_base(segment) + VINE_SEGMENT_HEADER_BYTES) {
        vine__why_say(options->why, "device %s holds no half of the other side", options->device);
        error = -VINE_EPROTOCOL;
    }
    if (!error)
        error = vine__mirror_place(mirror, region, region_bytes);
    if (error) {
        vine_segment_unref(segment);
        return error;
    }
    mirror->segment = segment;
    mirror->size_bytes = vine_segment_size(segment);
    mirror->told_bytes = mirror->size_bytes;
    mirror->bytes_max = mirror->size_bytes;
    return 0;
}

int vine__mirror_open(struct vine__mirror *mirror, const struct vine__mirror_options *options)
{
    struct vine_segment_options segment_options;
    struct vine_segment_report report;
    struct vine_segment_facts facts;
    struct vine_segment *segment = NULL;
    void *region = NULL;
    uint64_t region_bytes = 0;

    vine_segment_options_init(&segment_options);
    segment_options.fingerprint = vine__half_fingerprint();
    if (options->device != NULL)
        return open_device(mirror, options, &segment_options);
    segment_options.backend = VINE_SEGMENT_MEMFD;
    segment_options.segment_bytes = options->claimed_bytes;
    segment_options.segment_max_bytes = options->bytes_max;

    int error = vine_segment_from_fd(options->fd, &segment_options, &segment, &report);

    if (error) {
        vine__why_say(options->why, "%s", report.why);
        return error;
    }
    vine_segment_facts(segment, &facts);
    if (memcmp(facts.identity, options->uuid, sizeof facts.identity) != 0) {
        vine__why_say(options->why, "the half belongs to another pipe than the message says");
        error = -VINE_EPROTOCOL;
        goto fail;
    }
    if (vine_segment_find(segment, VINE_SEGMENT_KIND_APPLICATION_HALF, &region, &region_bytes) &&
        vine_segment_find(segment, VINE_SEGMENT_KIND_APPLIANCE_HALF, &region, &region_bytes)) {
        vine__why_say(options->why, "the segment holds no half of a pipe");
        error = -VINE_EPROTOCOL;
        goto fail;
    }
    error = vine__mirror_place(mirror, region, region_bytes);
    if (error) {
        vine__why_say(options->why, "a half of %llu bytes has no room for its board",
                      (unsigned long long)region_bytes);
        goto fail;
    }
    mirror->segment = segment;
    mirror->size_bytes = vine_segment_size(segment);
    mirror->told_bytes = mirror->size_bytes;
    mirror->bytes_max = options->bytes_max;
    return 0;

fail:
    vine_segment_unref(segment);
    return error;
}

int vine__mirror_keep(struct vine__mirror *mirror,
                      void (*copy)(unsigned char *to, const unsigned char *from, void *context),
                      void *context)
{
    const int error = mirror->is_kept ? 0 : vine__segment_keep(mirror->segment, copy, context);

    mirror->is_kept |= error == 0;
    return error;
}

void vine__mirror_charge(struct vine__mirror *mirror, struct vine__quota *quota)
{
    mirror->quota = quota;
    vine__quota_add(quota, mirror->size_bytes);
}

static void give(struct vine__mirror *mirror, uint64_t bytes)
{
    if (mirror->quota != NULL)
        vine__quota_give(mirror->quota, bytes);
}

static void close_extent(struct vine__mirror_extent *extent)
{
    vine__memory_close(extent->memory);
    if (extent->fd >= 0)
        close(extent->fd);
}

bool vine__mirror_close_step(struct vine__mirror *mirror, uint64_t step_bytes)
{
    if (mirror->growing != NULL && vine__memory_unmap_step(mirror->growing, step_bytes))
        return true;
    if (mirror->extent_count <= 1)
        return false;

    struct vine__mirror_extent *last = &mirror->extents[mirror->extent_count - 1];

    if (last->memory != NULL && vine__memory_unmap_step(last->memory, step_bytes))
        return true;
    if (last->base != NULL) {
        mirror->size_bytes -= last->size_bytes;
        give(mirror, last->size_bytes);
    }
    close_extent(last);
    return --mirror->extent_count > 1;
}

void vine__mirror_close(struct vine__mirror *mirror)
{
    give(mirror, mirror->size_bytes);
    if (mirror->growing != NULL)
        give(mirror, mirror->extents[mirror->growing_index].size_bytes);
    vine__memory_close(mirror->growing);
    for (uint32_t i = 0; i < mirror->extent_count; i++)
        close_extent(&mirror->extents[i]);
    vine_segment_unref(mirror->segment);
    memset(mirror, 0, sizeof *mirror);
}

static void place(struct vine__mirror *mirror, uint32_t index, struct vine__memory *memory)
{
    mirror->extents[index].base = vine__memory_base(memory);
    mirror->extents[index].memory = memory;
    mirror->size_bytes += mirror->extents[index].size_bytes;
}

static struct vine__memory_options options_for(const struct vine__mirror *mirror, uint64_t bytes)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;

    options.backend = VINE__MEMORY_MEMFD;
    options.in_steps = mirror->in_steps && bytes > AT_ONCE_BYTES;
    return options;
}

static int map(struct vine__mirror *mirror, uint32_t index, int fd)
{
    const uint64_t bytes = mirror->extents[index].size_bytes;
    const struct vine__memory_options options = options_for(mirror, bytes);
    struct vine__memory *memory = NULL;

    if (mirror->growing != NULL)
        return -EINPROGRESS;
    if (mirror->quota != NULL && vine__quota_take(mirror->quota, bytes) != 0)
        return -VINE_EQUOTA;

    const int error = vine__memory_from_fd(fd, bytes, &options, &memory);

    if (error) {
        give(mirror, bytes);
        return error;
    }
    if (!options.in_steps) {
        place(mirror, index, memory);
        return 0;
    }
    mirror->growing = memory;
    mirror->growing_index = index;
    return -EINPROGRESS;
}

int vine__mirror_map(struct vine__mirror *mirror, uint32_t index)
{
    struct vine__mirror_extent *extent = &mirror->extents[index];

    VINE_ASSERT(index < mirror->extent_count);
    VINE_ASSERT(extent->base == NULL);
    if (mirror->growing != NULL)
        return -EINPROGRESS;
    if (extent->fd < 0)
        return -VINE_EQUOTA;

    const int error = map(mirror, index, extent->fd);

    if (error == 0 || error == -EINPROGRESS) {
        close(extent->fd);
        extent->fd = -1;
    }
    return error;
}

int vine__mirror_grow_step(struct vine__mirror *mirror, uint64_t step_bytes)
{
    struct vine__memory *memory = mirror->growing;

    VINE_ASSERT(memory != NULL);

    const int error = vine__memory_step(memory, step_bytes);

    if (error > 0)
        return error;
    mirror->growing = NULL;
    if (!error) {
        place(mirror, mirror->growing_index, memory);
        return 0;
    }
    give(mirror, mirror->extents[mirror->growing_index].size_bytes);
    vine__memory_close(memory);
    return error;
}

int vine__mirror_add(struct vine__mirror *mirror, uint32_t index, int fd, uint64_t claimed_bytes)
{
    if (index != mirror->extent_count || index >= VINE_TALK_EXTENTS_MAX)
        return -VINE_EPROTOCOL;
    if (claimed_bytes == 0 || claimed_bytes > mirror->bytes_max - mirror->told_bytes)
        return -VINE_EQUOTA;
    mirror->extents[index] = (struct vine__mirror_extent){.size_bytes = claimed_bytes, .fd = -1};

    int error = map(mirror, index, fd);

    if (error == -VINE_EQUOTA) {
        /* It is kept until there is room: it has to be memory, and not, say, the other end of our
         * own socket, on which nobody would ever hang up. */
        const struct vine__memory_options options = options_for(mirror, claimed_bytes);

        error = vine__memory_check_fd(fd, claimed_bytes, &options);
        /* Without a descriptor for it there will be no room, ever. */
        if (!error)
            mirror->extents[index].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    if (error && error != -EINPROGRESS)
        return error;
    mirror->told_bytes += claimed_bytes;
    /* X1 pairs with X2: the extent before the count that admits it. */
    vine__store_release_u32(&mirror->extent_count, index + 1);
    return 0;
}

int vine__mirror_find(const struct vine__mirror *mirror, uint32_t extent, uint32_t offset_units,
                      uint64_t length_bytes, const void **ret_memory)
{
    /* X2 pairs with X1. */
    if (extent >= vine__load_acquire_u32(&mirror->extent_count))
        return -EAGAIN;

    const struct vine__mirror_extent *found = &mirror->extents[extent];
    const uint64_t offset = (uint64_t)offset_units * VINE_TALK_UNIT;

    if (!vine__range_is_within_u64(offset, length_bytes, found->size_bytes))
        return -VINE_ETOKEN;
    if (found->base == NULL)
        return -VINE_EQUOTA;
    *ret_memory = found->base + offset;
    return 0;
}

const void *vine__mirror_resolve(const struct vine__mirror *mirror, uint32_t extent,
                                 uint32_t offset_units, uint64_t length_bytes, bool *ret_unknown)
{
    const void *memory = NULL;
    const int error = vine__mirror_find(mirror, extent, offset_units, length_bytes, &memory);

    if (ret_unknown != NULL)
        *ret_unknown = error == -EAGAIN;
    return memory;
}

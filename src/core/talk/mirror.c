/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/half.h"
#include "utils/atomic.h"
#include "utils/bits.h"

int vine__mirror_place(struct vine__mirror *mirror, const void *memory, uint64_t size_bytes)
{
    if (size_bytes < sizeof(struct vine_half_layout))
        return -VINE_ETRUNCATED;
    memset(mirror, 0, sizeof *mirror);
    mirror->layout = memory;
    mirror->extents[0].base = memory;
    mirror->extents[0].size_bytes = size_bytes;
    mirror->extent_count = 1;
    mirror->size_bytes = size_bytes;
    mirror->bytes_max = size_bytes;
    return 0;
}

int vine__mirror_open(struct vine__mirror *mirror, int fd, uint64_t claimed_bytes,
                      const uint8_t uuid[16], uint64_t bytes_max, char *why, size_t why_size)
{
    struct vine_segment_options options;
    struct vine_segment_report report;
    struct vine_segment_facts facts;
    struct vine_segment *segment = NULL;
    void *region = NULL;
    uint64_t region_bytes = 0;

    vine_segment_options_init(&options);
    options.backend = VINE_SEGMENT_MEMFD;
    options.segment_bytes = claimed_bytes;
    options.segment_max_bytes = bytes_max;
    options.fingerprint = vine__half_fingerprint();

    int error = vine_segment_from_fd(fd, &options, &segment, &report);

    if (error) {
        (void)snprintf(why, why_size, "%s", report.why);
        return error;
    }
    vine_segment_facts(segment, &facts);
    if (memcmp(facts.identity, uuid, sizeof facts.identity) != 0) {
        (void)snprintf(why, why_size, "the half belongs to another pipe than the message says");
        error = -VINE_EPROTOCOL;
        goto fail;
    }
    if (vine_segment_find(segment, VINE_SEGMENT_KIND_APPLICATION_HALF, &region, &region_bytes) &&
        vine_segment_find(segment, VINE_SEGMENT_KIND_APPLIANCE_HALF, &region, &region_bytes)) {
        (void)snprintf(why, why_size, "the segment holds no half of a pipe");
        error = -VINE_EPROTOCOL;
        goto fail;
    }
    error = vine__mirror_place(mirror, region, region_bytes);
    if (error) {
        (void)snprintf(why, why_size, "a half of %llu bytes has no room for its board",
                       (unsigned long long)region_bytes);
        goto fail;
    }
    mirror->segment = segment;
    mirror->size_bytes = vine_segment_size(segment);
    mirror->bytes_max = bytes_max;
    return 0;

fail:
    vine_segment_unref(segment);
    return error;
}

void vine__mirror_close(struct vine__mirror *mirror)
{
    for (uint32_t i = 0; i < mirror->extent_count; i++)
        vine__memory_unref(mirror->extents[i].memory);
    vine_segment_unref(mirror->segment);
    memset(mirror, 0, sizeof *mirror);
}

int vine__mirror_add(struct vine__mirror *mirror, uint32_t index, int fd, uint64_t claimed_bytes)
{
    if (index != mirror->extent_count || index >= VINE_TALK_EXTENTS_MAX)
        return -VINE_EPROTOCOL;
    if (claimed_bytes == 0 || claimed_bytes > mirror->bytes_max - mirror->size_bytes)
        return -VINE_EQUOTA;

    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    struct vine__memory *memory = NULL;

    options.backend = VINE__MEMORY_MEMFD;
    options.size_max_bytes = mirror->bytes_max - mirror->size_bytes;

    const int error = vine__memory_from_fd(fd, claimed_bytes, &options, &memory);

    if (error)
        return error;
    mirror->extents[index].base = vine__memory_base(memory);
    mirror->extents[index].size_bytes = vine__memory_size(memory);
    mirror->extents[index].memory = memory;
    mirror->size_bytes += vine__memory_size(memory);
    /* Pairs with the acquire in vine__mirror_resolve: the extent before the count that admits
     * it. */
    vine__store_release_u32(&mirror->extent_count, index + 1);
    return 0;
}

const void *vine__mirror_resolve(const struct vine__mirror *mirror, uint32_t extent,
                                 uint32_t offset_units, uint64_t length_bytes, bool *ret_unknown)
{
    const bool unknown = extent >= vine__load_acquire_u32(&mirror->extent_count);

    if (ret_unknown != NULL)
        *ret_unknown = unknown;
    if (unknown)
        return NULL;

    const struct vine__mirror_extent *found = &mirror->extents[extent];
    const uint64_t offset = (uint64_t)offset_units * VINE_TALK_UNIT;

    if (!vine__range_is_within_u64(offset, length_bytes, found->size_bytes))
        return NULL;
    return found->base + offset;
}

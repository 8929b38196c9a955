/* SPDX-License-Identifier: Apache-2.0 */
/* What a header must be before any of it is used. Works on a private copy alone. */
#include "core/segment/segment_internal.h"

#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AT(field) ((unsigned int)offsetof(struct vine__segment_header, field))

static int check_state(const struct vine__segment_header *copy,
                       const struct vine__segment_reporter *to);
static int check_layout(const struct vine__segment_header *copy,
                        const struct vine__segment_expectation *expectation,
                        const struct vine__segment_reporter *to);
static int check_sizes(const struct vine__segment_header *copy,
                       const struct vine__segment_expectation *expectation,
                       const struct vine__segment_reporter *to);
static int check_specs(const struct vine__segment_header *copy,
                       const struct vine__segment_reporter *to,
                       struct vine__segment_checked *checked);
static uint16_t smaller_version(uint16_t a, uint16_t b);
static const char *status_text(uint32_t status);

int vine__segment_refuse(const struct vine__segment_reporter *to, int error, const char *format,
                         ...)
{
    VINE_ASSERT(error < 0);
    if (to->report == NULL)
        return error;

    char sentence[VINE_SEGMENT_WHY_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    /* A long path loses its end and not the reason. */
    (void)snprintf(to->report->why, sizeof(to->report->why), "segment %.*s: %s",
                   VINE_SEGMENT_WHY_MAX / 2 - 16, to->label, sentence);
    return error;
}

void vine__segment_copy(const struct vine__segment_header *shared,
                        struct vine__segment_header *ret_copy)
{
    const uint64_t *const from = (const uint64_t *)(const void *)shared;
    uint64_t words[VINE__SEGMENT_HEADER_BYTES / sizeof(uint64_t)];

    /* A1 pairs with the release of S1 in vine_segment_publish(): whoever sees `initialized` sees
     * the header and the regions that were formatted before it. */
    const uint32_t status = vine__load_acquire_u32(&shared->status);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        words[i] = vine__load_acquire_u64(from + i);
    /* A second look, after everything else: a creator that begins while we copy writes
     * `initializing` first. */
    const uint32_t status_after = vine__load_acquire_u32(&shared->status);

    memcpy(ret_copy, words, sizeof(*ret_copy));
    ret_copy->status = status == status_after ? status : VINE__SEGMENT_STATUS_INITIALIZING;
}

bool vine__segment_is_fresh(const struct vine__segment_header *copy)
{
    struct vine__segment_header rest = *copy;
    static const struct vine__segment_header zero;

    if (rest.status != VINE__SEGMENT_STATUS_FRESH &&
        rest.status != VINE__SEGMENT_STATUS_INITIALIZING)
        return false;
    rest.status = 0;
    rest.claim = zero.claim;
    return memcmp(&rest, &zero, sizeof(rest)) == 0;
}

bool vine__segment_is_begun(const struct vine__segment_header *copy)
{
    return copy->magic == VINE__SEGMENT_MAGIC ||
           (copy->magic == 0 && copy->status == VINE__SEGMENT_STATUS_INITIALIZING);
}

int vine__segment_check(const struct vine__segment_header *copy,
                        const struct vine__segment_expectation *expectation,
                        const struct vine__segment_reporter *to,
                        struct vine__segment_checked *ret_checked)
{
    struct vine__segment_checked checked = {0};

    VINE_ASSERT(expectation->real_bytes >= VINE__SEGMENT_HEADER_BYTES);
    int error = check_state(copy, to);
    if (error == 0)
        error = check_layout(copy, expectation, to);
    if (error == 0)
        error = check_sizes(copy, expectation, to);
    if (error == 0)
        error = check_specs(copy, to, &checked);
    if (error != 0)
        return error;

    checked.version_minor = smaller_version(copy->version_minor, VINE__SEGMENT_VERSION_MINOR);
    checked.features = copy->features & expectation->features_known;
    checked.generation = copy->generation;
    checked.size_bytes = copy->size_bytes;
    checked.owner_uid = copy->owner_uid;
    checked.peer_uid = copy->peer_uid;
    memcpy(checked.identity, copy->identity, sizeof(checked.identity));
    *ret_checked = checked;
    return 0;
}

uint64_t vine_segment_fingerprint(const uint64_t *numbers, size_t count)
{
    const uint64_t own[] = {
        VINE__SEGMENT_HEADER_BYTES, VINE__SEGMENT_LINE_BYTES,          VINE__SEGMENT_SLOT_BYTES,
        VINE__SEGMENT_SPEC_COUNT,   sizeof(struct vine__segment_spec), VINE__SEGMENT_EXTENT_COUNT,
    };
    const size_t own_count = sizeof(own) / sizeof(own[0]);
    uint64_t hash =
        UINT64_C(0xcbf29ce484222325); /* FNV-1a over the numbers' bytes, low one first */

    for (size_t i = 0; i < own_count + count; i++) {
        const uint64_t number = i < own_count ? own[i] : numbers[i - own_count];
        for (unsigned int bit = 0; bit < 64; bit += 8) {
            hash ^= (number >> bit) & 0xff;
            hash *= UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

/* Whether it is a segment, of our version, and ready. */
static int check_state(const struct vine__segment_header *copy,
                       const struct vine__segment_reporter *to)
{
    if (!vine__segment_is_begun(copy)) {
        if (vine__segment_is_fresh(copy))
            return vine__segment_refuse(to, -VINE_EINITIALIZING, "nobody has initialized it yet");
        return vine__segment_refuse(to, -VINE_EMAGIC,
                                    "magic %016" PRIx64 " at offset %u, where a segment has "
                                    "%016" PRIx64,
                                    copy->magic, AT(magic), VINE__SEGMENT_MAGIC);
    }
    if (copy->status == VINE__SEGMENT_STATUS_INITIALIZING)
        return vine__segment_refuse(to, -VINE_EINITIALIZING, "status 1 (initializing) at offset %u",
                                    AT(status));
    if (copy->version_major != VINE__SEGMENT_VERSION_MAJOR)
        return vine__segment_refuse(to, -VINE_EVERSION, "major version %u at offset %u, this is %u",
                                    copy->version_major, AT(version_major),
                                    VINE__SEGMENT_VERSION_MAJOR);
    if (copy->status != VINE__SEGMENT_STATUS_INITIALIZED)
        return vine__segment_refuse(to, -VINE_ECORRUPT, "status %u (%s) at offset %u", copy->status,
                                    status_text(copy->status), AT(status));
    return 0;
}

/* Whether both sides mean the same by what is shared. */
static int check_layout(const struct vine__segment_header *copy,
                        const struct vine__segment_expectation *expectation,
                        const struct vine__segment_reporter *to)
{
    if (copy->header_bytes != VINE__SEGMENT_HEADER_BYTES)
        return vine__segment_refuse(to, -VINE_ECORRUPT, "header of %u bytes at offset %u, not %u",
                                    copy->header_bytes, AT(header_bytes),
                                    VINE__SEGMENT_HEADER_BYTES);
    if (copy->line_bytes != VINE__SEGMENT_LINE_BYTES)
        return vine__segment_refuse(to, -VINE_EFINGERPRINT,
                                    "lines of %u bytes at offset %u, this has %u", copy->line_bytes,
                                    AT(line_bytes), VINE__SEGMENT_LINE_BYTES);
    if (copy->slot_bytes != VINE__SEGMENT_SLOT_BYTES)
        return vine__segment_refuse(to, -VINE_EFINGERPRINT,
                                    "slots of %u bytes at offset %u, this has %u", copy->slot_bytes,
                                    AT(slot_bytes), VINE__SEGMENT_SLOT_BYTES);
    if (copy->fingerprint != expectation->fingerprint)
        return vine__segment_refuse(to, -VINE_EFINGERPRINT,
                                    "fingerprint %016" PRIx64 " at offset %u, this has %016" PRIx64,
                                    copy->fingerprint, AT(fingerprint), expectation->fingerprint);

    const uint64_t unknown =
        copy->features & VINE__SEGMENT_FEATURES_REQUIRED & ~expectation->features_known;
    if (unknown != 0)
        return vine__segment_refuse(to, -EOPNOTSUPP,
                                    "requires feature bit %u at offset %u, which this does not "
                                    "know",
                                    vine__lowest_bit_u64(unknown), AT(features));
    return 0;
}

static int check_sizes(const struct vine__segment_header *copy,
                       const struct vine__segment_expectation *expectation,
                       const struct vine__segment_reporter *to)
{
    if (copy->size_bytes < VINE__SEGMENT_HEADER_BYTES)
        return vine__segment_refuse(to, -VINE_ECORRUPT, "size %" PRIu64 " at offset %u",
                                    copy->size_bytes, AT(size_bytes));
    if (copy->size_bytes > expectation->real_bytes)
        return vine__segment_refuse(to, -VINE_ETRUNCATED,
                                    "claims %" PRIu64 " bytes at offset %u and has %" PRIu64,
                                    copy->size_bytes, AT(size_bytes), expectation->real_bytes);
    if (copy->extent_count > VINE__SEGMENT_EXTENT_COUNT)
        return vine__segment_refuse(to, -VINE_ECORRUPT, "%u extents at offset %u, at most %u",
                                    copy->extent_count, AT(extent_count),
                                    VINE__SEGMENT_EXTENT_COUNT);
    return 0;
}

/* Regions lie behind the header, within the size, at multiples of a line, apart from each other,
 * and each kind is there at most once. */
static int check_specs(const struct vine__segment_header *copy,
                       const struct vine__segment_reporter *to,
                       struct vine__segment_checked *checked)
{
    for (unsigned int i = 0; i < VINE__SEGMENT_SPEC_COUNT; i++) {
        const struct vine__segment_spec *const spec = &copy->specs[i];
        const unsigned int at = AT(specs) + i * (unsigned int)sizeof(*spec);

        if (spec->kind == VINE_SEGMENT_KIND_NONE)
            continue;
        if (spec->kind >= VINE_SEGMENT_KIND_COUNT) {
            if ((spec->flags & VINE__SEGMENT_SPEC_REQUIRED) != 0)
                return vine__segment_refuse(to, -EOPNOTSUPP,
                                            "requires a region of kind %u at offset %u, which "
                                            "this does not know",
                                            spec->kind, at);
            continue;
        }
        if (!vine__is_aligned_u64(spec->offset_bytes, VINE__SEGMENT_LINE_BYTES) ||
            spec->offset_bytes < VINE__SEGMENT_HEADER_BYTES || spec->size_bytes == 0 ||
            !vine__range_is_within_u64(spec->offset_bytes, spec->size_bytes, copy->size_bytes))
            return vine__segment_refuse(to, -VINE_ECORRUPT,
                                        "region of %" PRIu64 " bytes from %" PRIu64 " at offset %u",
                                        spec->size_bytes, spec->offset_bytes, at);
        for (unsigned int j = 0; j < i; j++) {
            const struct vine__segment_spec *const other = &checked->specs[j];
            if (other->kind == VINE_SEGMENT_KIND_NONE)
                continue;
            if (other->kind == spec->kind)
                return vine__segment_refuse(
                    to, -VINE_ECORRUPT, "a second region of kind %u at offset %u", spec->kind, at);
            if (spec->offset_bytes < other->offset_bytes + other->size_bytes &&
                other->offset_bytes < spec->offset_bytes + spec->size_bytes)
                return vine__segment_refuse(to, -VINE_ECORRUPT,
                                            "the region at offset %u overlaps another", at);
        }
        checked->specs[i] = *spec;
    }
    return 0;
}

static uint16_t smaller_version(uint16_t a, uint16_t b)
{
    return a < b ? a : b;
}

static const char *status_text(uint32_t status)
{
    static const char *const texts[] = {"fresh", "initializing", "initialized", "corrupted"};
    return status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "unknown";
}

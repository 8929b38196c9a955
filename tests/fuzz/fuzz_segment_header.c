/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of a segment's header. The first byte of the input chooses how the rest becomes a
 * header: as it is, or as changes (offset u16, value u64) to a good one, which get behind the
 * magic. What passes has to be harmless: every region within the real size, apart from the others.
 */
#include "core/segment/segment_internal.h"

#include "utils/assert.h"

#include <string.h>

#define FINGERPRINT UINT64_C(0x1122334455667788)
#define REAL_BYTES  UINT64_C(65536)
#define PATCH_BYTES 10

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void make_good(struct vine__segment_header *header)
{
    *header = (struct vine__segment_header){
        .magic = VINE__SEGMENT_MAGIC,
        .version_major = VINE__SEGMENT_VERSION_MAJOR,
        .status = VINE__SEGMENT_STATUS_INITIALIZED,
        .fingerprint = FINGERPRINT,
        .generation = 1,
        .size_bytes = REAL_BYTES,
        .header_bytes = VINE__SEGMENT_HEADER_BYTES,
        .line_bytes = VINE__SEGMENT_LINE_BYTES,
        .slot_bytes = VINE__SEGMENT_SLOT_BYTES,
        .specs = {{1, 0, 4096, 4096}, {2, 0, 8192, 8192}},
    };
}

static void apply(struct vine__segment_header *header, const uint8_t *bytes, size_t size_bytes)
{
    for (size_t at = 0; size_bytes - at >= PATCH_BYTES; at += PATCH_BYTES) {
        const size_t offset =
            ((size_t)bytes[at] | (size_t)bytes[at + 1] << 8) % (sizeof(*header) - sizeof(uint64_t));
        memcpy((unsigned char *)header + offset, bytes + at + 2, sizeof(uint64_t));
    }
}

static void expect_harmless(const struct vine__segment_checked *checked)
{
    VINE_ASSERT(checked->size_bytes >= VINE__SEGMENT_HEADER_BYTES);
    VINE_ASSERT(checked->size_bytes <= REAL_BYTES);
    VINE_ASSERT(checked->version_minor <= VINE__SEGMENT_VERSION_MINOR);
    VINE_ASSERT((checked->features & ~UINT64_C(0x100000001)) == 0);
    for (int i = 0; i < VINE__SEGMENT_SPEC_COUNT; i++) {
        const struct vine__segment_spec *const spec = &checked->specs[i];
        if (spec->kind == VINE_SEGMENT_KIND_NONE)
            continue;
        VINE_ASSERT(spec->kind < VINE_SEGMENT_KIND_COUNT);
        VINE_ASSERT(spec->size_bytes > 0 && spec->size_bytes <= checked->size_bytes);
        VINE_ASSERT(spec->offset_bytes >= VINE__SEGMENT_HEADER_BYTES);
        VINE_ASSERT(spec->offset_bytes <= checked->size_bytes - spec->size_bytes);
        VINE_ASSERT(spec->offset_bytes % VINE__SEGMENT_LINE_BYTES == 0);
        for (int j = 0; j < i; j++) {
            const struct vine__segment_spec *const other = &checked->specs[j];
            VINE_ASSERT(other->kind != spec->kind);
            VINE_ASSERT(other->kind == VINE_SEGMENT_KIND_NONE ||
                        other->offset_bytes >= spec->offset_bytes + spec->size_bytes ||
                        spec->offset_bytes >= other->offset_bytes + other->size_bytes);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const struct vine__segment_expectation expectation = {
        .real_bytes = REAL_BYTES,
        .fingerprint = FINGERPRINT,
        .features_known = UINT64_C(0x100000001),
    };
    struct vine__segment_header header = {0};
    struct vine__segment_header copy;
    struct vine__segment_checked checked;
    struct vine_segment_report report = {.why = ""};
    const struct vine__segment_reporter to = {&report, "fuzzed"};

    if (size_bytes == 0)
        return 0;
    if (bytes[0] % 2 == 0) {
        const size_t used = size_bytes - 1 < sizeof(header) ? size_bytes - 1 : sizeof(header);
        memcpy(&header, bytes + 1, used);
    } else {
        make_good(&header);
        apply(&header, bytes + 1, size_bytes - 1);
    }

    vine__segment_copy(&header, &copy);
    memset(&checked, 0xa5, sizeof(checked));
    const int error = vine__segment_check(&copy, &expectation, &to, &checked);
    if (error == 0) {
        expect_harmless(&checked);
    } else {
        /* A refusal has a reason and leaves its output alone. */
        VINE_ASSERT(report.why[0] != '\0');
        VINE_ASSERT(checked.generation == UINT64_C(0xa5a5a5a5a5a5a5a5));
    }
    (void)vine__segment_is_fresh(&copy);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first page: what an attach would refuse, each of it, and who is there. */
#include "core/survey/survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/segment/presence.h"
#include "core/talk/half.h"
#include "utils/bits.h"

#define AT(field) offsetof(struct vine__segment_header, field)

/* Two looks at the status, around the rest: who makes it anew writes `initializing` first. */
static bool copy_header(struct vine__look *look)
{
    struct vine__segment_header *header = &look->header;
    uint32_t status = 0;

    if (look->survey->real_bytes < sizeof *header) {
        vine__survey_fault(look, 0, "4096 at least", "%" PRIu64 " bytes", look->survey->real_bytes);
        return false;
    }
    if (!vine__survey_read(look, 0, header, sizeof *header) ||
        !vine__survey_read(look, AT(status), &status, sizeof status))
        return false;
    if (status != header->status)
        header->status = VINE__SEGMENT_STATUS_INITIALIZING;
    return true;
}

static void look_at_holder(struct vine__look *look, const char *who, uint64_t offset,
                           const struct vine__segment_holder *holder,
                           struct vine_segment_presence *ret_presence)
{
    vine__survey_at(look, "header, %s", who);
    vine__segment_presence_of(holder, &look->self, ret_presence);
    if (holder->word == 0 && holder->scope != 0)
        vine__survey_fault(look, offset + 8, "0: nobody is there", "scope %016" PRIx64,
                           holder->scope);
    if (holder->word != 0 && ret_presence->pid == 0)
        vine__survey_fault(look, offset, "0, or a process",
                           "word %016" PRIx64 ", without a process", holder->word);
    if (ret_presence->state == VINE_SEGMENT_DEAD)
        vine__survey_note(look, offset, "process %d has ended without leaving", ret_presence->pid);
}

static void look_at_holders(struct vine__look *look)
{
    const struct vine__segment_header *header = &look->header;
    struct vine__survey *survey = look->survey;

    look_at_holder(look, "claim", AT(claim), &header->claim, &survey->claim);
    look_at_holder(look, "application", AT(sides), &header->sides[0], &survey->sides[0]);
    look_at_holder(look, "appliance", AT(sides) + sizeof header->sides[0], &header->sides[1],
                   &survey->sides[1]);
    vine__survey_at(look, "header");
}

/* Whether it is one, and made. */
static bool look_at_state(struct vine__look *look)
{
    const struct vine__segment_header *header = &look->header;
    const bool is_zero = header->magic == 0 && header->version_major == 0 &&
                         header->size_bytes == 0 && header->generation == 0;

    if (header->magic != VINE__SEGMENT_MAGIC && !is_zero) {
        vine__survey_fault(look, AT(magic), "31474553454e4956", "magic %016" PRIx64, header->magic);
        return false;
    }
    look->survey->is_segment = header->magic == VINE__SEGMENT_MAGIC;
    look_at_holders(look);
    if (header->status == VINE__SEGMENT_STATUS_INITIALIZING) {
        if (look->survey->claim.state == VINE_SEGMENT_ALIVE)
            vine__survey_note(look, AT(status), "status 1: process %d is making it",
                              look->survey->claim.pid);
        else
            vine__survey_fault(look, AT(status), "somebody alive who makes it",
                               "status 1 (initializing)");
        return false;
    }
    if (is_zero) {
        vine__survey_note(look, AT(status), "nobody has made a segment here yet");
        return false;
    }
    if (header->version_major != VINE__SEGMENT_VERSION_MAJOR) {
        vine__survey_fault(look, AT(version_major), "2", "major version %u", header->version_major);
        return false;
    }
    if (header->status == VINE__SEGMENT_STATUS_INITIALIZED)
        return true;
    vine__survey_fault(look, AT(status), "2 (initialized)", "status %u%s", header->status,
                       header->status == VINE__SEGMENT_STATUS_CORRUPTED ? " (corrupted)"
                       : header->status == VINE__SEGMENT_STATUS_FRESH   ? " (fresh)"
                                                                        : "");
    return false;
}

static void expect_u32(struct vine__look *look, uint64_t offset, const char *name, uint32_t found,
                       uint32_t expected)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%u", expected);
    if (found != expected)
        vine__survey_fault(look, offset, text, "%s %u", name, found);
}

/* Whether the sizes are such that regions can be looked for. */
static bool look_at_sizes(struct vine__look *look)
{
    const struct vine__segment_header *header = &look->header;
    char text[64];

    expect_u32(look, AT(header_bytes), "header_bytes", header->header_bytes,
               VINE__SEGMENT_HEADER_BYTES);
    expect_u32(look, AT(line_bytes), "line_bytes", header->line_bytes, VINE__SEGMENT_LINE_BYTES);
    expect_u32(look, AT(slot_bytes), "slot_bytes", header->slot_bytes, VINE__SEGMENT_SLOT_BYTES);
    if (header->extent_count > VINE__SEGMENT_EXTENT_COUNT)
        vine__survey_fault(look, AT(extent_count), "64 at most", "extent_count %u",
                           header->extent_count);
    if ((header->features & VINE__SEGMENT_FEATURES_REQUIRED) != 0)
        vine__survey_fault(look, AT(features), "no bit above 31: none is known here",
                           "features %016" PRIx64, header->features);
    if (header->generation == 0)
        vine__survey_fault(look, AT(generation), "1 at least", "generation 0");
    if (header->size_bytes < VINE__SEGMENT_HEADER_BYTES) {
        vine__survey_fault(look, AT(size_bytes), "4096 at least", "size_bytes %" PRIu64,
                           header->size_bytes);
        return false;
    }
    if (header->size_bytes > look->survey->real_bytes) {
        (void)snprintf(text, sizeof text, "%" PRIu64 " at most, as there are",
                       look->survey->real_bytes);
        vine__survey_fault(look, AT(size_bytes), text, "size_bytes %" PRIu64, header->size_bytes);
    }
    return true;
}

static bool overlaps(const struct vine__survey_region *a, uint64_t offset, uint64_t size)
{
    return a->kind != 0 && offset < a->offset_bytes + a->size_bytes &&
           a->offset_bytes < offset + size;
}

/* Why a region cannot be what it says; NULL: it can. */
static const char *refusal(const struct vine__look *look, uint32_t index)
{
    const struct vine__segment_spec *spec = &look->header.specs[index];

    if (spec->kind >= VINE_SEGMENT_KIND_COUNT)
        return "a kind from 1 to 7";
    if (!vine__is_aligned_u64(spec->offset_bytes, VINE__SEGMENT_LINE_BYTES) ||
        spec->offset_bytes < VINE__SEGMENT_HEADER_BYTES)
        return "an offset of 4096 at least, and a multiple of 64";
    if (spec->size_bytes == 0 ||
        !vine__range_is_within_u64(spec->offset_bytes, spec->size_bytes, look->header.size_bytes))
        return "a size of 1 at least, within the segment";
    for (uint32_t i = 0; i < index; i++) {
        if (look->survey->regions[i].kind == spec->kind)
            return "one region of a kind";
        if (overlaps(&look->survey->regions[i], spec->offset_bytes, spec->size_bytes))
            return "no overlap with the regions before it";
    }
    return NULL;
}

static void look_at_regions(struct vine__look *look)
{
    for (uint32_t i = 0; i < VINE__SEGMENT_SPEC_COUNT; i++) {
        const struct vine__segment_spec *spec = &look->header.specs[i];
        const uint64_t offset = AT(specs) + i * sizeof *spec;
        const char *expected;

        if (spec->kind == VINE_SEGMENT_KIND_NONE)
            continue;
        vine__survey_at(look, "header, region %u", i);
        expected = refusal(look, i);
        if (expected != NULL && spec->kind >= VINE_SEGMENT_KIND_COUNT &&
            (spec->flags & VINE__SEGMENT_SPEC_REQUIRED) == 0)
            continue; /* of a later version, and may be ignored */
        if (expected != NULL)
            vine__survey_fault(look, offset, expected, "kind %u, %" PRIu64 " bytes at %" PRIu64,
                               spec->kind, spec->size_bytes, spec->offset_bytes);
        else
            look->survey->regions[i] = (struct vine__survey_region){
                .kind = spec->kind,
                .offset_bytes = spec->offset_bytes,
                .size_bytes = spec->size_bytes,
            };
    }
    vine__survey_at(look, "header");
}

static const struct vine__survey_region *region_of(const struct vine__look *look, uint32_t kind)
{
    for (uint32_t i = 0; i < VINE_SEGMENT_REGIONS_MAX; i++)
        if (look->survey->regions[i].kind == kind)
            return &look->survey->regions[i];
    return NULL;
}

/* Both halves, or neither. */
static void look_for_halves(struct vine__look *look)
{
    const struct vine__survey_region *halves[2] = {
        region_of(look, VINE_SEGMENT_KIND_APPLICATION_HALF),
        region_of(look, VINE_SEGMENT_KIND_APPLIANCE_HALF),
    };
    const uint64_t expected = vine__half_fingerprint();
    char text[24];

    if (halves[0] == NULL || halves[1] == NULL)
        return;
    (void)snprintf(text, sizeof text, "%016" PRIx64, expected);
    if (look->header.fingerprint != expected) {
        vine__survey_fault(look, AT(fingerprint), text, "fingerprint %016" PRIx64,
                           look->header.fingerprint);
        return;
    }
    for (uint32_t side = 0; side < 2; side++) {
        look->bases[side] = halves[side]->offset_bytes;
        look->sizes[side] = halves[side]->size_bytes;
        if (halves[side]->size_bytes >= sizeof(struct vine_half_layout))
            continue;
        vine__survey_fault(look, AT(specs), "12800 at least", "the %s has %" PRIu64 " bytes",
                           vine__half_of(side), halves[side]->size_bytes);
        return;
    }
    look->survey->has_halves = true;
}

bool vine__survey_at_header(struct vine__look *look)
{
    const struct vine__segment_header *header = &look->header;
    struct vine__survey *survey = look->survey;

    vine__survey_at(look, "header");
    if (!copy_header(look))
        return false;
    survey->status = header->status;
    survey->version_major = header->version_major;
    survey->version_minor = header->version_minor;
    survey->fingerprint = header->fingerprint;
    survey->features = header->features;
    survey->generation = header->generation;
    survey->size_bytes = header->size_bytes;
    survey->owner_uid = header->owner_uid;
    memcpy(survey->identity, header->identity, sizeof survey->identity);
    if (!look_at_state(look) || !look_at_sizes(look))
        return false;
    look_at_regions(look);
    look_for_halves(look);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a segment, until what is wrong is wrong for good. */
#include "core/survey/survey_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/address.h"

/* What a side is in the middle of is over within some microseconds, or it does not run: a look
 * takes longer than that. */
#define LOOKS_MAX 6u

void vine__survey_at(struct vine__look *look, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(look->where, sizeof look->where, format, arguments);
    va_end(arguments);
}

static struct vine__survey_finding *add(struct vine__look *look, uint32_t weight, uint64_t offset)
{
    struct vine__survey *survey = look->survey;
    struct vine__survey_finding *finding;

    survey->fault_count += weight == VINE__SURVEY_FAULT;
    survey->note_count += weight == VINE__SURVEY_NOTE;
    if (survey->finding_count == VINE__SURVEY_FINDINGS)
        return NULL;
    finding = &survey->findings[survey->finding_count++];
    *finding = (struct vine__survey_finding){.weight = weight, .offset = offset};
    (void)snprintf(finding->where, sizeof finding->where, "%s", look->where);
    return finding;
}

void vine__survey_fault(struct vine__look *look, uint64_t offset, const char *expected,
                        const char *format, ...)
{
    struct vine__survey_finding *finding = add(look, VINE__SURVEY_FAULT, offset);
    va_list arguments;

    if (finding == NULL)
        return;
    (void)snprintf(finding->expected, sizeof finding->expected, "%s", expected);
    va_start(arguments, format);
    (void)vsnprintf(finding->found, sizeof finding->found, format, arguments);
    va_end(arguments);
}

void vine__survey_note(struct vine__look *look, uint64_t offset, const char *format, ...)
{
    struct vine__survey_finding *finding = add(look, VINE__SURVEY_NOTE, offset);
    va_list arguments;

    if (finding == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(finding->found, sizeof finding->found, format, arguments);
    va_end(arguments);
}

bool vine__survey_read(struct vine__look *look, uint64_t offset, void *ret_bytes, size_t size)
{
    const size_t count = vine__memory_reader_read(look->reader, offset, ret_bytes, size);

    if (count == size)
        return true;
    if (!look->is_cut)
        vine__survey_fault(look, offset + count, "all of what the header says",
                           "the memory ends at %llu, or cannot be read",
                           (unsigned long long)(offset + count));
    look->is_cut = true;
    return false;
}

static void take_look(const struct vine__memory_reader *reader, struct vine__survey *survey)
{
    struct vine__look *look = calloc(1, sizeof *look);

    if (look == NULL)
        return;
    look->reader = reader;
    look->survey = survey;
    vine__identity_of_self(&look->self);
    (void)snprintf(survey->label, sizeof survey->label, "%s", reader->label);
    survey->real_bytes = vine__memory_reader_size(reader);
    survey->looks++;
    if (vine__survey_at_header(look)) {
        survey->is_walked = true;
        vine__survey_at_halves(look);
        for (uint32_t i = 0; i < VINE_SEGMENT_REGIONS_MAX; i++)
            if (survey->regions[i].kind > VINE_SEGMENT_KIND_APPLIANCE_HALF)
                vine__survey_at_region(look, &survey->regions[i]);
    }
    free(look);
}

static bool has(const struct vine__survey *survey, const struct vine__survey_finding *wanted)
{
    for (uint32_t i = 0; i < survey->finding_count; i++) {
        const struct vine__survey_finding *finding = &survey->findings[i];

        if (finding->offset == wanted->offset && strcmp(finding->where, wanted->where) == 0 &&
            strcmp(finding->found, wanted->found) == 0)
            return true;
    }
    /* What was not kept may be the same. */
    return survey->finding_count == VINE__SURVEY_FINDINGS;
}

/* Of the faults in `survey`, leave those that an earlier look found as well. */
static void leave_common(struct vine__survey *survey, const struct vine__survey *earlier)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < survey->finding_count; i++) {
        const struct vine__survey_finding *finding = &survey->findings[i];

        if (finding->weight == VINE__SURVEY_FAULT && !has(earlier, finding))
            survey->fault_count--;
        else
            survey->findings[kept++] = *finding;
    }
    survey->finding_count = kept;
}

/* Returns 0 or -ENOMEM. */
static int look_until_sure(const struct vine__memory_reader *reader, struct vine__survey *survey)
{
    struct vine__survey *earlier = malloc(sizeof *earlier);

    if (earlier == NULL)
        return -ENOMEM;
    take_look(reader, survey);
    while (survey->fault_count > 0 && survey->looks < LOOKS_MAX) {
        *earlier = *survey;
        *survey = (struct vine__survey){.looks = earlier->looks};
        take_look(reader, survey);
        leave_common(survey, earlier);
    }
    free(earlier);
    return survey->looks == 0 ? -ENOMEM : 0;
}

/* And not the memory of a link, which each side has a half of. */
static bool is_segment_of_device(const char *address)
{
    struct vine__address resolved;
    struct vine__why why;

    return strncmp(address, "pci:", 4) == 0 &&
           vine__address_resolve(address, false, &resolved, &why) == 0 && resolved.is_named;
}

bool vine__survey_takes(const char *address)
{
    return address != NULL &&
           (strncmp(address, "file:", 5) == 0 || strncmp(address, "shm:", 4) == 0 ||
            strncmp(address, "vinetalk:", 9) == 0 || is_segment_of_device(address));
}

static enum vine__memory_backend backend_of(const struct vine__address *address)
{
    switch (address->backend) {
    case VINE_SEGMENT_FILE:
        return VINE__MEMORY_FILE;
    case VINE_SEGMENT_IVSHMEM:
        return VINE__MEMORY_IVSHMEM;
    default:
        return VINE__MEMORY_POSIX;
    }
}

int vine__survey_segment(const char *address, struct vine__survey *ret_survey,
                         struct vine__why *why)
{
    struct vine__address resolved;
    struct vine__memory_reader reader;
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    int error = vine__address_resolve(address, false, &resolved, why);

    if (error)
        return error;
    if (!resolved.is_named) {
        vine__why_say(why, "%s is no segment of this machine", resolved.text);
        return -EOPNOTSUPP;
    }
    options.backend = backend_of(&resolved);
    options.name = resolved.name;
    options.sysfs_root = resolved.sysfs_root[0] != 0 ? resolved.sysfs_root : NULL;
    options.offset_bytes = resolved.offset_bytes;
    options.why = why->text;
    options.why_size = sizeof why->text;
    error = vine__memory_reader_open(&reader, &options);
    if (error)
        return error;
    memset(ret_survey, 0, sizeof *ret_survey);
    error = look_until_sure(&reader, ret_survey);
    vine__memory_reader_close(&reader);
    return error;
}

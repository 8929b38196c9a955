/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of segments: attaching, and what a holder can ask. */
#include "core/segment/segment_internal.h"
#include "core/segment/view.h"

#include "utils/atomic.h"
#include "utils/tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_MAGIC      UINT32_C(0x67657356)
#define SEGMENT_MAGIC_DEAD UINT32_C(0xdead7356)

/* The public numbers in the order of the private ones. */
static const enum vine__memory_backend memory_backends[] = {
    [VINE_SEGMENT_MEMFD] = VINE__MEMORY_MEMFD,
    [VINE_SEGMENT_POSIX] = VINE__MEMORY_POSIX,
    [VINE_SEGMENT_FILE] = VINE__MEMORY_FILE,
    [VINE_SEGMENT_IVSHMEM] = VINE__MEMORY_IVSHMEM,
    [VINE_SEGMENT_ANONYMOUS] = VINE__MEMORY_ANONYMOUS,
};
VINE_STATIC_ASSERT(VINE_ARRAY_COUNT(memory_backends) == VINE_SEGMENT_BACKEND_COUNT,
                   "each backend of a segment is one of memory");
VINE_STATIC_ASSERT((int)VINE_SEGMENT_BACKEND_COUNT == (int)VINE__MEMORY_BACKEND_COUNT,
                   "each backend of memory is one of a segment");
VINE_STATIC_ASSERT(VINE_SEGMENT_HEADER_BYTES == VINE__SEGMENT_HEADER_BYTES &&
                       VINE_SEGMENT_REGIONS_MAX == VINE__SEGMENT_SPEC_COUNT &&
                       VINE_SEGMENT_EXTENTS_MAX == VINE__SEGMENT_EXTENT_COUNT,
                   "the public limits are those of the layout");

static int adopt(struct vine_segment *segment, const struct vine_segment_options *options,
                 bool is_named, const struct vine__segment_reporter *to);

void vine_segment_options_init(struct vine_segment_options *options)
{
    *options = (struct vine_segment_options){
        .size_bytes = sizeof(*options),
        .numa_node = VINE__MEMORY_NODE_ANY,
    };
}

/* The end of attaching, whichever way: the segment to its user, or all of it given back. */
static int hand_out(struct vine_segment *segment, int error, struct vine_segment_report *report,
                    struct vine_segment **ret_segment)
{
    if (error != 0) {
        vine_segment_unref(segment);
        return error;
    }
    vine__segment_report_success(report);
    *ret_segment = segment;
    return 0;
}

int vine_segment_attach(const struct vine_segment_options *options,
                        struct vine_segment **ret_segment, struct vine_segment_report *report)
{
    const struct vine__segment_reporter to = vine__segment_report_begin(report, options);
    struct vine__memory_options memory_options;
    struct vine_segment *segment = NULL;

    int error = vine__segment_memory_options(options, &to, &memory_options);
    if (error != 0)
        return error;
    if (options->read_only && options->side != VINE_SEGMENT_NOBODY)
        return vine__segment_refuse(&to, -EINVAL, "a side cannot be claimed without writing");

    memory_options.size_bytes = options->segment_bytes;
    error = vine__segment_alloc(options, &segment);
    if (error != 0)
        return error;
    segment->is_writable = !options->read_only;
    error = vine__memory_open(&memory_options, &segment->memory);
    if (error == 0)
        error = adopt(segment, options, true, &to);
    return hand_out(segment, error, report, ret_segment);
}

int vine_segment_from_fd(int fd, const struct vine_segment_options *options,
                         struct vine_segment **ret_segment, struct vine_segment_report *report)
{
    char label[32];
    struct vine__segment_reporter to = vine__segment_report_begin(report, options);
    struct vine__memory_options memory_options;
    struct vine_segment *segment = NULL;

    (void)snprintf(label, sizeof(label), "descriptor %d", fd);
    to.label = label;
    int error = vine__segment_memory_options(options, &to, &memory_options);
    if (error != 0)
        return error;
    if (options->backend != VINE_SEGMENT_MEMFD || options->side != VINE_SEGMENT_NOBODY)
        return vine__segment_refuse(&to, -EINVAL, "is not of a kind that is sent");

    memory_options.size_max_bytes = options->segment_max_bytes;
    error = vine__segment_alloc(options, &segment);
    if (error != 0)
        return error;
    error = vine__memory_from_fd(fd, options->segment_bytes, &memory_options, &segment->memory);
    if (error == 0)
        error = adopt(segment, options, false, &to);
    return hand_out(segment, error, report, ret_segment);
}

int vine__segment_view(const struct vine_segment *segment, struct vine_segment **ret_view)
{
    const struct vine_segment_options options = {.backend = segment->backend};
    struct vine_segment *view = NULL;

    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    VINE_ASSERT(segment->header != NULL);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;

    int error = vine__segment_alloc(&options, &view);

    if (error == 0)
        error = vine__memory_view(segment->memory, &view->memory);
    if (error == 0) {
        view->header = vine__memory_base(view->memory);
        view->checked = segment->checked;
    }
    return hand_out(view, error, NULL, ret_view);
}

int vine__segment_keep(struct vine_segment *segment,
                       void (*copy)(unsigned char *to, const unsigned char *from, void *context),
                       void *context)
{
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    VINE_ASSERT(!segment->is_writable && segment->side == VINE_SEGMENT_NOBODY);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;
    return vine__memory_keep(segment->memory, copy, context);
}

struct vine_segment *vine_segment_ref(struct vine_segment *segment)
{
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    const uint32_t before = vine__fetch_add_relaxed_u32(&segment->references, 1);
    VINE_ASSERT(before > 0 && before < UINT32_MAX);
    return segment;
}

void vine_segment_unref(struct vine_segment *segment)
{
    if (segment == NULL)
        return;
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (vine__fetch_sub_acq_rel_u32(&segment->references, 1) != 1)
        return;

    if (segment->is_being_made && !vine__forked(segment->fork_generation))
        vine__segment_abandon(segment->header, segment->side, &segment->self);
    else if (segment->header != NULL)
        vine_segment_detach(segment);
    vine__memory_close(segment->memory);
    segment->magic = SEGMENT_MAGIC_DEAD;
    free(segment);
}

int vine_segment_claim(struct vine_segment *segment, enum vine_segment_side side,
                       struct vine_segment_report *report)
{
    const struct vine__segment_reporter to = {report, vine_segment_label(segment)};

    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (report != NULL)
        memset(report, 0, sizeof(*report));
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;
    if (!segment->is_writable)
        return vine__segment_refuse(&to, -EROFS, "is read-only");
    if ((side != VINE_SEGMENT_APPLICATION && side != VINE_SEGMENT_APPLIANCE) ||
        (segment->side != side && segment->side != VINE_SEGMENT_NOBODY))
        return vine__segment_refuse(&to, -EINVAL, "no side, or a second one, is claimed");

    const int error = segment->side == side
                          ? vine__segment_holder_renew(vine__segment_side_of(segment->header, side),
                                                       &segment->self)
                          : vine__segment_enter(segment->header, side, &segment->self, &to);
    if (error == 0)
        segment->side = side;
    return error;
}

void vine_segment_detach(struct vine_segment *segment)
{
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (segment->side == VINE_SEGMENT_NOBODY || vine__forked(segment->fork_generation))
        return;
    vine__segment_holder_leave(vine__segment_side_of(segment->header, segment->side),
                               &segment->self);
    segment->side = VINE_SEGMENT_NOBODY;
}

int vine_segment_presence(const struct vine_segment *segment, enum vine_segment_side side,
                          struct vine_segment_presence *ret_presence)
{
    struct vine__segment_holder_state state;

    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;
    if (side != VINE_SEGMENT_APPLICATION && side != VINE_SEGMENT_APPLIANCE)
        return -EINVAL;
    vine__segment_holder_look(vine__segment_side_of(segment->header, side), &segment->self, &state);
    *ret_presence = (struct vine_segment_presence){
        .state = state.state,
        .pid = state.pid,
        .claims = state.claims,
    };
    return 0;
}

int vine_segment_participants(const struct vine_segment *segment)
{
    const enum vine_segment_side sides[] = {VINE_SEGMENT_APPLICATION, VINE_SEGMENT_APPLIANCE};
    int count = 0;

    for (int i = 0; i < 2; i++) {
        struct vine_segment_presence presence;
        const int error = vine_segment_presence(segment, sides[i], &presence);
        if (error != 0)
            return error;
        count += presence.state == VINE_SEGMENT_ALIVE;
    }
    return count;
}

int vine_segment_condemn(struct vine_segment *segment)
{
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;
    if (!segment->is_writable)
        return -EROFS;
    /* S1 pairs with A1 in vine__segment_copy(). */
    vine__store_release_u32(&segment->header->status, VINE__SEGMENT_STATUS_CORRUPTED);
    return 0;
}

int vine_segment_find(const struct vine_segment *segment, enum vine_segment_kind kind,
                      void **ret_base, uint64_t *ret_size_bytes)
{
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;
    for (int i = 0; i < VINE__SEGMENT_SPEC_COUNT; i++) {
        const struct vine__segment_spec *const spec = &segment->checked.specs[i];
        if (kind == VINE_SEGMENT_KIND_NONE || spec->kind != (uint32_t)kind)
            continue;
        *ret_base = (unsigned char *)vine__memory_base(segment->memory) + spec->offset_bytes;
        *ret_size_bytes = spec->size_bytes;
        return 0;
    }
    return -ENOENT;
}

int vine_segment_extent_add(struct vine_segment *segment, uint64_t size_bytes)
{
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;
    if (!segment->is_writable)
        return -EROFS;
    if (size_bytes == 0)
        return -EINVAL;
    if (segment->extent_count == VINE__SEGMENT_EXTENT_COUNT)
        return -ENOSPC;

    const uint32_t index = segment->extent_count++;
    vine__store_relaxed_u64(&segment->header->extent_bytes[index], size_bytes);
    vine__memory_publish_fence(segment->memory);
    /* E1 pairs with E2: the size before the count that covers it. */
    vine__store_release_u32(&segment->header->extent_count, segment->extent_count);
    return (int)index;
}

int vine_segment_extents(const struct vine_segment *segment,
                         uint64_t ret_size_bytes[VINE_SEGMENT_EXTENTS_MAX])
{
    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    if (vine__forked(segment->fork_generation))
        return -VINE_EFORK;
    /* E2 pairs with E1. */
    const uint32_t count = vine__load_acquire_u32(&segment->header->extent_count);
    if (count > VINE__SEGMENT_EXTENT_COUNT)
        return -VINE_ECORRUPT;
    for (uint32_t i = 0; i < count; i++)
        ret_size_bytes[i] = vine__load_relaxed_u64(&segment->header->extent_bytes[i]);
    return (int)count;
}

void vine_segment_facts(const struct vine_segment *segment, struct vine_segment_facts *ret_facts)
{
    const struct vine__segment_checked *const checked = &segment->checked;
    uint32_t halves = 0;

    VINE_ASSERT(segment->magic == SEGMENT_MAGIC);
    for (int i = 0; i < VINE__SEGMENT_SPEC_COUNT; i++)
        halves += checked->specs[i].kind == VINE_SEGMENT_KIND_APPLICATION_HALF ||
                  checked->specs[i].kind == VINE_SEGMENT_KIND_APPLIANCE_HALF;
    *ret_facts = (struct vine_segment_facts){
        .version_minor = checked->version_minor,
        .features = checked->features,
        .generation = checked->generation,
        .size_bytes = checked->size_bytes,
        .owner_uid = checked->owner_uid,
        .peer_uid = checked->peer_uid,
        .backend = segment->backend,
        /* Both write where both halves are, whatever the memory could stand. */
        .trust = halves > 1 ? VINE_SEGMENT_ONE_USER : vine_segment_backend_trust(segment->backend),
        .name_is_made = segment->name_is_made,
    };
    memcpy(ret_facts->identity, checked->identity, sizeof(ret_facts->identity));
}

void *vine_segment_base(const struct vine_segment *segment)
{
    return vine__memory_base(segment->memory);
}

uint64_t vine_segment_size(const struct vine_segment *segment)
{
    return segment->checked.size_bytes;
}

int vine_segment_fd(const struct vine_segment *segment)
{
    return vine__memory_fd(segment->memory);
}

const char *vine_segment_label(const struct vine_segment *segment)
{
    return vine__memory_label(segment->memory);
}

bool vine_segment_needs_fence(const struct vine_segment *segment)
{
    return vine__memory_fence_of(segment->memory) == VINE__MEMORY_FENCE_STORE;
}

void vine_segment_publish_fence(const struct vine_segment *segment)
{
    vine__memory_publish_fence(segment->memory);
}

const char *vine_segment_backend_name(enum vine_segment_backend backend)
{
    if ((unsigned int)backend >= VINE_SEGMENT_BACKEND_COUNT)
        return "?";
    return vine__memory_backend_name(memory_backends[backend]);
}

enum vine_segment_trust vine_segment_backend_trust(enum vine_segment_backend backend)
{
    if ((unsigned int)backend < VINE_SEGMENT_BACKEND_COUNT &&
        vine__memory_backend_trust(memory_backends[backend]) == VINE__MEMORY_HOSTILE_SAFE)
        return VINE_SEGMENT_HOSTILE_SAFE;
    return VINE_SEGMENT_ONE_USER;
}

struct vine__segment_reporter vine__segment_report_begin(struct vine_segment_report *report,
                                                         const struct vine_segment_options *options)
{
    if (report != NULL)
        memset(report, 0, sizeof(*report));
    return (struct vine__segment_reporter){
        .report = report,
        .label =
            options->name != NULL ? options->name : vine_segment_backend_name(options->backend),
    };
}

void vine__segment_report_success(struct vine_segment_report *report)
{
    if (report != NULL)
        report->why[0] = '\0';
}

int vine__segment_memory_options(const struct vine_segment_options *options,
                                 const struct vine__segment_reporter *to,
                                 struct vine__memory_options *ret_options)
{
    if (options->size_bytes != sizeof(*options))
        return vine__segment_refuse(to, -EINVAL, "options of %zu bytes, this has %zu",
                                    options->size_bytes, sizeof(*options));
    if ((unsigned int)options->backend >= VINE_SEGMENT_BACKEND_COUNT ||
        (unsigned int)options->side > VINE_SEGMENT_APPLIANCE)
        return vine__segment_refuse(to, -EINVAL, "no such backend or side");
    *ret_options = (struct vine__memory_options){
        .backend = memory_backends[options->backend],
        .protection = options->read_only ? VINE__MEMORY_READ : VINE__MEMORY_READ_WRITE,
        .name = options->name,
        .offset_bytes = options->offset_bytes,
        .address_hint = options->address_hint,
        .populate = options->populate,
        .huge_pages = options->huge_pages,
        .exclusive = options->exclusive,
        .write_combining = options->write_combining,
        .numa_node = options->numa_node,
        .sysfs_root = options->sysfs_root,
        .why = to->report != NULL ? to->report->why : NULL,
        .why_size = to->report != NULL ? sizeof(to->report->why) : 0,
    };
    return 0;
}

int vine__segment_alloc(const struct vine_segment_options *options,
                        struct vine_segment **ret_segment)
{
    struct vine_segment *segment = calloc(1, sizeof(*segment));

    if (segment == NULL)
        return -ENOMEM;
    segment->magic = SEGMENT_MAGIC;
    segment->references = 1;
    segment->backend = options->backend;
    segment->side = options->side;
    vine__identity_of_self(&segment->self);
    const int error = vine__fork_guard_init(&segment->fork_generation);
    if (error != 0) {
        free(segment);
        return error;
    }
    *ret_segment = segment;
    return 0;
}

/* Check what was mapped, and take the side that the handle names. Sets `header` only when
 * everything holds, so that whoever gives the handle up touches nothing before. */
static int adopt(struct vine_segment *segment, const struct vine_segment_options *options,
                 bool is_named, const struct vine__segment_reporter *to)
{
    struct vine__segment_header *const header = vine__memory_base(segment->memory);
    const struct vine__segment_expectation expectation = {
        .real_bytes = vine__memory_size(segment->memory),
        .fingerprint = options->fingerprint,
        .features_known = options->features,
    };
    struct vine__segment_header copy;

    if (expectation.real_bytes < VINE__SEGMENT_HEADER_BYTES)
        return vine__segment_refuse(to, -VINE_ETRUNCATED, "%u bytes, and its header alone has %u",
                                    (unsigned int)expectation.real_bytes,
                                    VINE__SEGMENT_HEADER_BYTES);

    vine__segment_copy(header, &copy);
    int error = vine__segment_check(&copy, &expectation, to, &segment->checked);
    if (error == 0 && segment->side != VINE_SEGMENT_NOBODY) {
        error = vine__segment_enter(header, segment->side, &segment->self, to);
        if (error == 0) {
            /* Between the first copy and our word it may have been made anew; from our word on it
             * cannot. */
            vine__segment_copy(header, &copy);
            error = vine__segment_check(&copy, &expectation, to, &segment->checked);
            if (error != 0)
                vine__segment_holder_leave(vine__segment_side_of(header, segment->side),
                                           &segment->self);
        }
    }
    if (error == -VINE_EINITIALIZING && is_named)
        error = vine__segment_diagnose(header, &segment->self, to);
    if (error == 0) {
        segment->header = header;
        segment->name_is_made = (copy.name_flags & VINE__SEGMENT_NAME_IS_MADE) != 0;
    }
    return error;
}

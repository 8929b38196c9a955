/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/device_end.h"

#include <errno.h>
#include <string.h>

#include <vine/error.h>
#include <vine/segment.h>

#include "core/talk/half.h"
#include "utils/atomic.h"

static enum vine_status_end other(enum vine_status_end end)
{
    return end == VINE_STATUS_APPLICATION ? VINE_STATUS_APPLIANCE : VINE_STATUS_APPLICATION;
}

/* Map the device whose memory `writer` writes: ours for nobody else of this machine. */
static int map(struct vine__device_end *end, enum vine_status_end writer, const char *bdf,
               struct vine__memory **ret_memory, struct vine__why *why)
{
    const bool is_ours = writer == end->link.end;
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;

    options.backend = VINE__MEMORY_IVSHMEM;
    options.protection = is_ours ? VINE__MEMORY_READ_WRITE : VINE__MEMORY_READ;
    options.name = bdf;
    options.sysfs_root = end->sysfs_root;
    options.exclusive = is_ours;
    options.why = why->text;
    options.why_size = sizeof why->text;

    const int error = vine__memory_open(&options, ret_memory);

    if (error)
        return error;
    if (vine__memory_size(*ret_memory) < end->link.size_bytes[writer] ||
        end->link.size_bytes[writer] < VINE__HALF_BYTES) {
        vine__why_say(
            why,
            "link %s: device %s has %llu bytes, the host speaks of %llu, and a half needs "
            "%u at least",
            end->link.name, bdf, (unsigned long long)vine__memory_size(*ret_memory),
            (unsigned long long)end->link.size_bytes[writer], VINE__HALF_BYTES);
        return -VINE_ETRUNCATED;
    }
    return 0;
}

static int find(const struct vine__device_end *end, enum vine_status_end writer,
                char ret_bdf[VINE__GUEST_BDF_BYTES], struct vine__why *why)
{
    const int error = vine__guest_device(end->guest, end->link.place, writer, ret_bdf);

    if (error)
        vine__why_say(
            why, "link %s: there is no device behind port 00:%02x.%u", end->link.name,
            VINE_GUEST_PORT_SLOT(end->link.place),
            VINE_GUEST_PORT_FUNCTION(end->link.place, writer == VINE_STATUS_APPLIANCE ? 1U : 0U));
    return error;
}

int vine__device_end_open(struct vine__device_end *end, const struct vine__guest *guest,
                          const char *sysfs_root, uint32_t place, struct vine__why *why)
{
    struct vine__device_end opened = {.guest = guest, .sysfs_root = sysfs_root};
    int error = vine__guest_link_at(guest, place, &opened.link);

    if (error) {
        vine__why_say(why, "place %u: %s", place,
                      error == -ENOENT ? "no link is there" : vine_error_text(error));
        return error;
    }
    error = find(&opened, opened.link.end, opened.ours, why);
    if (!error)
        error = find(&opened, other(opened.link.end), opened.theirs, why);
    if (!error)
        error = map(&opened, opened.link.end, opened.ours, &opened.our_memory, why);
    if (!error)
        error = map(&opened, other(opened.link.end), opened.theirs, &opened.their_memory, why);
    if (error) {
        vine__device_end_close(&opened);
        return error;
    }
    *end = opened;
    return 0;
}

void vine__device_end_close(struct vine__device_end *end)
{
    vine__memory_close(end->their_memory);
    vine__memory_close(end->our_memory);
    memset(end, 0, sizeof *end);
}

static struct vine_board_layout *board_in(struct vine__memory *memory)
{
    unsigned char *base = vine__memory_base(memory);
    struct vine_half_layout *layout = (void *)(base + VINE_SEGMENT_HEADER_BYTES);

    return &layout->board;
}

uint64_t vine__device_end_succeed(struct vine__device_end *end)
{
    struct vine_board_layout *ours = board_in(end->our_memory);
    const uint64_t meeting = vine__load_relaxed_u64(&ours->meeting);

    /* B5 pairs with B6: what it completed before counts. */
    if (meeting != 0 && vine__load_relaxed_u32(&ours->closed.value) == 0)
        vine__store_release_u32(&ours->closed.value, VINE_EPEERLOST);
    return meeting;
}

const struct vine_board_layout *vine__device_end_board(const struct vine__device_end *end)
{
    return board_in(end->their_memory);
}

int vine__device_end_peer(const struct vine__device_end *end, uint64_t seen,
                          struct vine__guest_end *ret_peer, struct vine__why *why)
{
    struct vine__guest_link link;
    struct vine__why unread;
    const int error = vine__guest_link_at(end->guest, end->link.place, &link);

    if (why == NULL)
        why = &unread;
    if (error == -EAGAIN) {
        vine__why_say(why, "the host is writing what it says of link %s", end->link.name);
        return error;
    }
    if (error) {
        vine__why_say(why, "link %s was unplugged", end->link.name);
        return -VINE_EPEERLOST;
    }
    if (link.generation != end->link.generation) {
        vine__why_say(why, "link %s was plugged anew", end->link.name);
        return -VINE_EPEERLOST;
    }

    const struct vine__guest_end *peer = &link.ends[other(link.end)];

    if (peer->state == VINE_STATUS_LOST || peer->state == VINE_STATUS_ABSENT) {
        vine__why_say(why, "the machine at the other end of link %s is %s: %s", link.name,
                      vine__guest_state_name(peer->state), vine__guest_reason_name(peer->reason));
        return -VINE_EPEERLOST;
    }
    if (seen != 0 && peer->generation != seen) {
        vine__why_say(why, "the machine at the other end of link %s has started anew", link.name);
        return -VINE_EPEERLOST;
    }
    *ret_peer = *peer;
    return 0;
}

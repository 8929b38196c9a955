/* SPDX-License-Identifier: Apache-2.0 */
#include "gunzip_members.h"

#include <stdio.h>

#include <vine/error.h>

enum place {
    IN_HEADER, /* of the first member, or of a later one behind its first byte */
    IN_BODY,   /* and its trailer */
    BETWEEN,   /* behind a member */
    IN_ZEROS,  /* padding behind the last member */
    IN_GARBAGE,
};

void vine__gunzip_init(struct vine__gunzip *members)
{
    isal_inflate_init(&members->inflate);
    members->header = (struct vine__gzip_header){0};
    members->position = 0;
    members->begun = 0;
    members->place = IN_HEADER;
    members->garbage = 0;
    members->is_first = true;
    members->reason[0] = 0;
}

bool vine__gunzip_has_garbage(const struct vine__gunzip *members)
{
    return members->place == IN_GARBAGE && members->garbage > 1;
}

bool vine__gunzip_is_whole(const struct vine__gunzip *members)
{
    return members->place == BETWEEN || members->place == IN_ZEROS ||
           vine__gunzip_has_garbage(members);
}

/* ---- what is wrong --------------------------------------------------------------------------- */

static int wrong(struct vine__gunzip *members, const char *what)
{
    (void)snprintf(members->reason, sizeof members->reason,
                   "the member that begins at byte %llu %s", (unsigned long long)members->begun,
                   what);
    return -VINE_EDATA;
}

static int no_member(struct vine__gunzip *members)
{
    (void)snprintf(members->reason, sizeof members->reason, "no member begins at byte %llu",
                   (unsigned long long)members->begun);
    return -VINE_EDATA;
}

static const char *fault_of(int result)
{
    switch (result) {
    case ISAL_INVALID_WRAPPER:
    case ISAL_INCORRECT_CHECKSUM:
        return "has another checksum or size than it says";
    case ISAL_INVALID_LOOKBACK:
        return "refers to bytes before its beginning";
    default:
        return "has an invalid block or symbol";
    }
}

/* ---- going on -------------------------------------------------------------------------------- */

static int take_header(struct vine__gunzip *members, struct vine__expand_input *input)
{
    const uint8_t *next = input->bytes + input->position;
    size_t offered = input->size - input->position;
    size_t taken;

    if (!members->is_first && members->header.index == 0) {
        offered = 1; /* so that we see whether the second byte goes with it */
    } else if (!members->is_first && members->header.index == 1 && *next != 0x8b) {
        members->place = IN_GARBAGE;
        members->garbage = 1;
        return 0;
    }
    if (vine__gzip_header_feed(&members->header, next, offered, &taken) < 0)
        return members->header.index < 2 ? no_member(members)
                                         : wrong(members, "has a header that cannot be");
    input->position += taken;
    if (members->header.part == VINE_GZIP_DONE) {
        isal_inflate_reset(&members->inflate);
        members->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
        members->place = IN_BODY;
    }
    return 0;
}

/* What follows a member. */
static void look_behind(struct vine__gunzip *members, const struct vine__expand_input *input,
                        uint64_t position)
{
    const uint8_t next = input->bytes[input->position];

    if (next == 0) {
        members->place = IN_ZEROS;
    } else if (next == 0x1f) {
        members->header = (struct vine__gzip_header){0};
        members->is_first = false;
        members->place = IN_HEADER;
        members->begun = position;
    } else {
        members->place = IN_GARBAGE;
    }
}

static int inflate_body(struct vine__gunzip *members, struct vine__expand_input *input,
                        struct vine__expand_output *output)
{
    struct inflate_state *inflate = &members->inflate;
    const uint32_t room = (uint32_t)(output->room - output->made);
    const uint32_t offered = (uint32_t)(input->size - input->position);
    int result;

    inflate->next_in = (uint8_t *)(uintptr_t)(input->bytes + input->position); /* only read */
    inflate->avail_in = offered;
    inflate->next_out = output->bytes + output->made;
    inflate->avail_out = room;
    result = isal_inflate(inflate);
    if (result < 0)
        return wrong(members, fault_of(result));
    input->position += offered - inflate->avail_in;
    output->made += room - inflate->avail_out;
    if (inflate->block_state == ISAL_BLOCK_FINISH)
        members->place = BETWEEN;
    return 0;
}

static void skip_zeros(struct vine__gunzip *members, struct vine__expand_input *input)
{
    while (input->position < input->size && input->bytes[input->position] == 0)
        input->position++;
    if (input->position < input->size) {
        members->place = IN_GARBAGE;
        members->garbage = 1;
    }
}

static void skip_garbage(struct vine__gunzip *members, struct vine__expand_input *input)
{
    if (members->garbage > 0 || input->size - input->position > 1)
        members->garbage = 2;
    else
        members->garbage = 1;
    input->position = input->size;
}

/* One step. `position` is where the input is in the file. */
static int go_on(struct vine__gunzip *members, struct vine__expand_input *input,
                 struct vine__expand_output *output, uint64_t position)
{
    switch ((enum place)members->place) {
    case IN_HEADER:
        return take_header(members, input);
    case IN_BODY:
        return inflate_body(members, input, output);
    case BETWEEN:
        look_behind(members, input, position);
        return 0;
    case IN_ZEROS:
        skip_zeros(members, input);
        return 0;
    case IN_GARBAGE:
    default:
        skip_garbage(members, input);
        return 0;
    }
}

int vine__gunzip_go(struct vine__gunzip *members, struct vine__expand_input *input,
                    struct vine__expand_output *output)
{
    for (;;) {
        const size_t position_before = input->position, made_before = output->made;
        int error;

        if (members->place != IN_BODY && input->position == input->size)
            return VINE__EXPAND_ENOUGH;
        error = go_on(members, input, output, members->position);
        members->position += input->position - position_before;
        if (error < 0)
            return error;
        /* A member may end without more room. */
        if (members->place == IN_BODY && input->position == position_before &&
            output->made == made_before)
            return output->made == output->room ? VINE__EXPAND_FULL : VINE__EXPAND_ENOUGH;
    }
}

int vine__gunzip_finish(struct vine__gunzip *members)
{
    if (vine__gunzip_is_whole(members))
        return 0;
    if (members->place == IN_GARBAGE)
        return wrong(members, "is followed by a single byte");
    if (members->place == IN_HEADER && members->position == members->begun)
        return no_member(members);
    return wrong(members, "has no end");
}

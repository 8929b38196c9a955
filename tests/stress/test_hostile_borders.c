/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an application names just within, at and beyond the ends of its memory.
 *
 * Fault model: tokens, descriptors and rings whose offset and length add up to the end of an
 * extent, to one byte more, or wrap. Every mapping lies between pages that nobody may touch, so an
 * appliance that followed one of them a byte too far would be dead; the bytes before the end are
 * there to be had.
 */
#include "hostile/application_fixture.h"

#define UNIT ((uint32_t)VINE_TALK_UNIT)
#define TAIL 65536u

/* 2^32 bytes, in units: what a sum of 32 bits forgets. */
#define WRAP_UNITS (UINT32_C(1) << 26)

/* The half itself, and one that it grew by. */
static uint32_t extent_count(void)
{
    return is_at_link() ? 1 : 2;
}

/* The last TAIL bytes of each extent are allocated and nobody's, for tests to write into. */
static void open_grown(struct fixture *fixture)
{
    struct raw_application *bad = &fixture->bad;
    const uint64_t sizes[2] = {TAIL, 2 * VINE__HALF_BYTES};

    join_bad(fixture);
    for (uint32_t extent = 0; extent < extent_count(); extent++) {
        struct vine__box box;

        assert_int_equal(vine__half_alloc(&bad->half, sizes[extent], &box), 0);
        assert_int_equal(box.extent, extent);
        assert_int_equal(VINE_TALK_UNIT * (uint64_t)box.offset_units + sizes[extent],
                         bad->half.extents[extent].size_bytes);
    }
    assert_int_equal(raw_open_channel(bad), 0);
}

/* The bytes that a reader sees of an extent. */
static uint32_t size_of(const struct fixture *fixture, uint32_t extent)
{
    return (uint32_t)fixture->bad.half.extents[extent].size_bytes;
}

static unsigned char *memory_of(const struct fixture *fixture, uint32_t extent)
{
    return fixture->bad.half.extents[extent].base;
}

static struct vine_token token_at(uint32_t extent, uint32_t offset_units, uint32_t length)
{
    return (struct vine_token){.extent = (uint16_t)extent,
                               .offset_units = offset_units,
                               .length = length,
                               .type = VINE_TYPE_BYTES};
}

static void submit(struct fixture *fixture, uint16_t procedure, const struct vine_token *tokens,
                   uint32_t count)
{
    struct vine_wire_submission submission = task(procedure);

    put_tokens(&submission, tokens, count);
    assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
}

/* ---- data ------------------------------------------------------------------------------------ */

static void data_that_ends_with_its_extent_is_taken_whole(void **state)
{
    struct fixture *fixture = *state;

    open_grown(fixture);
    for (uint32_t extent = 0; extent < extent_count(); extent++) {
        const uint32_t size = size_of(fixture, extent);
        const uint32_t lengths[] = {1, UNIT - 1, UNIT, 4096, TAIL};
        unsigned char *end = memory_of(fixture, extent) + size;

        memset(end - TAIL, 7, TAIL);
        end[-1] = 9;
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            const uint32_t at = (size - lengths[i]) / UNIT;
            const uint32_t length = size - at * UNIT;
            const struct vine_token echo[2] = {token_at(extent, at, length), expect_token(length)};
            struct vine_wire_completion completion;
            struct vine_token result;

            submit(fixture, procedures.ends, echo, 1);
            assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
            assert_int_equal(completion.status, 0);
            assert_int_equal(completion.body[0], 7);
            assert_int_equal(completion.body[1], 9);
            submit(fixture, procedures.echo, echo, 2);
            assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
            assert_int_equal(completion.status, 0);
            memcpy(&result, completion.body + VINE_RESULT_MAX - sizeof result, sizeof result);
            assert_int_equal(result.length, length);

            const void *memory = vine__mirror_resolve(&fixture->bad.mirror, result.extent,
                                                      result.offset_units, length, NULL);

            /* Its extent may have been announced and not been taken yet. */
            if (memory == NULL) {
                assert_int_equal(
                    fixture->bad.link.operations->receive(&fixture->bad.link, &fixture->bad.why),
                    0);
                memory = vine__mirror_resolve(&fixture->bad.mirror, result.extent,
                                              result.offset_units, length, NULL);
            }
            assert_non_null(memory);
            assert_memory_equal(memory, end - length, length);
        }
        /* Nothing, at the very end, is nothing. */
        const struct vine_token nothing = token_at(extent, size / UNIT, 0);
        struct vine_wire_completion completion;

        submit(fixture, procedures.ends, &nothing, 1);
        assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
        assert_int_equal(completion.status, 0);
    }
    raw_close(&fixture->bad);
}

static void data_that_ends_beyond_its_extent_closes_the_pipe(void **state)
{
    struct fixture *fixture = *state;

    for (uint32_t extent = 0; extent < extent_count(); extent++) {
        open_grown(fixture);

        const uint32_t size = size_of(fixture, extent);
        const uint32_t units = size / UNIT;
        const struct vine_token beyond[] = {
            token_at(extent, 0, size + 1),
            token_at(extent, 0, UINT32_MAX),
            token_at(extent, 1, size),
            token_at(extent, 1, UINT32_MAX),
            token_at(extent, units - 1, UNIT + 1),
            token_at(extent, units - 1, UINT32_MAX),
            token_at(extent, units - 1, UINT32_MAX - UNIT + 1),
            token_at(extent, units, 1),
            token_at(extent, units, UINT32_MAX - size + 1),
            token_at(extent, units + 1, 0),
            token_at(extent, WRAP_UNITS - 1, 2 * UNIT),
            token_at(extent, WRAP_UNITS, 1),
            token_at(extent, WRAP_UNITS + 1, UNIT),
            token_at(extent, UINT32_C(1) << 31, 1),
            token_at(extent, UINT32_MAX, 0),
            token_at(extent, UINT32_MAX, UNIT),
            token_at(extent, UINT32_MAX, UINT32_MAX),
            token_at(extent_count(), 0, 1),
            token_at(extent_count(), 0, 0),
            token_at(VINE_TALK_EXTENTS_MAX, 0, 1),
            token_at(UINT16_MAX, 0, 1),
        };

        raw_close(&fixture->bad);
        for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
            open_grown(fixture);
            submit(fixture, procedures.ends, &beyond[i], 1);
            closed_with(fixture, VINE_EPROTOCOL);
        }
    }
}

/* They name the appliance's own memory: only what its books know of is to be had. */
static void borders_of_the_appliances_half_are_names_of_nothing(void **state)
{
    struct fixture *fixture = *state;
    open_bad(fixture);

    const uint32_t units = (uint32_t)fixture->bad.mirror.extents[0].size_bytes / UNIT;
    const struct vine_token names[] = {
        token_at(0, 0, UNIT),  token_at(0, units - 1, UNIT),  token_at(0, units - 1, 65536),
        token_at(0, units, 1), token_at(0, WRAP_UNITS, 1),    token_at(0, UINT32_MAX, UNIT),
        token_at(1, 0, UNIT),  token_at(UINT16_MAX, 0, UNIT), token_at(0, UINT32_MAX, UINT32_MAX),
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct vine_token token = names[i];
        struct vine_wire_completion completion;

        token.type |= VINE_WIRE_TYPE_THEIRS;
        submit(fixture, procedures.ends, &token, 1);
        assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
        assert_int_equal(completion.status, VINE_ETOKEN);
    }
    raw_close(&fixture->bad);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct vine_wire_submission release = {.kind = VINE_WIRE_RELEASE};

        open_bad(fixture);
        put_tokens(&release, &names[i], 1);
        assert_int_equal(raw_submit(&fixture->bad, 0, &release), 0);
        closed_with(fixture, VINE_ETOKEN);
    }
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* A descriptor of one token and some bytes in the last `size` bytes of an extent. */
static void put_descriptor(const struct fixture *fixture, uint32_t extent, uint32_t size)
{
    const struct vine_token nothing = token_at(0, 0, 0);
    const struct vine_wire_descriptor head = {
        .size_bytes = size,
        .token_count = 1,
        .bytes_size = size - (uint32_t)(sizeof head + sizeof nothing),
    };
    unsigned char *at = memory_of(fixture, extent) + size_of(fixture, extent) - size;

    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, &nothing, sizeof nothing);
}

static void submit_descriptor(struct fixture *fixture, struct vine_token token)
{
    struct vine_wire_submission submission = task(procedures.ends);

    put_tokens(&submission, &token, 1);
    submission.shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
    assert_int_equal(raw_submit(&fixture->bad, 0, &submission), 0);
}

static void a_descriptor_ends_with_its_extent_and_not_beyond(void **state)
{
    struct fixture *fixture = *state;

    for (uint32_t extent = 0; extent < extent_count(); extent++) {
        struct vine_wire_completion completion;

        open_grown(fixture);
        for (uint32_t size = UNIT; size <= 4096; size *= 2) {
            put_descriptor(fixture, extent, size);
            submit_descriptor(fixture,
                              token_at(extent, (size_of(fixture, extent) - size) / UNIT, size));
            assert_int_equal(raw_complete(&fixture->bad, 0, &completion), 0);
            /* It was read: the bytes in it are none that the procedure takes. */
            assert_int_equal(completion.status, VINE_EARGUMENT);
        }
        raw_close(&fixture->bad);
        for (uint32_t size = UNIT; size <= 4096; size *= 2) {
            open_grown(fixture);
            put_descriptor(fixture, extent, size);
            submit_descriptor(fixture,
                              token_at(extent, (size_of(fixture, extent) - size) / UNIT, size + 1));
            closed_with(fixture, VINE_EPROTOCOL);
        }
        const struct vine_token wild[] = {
            token_at(extent, WRAP_UNITS, UNIT),
            token_at(extent, UINT32_MAX, UNIT),
            token_at(extent, size_of(fixture, 0) / UNIT * 8, UNIT),
            token_at(extent_count(), 0, UNIT),
        };

        for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++) {
            open_grown(fixture);
            submit_descriptor(fixture, wild[i]);
            closed_with(fixture, VINE_EPROTOCOL);
        }
    }
}

/* ---- rings ----------------------------------------------------------------------------------- */

static void tell_of_a_ring(struct fixture *fixture, uint32_t slots, uint32_t extent,
                           uint32_t offset_units)
{
    struct vine_half_layout *layout = fixture->bad.half.layout;

    layout->channels[1] = (struct vine_channel_layout){
        .state = 1,
        .slot_count = slots,
        .ring_extent = extent,
        .ring_offset_units = offset_units,
        .wait_mode = VINE_WAIT_SLEEPY,
    };
    vine__store_release_u32(&layout->board.channels.value, 2);
    vine__link_wake(&fixture->bad.link);
}

static void a_ring_ends_with_its_extent_and_not_beyond(void **state)
{
    struct fixture *fixture = *state;

    for (uint32_t extent = 0; extent < extent_count(); extent++) {
        for (uint32_t slots = 2; slots <= RAW_SLOTS; slots *= 8) {
            const uint32_t bytes = slots * (uint32_t)sizeof(struct vine_slot);
            struct vine_wire_submission noop = task(procedures.noop);
            struct raw_application *bad = &fixture->bad;
            struct raw_channel *channel = &bad->channels[1];

            open_grown(fixture);

            const uint32_t at = (size_of(fixture, extent) - bytes) / UNIT;
            struct vine_slot *ring =
                (struct vine_slot *)(void *)(memory_of(fixture, extent) + (uint64_t)at * UNIT);
            const struct vine_channel_layout *theirs = &bad->mirror.layout->channels[1];

            memset(ring, 0, bytes);
            tell_of_a_ring(fixture, slots, extent, at);
            /* The visit that answers a ping may have looked for channels before. */
            do
                assert_int_equal(raw_ping(bad, 0), 0);
            while (vine__load_acquire_u32(&theirs->state) == 0);
            assert_int_equal(
                vine_spsc_producer_init(&channel->producer, ring, slots, &theirs->consumed.value),
                0);
            assert_int_equal(vine_spsc_consumer_init(
                                 &channel->consumer,
                                 vine__mirror_resolve(&bad->mirror, theirs->ring_extent,
                                                      theirs->ring_offset_units, bytes, NULL),
                                 slots, &bad->half.layout->channels[1].consumed.value),
                             0);
            vine__ready_init(&channel->ready, bad->agreement.ready, 1, bad->half.layout,
                             bad->mirror.layout);
            /* Twice around, over the last slot. */
            for (uint32_t i = 0; i < 2 * slots; i++) {
                struct vine_wire_completion completion;

                noop.operation = i;
                assert_int_equal(raw_submit(bad, 1, &noop), 0);
                assert_int_equal(raw_complete(bad, 1, &completion), 0);
                assert_int_equal(completion.operation, i);
            }
            raw_close(bad);

            const struct {
                uint32_t extent;
                uint32_t offset_units;
            } beyond[] = {{extent, at + 1},          {extent, at + slots}, {extent, at + slots - 1},
                          {extent, WRAP_UNITS + at}, {extent, UINT32_MAX}, {extent_count(), 0},
                          {UINT32_C(1) << 16, at}};

            for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
                open_grown(fixture);
                tell_of_a_ring(fixture, slots, beyond[i].extent, beyond[i].offset_units);
                closed_with(fixture, VINE_EPROTOCOL);
            }
        }
    }
}

/* Each of them has a ring, even those that lie beyond the table, in what is heap. */
static void channels_beyond_what_was_granted_are_not_opened(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t more[] = {1, 2, VINE_TALK_CHANNELS_MAX, 200, 1u << 31, UINT32_MAX};
    const uint32_t slots = 2;

    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        struct raw_application *bad = &fixture->bad;
        struct vine_channel_layout *channels;
        struct vine__box box;
        uint32_t granted;

        open_bad(fixture);
        granted = bad->agreement.channels_max;
        channels = bad->half.layout->channels;
        assert_int_equal(vine__half_alloc(&bad->half, slots * sizeof(struct vine_slot), &box), 0);
        memset(box.memory, 0, slots * sizeof(struct vine_slot));
        for (uint32_t at = 1; at < VINE_TALK_CHANNELS_MAX + 200; at++)
            channels[at] = (struct vine_channel_layout){
                .state = 1,
                .slot_count = slots,
                .ring_extent = box.extent,
                .ring_offset_units = box.offset_units,
                .wait_mode = VINE_WAIT_SLEEPY,
            };
        /* As many as were granted are fine. */
        vine__store_release_u32(&bad->half.layout->board.channels.value, granted);
        assert_int_equal(raw_ping(bad, 0), 0);
        vine__store_release_u32(&bad->half.layout->board.channels.value,
                                more[i] > UINT32_MAX - granted ? more[i] : granted + more[i]);
        vine__link_wake(&bad->link);
        closed_with(fixture, VINE_EPROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(data_that_ends_with_its_extent_is_taken_whole),
        HOSTILE(data_that_ends_beyond_its_extent_closes_the_pipe),
        HOSTILE(borders_of_the_appliances_half_are_names_of_nothing),
        HOSTILE(a_descriptor_ends_with_its_extent_and_not_beyond),
        HOSTILE(a_ring_ends_with_its_extent_and_not_beyond),
        HOSTILE(channels_beyond_what_was_granted_are_not_opened),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

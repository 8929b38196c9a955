/* SPDX-License-Identifier: Apache-2.0 */
/* What one turn of an appliance's loop does at most, whoever floods it with what. Turns are counted
 * here, and nothing is timed. */
#include "arch/cpu/cpu.h"
#include "harness/emulator.h"
#include "harness/procedures.h"
#include "hostile/stepped_appliance.h"

enum { NOOP, BURN, WAIT };

#define CHANNELS 16u

static struct stepped stepped;
static struct raw_application greedy;
static struct raw_application modest;

/* Takes twice a pipe's share of a turn. */
static int run_burn(struct vine_call *call)
{
    const uint64_t start_ticks = vine__clock_ticks();

    while (vine__clock_ticks() - start_ticks < 2 * call->pipe->appliance->turn_ticks)
        vine__cpu_relax();
    return 0;
}

static const struct vine_procedure_definition procedures[] = {
    [NOOP] = {.size_bytes = sizeof procedures[0],
              .name = "noop",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_noop},
    [BURN] = {.size_bytes = sizeof procedures[0],
              .name = "burn",
              .flags = VINE_PROCEDURE_SHORT,
              .run = run_burn},
    [WAIT] = {.size_bytes = sizeof procedures[0], .name = "wait", .run = run_noop},
};

static void start_with(const struct vine_appliance_options *options, uint32_t greedy_channels)
{
    stepped_start(&stepped, options);
    for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++)
        assert_int_equal(vine_appliance_register(stepped.appliance, &procedures[i]), 0);
    stepped_open(&stepped, &greedy, greedy_channels);
    stepped_open(&stepped, &modest, 1);
}

static void start(uint32_t greedy_channels)
{
    start_with(NULL, greedy_channels);
}

/* Time is not what is looked at: on a slow machine anything takes long. */
static void forget_time(void)
{
    stepped.appliance->turn_ticks = UINT64_MAX / 4;
    stepped.appliance->active_ticks = UINT64_MAX / 4;
}

static void start_timeless(uint32_t greedy_channels)
{
    start(greedy_channels);
    forget_time();
}

static void stop(void)
{
    raw_close(&greedy);
    raw_close(&modest);
    stepped_stop(&stepped);
}

static void fill(uint32_t procedure, uint32_t tasks)
{
    for (uint32_t channel = 0; channel < greedy.channel_count; channel++)
        for (uint32_t i = 0; i < tasks; i++)
            stepped_submit(&greedy, channel, stepped_task(procedure, i));
}

static uint64_t turn(void)
{
    const uint64_t done = stepped_stats(&stepped).tasks_done;

    stepped_turn(&stepped);
    return stepped_stats(&stepped).tasks_done - done;
}

/* The greedy one's pipe, as the appliance sees it: it came first. */
static struct vine__served *greedy_served(void)
{
    struct vine__served *first = NULL;

    VINE_LIST_FOR_EACH(node, &stepped.appliance->pipes)
    {
        struct vine__served *pipe = VINE_LIST_OBJECT(node, struct vine__served, link);

        if (first == NULL || pipe->number < first->number)
            first = pipe;
    }
    return first;
}

/* A task of the modest one is done in the next turn, or in the one after that if it was asleep.
 * Returns how many others were done meanwhile. */
static uint64_t be_modest(void)
{
    uint64_t done;

    stepped_submit(&modest, 0, stepped_task(NOOP, 1));
    done = turn();
    if (stepped_completed(&modest, 0) == 1)
        return done - 1;
    done += turn();
    assert_int_equal(stepped_completed(&modest, 0), 1);
    return done - 1;
}

static void a_visit_ends_with_the_time_of_a_turn(void **state)
{
    (void)state;
    start(CHANNELS);
    fill(BURN, 32);
    for (int i = 0; i < 10; i++)
        assert_true(turn() <= 1);
    assert_in_range(be_modest(), 0, 2);
    stop();
}

/* One that took two shares is passed over in the next turn. */
static void who_took_more_than_a_share_is_passed_over_until_that_is_made_up_for(void **state)
{
    (void)state;
    start(1);
    fill(BURN, 8);
    while (turn() == 0)
        continue;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(turn(), 0);
        while (turn() == 0)
            continue;
    }
    stop();
}

static void a_visit_takes_a_bounded_number_of_tasks_from_each_channel_in_turn(void **state)
{
    (void)state;
    uint64_t completed[CHANNELS] = {0};
    const uint32_t most = 64;

    start_timeless(CHANNELS);
    fill(NOOP, 64);
    for (uint32_t visit = 0; visit < CHANNELS; visit++) {
        uint32_t sum = 0;

        (void)turn();
        for (uint32_t i = 0; i < CHANNELS; i++) {
            const uint32_t came = stepped_completed(&greedy, i);

            completed[i] += came;
            sum += came;
        }
        assert_true(sum <= most);
    }
    /* Nobody was forgotten. */
    for (uint32_t i = 0; i < CHANNELS; i++)
        assert_true(completed[i] > 0);
    stop();
}

/* Both are there: whoever has little to do waits for little of what another one has. */
static void a_visit_is_short_where_another_one_may_be_waiting(void **state)
{
    (void)state;
    start_timeless(1);
    (void)be_modest();
    fill(NOOP, 150);
    (void)turn(); /* hears of the greedy one, and the next one visits it */
    (void)turn();
    for (int i = 0; i < 4; i++) {
        stepped_submit(&modest, 0, stepped_task(NOOP, 1));
        assert_in_range(turn(), 1, 9);
    }
    stop();
}

/* The greedy one comes first, and has four times as many. */
static uint32_t give_shares(void *context, const struct vine_appliance_event *opened)
{
    uint32_t *const shares = context;
    const uint32_t given = *shares;

    assert_int_equal(opened->kind, VINE_APPLIANCE_PIPE_OPENED);
    assert_int_equal(opened->pid, getpid());
    assert_string_equal(opened->name, "raw");
    *shares = given / 4;
    return given;
}

static void pipes_that_flood_are_served_by_their_shares(void **state)
{
    (void)state;
    static const struct {
        uint32_t shares, greedy, modest;
    } cases[] = {
        {4 * VINE_APPLIANCE_SHARES, 32, 8},
        {VINE_APPLIANCE_SHARES, 8, 2},
        {1, 1, 8}, /* 0 stands for the usual ones */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t shares = cases[i].shares;
        const struct vine_appliance_options options = {
            .size_bytes = sizeof options, .shares = give_shares, .shares_context = &shares};

        start_with(&options, 1);
        forget_time();
        fill(NOOP, 150);
        for (uint32_t n = 0; n < 150; n++)
            stepped_submit(&modest, 0, stepped_task(NOOP, n));
        (void)turn();
        (void)turn();
        (void)stepped_completed(&greedy, 0);
        (void)stepped_completed(&modest, 0);
        for (int n = 0; n < 2; n++) {
            (void)turn();
            assert_int_equal(stepped_completed(&greedy, 0), cases[i].greedy);
            assert_int_equal(stepped_completed(&modest, 0), cases[i].modest);
        }
        stop();
    }
}

/* A pipe has some shares, and not more than there are. */
static uint32_t give_all(void *context, const struct vine_appliance_event *opened)
{
    (void)opened;
    return *(const uint32_t *)context;
}

static void nobody_has_more_shares_than_there_are(void **state)
{
    (void)state;
    uint32_t all = UINT32_MAX;
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .shares = give_all, .shares_context = &all};

    start_with(&options, 1);
    assert_int_equal(greedy_served()->shares, VINE_APPLIANCE_SHARES_MAX);
    fill(NOOP, 150);
    for (int i = 0; i < 8; i++)
        assert_in_range(turn(), 0, 64);
    stop();
}

static uint32_t wake_until_it_is_full(void)
{
    const struct vine_talk_head wake = VINE__TALK_HEAD(VINE_TALK_WAKE, wake);
    uint32_t sent = 0;

    while (vine__talk_send(greedy.link.socket_fd, &wake, -1, 0) == 0)
        sent++;
    return sent;
}

static void a_flood_of_messages_is_read_a_few_at_a_time(void **state)
{
    (void)state;
    start_timeless(1);
    assert_true(wake_until_it_is_full() > 8);
    for (int i = 0; i < 10; i++) {
        (void)vine__events_hear(stepped.appliance, 0);
        assert_true(wake_until_it_is_full() <= 8);
    }
    (void)be_modest();
    stop();
}

/* Messages cost time as tasks do: who owes is not heard. */
static void who_owes_time_is_not_heard(void **state)
{
    (void)state;
    start(1);
    fill(BURN, 1);
    while (stepped_completed(&greedy, 0) == 0)
        (void)turn();
    (void)wake_until_it_is_full();
    (void)vine__events_hear(stepped.appliance, 0);
    assert_int_equal(wake_until_it_is_full(), 0);
    stop();
}

static void connections_are_taken_a_few_at_a_time(void **state)
{
    (void)state;
    int sockets[40];
    uint32_t before;
    const size_t count = sizeof sockets / sizeof sockets[0];

    start(1);
    before = stepped.appliance->pipe_count;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(vine__peer_connect(stepped.path, RAW_LIMIT_NS, &sockets[i]), 0);
    while (stepped.appliance->pipe_count < before + count) {
        const uint32_t now = stepped.appliance->pipe_count;

        (void)vine__events_hear(stepped.appliance, 0);
        assert_in_range(stepped.appliance->pipe_count - now, 0, 8);
    }
    /* All say something at once: as many are answered. */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(vine__peer_send(sockets[i], "garbage", 7, NULL, 0, 0), 0);
    while (stepped.appliance->stranger_count > 0) {
        const uint32_t now = stepped.appliance->stranger_count;

        (void)vine__events_hear(stepped.appliance, 0);
        assert_in_range(now - stepped.appliance->stranger_count, 0, 8);
        vine__served_reap(stepped.appliance);
    }
    for (size_t i = 0; i < count; i++)
        close(sockets[i]);
    stop();
}

/* A look at every pipe is spread over turns. */
static void a_look_around_comes_to_every_pipe_and_ends(void **state)
{
    (void)state;
    enum { PIPES = 70 };
    static struct raw_application others[PIPES];
    uint32_t calls = 0;

    start(1);
    for (int i = 0; i < PIPES; i++)
        stepped_open(&stepped, &others[i], 0);
    while (stepped.appliance->is_looking)
        (void)vine__events_look_around(stepped.appliance);
    do
        calls++;
    while (vine__events_look_around(stepped.appliance));
    assert_int_equal(calls, 2);
    assert_true(stepped_stats(&stepped).memory_bytes >= PIPES * 2ULL * VINE__HALF_BYTES);
    for (int i = 0; i < PIPES; i++)
        raw_close(&others[i]);
    stop();
}

/* What cannot run yet is kept: not more of it than was granted. */
static void more_tasks_in_flight_than_granted_break_the_pipe(void **state)
{
    (void)state;
    start_timeless(1);
    assert_true(greedy.agreement.tasks_max < RAW_SLOTS);
    /* Nobody works, and a turn runs one of them. */
    for (uint64_t i = 0; i <= greedy.agreement.tasks_max + 48; i++)
        stepped_submit(&greedy, 0, stepped_task(WAIT, i));
    for (int i = 0; i < 64; i++)
        (void)turn();
    assert_int_equal(raw_wait_closed(&greedy), VINE_EPROTOCOL);
    assert_non_null(strstr(greedy.why.text, "granted"));
    assert_int_equal(stepped_stats(&stepped).pipes_open, 1);
    stop();
}

/* A noop that comes after the one at `position` of another channel. */
static void submit_after(uint32_t channel, uint32_t after_channel, uint64_t position)
{
    const struct vine_wire_descriptor head = {
        .size_bytes = sizeof head,
        .has_after = 1,
        .after_channel = after_channel,
        .after_operation = 1,
        .after_position = position,
    };
    struct vine_wire_submission submission = stepped_task(NOOP, 1);
    struct vine__box box;

    assert_int_equal(vine__half_alloc(&greedy.half, sizeof head, &box), 0);
    memcpy(box.memory, &head, sizeof head);

    const struct vine_token token = {.extent = (uint16_t)box.extent,
                                     .offset_units = box.offset_units,
                                     .length = sizeof head,
                                     .type = VINE_TYPE_BYTES};

    memcpy(submission.body + VINE_WIRE_BODY_BYTES - sizeof token, &token, sizeof token);
    submission.shape = VINE_WIRE_SHAPE(0, VINE_WIRE_DESCRIPTOR);
    stepped_submit(&greedy, channel, submission);
}

static void a_task_is_taken_after_the_one_of_another_channel_that_it_comes_after(void **state)
{
    (void)state;
    start_timeless(3);
    /* Each waits for a channel that is visited later. */
    submit_after(0, 1, 0);
    submit_after(1, 2, 0);
    stepped_submit(&greedy, 2, stepped_task(NOOP, 1));
    for (int i = 0; i < 8; i++)
        (void)turn();
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(stepped_completed(&greedy, i), 1);
    stop();
}

/* Which it was told to wait for does not keep it: neither where it is held already, nor where the
 * cancel comes before it. */
static void a_task_that_is_canceled_waits_for_no_other_one(void **state)
{
    const uint32_t channel = 0;
    struct vine_wire_submission cancel = {
        .kind = VINE_WIRE_CANCEL, .shape = VINE_WIRE_SHAPE(sizeof channel, 0), .operation = 1};

    (void)state;
    memcpy(cancel.body, &channel, sizeof channel);
    for (int is_held = 0; is_held < 2; is_held++) {
        struct vine_wire_completion completion;

        start_timeless(3);
        submit_after(0, 1, 0);
        submit_after(1, 0, 0);
        for (int i = 0; i < 8 * is_held; i++)
            (void)turn();
        stepped_submit(&greedy, 2, cancel);
        completion = stepped_complete(&stepped, &greedy, 0, 8, NULL);
        assert_int_equal(completion.status, VINE_ECANCELED);
        /* And it keeps nobody. */
        completion = stepped_complete(&stepped, &greedy, 1, 8, NULL);
        assert_int_equal(completion.status, 0);
        stop();
    }
}

/* It has itself to blame; others are served, and the appliance ends. */
static void channels_that_wait_for_each_other_wait_in_peace(void **state)
{
    (void)state;
    start_timeless(3);
    submit_after(0, 1, 0);
    submit_after(1, 0, 0);
    for (int i = 0; i < 8; i++)
        (void)turn();
    assert_int_equal(stepped_completed(&greedy, 0) + stepped_completed(&greedy, 1), 0);
    stepped_submit(&greedy, 2, stepped_task(NOOP, 1));
    for (int i = 0; i < 8; i++)
        (void)turn();
    assert_int_equal(stepped_completed(&greedy, 2), 1);
    assert_int_equal(be_modest(), 0);
    /* Nothing is left to do, so that the loop may sleep. */
    assert_false(vine__loop_has_work(greedy_served()));
    stop();
}

static struct vine__served_channel *greedy_channel(uint32_t index)
{
    return greedy_served()->channels[index];
}

/* Its descriptor is read again when it is tried: what stands there then is told by how it ends. */
static void what_is_held_is_tried_again_when_something_has_changed_and_not_before(void **state)
{
    (void)state;
    const uint32_t garbage = 0;
    struct vine_token token;

    start_timeless(3);
    submit_after(0, 1, 0);
    submit_after(1, 0, 0);
    for (int i = 0; i < 8; i++)
        (void)turn();
    assert_true(greedy_channel(0)->is_held && greedy_channel(1)->is_held);
    memcpy(&token, greedy_channel(0)->held.body + VINE_WIRE_BODY_BYTES - sizeof token,
           sizeof token);
    memcpy((unsigned char *)greedy.half.layout + 64 * (size_t)token.offset_units, &garbage,
           sizeof garbage);
    for (int i = 0; i < 8; i++)
        (void)turn();
    assert_int_equal(stepped_stats(&stepped).pipes_open, 2);
    stepped_submit(&greedy, 2, stepped_task(NOOP, 1));
    for (int i = 0; i < 2; i++)
        (void)turn();
    assert_int_equal(raw_wait_closed(&greedy), VINE_EPROTOCOL);
    assert_int_equal(be_modest(), 0);
    stop();
}

/* Channels that wait for each other, and one that goes on, so that each may be tried again. Where a
 * share is but a tick, a visit ends with the first that was. */
static void what_is_held_costs_its_pipe_what_it_takes_to_try(void **state)
{
    (void)state;
    skip_if_emulated("has a clock of its own");
    const uint32_t held = CHANNELS - 1;
    bool was_tried[CHANNELS] = {false};

    start_timeless(CHANNELS);
    for (uint32_t i = 0; i < held; i++)
        submit_after(i, (i + 1) % held, 0);
    for (int i = 0; i < 8; i++)
        (void)turn();
    stepped.appliance->turn_ticks = 1;
    stepped_submit(&greedy, held, stepped_task(NOOP, 1));
    for (uint32_t visit = 0, tried = 0; tried < held; visit++) {
        uint32_t tried_now = 0;

        assert_true(visit < 4 * CHANNELS);
        greedy_served()->debt_ticks = 0;
        (void)turn();
        for (uint32_t i = 0; i < held; i++) {
            if (was_tried[i] || greedy_channel(i)->held_at != greedy_served()->changes)
                continue;
            was_tried[i] = true;
            tried_now++;
        }
        assert_true(tried_now <= 1);
        assert_true(tried_now == 0 || greedy_served()->debt_ticks > 1);
        tried += tried_now;
    }
    for (uint32_t i = 0; i < held; i++)
        assert_true(greedy_channel(i)->is_held);
    stepped.appliance->turn_ticks = UINT64_MAX / 4;
    assert_int_equal(be_modest(), 0);
    stop();
}

static void an_operation_is_in_flight_once(void **state)
{
    (void)state;
    start_timeless(1);
    stepped_submit(&greedy, 0, stepped_task(WAIT, 7));
    stepped_submit(&greedy, 0, stepped_task(WAIT, 7));
    for (int i = 0; i < 4; i++)
        (void)turn();
    assert_int_equal(raw_wait_closed(&greedy), VINE_EPROTOCOL);
    stop();
}

static void stop_with_the_pipe(void *context, const struct vine_appliance_event *event)
{
    if (event->kind == VINE_APPLIANCE_PIPE_CLOSED)
        vine_appliance_stop(*(struct vine_appliance **)context);
}

/* Told in a turn, behind the look at how often it was told: then the sleep must not begin. Its
 * backstop would end it, which is what the time tells. */
static void who_is_told_to_stop_in_its_turn_does_not_sleep_first(void **state)
{
    (void)state;
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .event = stop_with_the_pipe,
                                                   .event_context = &stepped.appliance,
                                                   .spin_ns = 1};
    const uint64_t start_ns = vine__clock_now_ns();
    const uint64_t sleeps = 8;

    for (uint64_t i = 0; i < sleeps; i++) {
        stepped_start(&stepped, &options);
        stepped_open(&stepped, &greedy, 1);
        stepped_submit(&greedy, 0, (struct vine_wire_submission){.kind = 255});
        assert_int_equal(vine_appliance_serve(stepped.appliance), 0);
        raw_close(&greedy);
        stepped_stop(&stepped);
    }
    assert_true(vine__clock_now_ns() - start_ns < sleeps * VINE_NS_PER_SECOND);
}

/* ---- an end with many pipes ------------------------------------------------------------------ */

#define ENDING 40

static struct raw_application ending[ENDING];

/* Those that are there, of whichever state. */
static uint32_t count_open(void)
{
    return stepped_stats(&stepped).pipes_open;
}

/* To say farewell to all, and to give their memory back, would hold the loop for long: other
 * appliances may be on its core. */
static void an_appliance_with_many_pipes_ends_a_few_of_them_a_turn(void **state)
{
    uint32_t turns = 0;

    (void)state;
    stepped_start(&stepped, NULL);
    for (uint32_t i = 0; i < ENDING; i++)
        stepped_open(&stepped, &ending[i], 1);
    assert_int_equal(count_open(), ENDING);
    vine_appliance_stop(stepped.appliance);
    for (bool is_over = false; !is_over; turns++) {
        const uint32_t open = count_open();
        const uint32_t there = vine__serving_load(stepped.appliance);

        is_over = vine__serving_turn(stepped.appliance, vine__clock_ticks()) == VINE__SERVING_OVER;
        assert_in_range(open - count_open(), 0, 4);
        assert_in_range(there - vine__serving_load(stepped.appliance), 0, 2);
    }
    assert_int_equal(count_open(), 0);
    assert_int_equal(vine__serving_load(stepped.appliance), 0);
    assert_true(turns >= ENDING / 4);
    for (uint32_t i = 0; i < ENDING; i++)
        raw_close(&ending[i]);
    stepped_stop(&stepped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_visit_ends_with_the_time_of_a_turn),
        cmocka_unit_test(who_took_more_than_a_share_is_passed_over_until_that_is_made_up_for),
        cmocka_unit_test(a_visit_takes_a_bounded_number_of_tasks_from_each_channel_in_turn),
        cmocka_unit_test(a_visit_is_short_where_another_one_may_be_waiting),
        cmocka_unit_test(pipes_that_flood_are_served_by_their_shares),
        cmocka_unit_test(nobody_has_more_shares_than_there_are),
        cmocka_unit_test(a_flood_of_messages_is_read_a_few_at_a_time),
        cmocka_unit_test(who_owes_time_is_not_heard),
        cmocka_unit_test(connections_are_taken_a_few_at_a_time),
        cmocka_unit_test(a_look_around_comes_to_every_pipe_and_ends),
        cmocka_unit_test(more_tasks_in_flight_than_granted_break_the_pipe),
        cmocka_unit_test(a_task_is_taken_after_the_one_of_another_channel_that_it_comes_after),
        cmocka_unit_test(a_task_that_is_canceled_waits_for_no_other_one),
        cmocka_unit_test(channels_that_wait_for_each_other_wait_in_peace),
        cmocka_unit_test(what_is_held_is_tried_again_when_something_has_changed_and_not_before),
        cmocka_unit_test(what_is_held_costs_its_pipe_what_it_takes_to_try),
        cmocka_unit_test(an_operation_is_in_flight_once),
        cmocka_unit_test(who_is_told_to_stop_in_its_turn_does_not_sleep_first),
        cmocka_unit_test(an_appliance_with_many_pipes_ends_a_few_of_them_a_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Channels on an appliance's list are looked at, and others set a bit. Both sides, each with one
 * that does not know of bits, and with one that sets them as it likes. Turns are counted here, and
 * nothing is timed: whatever had nothing for a turn is idle. */
#include "harness/must.h"
#include "harness/procedures.h"
#include "hostile/stepped_appliance.h"

#include "core/talk/pipe_internal.h"

#define MOST VINE_TALK_CHANNELS_MAX

static struct stepped stepped;
static struct raw_application raw;

static const struct vine_procedure_definition noop = {
    .size_bytes = sizeof noop,
    .name = "noop",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_noop,
};

static void start(uint32_t channels, uint32_t without)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options,
        .channels_max = MOST,
    };

    stepped_start(&stepped, &options);
    stepped.appliance->active_ticks = UINT64_MAX / 4;
    stepped.appliance->turn_ticks = UINT64_MAX / 4; /* on a slow machine anything takes long */
    assert_int_equal(vine_appliance_register(stepped.appliance, &noop), 0);
    stepped_open_without(&stepped, &raw, channels, without);
}

static void stop(void)
{
    raw_close(&raw);
    stepped_stop(&stepped);
}

/* From here on each turn takes what had nothing since the last one off the list. */
static void be_quick_to_forget(void)
{
    stepped.appliance->active_ticks = 0;
    stepped.appliance->sweep_ticks = 0;
}

static void forget_all(void)
{
    be_quick_to_forget();
    for (int i = 0; i < 4; i++) {
        vine__loop_activate(stepped_newest(&stepped)); /* else it sleeps, with its list as it is */
        stepped_turn(&stepped);
    }
}

static struct vine_board_layout *board_of_application(void)
{
    return &raw.half.layout->board;
}

static const struct vine_board_layout *board_of_appliance(void)
{
    return &raw.mirror.layout->board;
}

static uint64_t listed(void)
{
    return vine__load_relaxed_u64(&board_of_appliance()->sleep_epoch.listed);
}

static uint64_t answered(void)
{
    return vine__load_relaxed_u64(&board_of_appliance()->sleep_epoch.answered);
}

/* Without a bit, and without waking anybody. */
static void push_silently(uint32_t channel)
{
    const struct vine_wire_submission task = stepped_task(0, 1);

    assert_int_equal(vine_spsc_push(&raw.channels[channel].producer, &task, sizeof task), 0);
}

/* ---- the appliance --------------------------------------------------------------------------- */

static void impossible_bits_change_nothing_and_keep_nobody_awake(void **state)
{
    (void)state;
    uint64_t limit_ns;

    start(2, 0);
    forget_all();
    vine__store_release_u64(&board_of_application()->channels.ready, UINT64_MAX - 3);
    stepped_turn(&stepped);
    stepped_turn(&stepped);
    assert_int_equal(answered(), 0);
    assert_int_equal(listed(), 0);
    assert_true(vine__serving_lie_down(stepped.appliance, &limit_ns));
    vine__serving_get_up(stepped.appliance);
    assert_int_equal(stepped_stats(&stepped).pipes_open, 1);
    stop();
}

/* Such an application has its channels looked at for a turn, and neither its pipe nor the next
 * message of a better one is lost. */
static void bits_without_messages_are_answered(void **state)
{
    (void)state;
    unsigned seed = 1;

    start(3, 0);
    forget_all();
    for (int i = 0; i < 100; i++) {
        vine__store_release_u64(&board_of_application()->channels.ready, (uint64_t)rand_r(&seed));
        vine__loop_activate(stepped_newest(&stepped));
        stepped_turn(&stepped);
        assert_int_equal(answered(), board_of_application()->channels.ready & 7);
    }
    raw.channels[1].ready.now = board_of_application()->channels.ready & 2;
    stepped_submit(&raw, 1, stepped_task(0, 1));
    (void)stepped_complete(&stepped, &raw, 1, 2, NULL);
    stop();
}

static void all_channels_are_on_the_list_at_first(void **state)
{
    (void)state;
    start(MOST, 0);
    assert_int_equal(listed(), UINT64_MAX);
    stop();
}

static void a_channel_without_work_leaves_the_list_and_one_with_work_stays(void **state)
{
    (void)state;
    start(4, 0);
    be_quick_to_forget();
    for (int i = 0; i < 4; i++) {
        stepped_submit(&raw, 2, stepped_task(0, 1));
        (void)stepped_complete(&stepped, &raw, 2, 2, NULL);
    }
    assert_int_equal(listed(), 1 << 2);
    stop();
}

static void a_bit_brings_its_channel_back_at_once(void **state)
{
    (void)state;
    start(MOST, 0);
    forget_all();
    assert_int_equal(listed(), 0);
    for (uint32_t i = 0; i < MOST; i++) {
        uint32_t turns = 0;

        stepped_submit(&raw, i, stepped_task(0, i));
        assert_int_equal(raw.channels[i].ready.now, UINT64_C(1) << i);
        assert_int_equal(stepped_complete(&stepped, &raw, i, 3, &turns).operation, i);
        assert_in_range(turns, 1, 2); /* one to hear of it, and one to visit */
    }
    assert_int_equal(answered(), UINT64_MAX);
    stop();
}

/* What is published at the moment at which its channel is taken off. */
static void nothing_leaves_the_list_with_a_message_in_it(void **state)
{
    (void)state;
    struct vine__served *pipe;

    start(2, 0);
    forget_all();
    pipe = stepped_newest(&stepped);
    vine__loop_activate(pipe);
    vine__served_enlist(pipe, 0);
    pipe->found = 0;
    push_silently(0); /* its thread has seen it on the list */
    assert_true(vine__served_thin_out(pipe, vine__clock_ticks()));
    vine__served_look_once_more(pipe);
    assert_int_equal(listed(), 1);
    (void)stepped_complete(&stepped, &raw, 0, 2, NULL);
    stop();
}

/* Nobody ought to make that necessary: it is found within a second, as a lost wake-up is. */
static void a_message_without_a_bit_is_found_by_a_look_around(void **state)
{
    (void)state;
    start(2, 0);
    forget_all();
    push_silently(1);
    stepped_turn(&stepped);
    assert_int_equal(stepped_completed(&raw, 1), 0);
    while (vine__events_look_around(stepped.appliance))
        continue;
    (void)stepped_complete(&stepped, &raw, 1, 1, NULL);
    stop();
}

static void an_application_that_knows_no_bits_is_served_on_all_of_its_channels(void **state)
{
    (void)state;
    start(MOST, VINE_TALK_FEATURE_READY);
    assert_false(raw.agreement.ready);
    forget_all();
    assert_int_equal(listed(), 0); /* reserved, for it */
    vine__store_release_u64(&board_of_application()->channels.ready, UINT64_MAX);
    for (uint32_t i = 0; i < MOST; i++) {
        stepped_submit(&raw, i, stepped_task(0, i));
        (void)stepped_complete(&stepped, &raw, i, 2, NULL);
    }
    assert_int_equal(answered(), 0);
    stop();
}

/* ---- the application, before an appliance that the test plays -------------------------------- */

static struct {
    char folder[32];
    char path[64];
    struct vine__peer_listener listener;
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    struct vine__why why;
    uint32_t without;
    struct vine_pipe *pipe;
} played;

static void *shake_hands(void *unused)
{
    const struct vine__grant grant = {
        .name = "played",
        .channels_max = 2,
        .tasks_max = 16,
        .memory_max_bytes = 16u << 20,
        .generation = 1,
        .without = played.without,
        .why = &played.why,
    };
    union vine__talk_any message;
    int socket_fd = -1;
    int half_fd = -1;

    MUST_BE(vine__peer_accept(played.listener.fd, RAW_LIMIT_NS, &socket_fd), 0);
    MUST_BE(vine__talk_receive(socket_fd, &message, &half_fd, RAW_LIMIT_NS, &played.why), 0);
    vine__link_init(&played.link, &played.half, &played.mirror);
    played.link.socket_fd = socket_fd;
    MUST_BE(vine__link_welcome(&played.link, &message.hello, half_fd, &grant, &played.agreement),
            0);
    close(half_fd);
    return unused;
}

static void play(uint32_t without)
{
    pthread_t thread;

    memset(&played, 0, sizeof played);
    played.without = without;
    (void)snprintf(played.folder, sizeof played.folder, "/tmp/vine-played-XXXXXX");
    assert_int_equal(folder_make(played.folder), 0);
    (void)snprintf(played.path, sizeof played.path, "%s/socket", played.folder);
    assert_int_equal(vine__peer_listen(&played.listener, played.path, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, shake_hands, NULL), 0);
    assert_int_equal(vine_pipe_open(played.path, NULL, &played.pipe), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void end_play(void)
{
    vine_pipe_close(played.pipe);
    played.link.operations->close(&played.link);
    vine__mirror_close(&played.mirror);
    vine__half_close(&played.half);
    vine__peer_listener_close(&played.listener);
    (void)rmdir(played.folder);
}

/* Any message will do; this one has no completion. */
static uint64_t tell(void)
{
    const struct vine_wire_submission message = {.session = 1, .kind = VINE_WIRE_SESSION_END};

    vine__pipe_tell(played.pipe, &message, vine__pipe_renewals(played.pipe));
    return vine__load_acquire_u64(&played.mirror.layout->board.channels.ready);
}

static void say(uint64_t now_answered, uint64_t now_listed)
{
    struct vine_line_sleep *line = &played.half.layout->board.sleep_epoch;

    vine__store_relaxed_u64(&line->answered, now_answered);
    vine__store_relaxed_u64(&line->listed, now_listed);
}

static void a_channel_off_the_list_changes_its_bit_once_until_it_is_answered(void **state)
{
    (void)state;
    play(0);
    assert_int_equal(tell(), 1);
    assert_int_equal(tell(), 1);
    say(1, 0);
    assert_int_equal(tell(), 0);
    assert_int_equal(tell(), 0);
    say(0, 0);
    assert_int_equal(tell(), 1);
    end_play();
}

static void a_channel_on_the_list_changes_nothing(void **state)
{
    (void)state;
    play(0);
    say(0, 1);
    assert_int_equal(tell(), 0);
    say(0, 2); /* another one's */
    assert_int_equal(tell(), 1);
    say(1, 1);
    assert_int_equal(tell(), 1);
    end_play();
}

static void what_an_appliance_says_of_other_channels_means_nothing(void **state)
{
    (void)state;
    play(0);
    say(UINT64_MAX - 1, UINT64_MAX - 1);
    assert_int_equal(tell(), 1);
    assert_int_equal(tell(), 1);
    end_play();
}

static void before_an_appliance_that_knows_no_bits_none_is_changed(void **state)
{
    (void)state;
    play(VINE_TALK_FEATURE_READY);
    assert_false(played.pipe->agreement.ready);
    assert_int_equal(tell(), 0);
    say(UINT64_MAX, 0);
    assert_int_equal(tell(), 0);
    end_play();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_bits_change_nothing_and_keep_nobody_awake),
        cmocka_unit_test(bits_without_messages_are_answered),
        cmocka_unit_test(all_channels_are_on_the_list_at_first),
        cmocka_unit_test(a_channel_without_work_leaves_the_list_and_one_with_work_stays),
        cmocka_unit_test(a_bit_brings_its_channel_back_at_once),
        cmocka_unit_test(nothing_leaves_the_list_with_a_message_in_it),
        cmocka_unit_test(a_message_without_a_bit_is_found_by_a_look_around),
        cmocka_unit_test(an_application_that_knows_no_bits_is_served_on_all_of_its_channels),
        cmocka_unit_test(a_channel_off_the_list_changes_its_bit_once_until_it_is_answered),
        cmocka_unit_test(a_channel_on_the_list_changes_nothing),
        cmocka_unit_test(what_an_appliance_says_of_other_channels_means_nothing),
        cmocka_unit_test(before_an_appliance_that_knows_no_bits_none_is_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

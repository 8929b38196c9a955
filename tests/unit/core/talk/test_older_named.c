/* SPDX-License-Identifier: Apache-2.0 */
/* In a named segment: sides that do not know each of the features that there are. */
#include "older.h"

#include "harness/emulator.h"

#include <errno.h>
#include <sys/stat.h>

#include "core/talk/link.h"

static int attach_with_all(struct vine__link *link, const struct vine__address *address,
                           const struct vine__handshake_wish *wish,
                           struct vine__agreement *ret_agreement);
static int answer_with_all(struct vine__link *link, struct vine_segment *named,
                           uint32_t epoch_answered, const struct vine__grant *grant,
                           struct vine__agreement *ret_agreement);

#define vine__link_attach attach_with_all
#define vine__link_answer answer_with_all
#include "core/talk/link_named.c"
#undef vine__link_attach
#undef vine__link_answer

int vine__link_attach(struct vine__link *link, const struct vine__address *address,
                      const struct vine__handshake_wish *wish,
                      struct vine__agreement *ret_agreement)
{
    struct vine__handshake_wish older = *wish;

    older.without |= vine__load_relaxed_u32(&unknown.application);
    return attach_with_all(link, address, &older, ret_agreement);
}

int vine__link_answer(struct vine__link *link, struct vine_segment *named, uint32_t epoch_answered,
                      const struct vine__grant *grant, struct vine__agreement *ret_agreement)
{
    struct vine__grant older = *grant;

    older.without |= vine__load_relaxed_u32(&unknown.appliance);
    return answer_with_all(link, named, epoch_answered, &older, ret_agreement);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static const uint32_t features[] = {
    VINE_TALK_FEATURE_MEMBARRIER, VINE_TALK_FEATURE_REASONS, VINE_TALK_FEATURE_READY,
    VINE_TALK_FEATURE_DEADLINES,  VINE_TALK_FEATURE_RETURNS, UINT32_MAX,
};

static void start(struct served *served)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .segment_bytes = 1u << 20, .log = keep_quiet};

    served_start_at(served, "file:", &options, 2);
    assert_int_equal(vine_appliance_register(served->appliance, &explain), 0);
}

static void open_and_use(void *context)
{
    struct vine_pipe *pipe = served_open(context, NULL);

    all_is_well(pipe);
    vine_pipe_close(pipe);
}

static void a_side_that_lacks_any_of_our_features_is_served_and_serves(void **state)
{
    struct served served;

    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    start(&served);
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        lacking(features[i], open_and_use, &served);
    served_stop(&served);
}

/* It would greet somebody who does not answer. */
static void see_it_end(void *context)
{
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .reconnect_ns = LIMIT, .log = keep_quiet};
    struct served served;
    struct stat status;
    struct vine_pipe *pipe;

    (void)context;
    start(&served);
    pipe = served_open(&served, &options);
    all_is_well(pipe);
    served_stop(&served);
    assert_int_equal(vine_pipe_status(pipe), -VINE_EDRAINING);
    vine_pipe_close(pipe);
    if (unknown.appliance != 0) /* an older one of its kind takes the name away in any case */
        (void)unlink(strchr(served.path, '/'));
    assert_int_equal(stat(strchr(served.path, '/'), &status), -1);
    assert_int_equal(errno, ENOENT);
    (void)rmdir(served.folder);
}

static void where_either_side_lets_nobody_go_on_the_pipe_ends_with_its_appliance(void **state)
{
    (void)state;
    skip_if_emulated("tells a process another start time of itself than others see");
    lacking(VINE_TALK_FEATURE_RETURNS, see_it_end, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_side_that_lacks_any_of_our_features_is_served_and_serves),
        cmocka_unit_test(where_either_side_lets_nobody_go_on_the_pipe_ends_with_its_appliance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* At a link between machines: sides that do not know each of the features that there are. */
#include "older.h"

#include "harness/fake_machines.h"

#include "core/talk/link.h"

static int meet_with_all(struct vine__link *link, const struct vine__address *address,
                         const struct vine__handshake_wish *wish,
                         struct vine__agreement *ret_agreement);
static int accept_with_all(struct vine__link *link, struct vine__device_end *end, uint64_t answered,
                           const struct vine__grant *grant, struct vine__agreement *ret_agreement,
                           uint64_t *ret_meeting);

#define vine__link_meet          meet_with_all
#define vine__link_accept_device accept_with_all
#include "core/talk/link_device.c"
#undef vine__link_meet
#undef vine__link_accept_device

int vine__link_meet(struct vine__link *link, const struct vine__address *address,
                    const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement)
{
    struct vine__handshake_wish older = *wish;

    older.without |= vine__load_relaxed_u32(&unknown.application);
    return meet_with_all(link, address, &older, ret_agreement);
}

int vine__link_accept_device(struct vine__link *link, struct vine__device_end *end,
                             uint64_t answered, const struct vine__grant *grant,
                             struct vine__agreement *ret_agreement, uint64_t *ret_meeting)
{
    struct vine__grant older = *grant;

    older.without |= vine__load_relaxed_u32(&unknown.appliance);
    return accept_with_all(link, end, answered, &older, ret_agreement, ret_meeting);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static const uint32_t features[] = {
    VINE_TALK_FEATURE_RINGS,
    VINE_TALK_FEATURE_REASONS,
    VINE_TALK_FEATURE_DEADLINES,
    UINT32_MAX,
};

static void open_and_use(void *context)
{
    struct vine_pipe *pipe = served_open(context, NULL);

    all_is_well(pipe);
    vine_pipe_close(pipe);
}

static void a_side_that_lacks_any_of_our_features_is_served_and_serves(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .log = keep_quiet};
    struct fake_host host;
    struct served served = {0};

    (void)state;
    fake_start(&host);
    fake_plug(&host, 0, "zip");
    fake_use(&host, 1);
    served_start_address(&served, "pci:zip", &options, 2);
    assert_int_equal(vine_appliance_register(served.appliance, &explain), 0);
    fake_use(&host, 0);
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        lacking(features[i], open_and_use, &served);
    served_stop(&served);
    fake_stop(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_side_that_lacks_any_of_our_features_is_served_and_serves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

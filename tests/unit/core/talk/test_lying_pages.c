/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance that answers its operator with what is no answer. */
#include "liar.h"

#include <vine/inspect.h>

/* What vine_inspect_pipes makes of a page with one record. */
static int inspect(const struct vine_wire_page *head, const struct vine_wire_pipe *record,
                   size_t size, struct vine_pipe_facts *ret_facts)
{
    static unsigned char page[1024];

    memcpy(page, head, sizeof *head);
    memcpy(page + sizeof *head, record, sizeof *record);
    liar.answer = page;
    liar.answer_size = size;
    assert_int_equal(pthread_create(&liar.thread, NULL, answer_one, NULL), 0);
    const int found = vine_inspect_pipes(liar.pipe, ret_facts, 1);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
    return found;
}

static void pages_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    const struct vine_wire_pipe record = {.number = 1};
    const size_t whole = sizeof(struct vine_wire_page) + sizeof record;
    const struct vine_wire_page heads[] = {
        {.record_bytes = sizeof record, .count = 2},
        {.record_bytes = sizeof record, .count = UINT32_MAX},
        {.record_bytes = 0, .count = 1},
        {.record_bytes = 8, .count = 1},
        {.record_bytes = VINE_WIRE_PIPE_LEAST - 8, .count = 1},
        {.record_bytes = UINT32_MAX - 7, .count = 1},
        {.record_bytes = sizeof record + 4, .count = 1},
        {.record_bytes = sizeof record + 8, .count = 1},
    };
    const struct vine_wire_page good = {.record_bytes = sizeof record, .count = 1};
    struct vine_pipe_facts facts;

    start();
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        assert_int_equal(inspect(&heads[i], &record, whole, &facts), -VINE_EPROTOCOL);
    assert_int_equal(inspect(&good, &record, 0, &facts), -VINE_EPROTOCOL);
    assert_int_equal(inspect(&good, &record, sizeof good - 1, &facts), -VINE_EPROTOCOL);
    assert_int_equal(inspect(&good, &record, whole - 1, &facts), -VINE_EPROTOCOL);
    assert_int_equal(inspect(&good, &record, whole, &facts), 1);
    assert_int_equal(vine_pipe_status(liar.pipe), 0);
    stop();
}

static void what_an_older_appliance_does_not_tell_is_none(void **state)
{
    (void)state;
    const struct vine_wire_page old = {.record_bytes = VINE_WIRE_PIPE_LEAST, .count = 1};
    const struct vine_wire_page good = {.record_bytes = sizeof(struct vine_wire_pipe), .count = 1};
    const struct vine_wire_pipe record = {.channels = 2, .sharing = 3};
    struct vine_pipe_facts facts;

    start();
    assert_int_equal(inspect(&good, &record, sizeof good + sizeof record, &facts), 1);
    assert_int_equal(facts.threads_sharing, 3);
    assert_int_equal(inspect(&old, &record, sizeof old + VINE_WIRE_PIPE_LEAST, &facts), 1);
    assert_int_equal(facts.channels, 2);
    assert_int_equal(facts.threads_sharing, 0);
    stop();
}

static void what_is_told_of_pipes_is_ended_and_printable(void **state)
{
    (void)state;
    const struct vine_wire_page good = {.record_bytes = sizeof(struct vine_wire_pipe), .count = 1};
    struct vine_wire_pipe record;
    struct vine_pipe_facts facts;

    start();
    memset(&record, 0x9b, sizeof record);
    record.error = 11;
    assert_int_equal(inspect(&good, &record, sizeof good + sizeof record, &facts), 1);
    assert_int_equal(strlen(facts.name), sizeof facts.name - 1);
    assert_int_equal(strspn(facts.name, "?"), sizeof facts.name - 1);
    assert_int_equal(strspn(facts.link, "?"), sizeof facts.link - 1);
    assert_int_equal(strspn(facts.reason, "?"), sizeof facts.reason - 1);
    assert_int_equal(facts.error, -VINE_EPROTOCOL); /* an errno does not cross */
    stop();
}

/* Of a later version: kinds that nobody knows yet, and text that is none. */
static void findings_are_told_as_far_as_they_are_known(void **state)
{
    static struct {
        struct vine_wire_page head;
        struct vine_wire_finding records[3];
    } page;
    struct vine_finding found[3];

    (void)state;
    page.head =
        (struct vine_wire_page){.record_bytes = sizeof(struct vine_wire_finding), .count = 3};
    page.records[0].kind = 99;
    memset(&page.records[1], 0x9b, sizeof page.records[1]);
    page.records[1].kind = VINE_WIRE_FOUND_FAULT;
    page.records[2].kind = 0;
    start();
    liar.answer = (const unsigned char *)&page;
    liar.answer_size = sizeof page;
    assert_int_equal(pthread_create(&liar.thread, NULL, answer_one, NULL), 0);
    assert_int_equal(vine_inspect_books(liar.pipe, found, 3), 1);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
    assert_int_equal(strspn(found[0].found, "?"), sizeof found[0].found - 1);
    assert_int_equal(strspn(found[0].expected, "?"), sizeof found[0].expected - 1);
    assert_true(found[0].offset >= 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_do_not_add_up_are_refused),
        cmocka_unit_test(what_an_older_appliance_does_not_tell_is_none),
        cmocka_unit_test(what_is_told_of_pipes_is_ended_and_printable),
        cmocka_unit_test(findings_are_told_as_far_as_they_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What a service has once, beside its connections: it comes back, also where there was no room for
 * it when it should have. */
#include "../process/process_tests.h"

static uint32_t begun;
static bool may_go_on; /* open statics */

VINE_COROUTINE(only_one)
{
    struct {
        char unused;
    } *self;

    vine_begin();
    begun++;
    while (!may_go_on)
        vine_sleep(1000 * 1000);
    may_go_on = false;
    vine_raise(-EIO);
    vine_end();
}

VINE_COROUTINE(waiting)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_end();
}

VINE_SERVICE(waiting, .summary = "wait", .central = VINE_COROUTINE_OF(only_one));

static void have_it_fail(void)
{
    may_go_on = true;
    while (may_go_on)
        advance(10 * 1000 * 1000);
}

static void it_comes_back_once_there_is_room(void **state)
{
    const struct vine_service_options options = {
        .size_bytes = sizeof(options), .isolation = VINE_ISOLATE_NONE, .connections = 2};
    struct vine_connection *connection;
    struct one first;
    int pair[2];

    (void)state;
    open_cores(1);
    begun = 0;
    may_go_on = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(vine_connection_adopt(pair[0], pair[0], &connection), 0);
    assert_int_equal(vine_service_run_here(&vine_service_waiting, connection, &options, NULL, NULL),
                     0);
    until(begun == 1);

    have_it_fail();
    /* Its heap is somebody else's, before it is begun anew. */
    start_one(&first, &vine__type_waiting, NULL);
    advance(VINE_NS_PER_SECOND);
    assert_int_equal(begun, 1);
    finish_one(&first, 0);
    advance(VINE_NS_PER_SECOND);
    assert_int_equal(begun, 2);
    have_it_fail(); /* and with nobody in its way */
    advance(VINE_NS_PER_SECOND);
    assert_int_equal(begun, 3);
    close(pair[1]);
    vine_stop(0);
    advance(5 * VINE_NS_PER_SECOND);
    close_cores();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_comes_back_once_there_is_room),
    };

    return run_by_both(tests);
}

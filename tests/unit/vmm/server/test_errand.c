/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=120 */
/*
 * Errands between a core and a thread: in order, each way, none left behind.
 */
#include "../../core/network/network_tests.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "vmm/server/errand.h"

#define ERRANDS_MANY 10000

static struct vine__errands *errands;
static uint32_t closed_count;

static void closed(void *context)
{
    assert_ptr_equal(context, &closed_count);
    closed_count++;
}

static int begin(void **state)
{
    (void)state;
    closed_count = 0;
    open_cores(1);
    vine__mesh_open_to_aliens(stepped.mesh);
    return 0;
}

static int end(void **state)
{
    (void)state;
    vine__mesh_open_to_aliens(NULL);
    close_cores();
    return 0;
}

static void close_errands(void)
{
    vine__errands_close(errands, closed, &closed_count);
    until(closed_count > 0);
    assert_int_equal(closed_count, 1);
}

/* ---- there and back -------------------------------------------------------------------------- */

struct counted {
    struct vine__errand errand;
    uint32_t number;
    bool was_on_reactor;
};

static struct counted counted[ERRANDS_MANY];
static uint32_t there_count; /* of the thread */
static uint32_t back_count;

static void came_back(struct vine__errand *errand)
{
    const struct counted *const one = VINE_CONTAINER_OF(errand, struct counted, errand);

    assert_int_equal(one->number, back_count);
    assert_false(one->was_on_reactor);
    assert_true(vine_on_reactor());
    assert_int_equal(vine_core(), 0);
    back_count++;
}

static void went_there(struct vine__errand *errand)
{
    struct counted *const one = VINE_CONTAINER_OF(errand, struct counted, errand);

    one->was_on_reactor = vine_on_reactor();
    one->number = there_count++;
    vine__errands_return(errands, errand, came_back);
}

static void send_many(void)
{
    there_count = 0;
    back_count = 0;
    for (uint32_t i = 0; i < ERRANDS_MANY; i++) {
        counted[i].number = UINT32_MAX;
        vine__errands_send(errands, &counted[i].errand, went_there);
        if (i % 1000 == 0)
            step_all();
    }
}

static void what_is_sent_is_done_in_order_and_comes_back(void **state)
{
    (void)state;
    assert_int_equal(vine__errands_open("errands", NULL, NULL, &errands), 0);
    send_many();
    until(back_count == ERRANDS_MANY);
    for (uint32_t i = 0; i < ERRANDS_MANY; i++)
        assert_int_equal(counted[i].number, i);
    close_errands();
}

static void what_was_sent_is_done_before_it_is_closed(void **state)
{
    (void)state;
    assert_int_equal(vine__errands_open("errands", NULL, NULL, &errands), 0);
    send_many();
    close_errands();
    assert_int_equal(back_count, ERRANDS_MANY);
}

/* ---- beside other things --------------------------------------------------------------------- */

static int other_fd;
static struct vine__errand news;
static uint32_t news_count;
static uint64_t heard_sum; /* of the thread, until it has ended */

static void hear_news(struct vine__errand *errand)
{
    assert_ptr_equal(errand, &news);
    news_count++;
}

/* Waits for a descriptor of its own, too, and tells of it without having been asked. */
static void loop(void *context)
{
    struct vine__errands **const own = context;
    uint64_t count;

    while (vine__errands_run(*own, false)) {
        struct pollfd fds[2] = {{.fd = vine__errands_fd(*own), .events = POLLIN},
                                {.fd = other_fd, .events = POLLIN}};

        (void)poll(fds, 2, -1);
        if (read(other_fd, &count, sizeof(count)) == sizeof(count)) {
            heard_sum += count;
            vine__errands_return(*own, &news, hear_news);
        }
    }
}

static void a_thread_may_wait_for_other_things_and_speak_first(void **state)
{
    const uint64_t seven = 7;

    (void)state;
    heard_sum = 0;
    news_count = 0;
    other_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(other_fd >= 0);
    assert_int_equal(vine__errands_open("errands", loop, &errands, &errands), 0);
    assert_int_equal(write(other_fd, &seven, sizeof(seven)), sizeof(seven));
    until(news_count == 1);
    send_many();
    until(back_count == ERRANDS_MANY);
    close_errands();
    assert_int_equal(heard_sum, 7);
    close(other_fd);
}

/* ---- again and again ------------------------------------------------------------------------- */

static struct vine__errand ball;
static uint32_t throws;

static void catch_it(struct vine__errand *errand);

static void throw_back(struct vine__errand *errand)
{
    vine__errands_return(errands, errand, catch_it);
}

static void catch_it(struct vine__errand *errand)
{
    if (++throws < 1000)
        vine__errands_send(errands, errand, throw_back);
}

static void an_errand_may_be_sent_on_by_its_function(void **state)
{
    (void)state;
    throws = 0;
    assert_int_equal(vine__errands_open("errands", NULL, NULL, &errands), 0);
    catch_it(&ball);
    until(throws >= 1000);
    close_errands();
}

static void many_threads_come_and_go(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(vine__errands_open("errands", NULL, NULL, &errands), 0);
        closed_count = 0;
        close_errands();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_sent_is_done_in_order_and_comes_back),
        TEST(what_was_sent_is_done_before_it_is_closed),
        TEST(a_thread_may_wait_for_other_things_and_speak_first),
        TEST(an_errand_may_be_sent_on_by_its_function),
        TEST(many_threads_come_and_go),
    };

    return run_by_both(tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What a core's network counts, and what is told of it as metrics. */
#include "network_tests.h"

#include <netinet/in.h>
#include <sys/resource.h>

#include <vine/metrics.h>

#define TCP    "127.0.0.1:0"
#define SECOND VINE_NS_PER_SECOND

static struct vine_network_counts counts_now(void)
{
    struct vine_network_counts counts;

    vine_network_get_counts(&counts);
    return counts;
}

static void a_connection_that_cannot_be_made_is_counted_as_that(void **state)
{
    struct connected connected = {.calls = 0};
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const struct vine_address nobody = arrivals.address;

    close_listener(&arrivals);
    vine_connect(&connected.connect, &nobody, on_connected);
    until(connected.calls == 1);
    assert_int_equal(connected.connect.error, -ECONNREFUSED);
    assert_int_equal(counts_now().connect_failures, 1);
    assert_int_equal(counts_now().connected, 0);
    assert_int_equal(counts_now().deadlines, 0);
    close_cores();
}

static void a_connection_that_has_no_descriptor_is_a_failure(void **state)
{
    struct connected connected = {.calls = 0};
    struct rlimit limit, none;
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    vine_connect(&connected.connect, &arrivals.address, on_connected);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    until(connected.calls == 1);
    assert_int_equal(connected.connect.error, -EMFILE);
    assert_int_equal(counts_now().connect_failures, 1);
    close_listener(&arrivals);
    close_cores();
}

static void a_peer_that_resets_is_an_error_and_one_that_ends_is_none(void **state)
{
    const struct linger at_once = {.l_onoff = 1};
    struct received received;
    struct arrivals arrivals;

    (void)state;
    open_cores(1);
    listen_at(&arrivals, TCP, VINE_BALANCE_HERE);
    const int polite = connect_plainly(&arrivals);

    close(polite);
    assert_int_equal(receive_one(arrivals.connections[0], &received), 0);
    assert_int_equal(counts_now().receive_errors, 0);
    const int rude = connect_plainly(&arrivals);

    assert_int_equal(setsockopt(rude, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(rude);
    assert_int_equal(receive_one(arrivals.connections[1], &received), -ECONNRESET);
    assert_int_equal(counts_now().receive_errors, 1);
    assert_int_equal(counts_now().send_errors, 0);
    assert_true(send_all(arrivals.connections[1], "x", 1) < 0);
    assert_int_equal(counts_now().send_errors, 1);
    assert_int_equal(counts_now().accepted, 2);
    close_connection(arrivals.connections[0]);
    close_connection(arrivals.connections[1]);
    close_listener(&arrivals);
    close_cores();
}

static void a_deadline_counts_when_it_has_passed_and_not_when_it_was_met(void **state)
{
    struct received received = {.calls = 0};
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    received.receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND;
    vine_receive(pair.server, &received.receive, on_received);
    assert_int_equal(send_all(pair.client, "x", 1), 0);
    until(received.calls == 1);
    assert_int_equal(received.size, 1);
    stepped.clock_ns += 6 * SECOND;
    step_often();
    assert_int_equal(counts_now().deadlines, 0);
    received =
        (struct received){.receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + 5 * SECOND};
    vine_receive(pair.server, &received.receive, on_received);
    stepped.clock_ns += 6 * SECOND;
    until(received.calls == 1);
    assert_int_equal(received.size, -ETIMEDOUT);
    assert_int_equal(counts_now().deadlines, 1);
    assert_int_equal(counts_now().receive_errors, 0); /* the kernel told of none */
    close_pair(&pair);
    close_cores();
}

static void bytes_and_operations_are_counted_on_both_ends(void **state)
{
    struct received received;
    struct pair pair;

    (void)state;
    open_cores(1);
    open_pair(&pair, TCP);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(send_all(pair.client, "hello", 5), 0);
        assert_int_equal(receive_one(pair.server, &received), 5);
    }
    const struct vine_network_counts counts = counts_now();

    assert_int_equal(counts.connections, 2);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.connected, 1);
    assert_int_equal(counts.sent_bytes, 15);
    assert_int_equal(counts.received_bytes, 15);
    assert_int_equal(counts.sends, 3);
    assert_int_equal(counts.receives, 3);
    assert_int_equal(counts.refused, 0);
    close_pair(&pair);
    assert_int_equal(counts_now().connections, 0);
    close_cores();
}

/* ---- as metrics ------------------------------------------------------------------------------ */

static struct {
    char text[1 << 18];
    size_t length;
    uint32_t ends;
} collected;

static void keep_text(void *context, const char *text, size_t size_bytes)
{
    (void)context;
    assert_true(size_bytes < sizeof(collected.text) - collected.length);
    memcpy(collected.text + collected.length, text, size_bytes);
    collected.length += size_bytes;
    collected.text[collected.length] = '\0';
}

static void see_end(void *context, int error)
{
    (void)context;
    assert_int_equal(error, 0);
    collected.ends++;
}

static void collect(void)
{
    const struct vine_metrics_sink sink = {.text = keep_text, .done = see_end};

    collected.length = 0;
    collected.text[0] = '\0';
    collected.ends = 0;
    assert_int_equal(vine_metrics_collect(VINE_METRICS_PROMETHEUS, &sink), 0);
    until(collected.ends == 1);
}

static void assert_told(const char *line)
{
    if (strstr(collected.text, line) == NULL)
        fail_msg("not told: %s", line);
}

static void counts_are_told_as_metrics_of_their_core(void **state)
{
    struct received received;
    struct pair pair;

    (void)state;
    open_cores(2);
    open_pair(&pair, TCP);
    assert_int_equal(send_all(pair.client, "hello", 5), 0);
    assert_int_equal(receive_one(pair.server, &received), 5);
    collect();
    assert_told("\nvine_network_accepted_total{core=\"0\"} 1\n");
    assert_told("\nvine_network_connections{core=\"0\"} 2\n");
    assert_told("\nvine_network_received_bytes_total{core=\"0\"} 5\n");
    assert_told("\nvine_network_sends_total{core=\"0\"} 1\n");
    assert_told("\nvine_network_deadlines_total{core=\"0\"} 0\n");
    assert_told("\nvine_network_buffers_used{core=\"0\"} 1\n"); /* the view */
    assert_told("\nvine_tls_handshakes_total{core=\"0\"} 0\n");
    assert_null(strstr(collected.text, "core=\"1\"")); /* which has no network yet */
    close_pair(&pair);
    close_cores();
}

/* Reactors of the same core, one after the other: each begins anew, and what was is forgotten. */
static void metrics_go_with_the_network(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct pair pair;

        open_cores(1);
        collect();
        assert_null(strstr(collected.text, "vine_network_"));
        open_pair(&pair, TCP);
        collect();
        assert_told("\nvine_network_accepted_total{core=\"0\"} 1\n");
        close_pair(&pair);
        close_cores();
    }
}

/* Its metrics cannot be had, as somebody has one of that name; later they can. */
static void a_network_that_could_not_be_started_is_not_stopped_and_starts_another_time(void **state)
{
    static const uint64_t nothing;
    const struct vine_metric_description description = {.name = "vine_network_accepted_total",
                                                        .help = "Somebody's.",
                                                        .kind = VINE_METRIC_COUNTER,
                                                        .count = &nothing};
    const struct vine_address address = address_of(TCP);
    struct vine_listener *listener = NULL;
    struct vine_metric metric = {0};
    struct pair pair;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        open_cores(1);
        assert_int_equal(vine_metric_register(&metric, &description), 0);
        assert_int_equal(vine_listen(&address, NULL, keep_arrival, NULL, &listener), -EEXIST);
        assert_null(listener);
        vine_metric_unregister(&metric);
        if (i > 0) {
            open_pair(&pair, TCP);
            close_pair(&pair);
        }
        close_cores();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_cannot_be_made_is_counted_as_that),
        cmocka_unit_test(a_connection_that_has_no_descriptor_is_a_failure),
        cmocka_unit_test(a_peer_that_resets_is_an_error_and_one_that_ends_is_none),
        cmocka_unit_test(a_deadline_counts_when_it_has_passed_and_not_when_it_was_met),
        cmocka_unit_test(bytes_and_operations_are_counted_on_both_ends),
        cmocka_unit_test(counts_are_told_as_metrics_of_their_core),
        cmocka_unit_test(metrics_go_with_the_network),
        cmocka_unit_test(
            a_network_that_could_not_be_started_is_not_stopped_and_starts_another_time),
    };

    return run_by_both(tests);
}

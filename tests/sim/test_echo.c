/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=world links=runtime long=1200 */
/*
 * An echo server on all cores and clients of all kinds, over core/network as it is.
 *
 * What may fail: connections are reset, refused, or stand still; segments of a byte; sends and
 * receives of less than was asked for; descriptors run out; cores stand still; clients close half
 * way, never read, or lose patience; a stop while all of that is under way.
 *
 * What holds: each function is called once; what a client receives is what it sent, in order; it
 * gets all of it, or is told that it will not: by an error, or by the end of the stream. Where
 * nothing is made to fail it gets all of it. In the end nothing is left.
 */
#include "sim/world.h"

#include <vine/error.h>
#include <vine/network.h>

#include "utils/container_of.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RUNS        2500
#define RUNS_PLANT  400
#define CLIENTS_MAX 24
#define BYTES_MAX   30000
#define PIECE_MAX   4000
#define PATIENCE_NS (2 * VINE_NS_PER_SECOND)

/* Rules that are broken on purpose. */
static enum { PLANT_NONE, PLANT_BYTE, PLANT_ORDER, PLANT_OPEN } plant;

struct side { /* of a core */
    uint32_t sessions;
    bool is_stopping;
    struct vine_stopper stopper;
    struct vine_core_call call;
};

struct session {
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
    struct vine_work closed;
    unsigned char into[512];
    struct iovec halves[2];
    bool uses_into;
};

struct client {
    struct vine_connect connect;
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
    struct vine_work closed;
    struct vine_core_call over;
    uint32_t core, number;
    uint32_t size, sent, received; /* bytes */
    uint32_t calls_due;            /* functions that have to be called still */
    bool never_reads, gives_up, is_told, is_closing;
    unsigned char bytes[PIECE_MAX], into[PIECE_MAX];
};

static struct {
    struct side sides[WORLD_CORES_MAX];
    struct client clients[CLIENTS_MAX];
    uint32_t client_count, clients_left;
    struct vine_listener *listener;
    struct vine_address address;
    bool is_calm, stops_early;
} echo;

static unsigned char byte_of(uint32_t client, uint32_t at)
{
    return (unsigned char)(client * 31 + at * 7 + at / 251);
}

/* ---- the server ------------------------------------------------------------------------------ */

static void session_receive(struct session *session);

static void look_at_end(struct side *side)
{
    if (!side->is_stopping || side->sessions > 0)
        return;
    side->is_stopping = false; /* it is told once, whoever comes later */
    vine_stopper_done(&side->stopper);
}

static void session_closed(struct vine_work *work)
{
    struct side *const side = &echo.sides[vine_core()];

    free(VINE_CONTAINER_OF(work, struct session, closed));
    side->sessions--;
    look_at_end(side);
}

static void session_end(struct session *session)
{
    if (plant == PLANT_OPEN && world_chance(30) == 0) {
        session_closed(&session->closed);
        return;
    }
    vine_connection_close(session->connection, &session->closed);
}

static void session_sent(struct vine_send *send)
{
    struct session *const session = VINE_CONTAINER_OF(send, struct session, send);

    if (send->error != 0)
        session_end(session);
    else
        session_receive(session);
}

static void session_received(struct vine_receive *receive)
{
    struct session *const session = VINE_CONTAINER_OF(receive, struct session, receive);
    unsigned char *const bytes = (unsigned char *)(uintptr_t)receive->bytes;
    size_t size = (size_t)receive->size;

    if (receive->size <= 0) {
        session_end(session);
        return;
    }
    if (plant == PLANT_BYTE && size > 1 && world_chance(100) == 0)
        size--;
    if (plant == PLANT_ORDER && size > 1 && world_chance(100) == 0) {
        session->halves[0] =
            (struct iovec){.iov_base = bytes + size / 2, .iov_len = size - size / 2};
        session->halves[1] = (struct iovec){.iov_base = bytes, .iov_len = size / 2};
        vine_send_vector(session->connection, &session->send, session->halves, 2, session_sent);
        return;
    }
    vine_send(session->connection, &session->send, receive->bytes, size, session_sent);
}

static void session_receive(struct session *session)
{
    if (session->uses_into)
        vine_receive_into(session->connection, &session->receive, session->into,
                          sizeof(session->into), session_received);
    else
        vine_receive(session->connection, &session->receive, session_received);
}

static void on_arrival(struct vine_connection *connection, void *context)
{
    struct session *const session = calloc(1, sizeof(*session));

    (void)context;
    echo.sides[vine_core()].sessions++;
    session->connection = connection;
    session->uses_into = world_chance(3) == 0;
    vine_work_init(&session->closed, session_closed);
    session_receive(session);
}

static void stop_side(struct vine_stopper *stopper)
{
    struct side *const side = VINE_CONTAINER_OF(stopper, struct side, stopper);

    side->is_stopping = true;
    look_at_end(side);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void client_send(struct client *client);
static void client_receive(struct client *client);

static void count_over(struct vine_core_call *call)
{
    (void)call;
}

static int64_t one_over(void *nothing)
{
    (void)nothing;
    if (--echo.clients_left > 0 || echo.stops_early)
        return 0;
    if (echo.listener != NULL && world_chance(2) == 0) {
        vine_listener_close(echo.listener, NULL);
        echo.listener = NULL;
    }
    vine_stop(0);
    return 0;
}

static void client_closed(struct vine_work *work)
{
    struct client *const client = VINE_CONTAINER_OF(work, struct client, closed);
    const bool is_whole = client->received == client->size;

    world_holds(client->calls_due == 0, "client %u: %u functions were not called", client->number,
                client->calls_due);
    world_holds(is_whole || client->is_told || client->gives_up || client->never_reads,
                "client %u: %u of %u bytes, and no word of it", client->number, client->received,
                client->size);
    world_holds(is_whole || !echo.is_calm, "client %u: %u of %u bytes, and nothing has failed",
                client->number, client->received, client->size);
    world_trace(client->number, client->received);
    client->connection = NULL;
    echo.sides[client->core].sessions--;
    vine_core_call(&client->over, 0, one_over, NULL, count_over);
    look_at_end(&echo.sides[client->core]);
}

static void client_end(struct client *client)
{
    if (client->is_closing)
        return;
    client->is_closing = true;
    vine_connection_close(client->connection, &client->closed);
}

static void client_told(struct client *client, int64_t error)
{
    world_holds(error == 0 || error == -ECONNRESET || error == -EPIPE || error == -ETIMEDOUT ||
                    error == -ECANCELED || error == -VINE_ECLOSED || error == -ENOTCONN,
                "client %u was told %lld", client->number, (long long)error);
    client->is_told = true;
    client_end(client);
}

static void client_sent(struct vine_send *send)
{
    struct client *const client = VINE_CONTAINER_OF(send, struct client, send);

    world_holds(client->calls_due > 0, "client %u: a send has ended twice", client->number);
    client->calls_due--;
    if (client->is_closing)
        return;
    if (send->error != 0) {
        client_told(client, send->error);
        return;
    }
    const bool is_last = send->size == 0;

    if (is_last ? client->never_reads : client->gives_up && world_chance(3) == 0)
        client_end(client);
    else if (!is_last)
        client_send(client);
}

static void client_send(struct client *client)
{
    const uint32_t left = client->size - client->sent;
    const uint32_t most = left < PIECE_MAX ? left : PIECE_MAX;

    client->calls_due++;
    client->send.deadline_ns = echo.is_calm ? 0 : vine_clock_now(VINE_CLOCK_COARSE) + PATIENCE_NS;
    if (left == 0) {
        vine_shutdown_send(client->connection, &client->send, client_sent);
        return;
    }
    const uint32_t size = (uint32_t)world_between(1, most);

    for (uint32_t i = 0; i < size; i++)
        client->bytes[i] = byte_of(client->number, client->sent + i);
    client->sent += size;
    if (world_chance(3) == 0) {
        const uint32_t first = (uint32_t)world_chance(size + 1);
        static struct iovec vectors[CLIENTS_MAX][2];
        struct iovec *const vector = vectors[client->number];

        vector[0] = (struct iovec){.iov_base = client->bytes, .iov_len = first};
        vector[1] = (struct iovec){.iov_base = client->bytes + first, .iov_len = size - first};
        vine_send_vector(client->connection, &client->send, vector, 2, client_sent);
        return;
    }
    vine_send(client->connection, &client->send, client->bytes, size, client_sent);
}

static void client_received(struct vine_receive *receive)
{
    struct client *const client = VINE_CONTAINER_OF(receive, struct client, receive);

    world_holds(client->calls_due > 0, "client %u: a receive has ended twice", client->number);
    client->calls_due--;
    if (receive->size <= 0) {
        if (!client->is_closing)
            client_told(client, receive->size);
        return;
    }
    for (int64_t i = 0; i < receive->size; i++)
        world_holds(receive->bytes[i] == byte_of(client->number, client->received + (uint32_t)i),
                    "client %u: byte %u is wrong", client->number, client->received + (uint32_t)i);
    client->received += (uint32_t)receive->size;
    world_holds(client->received <= client->sent, "client %u got more than it sent",
                client->number);
    if (!client->is_closing)
        client_receive(client);
}

static void client_receive(struct client *client)
{
    client->calls_due++;
    client->receive.deadline_ns =
        echo.is_calm ? 0 : vine_clock_now(VINE_CLOCK_COARSE) + PATIENCE_NS;
    if (world_chance(2) == 0)
        vine_receive(client->connection, &client->receive, client_received);
    else
        vine_receive_into(client->connection, &client->receive, client->into,
                          world_between(1, PIECE_MAX), client_received);
}

static void client_connected(struct vine_connect *connect)
{
    struct client *const client = VINE_CONTAINER_OF(connect, struct client, connect);

    if (connect->error != 0) {
        world_holds(!echo.is_calm, "client %u cannot connect: %d", client->number, connect->error);
        client->is_told = true;
        client_closed(&client->closed);
        return;
    }
    client->connection = connect->connection;
    client_send(client);
    if (!client->never_reads)
        client_receive(client);
}

static void start_client(struct client *client)
{
    vine_work_init(&client->closed, client_closed);
    echo.sides[vine_core()].sessions++;
    client->connect.deadline_ns =
        echo.is_calm ? 0 : vine_clock_now(VINE_CLOCK_COARSE) + PATIENCE_NS;
    vine_connect(&client->connect, &echo.address, client_connected);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static int64_t begin_side(void *nothing)
{
    struct side *const side = &echo.sides[vine_core()];

    (void)nothing;
    vine_at_stop(&side->stopper, stop_side); /* before the network's, so that it comes after */
    return 0;
}

static int64_t begin_clients(void *nothing)
{
    (void)nothing;
    for (uint32_t i = 0; i < echo.client_count; i++)
        if (echo.clients[i].core == vine_core())
            start_client(&echo.clients[i]);
    return 0;
}

static void listen_and_begin(struct vine_core_call *call)
{
    const struct vine_listen_options options = {.size_bytes = sizeof(options),
                                                .balance = (uint8_t)world_chance(3)};
    const int error = vine_listen(&echo.address, &options, on_arrival, NULL, &echo.listener);

    (void)call;
    world_holds(error == 0 || !echo.is_calm, "cannot listen: %d", error);
    for (uint32_t core = 0; core < world.core_count; core++)
        vine_core_call(&echo.sides[core].call, core, begin_clients, NULL, count_over);
}

static uint32_t sides_begun;

static void count_begun(struct vine_core_call *call)
{
    if (++sides_begun == world.core_count)
        listen_and_begin(call);
}

static void make_clients(void)
{
    echo.client_count = (uint32_t)world_between(1, CLIENTS_MAX);
    echo.clients_left = echo.client_count;
    for (uint32_t i = 0; i < echo.client_count; i++) {
        struct client *const client = &echo.clients[i];

        client->number = i;
        client->core = (uint32_t)world_chance(world.core_count);
        client->size = (uint32_t)world_between(1, world_chance(4) == 0 ? BYTES_MAX : 2000);
        client->gives_up = !echo.is_calm && world_chance(5) == 0;
        client->never_reads = !echo.is_calm && world_chance(8) == 0;
    }
}

static void run(uint64_t seed)
{
    const bool is_calm = seed % 3 == 0;
    struct world_options options = {.net_short = 300, .pause_chance = seed % 5 == 0 ? 20 : 0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};

    options.net_segment_bytes = seed % 7 == 0 ? 24 : 0;
    options.net_buffer_bytes = seed % 4 == 0 ? 700 : 0;
    if (!is_calm) {
        options.net_reset = (uint32_t)(seed / 3 % 3) * 5;
        options.net_stall = (uint32_t)(seed / 9 % 3) * 10;
        options.net_lost = (uint32_t)(seed / 27 % 3) * 50;
        options.net_refuse = (uint32_t)(seed / 5 % 2) * 30;
        options.descriptor_max = seed % 4 == 1 ? 20 : 0;
    }
    memset(&echo, 0, sizeof(echo));
    sides_begun = 0;
    echo.is_calm = is_calm;
    world_open(seed, &options);
    echo.stops_early = !is_calm && world_chance(3) == 0;
    memcpy(&echo.address.ip4, &address, sizeof(address));
    echo.address.size_bytes = sizeof(address);
    make_clients();
    for (uint32_t core = 0; core < world.core_count; core++)
        vine_core_call(&echo.sides[core].call, core, begin_side, NULL, count_begun);
    if (echo.stops_early) {
        world_run_for(world_between(0, 30 * MS));
        vine_stop(0);
    }
    world_run();
    if (echo.listener != NULL)
        vine_listener_close(echo.listener, NULL);
    world_close();
}

static void what_is_sent_is_echoed_in_order_or_its_sender_is_told(void **state)
{
    (void)state;
    plant = PLANT_NONE;
    world_try_seeds(run, RUNS);
}

static void a_seed_makes_the_same_trace_twice(void **state)
{
    (void)state;
    plant = PLANT_NONE;
    world_try_traces(run);
}

static void a_server_that_loses_a_byte_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_BYTE;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_server_that_swaps_halves_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_ORDER;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void a_connection_that_nobody_closes_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_OPEN;
    assert_true(world_finds(run, RUNS_PLANT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_echoed_in_order_or_its_sender_is_told),
        cmocka_unit_test(a_seed_makes_the_same_trace_twice),
        cmocka_unit_test(a_server_that_loses_a_byte_is_found_out),
        cmocka_unit_test(a_server_that_swaps_halves_is_found_out),
        cmocka_unit_test(a_connection_that_nobody_closes_is_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

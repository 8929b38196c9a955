/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=world links=runtime long=1200 */
/*
 * Questions and answers by datagrams: a server on one core, clients on all, who ask again until
 * they are answered, over core/network as it is.
 *
 * What may fail: datagrams are lost, arrive twice, overtake each other, or find no room; cores
 * stand still; some are cut, since the server has less room than was sent; a stop in the middle.
 *
 * What holds: each function is called once; an answer is to a question of that client's, and right;
 * it has the address of the server; who asks often enough is answered. In the end nothing is left.
 */
#include "sim/world.h"

#include <vine/error.h>
#include <vine/network.h>

#include "utils/container_of.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define RUNS        3000
#define RUNS_PLANT  400
#define CLIENTS_MAX 16
#define RECEIVES    4
#define QUESTIONS   8
#define BYTES_MAX   1200
#define ROOM        800 /* of the server: what is longer is cut */
#define PATIENCE_NS (30 * MS)
#define TRIES_MAX   200

static enum { PLANT_NONE, PLANT_FORGETS, PLANT_OTHER } plant;

struct question {
    uint32_t client, number, size, sum; /* of the bytes behind it */
};

/* Of a core. */
struct side {
    struct vine_stopper stopper;
    uint32_t clients;
    bool is_stopping;
};

/* One receive of the server's, which becomes the answer. */
struct service {
    struct vine_datagram datagram;
    unsigned char bytes[ROOM];
};

struct client {
    struct vine_udp *udp;
    struct vine_datagram send, receive;
    struct vine_work closed;
    struct vine_core_call over;
    uint32_t number, core, asked, tries;
    uint32_t due; /* functions that have to be called */
    bool is_closing, has_closed, is_answered, is_connected;
    unsigned char bytes[BYTES_MAX], answer[BYTES_MAX];
};

static struct {
    struct vine_udp *udp;
    struct vine_address address;
    struct service services[RECEIVES];
    struct vine_work closed;
    struct vine_stopper stopper;
    uint32_t services_due;
    struct side sides[WORLD_CORES_MAX];
    struct client clients[CLIENTS_MAX];
    uint32_t client_count, clients_left;
    bool is_closing, stops_early;
} asked;

static uint32_t sum_of(const unsigned char *bytes, uint32_t size)
{
    uint32_t sum = 2166136261U;

    for (uint32_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 16777619U;
    return sum;
}

static bool is_end(int64_t result)
{
    return result == -ECANCELED || result == -VINE_ECLOSED;
}

/* ---- the server ------------------------------------------------------------------------------ */

static void take_question(struct service *service);

static void server_closed(struct vine_work *work)
{
    (void)work;
    world_holds(asked.services_due == 0, "%u functions of the server's were not called",
                asked.services_due);
    vine_stopper_done(&asked.stopper);
}

static void end_service(void)
{
    asked.services_due--;
}

static void see_answered(struct vine_datagram *datagram)
{
    struct service *const service = VINE_CONTAINER_OF(datagram, struct service, datagram);

    world_holds(datagram->size >= 0 || is_end(datagram->size), "an answer ends with %lld",
                (long long)datagram->size);
    if (datagram->size < 0 || asked.is_closing)
        end_service();
    else
        take_question(service);
}

static void have_question(struct vine_datagram *datagram)
{
    struct service *const service = VINE_CONTAINER_OF(datagram, struct service, datagram);
    struct question question;
    struct vine_address from = datagram->address;

    world_holds(datagram->size >= 0 || is_end(datagram->size), "a question ends with %lld",
                (long long)datagram->size);
    if (datagram->size < 0 || asked.is_closing) {
        end_service();
        return;
    }
    memcpy(&question, service->bytes, sizeof(question));
    world_holds(datagram->is_cut == (question.size > ROOM), "%u bytes in %u are cut: %d",
                question.size, ROOM, datagram->is_cut);
    world_holds(datagram->is_cut || question.size == (uint64_t)datagram->size,
                "%lld bytes have come of %u", (long long)datagram->size, question.size);
    if (plant == PLANT_FORGETS && world_chance(100) == 0)
        asked.services_due++; /* one that will never come back */
    if (plant == PLANT_OTHER && world_chance(20) == 0)
        service->bytes[sizeof(question)] ^= 1;
    vine_udp_send(asked.udp, datagram, service->bytes, (size_t)datagram->size, &from, see_answered);
}

static void take_question(struct service *service)
{
    vine_udp_receive(asked.udp, &service->datagram, service->bytes, sizeof(service->bytes),
                     have_question);
}

static void stop_server(struct vine_stopper *stopper)
{
    (void)stopper;
    asked.is_closing = true;
    vine_udp_close(asked.udp, &asked.closed);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void ask(struct client *client);

static void forget(struct vine_core_call *call)
{
    (void)call;
}

static int64_t one_over(void *nothing)
{
    (void)nothing;
    if (--asked.clients_left == 0 && !asked.stops_early)
        vine_stop(0);
    return 0;
}

static void look_at_side(struct side *side)
{
    if (!side->is_stopping || side->clients > 0)
        return;
    side->is_stopping = false; /* it is told once */
    vine_stopper_done(&side->stopper);
}

static void client_closed(struct vine_work *work)
{
    struct client *const client = VINE_CONTAINER_OF(work, struct client, closed);

    world_holds(client->due == 0, "client %u: %u functions were not called", client->number,
                client->due);
    world_holds(client->asked == QUESTIONS || asked.stops_early, "client %u: %u answers",
                client->number, client->asked);
    client->udp = NULL;
    vine_core_call(&client->over, 0, one_over, NULL, forget);
    asked.sides[client->core].clients--;
    look_at_side(&asked.sides[client->core]);
}

static void close_client(struct client *client)
{
    if (client->has_closed)
        return;
    client->is_closing = true;
    client->has_closed = true;
    vine_udp_close(client->udp, &client->closed);
}

static void stop_side(struct vine_stopper *stopper)
{
    struct side *const side = VINE_CONTAINER_OF(stopper, struct side, stopper);

    side->is_stopping = true;
    for (uint32_t i = 0; i < asked.client_count; i++)
        if (asked.clients[i].core == vine_core() && asked.clients[i].udp != NULL)
            close_client(&asked.clients[i]);
    look_at_side(side);
}

/* As a program should: when all of its own have come back. */
static void look_at_end(struct client *client)
{
    if (client->is_closing && client->due == 0)
        close_client(client);
}

static void see_asked(struct vine_datagram *datagram)
{
    struct client *const client = VINE_CONTAINER_OF(datagram, struct client, send);

    client->due--;
    world_holds(datagram->size >= 0 || is_end(datagram->size) || datagram->size == -ECONNREFUSED,
                "client %u: asking ends with %lld", client->number, (long long)datagram->size);
    if (is_end(datagram->size))
        client->is_closing = true;
    if (client->is_answered && !client->is_closing)
        ask(client);
    look_at_end(client);
}

/* Returns whether it is the answer to what was asked last. */
static bool is_answer(const struct client *client, int64_t size)
{
    struct question question;

    memcpy(&question, client->answer, sizeof(question));
    world_holds(size >= (int64_t)sizeof(question) && question.client == client->number &&
                    question.number <= client->asked,
                "client %u: an answer to somebody else", client->number);
    world_holds(size == (question.size < ROOM ? question.size : ROOM),
                "client %u: an answer of %lld bytes", client->number, (long long)size);
    world_holds(question.size > ROOM ||
                    question.sum == sum_of(client->answer + sizeof(question),
                                           question.size - (uint32_t)sizeof(question)),
                "client %u: other bytes", client->number);
    return question.number == client->asked;
}

static void wait_on(struct client *client);

static void have_answer(struct vine_datagram *datagram)
{
    struct client *const client = VINE_CONTAINER_OF(datagram, struct client, receive);
    const int64_t size = datagram->size;

    client->due--;
    world_trace(client->number, (uint64_t)size);
    world_holds(size >= 0 || is_end(size) || size == -ETIMEDOUT || size == -ECONNREFUSED,
                "client %u: an answer ends with %lld", client->number, (long long)size);
    if (is_end(size))
        client->is_closing = true;
    if (size >= 0) {
        world_holds(vine_address_port(&datagram->address) == vine_address_port(&asked.address),
                    "client %u: answered by another", client->number);
        if (!is_answer(client, size) && !client->is_closing) {
            wait_on(client); /* to a question before it, once more */
            return;
        }
        client->asked++;
        client->tries = 0;
    }
    world_holds(++client->tries < TRIES_MAX, "client %u is not answered", client->number);
    if (client->asked == QUESTIONS)
        client->is_closing = true;
    /* The question may still be on its way to the kernel. */
    client->is_answered = !client->is_closing;
    if (client->due == 0 && !client->is_closing)
        ask(client);
    look_at_end(client);
}

static void wait_on(struct client *client)
{
    client->due++;
    client->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + PATIENCE_NS;
    vine_udp_receive(client->udp, &client->receive, client->answer, sizeof(client->answer),
                     have_answer);
}

static void ask(struct client *client)
{
    struct question question = {.client = client->number, .number = client->asked};

    question.size = (uint32_t)world_between(sizeof(question) + 1, BYTES_MAX);
    for (uint32_t i = sizeof(question); i < question.size; i++)
        client->bytes[i] = (unsigned char)(i * 7 + client->asked);
    question.sum =
        sum_of(client->bytes + sizeof(question), question.size - (uint32_t)sizeof(question));
    memcpy(client->bytes, &question, sizeof(question));
    client->is_answered = false;
    client->due++;
    vine_udp_send(client->udp, &client->send, client->bytes, question.size,
                  client->is_connected ? NULL : &asked.address, see_asked);
    wait_on(client);
}

static int64_t begin_client(void *argument)
{
    struct client *const client = argument;
    struct vine_address address = {.ip4 = {.sin_family = AF_INET},
                                   .size_bytes = sizeof(address.ip4)};

    vine_work_init(&client->closed, client_closed);
    if (asked.sides[client->core].stopper.fn == NULL)
        vine_at_stop(&asked.sides[client->core].stopper, stop_side);
    if (vine_udp_open(&address, NULL, &client->udp) != 0) {
        world_holds(asked.stops_early, "a client cannot open");
        return 0;
    }
    asked.sides[client->core].clients++;
    client->is_connected = world_chance(2) == 0;
    if (client->is_connected && vine_udp_connect(client->udp, &asked.address) != 0)
        world_break("a client cannot connect");
    ask(client);
    return 0;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void begin_server(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};

    asked.address.ip4 = address;
    asked.address.size_bytes = sizeof(address);
    vine_work_init(&asked.closed, server_closed);
    vine_at_stop(&asked.stopper, stop_server);
    if (vine_udp_open(&asked.address, NULL, &asked.udp) != 0)
        world_break("the server cannot open");
    asked.services_due = RECEIVES;
    for (uint32_t i = 0; i < RECEIVES; i++)
        take_question(&asked.services[i]);
}

static void run(uint64_t seed)
{
    struct world_options options = {.pause_chance = seed % 5 == 0 ? 20 : 0};

    options.net_lost = (uint32_t)(seed % 3) * 200;
    options.net_twice = (uint32_t)(seed / 3 % 3) * 200;
    memset(&asked, 0, sizeof(asked));
    world_open(seed, &options);
    asked.client_count = (uint32_t)world_between(1, CLIENTS_MAX);
    asked.clients_left = asked.client_count;
    asked.stops_early = world_chance(4) == 0;
    begin_server();
    for (uint32_t i = 0; i < asked.client_count; i++) {
        struct client *const client = &asked.clients[i];

        client->number = i;
        client->core = (uint32_t)world_chance(world.core_count);
        if (vine_submit_to(client->core, begin_client, client) != 0)
            world_break("no place for a call");
    }
    if (asked.stops_early) {
        world_run_for(world_between(0, 50 * MS));
        vine_stop(0);
    }
    world_run();
    world_close();
}

static void who_asks_often_enough_is_answered(void **state)
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

static void a_receive_that_is_not_counted_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_FORGETS;
    assert_true(world_finds(run, RUNS_PLANT));
}

static void an_answer_with_another_byte_is_found_out(void **state)
{
    (void)state;
    plant = PLANT_OTHER;
    assert_true(world_finds(run, RUNS_PLANT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_often_enough_is_answered),
        cmocka_unit_test(a_seed_makes_the_same_trace_twice),
        cmocka_unit_test(a_receive_that_is_not_counted_is_found_out),
        cmocka_unit_test(an_answer_with_another_byte_is_found_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

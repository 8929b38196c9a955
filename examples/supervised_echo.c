/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends back what it gets, as tcp_echo does, from processes under a supervisor: it goes on while
 * they die, and while they are exchanged for others.
 *
 *     supervised_echo --processes=2 --listen=127.0.0.1:7007 --listen=unix:./echo.sock
 *     kill -HUP PID      exchanges the processes, one after the other; nobody is refused
 *     kill PID           ends; what has been sent to it by then is still sent back
 *     systemd-socket-activate -l 7007 ./supervised_echo
 */
#include <vine/runtime.h>

#include <errno.h>
#include <stdlib.h>

#define SILENT_NS (600 * VINE_NS_PER_SECOND) /* until a client is given up */
#define LAST_NS   (1 * VINE_NS_PER_SECOND)   /* at the end, for what a client has sent already */

/* What each core has, and no other one touches. */
struct shard {
    struct vine_list clients;
    struct vine_gate gate; /* clients are inside */
    struct vine_waiting left;
    struct vine_reply stopped;
};

struct client {
    struct vine_list link; /* in its core's clients */
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
    bool is_last; /* what comes now is the last that is sent back */
};

static struct vine_supervise_options wishes = {
    .size_bytes = sizeof(wishes),
    .listen_default = "127.0.0.1:7007",
};
static struct vine_sharded *shards;
static struct vine_stopper shards_stopper;
static struct vine_listener *listeners[VINE_SUPERVISE_LISTENERS_MAX];
static struct vine_stopper listeners_stopper;
static struct vine_work closed[VINE_SUPERVISE_LISTENERS_MAX];
static uint32_t listener_count, closed_count;

/* ---- clients --------------------------------------------------------------------------------- */

static void drop(struct client *client)
{
    struct shard *const shard = vine_sharded_local(shards);

    vine_connection_close(client->connection, NULL);
    vine_list_remove(&client->link);
    free(client);
    vine_gate_leave(&shard->gate);
}

static void send_back(struct vine_receive *receive);

static void receive_next(struct client *client)
{
    const struct shard *const shard = vine_sharded_local(shards);

    if (client->is_last) {
        drop(client);
        return;
    }
    client->is_last = vine_gate_is_closed(&shard->gate);
    client->receive.deadline_ns =
        vine_clock_now(VINE_CLOCK_COARSE) + (client->is_last ? LAST_NS : SILENT_NS);
    vine_receive(client->connection, &client->receive, send_back);
}

static void see_sent(struct vine_send *send)
{
    struct client *const client = VINE_CONTAINER_OF(send, struct client, send);

    if (send->error != 0)
        drop(client);
    else
        receive_next(client);
}

static void send_back(struct vine_receive *receive)
{
    struct client *const client = VINE_CONTAINER_OF(receive, struct client, receive);

    if (receive->size == -ECANCELED && !client->is_last) { /* by stop_shard */
        receive_next(client);
        return;
    }
    if (receive->size <= 0) { /* the end, or an error */
        drop(client);
        return;
    }
    client->send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SILENT_NS;
    vine_send(client->connection, &client->send, receive->bytes, (size_t)receive->size, see_sent);
}

/* On the core to which the client belongs from now on. */
static void welcome(struct vine_connection *connection, void *context)
{
    struct shard *const shard = vine_sharded_local(shards);
    struct client *const client = calloc(1, sizeof(*client));

    (void)context;
    if (client == NULL || vine_gate_enter(&shard->gate) != 0) {
        free(client);
        vine_connection_close(connection, NULL);
        return;
    }
    client->connection = connection;
    vine_list_push_back(&shard->clients, &client->link);
    receive_next(client);
}

/* ---- what each core has ---------------------------------------------------------------------- */

static void start_shard(void *instance, void *argument, struct vine_reply reply)
{
    struct shard *const shard = instance;

    (void)argument;
    vine_list_init(&shard->clients);
    vine_gate_init(&shard->gate);
    vine_core_call_reply(reply, 0);
}

static void see_all_left(struct vine_waiting *waiting)
{
    vine_core_call_reply(VINE_CONTAINER_OF(waiting, struct shard, left)->stopped, 0);
}

/* What a client has sent may not have come yet: each may be told once more. */
static void stop_shard(void *instance, void *argument, struct vine_reply reply)
{
    struct shard *const shard = instance;

    (void)argument;
    shard->stopped = reply;
    vine_waiting_init(&shard->left, see_all_left);
    vine_gate_close(&shard->gate, &shard->left);
    VINE_LIST_FOR_EACH(node, &shard->clients)
    {
        vine_receive_cancel(&VINE_LIST_OBJECT(node, struct client, link)->receive);
    }
}

static void see_shards_stopped(struct vine_sharded *sharded, void *argument)
{
    (void)argument;
    vine_sharded_destroy(sharded);
    vine_stopper_done(&shards_stopper);
}

static void stop_shards(struct vine_stopper *stopper)
{
    (void)stopper;
    vine_sharded_stop(shards, see_shards_stopped);
}

/* ---- the listeners: the supervisor's sockets ------------------------------------------------- */

static void see_closed(struct vine_work *work)
{
    (void)work;
    if (++closed_count == listener_count)
        vine_stopper_done(&listeners_stopper);
}

static void stop_listening(struct vine_stopper *stopper)
{
    if (listener_count == 0)
        vine_stopper_done(stopper);
    for (uint32_t i = 0; i < listener_count; i++) {
        vine_work_init(&closed[i], see_closed);
        vine_listener_close(listeners[i], &closed[i]);
    }
}

static void fail(const char *what, int error)
{
    vine_log("echo", VINE_LOG_ERROR, "%s: %s", what, vine_error_text(error));
    vine_stop(1);
}

static void listen_on_all(struct vine_sharded *sharded, void *argument)
{
    const struct vine_supervised *const supervised = vine_supervised();
    int error = vine_sharded_result(sharded);

    (void)argument;
    if (error != 0) {
        vine_sharded_destroy(sharded);
        fail("the cores' state", error);
        return;
    }
    vine_at_stop(&shards_stopper, stop_shards);
    vine_at_stop(&listeners_stopper, stop_listening); /* which goes first */
    for (uint32_t i = 0; error == 0 && i < supervised->listener_count; i++) {
        error =
            vine_listen_descriptor(supervised->listeners[i].fd, NULL, welcome, NULL, &listeners[i]);
        listener_count += error == 0;
    }
    if (error != 0)
        fail("a socket of the supervisor's", error);
    else
        vine_supervised_ready();
}

static int begin(int argc, char **argv)
{
    const struct vine_sharded_options options = {
        .size_bytes = sizeof(options),
        .instance_bytes = sizeof(struct shard),
        .start = start_shard,
        .stop = stop_shard,
    };
    const int error = vine_sharded_create(&shards, &options);

    (void)argc;
    (void)argv;
    if (error != 0)
        fail("the cores' state", error);
    else
        vine_sharded_start(shards, listen_on_all);
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {VINE_SUPERVISE_OPTIONS(wishes)};
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Send back what comes, whatever becomes of the processes that do it.",
        .version = "0.1",
        .options = own,
        .option_count = sizeof(own) / sizeof(own[0]),
        .supervise = &wishes, /* the supervisor stays in vine_main; its processes come to begin */
    };

    return vine_main(argc, argv, &options, begin);
}

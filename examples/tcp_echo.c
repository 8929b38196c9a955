/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends back what it gets, to any number of clients on all processors, until SIGINT or SIGTERM.
 *
 *     tcp_echo                                 at 127.0.0.1:7007
 *     tcp_echo --smp=2 --listen=[::]:7007
 *     tcp_echo --listen=unix:./echo.sock
 */
#include <vine/runtime.h>

#include <stdio.h>
#include <stdlib.h>

#define SILENT_NS (600 * VINE_NS_PER_SECOND) /* until a client is given up */

static const char *where;
static struct vine_listener *listener;
static struct vine_stopper stopper;
static struct vine_work closed;

/* All that the program has of a client. */
struct client {
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
};

static void send_back(struct vine_receive *receive);

static struct client *client_of(void *member, size_t offset)
{
    return (void *)((char *)member - offset);
}

static void close_client(struct client *client)
{
    vine_connection_close(client->connection, NULL);
    free(client);
}

static void receive_next(struct client *client)
{
    client->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SILENT_NS;
    vine_receive(client->connection, &client->receive, send_back);
}

static void see_sent(struct vine_send *send)
{
    struct client *const client = client_of(send, offsetof(struct client, send));

    if (send->error != 0)
        close_client(client);
    else
        receive_next(client);
}

/* What came stays where it is until the next receive: until all of it is sent. */
static void send_back(struct vine_receive *receive)
{
    struct client *const client = client_of(receive, offsetof(struct client, receive));

    if (receive->size <= 0) { /* the end, or an error */
        close_client(client);
        return;
    }
    /* Who takes nothing keeps a buffer of the core's from all others. */
    client->send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SILENT_NS;
    vine_send(client->connection, &client->send, receive->bytes, (size_t)receive->size, see_sent);
}

/* On the core to which the client belongs from now on. */
static void welcome(struct vine_connection *connection, void *context)
{
    struct client *const client = calloc(1, sizeof(*client));

    (void)context;
    if (client == NULL) {
        vine_connection_close(connection, NULL);
        return;
    }
    client->connection = connection;
    receive_next(client);
}

static void see_closed(struct vine_work *work)
{
    (void)work;
    vine_stopper_done(&stopper);
}

/* When the reactors stop. What clients wait for ends by itself then, and so they are closed. */
static void stop_listening(struct vine_stopper *self)
{
    (void)self;
    vine_work_init(&closed, see_closed);
    vine_listener_close(listener, &closed);
}

static int begin(int argc, char **argv)
{
    char text[VINE_ADDRESS_TEXT_BYTES];
    struct vine_address address;
    int error = vine_address_parse(where, &address);

    (void)argc;
    (void)argv;
    if (error == 0)
        error = vine_listen(&address, NULL, welcome, NULL, &listener);
    if (error != 0) {
        fprintf(stderr, "tcp_echo: cannot listen at %s: %s\n", where, vine_error_text(error));
        return 1;
    }
    vine_at_stop(&stopper, stop_listening);
    vine_address_print(vine_listener_address(listener), text);
    printf("listening at %s on %u core%s\n", text, vine_core_count(),
           vine_core_count() == 1 ? "" : "s");
    fflush(stdout);
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {{
        .name = "listen",
        .kind = VINE_OPTION_ADDRESS,
        .value = &where,
        .fallback = "127.0.0.1:7007",
        .help = "where to listen: HOST:PORT, [HOST]:PORT, unix:PATH or unix:@NAME",
    }};
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Send back what comes.",
        .version = "0.1",
        .options = own,
        .option_count = 1,
    };

    return vine_main(argc, argv, &options, begin);
}

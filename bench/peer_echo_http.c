/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * A server on reactors that answers each request of HTTP/1.1 with the same few bytes as the nginx
 * that bench_echo starts. Of a request it looks for the empty line at its end and at nothing else:
 * what it measures is the network below, not a server of HTTP.
 */
#include <vine/runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_NS (600 * VINE_NS_PER_SECOND) /* until a client is given up */
#define ANSWERS   16                         /* to requests that came together */

static const char answer[] = "HTTP/1.1 200 OK\r\nServer: nginx\r\n"
                             "Date: Sun, 22 Nov 2026 09:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\nContent-Length: 3\r\n"
                             "Connection: keep-alive\r\n\r\nok\n";
static struct iovec pieces[ANSWERS];
static struct vine_listener *listener;
static struct vine_stopper stopper;
static struct vine_work closed;

struct client {
    struct vine_receive receive; /* first, so that it is the client */
    struct vine_send send;
    struct vine_connection *connection;
    uint32_t matched; /* bytes of the end of a head that were seen last */
};

static void take(struct vine_receive *receive);

static void close_client(struct client *client)
{
    vine_connection_close(client->connection, NULL);
    free(client);
}

static void receive_next(struct client *client)
{
    client->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SILENT_NS;
    vine_receive(client->connection, &client->receive, take);
}

static void see_sent(struct vine_send *send)
{
    struct client *const client = (void *)((char *)send - offsetof(struct client, send));

    if (send->error != 0)
        close_client(client);
    else
        receive_next(client);
}

/* How many heads end in these bytes. */
static uint32_t count_ends(struct client *client, const unsigned char *bytes, size_t size)
{
    static const char end[] = "\r\n\r\n";
    uint32_t count = 0;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == end[client->matched])
            client->matched++;
        else
            client->matched = bytes[i] == end[0];
        if (client->matched == sizeof(end) - 1) {
            client->matched = 0;
            count++;
        }
    }
    return count;
}

static void take(struct vine_receive *receive)
{
    struct client *const client = (struct client *)receive;

    if (receive->size <= 0) {
        close_client(client);
        return;
    }
    const uint32_t count = count_ends(client, receive->bytes, (size_t)receive->size);

    if (count == 0)
        receive_next(client);
    else if (count == 1)
        vine_send(client->connection, &client->send, answer, sizeof(answer) - 1, see_sent);
    else if (count <= ANSWERS)
        vine_send_vector(client->connection, &client->send, pieces, count, see_sent);
    else
        close_client(client);
}

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
    int error = vine_address_parse("127.0.0.1:0", &address);

    (void)argc;
    (void)argv;
    for (size_t i = 0; i < ANSWERS; i++)
        pieces[i] = (struct iovec){(void *)(uintptr_t)answer, sizeof(answer) - 1};
    if (error == 0)
        error = vine_listen(&address, NULL, welcome, NULL, &listener);
    if (error != 0)
        return 1;
    vine_at_stop(&stopper, stop_listening);
    vine_address_print(vine_listener_address(listener), text);
    printf("listening at %s\n", text);
    fflush(stdout);
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    return vine_main(argc, argv, NULL, begin);
}

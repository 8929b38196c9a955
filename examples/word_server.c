/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the words of files for those who ask: a client sends a name on a line, and gets a line
 * with the count. Each name belongs to a core, which reads the file and remembers the count for a
 * while. docs/guides/server.md builds this program, step by step, and says why it is so.
 *
 *     word_server FOLDER                       at 127.0.0.1:7009
 *     word_server --listen=unix:./words.sock FOLDER
 */
#include <vine/runtime.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 64                        /* a longer line ends its client */
#define REQUEST_NS (60 * VINE_NS_PER_SECOND) /* for a whole line to come */
#define SEND_NS    (5 * VINE_NS_PER_SECOND)  /* for an answer to be taken */

#define CLIENTS_MAX 1000                     /* on each core */
#define READS_MAX   8                        /* the same */
#define KNOWN_MAX   1024                     /* the same */
#define FRESH_NS    (1 * VINE_NS_PER_SECOND) /* for which a count is good */

/* The count of a name that belongs to this core. */
struct known {
    char name[LINE_BYTES];
    int64_t count;
    uint64_t until_ns;
};

/* What each core has, and no other one touches. */
struct shard {
    struct vine_list clients;
    struct vine_gate gate;       /* clients are inside */
    struct vine_semaphore reads; /* a unit for each read that may begin */
    struct known known[KNOWN_MAX];
    struct vine_waiting left;
    struct vine_reply stopped;
};

static struct vine_sharded *shards;

static struct shard *shard_here(void)
{
    return vine_sharded_local(shards);
}

/* FNV-1a (Fowler, Noll, Vo). */
static uint32_t hash(const char *name)
{
    uint32_t sum = 2166136261U;

    for (; *name != '\0'; name++)
        sum = (sum ^ (unsigned char)*name) * 16777619U;
    return sum;
}

static uint32_t core_of(const char *name)
{
    return hash(name) % vine_core_count();
}

/* On the core of the name. */
static struct known *known_of(const char *name)
{
    return &shard_here()->known[hash(name) / vine_core_count() % KNOWN_MAX];
}

static int64_t count_words(const char *bytes, size_t size)
{
    int64_t count = 0;
    bool is_in_word = false;

    for (size_t i = 0; i < size; i++) {
        const bool is_space = isspace((unsigned char)bytes[i]) != 0;

        count += !is_space && !is_in_word;
        is_in_word = !is_space;
    }
    return count;
}

#define FILE_BYTES 65536                    /* larger ones are refused */
#define BUSY_NS    (2 * VINE_NS_PER_SECOND) /* until a read may begin */

struct reading {
    struct vine_reply reply;
    char name[LINE_BYTES];
    struct vine_waiting turn;
    struct vine_file_op op;
    struct vine_file file;
    char *bytes;
    int64_t count;
};

static void end_reading(struct reading *reading, int64_t count)
{
    struct known *const known = known_of(reading->name);

    if (count >= 0) {
        memcpy(known->name, reading->name, LINE_BYTES);
        known->count = count;
        known->until_ns = vine_clock_now(VINE_CLOCK_COARSE) + FRESH_NS;
    }
    vine_semaphore_signal(&shard_here()->reads, 1);
    vine_core_call_reply(reading->reply, count);
    free(reading->bytes);
    free(reading);
}

static void see_closed(struct vine_file_op *op)
{
    struct reading *const reading = VINE_CONTAINER_OF(op, struct reading, op);

    end_reading(reading, reading->count);
}

static void see_read(struct vine_file_op *op)
{
    struct reading *const reading = VINE_CONTAINER_OF(op, struct reading, op);
    const int64_t size = vine_file_result(op);

    if (size < 0)
        reading->count = size;
    else if (size == FILE_BYTES)
        reading->count = -EFBIG;
    else
        reading->count = count_words(reading->bytes, (size_t)size);
    vine_file_op_init(op, see_closed);
    vine_file_close(op, &reading->file);
}

static void see_opened(struct vine_file_op *op)
{
    struct reading *const reading = VINE_CONTAINER_OF(op, struct reading, op);

    if (vine_file_result(op) < 0) {
        end_reading(reading, vine_file_result(op));
        return;
    }
    vine_file_op_init(op, see_read);
    vine_file_read(op, &reading->file, reading->bytes, FILE_BYTES, 0);
}

static void see_turn(struct vine_waiting *turn)
{
    struct reading *const reading = VINE_CONTAINER_OF(turn, struct reading, turn);

    if (vine_waiting_result(turn) != 0) { /* it has no unit */
        vine_core_call_reply(reading->reply, vine_waiting_result(turn));
        free(reading);
        return;
    }
    reading->bytes = malloc(FILE_BYTES);
    if (reading->bytes == NULL) {
        end_reading(reading, -ENOMEM);
        return;
    }
    vine_file_op_init(&reading->op, see_opened);
    vine_file_open(&reading->op, &reading->file, NULL, reading->name, O_RDONLY, 0);
}

/* On the core of the name, which is the caller's memory until this is answered. Answers with the
 * count of words, or a negative error. */
static int64_t count_file(void *name)
{
    const struct known *const known = known_of(name);
    struct reading *reading;

    if (strcmp(known->name, name) == 0 && vine_clock_now(VINE_CLOCK_COARSE) < known->until_ns)
        return known->count;
    reading = calloc(1, sizeof(*reading));
    if (reading == NULL)
        return -ENOMEM;
    memcpy(reading->name, name, strlen(name));
    reading->reply = vine_core_call_defer();
    vine_waiting_init(&reading->turn, see_turn);
    vine_waiting_set_deadline(&reading->turn, vine_clock_now(VINE_CLOCK_COARSE) + BUSY_NS);
    vine_semaphore_wait(&shard_here()->reads, &reading->turn, 1);
    return 0;
}

struct client {
    struct vine_list link; /* in its core's clients */
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
    struct vine_core_call call;
    char line[LINE_BYTES]; /* what came and was not answered yet */
    size_t length;
    char answer[256];
};

static void receive_more(struct client *client);

/* Nothing of it is under way. */
static void drop(struct client *client)
{
    vine_connection_close(client->connection, NULL);
    vine_list_remove(&client->link);
    free(client);
    vine_gate_leave(&shard_here()->gate);
}

static void see_sent(struct vine_send *send)
{
    struct client *const client = VINE_CONTAINER_OF(send, struct client, send);
    const size_t answered = strlen(client->line) + 1;

    if (send->error != 0) {
        drop(client);
        return;
    }
    client->length -= answered;
    memmove(client->line, client->line + answered, client->length);
    client->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + REQUEST_NS;
    receive_more(client);
}

static void answer(struct client *client, int64_t result)
{
    if (result < 0)
        (void)snprintf(client->answer, sizeof(client->answer), "%s: %s\n", client->line,
                       vine_error_text((int)result));
    else
        (void)snprintf(client->answer, sizeof(client->answer), "%s: %" PRId64 " words\n",
                       client->line, result);
    client->send.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + SEND_NS;
    vine_send(client->connection, &client->send, client->answer, strlen(client->answer), see_sent);
}

static void see_count(struct vine_core_call *call)
{
    answer(VINE_CONTAINER_OF(call, struct client, call), vine_core_call_result(call));
}

static void ask(struct client *client)
{
    const char *const name = client->line;

    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
        answer(client, -EINVAL);
    else
        vine_core_call(&client->call, core_of(name), count_file, client->line, see_count);
}

static void see_bytes(struct vine_receive *receive)
{
    struct client *const client = VINE_CONTAINER_OF(receive, struct client, receive);

    if (receive->size <= 0) { /* the client has ended, or an error: -ETIMEDOUT is one */
        drop(client);
        return;
    }
    client->length += (size_t)receive->size;
    receive_more(client);
}

/* Take the next line, or wait for the rest of it. */
static void receive_more(struct client *client)
{
    char *const end = memchr(client->line, '\n', client->length);

    if (end != NULL) {
        *end = '\0';
        ask(client);
    } else if (client->length == LINE_BYTES || vine_gate_is_closed(&shard_here()->gate)) {
        drop(client);
    } else {
        vine_receive_into(client->connection, &client->receive, client->line + client->length,
                          LINE_BYTES - client->length, see_bytes);
    }
}

/* On the core to which the connection belongs from now on. */
static void welcome(struct vine_connection *connection, void *context)
{
    struct shard *const shard = shard_here();
    struct client *client = NULL;

    (void)context;
    if (vine_gate_count(&shard->gate) < CLIENTS_MAX)
        client = calloc(1, sizeof(*client));
    if (client == NULL || vine_gate_enter(&shard->gate) != 0) {
        free(client);
        vine_connection_close(connection, NULL);
        return;
    }
    client->connection = connection;
    vine_list_push_back(&shard->clients, &client->link);
    client->receive.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + REQUEST_NS;
    receive_more(client);
}

static void start_shard(void *instance, void *argument, struct vine_reply reply)
{
    struct shard *const shard = instance;

    (void)argument;
    vine_list_init(&shard->clients);
    vine_gate_init(&shard->gate);
    vine_semaphore_init(&shard->reads, READS_MAX);
    vine_core_call_reply(reply, 0);
}

static struct vine_stopper shards_stopper;

static void see_all_left(struct vine_waiting *waiting)
{
    vine_core_call_reply(VINE_CONTAINER_OF(waiting, struct shard, left)->stopped, 0);
}

/* Who waits for a client gives up; who works for one brings that to its end. */
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

static struct vine_listener *listener;
static struct vine_stopper listener_stopper;
static struct vine_work listener_closed;

static void see_listener_closed(struct vine_work *work)
{
    (void)work;
    vine_stopper_done(&listener_stopper);
}

static void stop_listening(struct vine_stopper *stopper)
{
    (void)stopper;
    vine_work_init(&listener_closed, see_listener_closed);
    vine_listener_close(listener, &listener_closed);
}

static int listen_at(const char *text)
{
    char name[VINE_ADDRESS_TEXT_BYTES];
    struct vine_address address;
    int error = vine_address_parse(text, &address);

    if (error == 0)
        error = vine_listen(&address, NULL, welcome, NULL, &listener);
    if (error != 0)
        return error;
    vine_at_stop(&listener_stopper, stop_listening);
    vine_address_print(vine_listener_address(listener), name);
    vine_log("words", VINE_LOG_INFO, "listening at %s on %u core%s", name, vine_core_count(),
             vine_core_count() == 1 ? "" : "s");
    return 0;
}

static const char *where;

static void see_shards_started(struct vine_sharded *sharded, void *argument)
{
    int error = vine_sharded_result(sharded);

    (void)argument;
    if (error != 0) {
        vine_sharded_destroy(sharded);
        vine_log("words", VINE_LOG_ERROR, "the cores' state: %s", vine_error_text(error));
        vine_stop(1);
        return;
    }
    vine_at_stop(&shards_stopper, stop_shards);
    error = listen_at(where);
    if (error != 0) {
        vine_log("words", VINE_LOG_ERROR, "cannot listen at %s: %s", where, vine_error_text(error));
        vine_stop(1);
    }
}

static int begin(int argc, char **argv)
{
    const struct vine_sharded_options options = {
        .size_bytes = sizeof(options),
        .instance_bytes = sizeof(struct shard),
        .start = start_shard,
        .stop = stop_shard,
    };

    int error;

    (void)argc; /* there is one operand, as main says */
    /* A call that may block, before there is anybody whom it could hold up. */
    if (chdir(argv[1]) != 0) {
        vine_log("words", VINE_LOG_ERROR, "FOLDER '%s': %s", argv[1], vine_error_text(errno));
        return 2;
    }
    error = vine_sharded_create(&shards, &options);
    if (error != 0) {
        vine_log("words", VINE_LOG_ERROR, "the cores' state: %s", vine_error_text(error));
        return 1;
    }
    vine_sharded_start(shards, see_shards_started);
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {{
        .name = "listen",
        .kind = VINE_OPTION_ADDRESS,
        .value = &where,
        .fallback = "127.0.0.1:7009",
        .help = "where to listen: HOST:PORT, [HOST]:PORT, unix:PATH or unix:@NAME",
    }};
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Count the words of a folder's files for those who ask.",
        .operands = "FOLDER",
        .options = own,
        .option_count = 1,
    };

    return vine_main(argc, argv, &options, begin);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of numbers by numbers, whose keys belong to cores. Each core has a table of its own that
 * nobody else touches; whoever wants a key calls the core that owns it.
 *
 * By itself it makes load: each core sets, gets and deletes random keys, and compares each answer
 * with what has to come. A key of the load is used by one core alone, and calls from one core to
 * another begin in order, so that this core knows.
 *
 *     sharded_kv
 *     sharded_kv --smp=2 --operations=1000000 --in-flight=64 --keys=10000 --seed=7
 *
 * With --listen it serves clients, until SIGINT or SIGTERM: lines SET KEY VALUE, GET KEY, DEL KEY,
 * each answered by a line.
 *
 *     sharded_kv --listen=127.0.0.1:7008
 */
#include <vine/hash_table.h>
#include <vine/runtime.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t operation_count, in_flight_max, key_count, seed;
static const char *where;

/* Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4), its best bits below. */
static uint64_t hash(uint64_t key)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 32;
}

/* ---- a core's part of the store -------------------------------------------------------------- */

struct entry {
    struct vine_hash_node node;
    uint64_t key, value;
};

/* Only its core touches it: there is no lock, and nothing atomic. */
struct shard {
    struct vine_hash_table entries;
    int64_t entry_count;
    uint64_t served;
    struct vine_metric entries_metric, served_metric;
};

static struct vine_sharded *store;

enum verb {
    SET,
    GET,
    DELETE,
    VERB_COUNT,
};

/* Goes to the owner and comes back, and is the caller's memory meanwhile. */
struct request {
    struct vine_core_call call;
    enum verb verb;
    uint64_t key;
    uint64_t value; /* to be set, or found */
};

static bool has_key(const struct vine_hash_node *node, const void *key)
{
    return ((const struct entry *)node)->key == *(const uint64_t *)key;
}

static int64_t add(struct shard *shard, const struct request *request)
{
    struct entry *const entry = malloc(sizeof(*entry)); /* from the memory of this core */

    if (entry == NULL)
        return -1;
    *entry = (struct entry){.key = request->key, .value = request->value};
    vine_hash_table_insert(&shard->entries, &entry->node, hash(request->key));
    shard->entry_count++;
    return 0;
}

static void drop(struct shard *shard, struct entry *entry)
{
    vine_hash_table_remove(&shard->entries, &entry->node);
    free(entry);
    shard->entry_count--;
}

/* On the owner. Returns 1: the key was there; 0: it was not; -1: there is no memory. */
static int64_t serve(void *argument)
{
    struct request *const request = argument;
    struct shard *const shard = vine_sharded_local(store);

    if (shard == NULL)
        return -1; /* the program ends */
    struct entry *const entry = (struct entry *)vine_hash_table_find(
        &shard->entries, hash(request->key), has_key, &request->key);

    shard->served++;
    if (entry == NULL)
        return request->verb == SET ? add(shard, request) : 0;
    if (request->verb == SET)
        entry->value = request->value;
    else
        request->value = entry->value;
    if (request->verb == DELETE)
        drop(shard, entry);
    return 1;
}

/* A core's requests of clients that are on their way, in lines of its own: the store may not end
 * before they have. */
static struct asking {
    _Alignas(VINE_CACHE_LINE) struct vine_gate gate;
    struct vine_waiting waiting;
    struct vine_reply reply;
} asking[VINE_CORES_MAX];

static void send_request(struct request *request, vine_core_call_done_fn done)
{
    const uint32_t owner = (uint32_t)(hash(request->key) % vine_core_count());

    vine_core_call(&request->call, owner, serve, request, done);
}

static int register_metrics(struct shard *shard)
{
    struct vine_metric_description description = {
        .name = "kv_requests_total",
        .help = "Requests that this core has answered.",
        .kind = VINE_METRIC_COUNTER,
        .count = &shard->served,
    };
    const int error = vine_metric_register(&shard->served_metric, &description);

    if (error != 0)
        return error;
    description.name = "kv_entries";
    description.help = "Keys that this core has.";
    description.kind = VINE_METRIC_GAUGE;
    description.count = NULL;
    description.level = &shard->entry_count;
    return vine_metric_register(&shard->entries_metric, &description);
}

static void start_shard(void *instance, void *argument, struct vine_reply reply)
{
    struct shard *const shard = instance;

    (void)argument;
    vine_gate_init(&asking[vine_core()].gate);
    vine_hash_table_init(&shard->entries, NULL);
    vine_core_call_reply(reply, register_metrics(shard));
}

static void stop_shard(void *instance, void *argument, struct vine_reply reply)
{
    struct shard *const shard = instance;
    struct vine_hash_cursor cursor = {0};
    struct vine_hash_node *node;

    (void)argument;
    vine_metric_unregister(&shard->entries_metric);
    vine_metric_unregister(&shard->served_metric);
    while ((node = vine_hash_table_next(&shard->entries, &cursor)) != NULL)
        drop(shard, (struct entry *)node);
    vine_hash_table_fini(&shard->entries);
    vine_core_call_reply(reply, 0);
}

/* ---- load ------------------------------------------------------------------------------------ */

/* A request of the load, and what has to come. */
struct trial {
    struct request request;
    struct load *load;
    uint64_t found_value;
    bool is_found;
};

/* What one core does. Written there, and read by core 0 when it is over. */
struct load {
    struct trial *trials;
    uint64_t *values; /* what each key of ours has by now; 0: nothing */
    uint64_t random;
    uint64_t begun, ended, hits, wrong;
    struct vine_reply reply;
};

static struct load loads[VINE_CORES_MAX];
static struct vine_map_reduce all_loads;
static struct vine_core_call load_calls[VINE_CORES_MAX];
static uint64_t started_ns;

/* Xorshift (Marsaglia, 2003). */
static uint64_t draw(struct load *load)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

static void see_answer(struct vine_core_call *call);

/* Twice as many gets as sets and deletes together. */
static void try_next(struct trial *trial)
{
    struct load *const load = trial->load;
    const uint64_t index = draw(load) % key_count;
    const uint64_t chance = draw(load) % 6;
    uint64_t *const value = &load->values[index];
    struct request *const request = &trial->request;

    load->begun++;
    request->verb = chance == 0 ? DELETE : chance == 1 ? SET : GET;
    request->key = index * vine_core_count() + vine_core();
    request->value = draw(load) | 1;
    trial->is_found = *value != 0;
    trial->found_value = *value;
    if (request->verb != GET)
        *value = request->verb == SET ? request->value : 0;
    send_request(request, see_answer);
}

static void see_answer(struct vine_core_call *call)
{
    struct trial *const trial = (struct trial *)(void *)call; /* its first member's first member */
    struct load *const load = trial->load;
    const struct request *const request = &trial->request;
    const int64_t answer = vine_core_call_result(call);

    if (answer != trial->is_found ||
        (answer == 1 && request->verb != SET && request->value != trial->found_value))
        load->wrong++;
    load->hits += answer == 1;
    load->ended++;
    if (load->begun < operation_count)
        try_next(trial);
    else if (load->ended == operation_count)
        vine_core_call_reply(load->reply, 0);
}

/* On each core. Answered when its part is done. */
static int64_t begin_load(void *nothing)
{
    struct load *const load = &loads[vine_core()];

    (void)nothing;
    load->random = hash(seed * VINE_CORES_MAX + vine_core() + 1) | 1;
    load->trials = calloc(in_flight_max, sizeof(*load->trials));
    load->values = calloc(key_count, sizeof(*load->values));
    if (load->trials == NULL || load->values == NULL)
        return -ENOMEM;
    load->reply = vine_core_call_defer();
    for (uint64_t i = 0; i < in_flight_max && load->begun < operation_count; i++) {
        load->trials[i].load = load;
        try_next(&load->trials[i]);
    }
    return 0;
}

static int64_t end_load(void *nothing)
{
    struct load *const load = &loads[vine_core()];

    (void)nothing;
    free(load->trials);
    free(load->values);
    return (int64_t)((struct shard *)vine_sharded_local(store))->served;
}

static int exit_code;

static void end_store(struct vine_sharded *sharded, void *argument)
{
    (void)sharded;
    (void)argument;
    vine_sharded_destroy(store);
    vine_stop(exit_code);
}

static void tell_results(struct vine_map_reduce *ended)
{
    const double seconds =
        (double)(vine_clock_now(VINE_CLOCK_STEADY) - started_ns) / (double)VINE_NS_PER_SECOND;
    uint64_t operations = 0;
    uint64_t hits = 0;
    uint64_t wrong = 0;

    for (uint32_t core = 0; core < vine_core_count(); core++) {
        const struct load *const load = &loads[core];

        printf("core %" PRIu32 ": %" PRIu64 " operations, %" PRIu64 " hits, %" PRIu64
               " wrong; answered %" PRId64 "\n",
               core, load->ended, load->hits, load->wrong,
               vine_core_call_result(&load_calls[core]));
        operations += load->ended;
        hits += load->hits;
        wrong += load->wrong;
    }
    printf("%" PRIu64 " operations, %" PRIu64 " hits, %" PRIu64 " wrong, %.0f operations/s\n",
           operations, hits, wrong, (double)operations / seconds);
    exit_code = wrong > 0 || ended->result != (int64_t)operations;
    vine_sharded_stop(store, end_store);
}

static void see_loads(struct vine_map_reduce *ended)
{
    if (ended->result != 0) {
        fprintf(stderr, "sharded_kv: no memory for that many keys\n");
        exit_code = 1;
        vine_sharded_stop(store, end_store);
        return;
    }
    all_loads =
        (struct vine_map_reduce){.map = end_load, .reduce = vine_reduce_sum, .done = tell_results};
    vine_map_reduce(&all_loads, load_calls);
}

static void start_loads(void)
{
    started_ns = vine_clock_now(VINE_CLOCK_STEADY);
    all_loads =
        (struct vine_map_reduce){.map = begin_load, .reduce = vine_reduce_error, .done = see_loads};
    vine_map_reduce(&all_loads, load_calls);
}

/* ---- clients --------------------------------------------------------------------------------- */

#define LINE_BYTES 128

/* All that the program has of a client, on whichever core it came to. */
struct client {
    struct request request; /* first, so that a call is its client */
    struct vine_connection *connection;
    struct vine_receive receive;
    struct vine_send send;
    char line[LINE_BYTES]; /* what came and was not answered yet */
    size_t length, line_bytes;
    char answer[64];
};

static struct vine_listener *listener;
static struct vine_stopper store_stopper, listener_stopper;
static struct vine_work listener_closed;
static struct vine_map_reduce all_asking;
static struct vine_core_call asking_calls[VINE_CORES_MAX];

static void take_line(struct client *client);

static void close_client(struct client *client)
{
    vine_connection_close(client->connection, NULL);
    free(client);
}

static void see_sent(struct vine_send *send)
{
    struct client *const client = (void *)((char *)send - offsetof(struct client, send));

    if (send->error != 0) {
        close_client(client);
        return;
    }
    client->length -= client->line_bytes;
    memmove(client->line, client->line + client->line_bytes, client->length);
    take_line(client);
}

static void answer(struct client *client, const char *text)
{
    (void)snprintf(client->answer, sizeof(client->answer), "%s\n", text);
    vine_send(client->connection, &client->send, client->answer, strlen(client->answer), see_sent);
}

static void see_result(struct vine_core_call *call)
{
    struct client *const client = (struct client *)(void *)call;
    const int64_t result = vine_core_call_result(call);
    char text[32];

    vine_gate_leave(&asking[vine_core()].gate);
    if (result < 0)
        answer(client, "ERROR there is no room");
    else if (client->request.verb == SET)
        answer(client, result == 1 ? "CHANGED" : "NEW");
    else if (result == 0)
        answer(client, "NONE");
    else if (client->request.verb == DELETE)
        answer(client, "GONE");
    else {
        (void)snprintf(text, sizeof(text), "%" PRIu64, client->request.value);
        answer(client, text);
    }
}

static bool read_number(char **rest, uint64_t *ret_number)
{
    char *const word = strsep(rest, " ");
    char *end = word;

    if (word == NULL || *word < '0' || *word > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(word, &end, 10);
    return *end == '\0' && errno == 0;
}

static bool read_request(char *line, struct request *request)
{
    static const char *const verbs[VERB_COUNT] = {"SET", "GET", "DEL"};
    char *rest = line;
    const char *const word = strsep(&rest, " ");
    uint32_t verb = 0;

    while (verb < VERB_COUNT && strcmp(word, verbs[verb]) != 0)
        verb++;
    request->verb = (enum verb)verb;
    return verb < VERB_COUNT && read_number(&rest, &request->key) &&
           (verb != SET || read_number(&rest, &request->value)) && rest == NULL;
}

/* `line` is a string, and `length` what came of it: a zero byte within belongs to no request. */
static void take_request(struct client *client, size_t length)
{
    if (strlen(client->line) != length || !read_request(client->line, &client->request))
        answer(client, "ERROR what is it? SET KEY VALUE, GET KEY, DEL KEY");
    else if (vine_gate_enter(&asking[vine_core()].gate) != 0)
        close_client(client); /* the store is about to stop */
    else
        send_request(&client->request, see_result);
}

static void see_bytes(struct vine_receive *receive)
{
    struct client *const client = (void *)((char *)receive - offsetof(struct client, receive));

    if (receive->size <= 0) { /* the end, or an error */
        close_client(client);
        return;
    }
    client->length += (size_t)receive->size;
    take_line(client);
}

static void take_line(struct client *client)
{
    char *const end = memchr(client->line, '\n', client->length);

    if (end == NULL && client->length == sizeof(client->line)) {
        close_client(client); /* no line is that long */
    } else if (end == NULL) {
        vine_receive_into(client->connection, &client->receive, client->line + client->length,
                          sizeof(client->line) - client->length, see_bytes);
    } else {
        *end = '\0';
        client->line_bytes = (size_t)(end - client->line) + 1;
        take_request(client, client->line_bytes - 1);
    }
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
    take_line(client);
}

static void see_closed(struct vine_work *work)
{
    (void)work;
    vine_stopper_done(&listener_stopper);
}

static void stop_listening(struct vine_stopper *stopper)
{
    (void)stopper;
    vine_work_init(&listener_closed, see_closed);
    vine_listener_close(listener, &listener_closed);
}

static void see_store_stopped(struct vine_sharded *sharded, void *argument)
{
    (void)argument;
    vine_sharded_destroy(sharded);
    vine_stopper_done(&store_stopper);
}

static void see_asked(struct vine_waiting *waiting)
{
    (void)waiting;
    vine_core_call_reply(asking[vine_core()].reply, 0);
}

/* On each core. Answered when all that its clients asked for has come. */
static int64_t end_asking(void *nothing)
{
    struct asking *const here = &asking[vine_core()];

    (void)nothing;
    here->reply = vine_core_call_defer();
    vine_waiting_init(&here->waiting, see_asked);
    vine_gate_close(&here->gate, &here->waiting);
    return 0;
}

static void see_all_asked(struct vine_map_reduce *ended)
{
    (void)ended;
    vine_sharded_stop(store, see_store_stopped);
}

/* What was begun first is stopped last. Clients that stay are closed when they ask again. */
static void stop_store(struct vine_stopper *stopper)
{
    (void)stopper;
    all_asking = (struct vine_map_reduce){.map = end_asking, .done = see_all_asked};
    vine_map_reduce(&all_asking, asking_calls);
}

static int start_listening(void)
{
    char text[VINE_ADDRESS_TEXT_BYTES];
    struct vine_address address;
    int error = vine_address_parse(where, &address);

    if (error == 0)
        error = vine_listen(&address, NULL, welcome, NULL, &listener);
    if (error != 0) {
        fprintf(stderr, "sharded_kv: cannot listen at %s: %s\n", where, vine_error_text(error));
        return error;
    }
    vine_at_stop(&store_stopper, stop_store);
    vine_at_stop(&listener_stopper, stop_listening);
    vine_address_print(vine_listener_address(listener), text);
    printf("listening at %s on %" PRIu32 " core%s\n", text, vine_core_count(),
           vine_core_count() == 1 ? "" : "s");
    fflush(stdout);
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void see_started(struct vine_sharded *sharded, void *argument)
{
    const int error = vine_sharded_result(sharded);

    (void)argument;
    if (error != 0) {
        fprintf(stderr, "sharded_kv: the store does not start: %s\n", vine_error_text(error));
        vine_sharded_destroy(store);
        vine_stop(1);
    } else if (where == NULL) {
        start_loads();
    } else if (start_listening() != 0) {
        exit_code = 1;
        vine_sharded_stop(store, end_store);
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

    (void)argc;
    (void)argv;
    if (vine_sharded_create(&store, &options) != 0)
        return 1;
    vine_sharded_start(store, see_started);
    return VINE_MAIN_GOES_ON;
}

#define COUNT(option, where_to, otherwise, most, what)                                             \
    {                                                                                              \
        .name = option, .kind = VINE_OPTION_COUNT, .value = &(where_to), .fallback = otherwise,    \
        .least = "1", .greatest = most, .help = what                                               \
    }

int main(int argc, char **argv)
{
    const struct vine_option own[] = {
        COUNT("operations", operation_count, "100000", NULL, "how much load each core makes"),
        COUNT("in-flight", in_flight_max, "64", "1000000", "how much of it is on its way at once"),
        COUNT("keys", key_count, "10000", "1000000000", "how many keys each core uses"),
        COUNT("seed", seed, "1", NULL, "what its random choices begin with"),
        {.name = "listen",
         .kind = VINE_OPTION_ADDRESS,
         .value = &where,
         .help = "serve clients there, and make no load: HOST:PORT, [HOST]:PORT, unix:PATH or "
                 "unix:@NAME"},
    };
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Keep numbers by numbers, each key on its own core.",
        .version = "0.1",
        .options = own,
        .option_count = sizeof(own) / sizeof(own[0]),
    };

    return vine_main(argc, argv, &options, begin);
}

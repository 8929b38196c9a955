/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Micro-processes that ask outside for anything, in any order, from a seed: sockets, files,
 * splices, tasks and streams elsewhere and mail, with places and numbers of which some are of
 * somebody else or nobody, begun, left and asked for again in the middle of all, while peers say,
 * read and close what they like. Each ends or goes on; outside keeps its word to the others, and
 * nothing is left when all have gone.
 */
#include "../process/process_tests.h"

#include "../talk/served.h"

#include <sched.h>
#include <vine/below.h>

#include "core/mail/mail_internal.h"
#include "core/poll/poll_internal.h"

#define SEEDS  150
#define ROUNDS 60
#define ROGUES 6
#define AREAS  8
#define PEERS  64
#define BOXES  VINE_MAIL_BOXES_MAX

static uint64_t seed_state; /* an open static, as the others here */
static char server_address[64];
static struct vine_mail_address known; /* of some mailbox, or one that was */
static struct vine_root root;
static struct served served;
static struct vine_remote remote; /* that is served */
static uint32_t rounds_done;
static bool is_looked_at; /* by a sanitizer, which stops what only the heap's own would suffer */

/* M. Marsaglia's xorshift. */
VINE_SERVICE_CODE static uint32_t roll(uint32_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return (uint32_t)(seed_state >> 33) % below;
}

/* ---- the heap's side ------------------------------------------------------------------------- */

/* What an ask is about, whatever kind it is of: area 3 has place 3, mostly. */
struct area {
    union {
        struct vine__further further;
        struct vine__splicing splicing;
        struct vine__below below;
        struct vine__awaiting awaiting;
        struct vine_mailbox box;
        struct paper paper;
        _Alignas(16) unsigned char bytes[768];
    };
};

/* What the driver believes of a place. */
enum holds { NOTHING, LEFT, ASKED, SOCKET, LISTENER, OPENED };

struct driver;

struct asking {
    struct driver *driver;
    bool is_pending;
    uint8_t place; /* of what it asks for, or 0 */
    uint8_t becomes;
};

struct driver {
    struct vine_coroutine *rogues[ROGUES];
    struct asking asking[ROGUES];
    struct area *areas[AREAS], *papers[ROGUES], *boxes[BOXES];
    struct area *brought, *made; /* of tasks elsewhere */
    uint8_t holds[AREAS];
    bool is_box[BOXES], is_answering[BOXES];
    uint32_t receiving; /* sockets, a bit each */
    int round;
};

/* Blocks, whatever it is woken by. */
VINE_COROUTINE(rogue)
{
    struct {
        struct asking *asking;
    } *self;

    vine_begin();
    self->asking = vine_argument();
    for (;;) {
        that->status = VINE__COROUTINE_BLOCKED;
        vine__suspend("rogue");
        if (that->is_cancelled)
            vine_return();
        that->ask.kind = VINE__ASK_NOTHING;
        if (that->error == 0 && self->asking->place != 0)
            self->asking->driver->holds[self->asking->place] = self->asking->becomes;
        self->asking->is_pending = false;
        that->error = 0;
    }
    vine_end();
}

/* A place that holds this, or 0. */
VINE_SERVICE_CODE static uint32_t place_that_holds(const struct driver *driver, uint8_t holds)
{
    for (uint32_t i = 0, place = roll(AREAS); i < AREAS; i++, place = (place + 1) % AREAS)
        if (place != 0 && driver->holds[place] == holds)
            return place;
    return 0;
}

/* The connection, or another socket. */
VINE_SERVICE_CODE static uint32_t any_socket(const struct driver *driver)
{
    return roll(2) == 0 ? 0 : place_that_holds(driver, SOCKET);
}

VINE_SERVICE_CODE static struct vine_socket *socket_at(const struct vine_coroutine *that,
                                                       const struct driver *driver, uint32_t place)
{
    return place == 0 ? that->socket : &driver->areas[place]->further.socket;
}

/* Something new at a place of nobody. Returns that place, or 0. */
VINE_SERVICE_CODE static uint32_t begin_place(struct driver *driver, struct asking *asking,
                                              uint8_t becomes)
{
    const uint32_t place = place_that_holds(driver, NOTHING);

    if (place == 0)
        return 0;
    memset(driver->areas[place], 0, sizeof(struct area));
    driver->areas[place]->further.beyond.at_end.place = (uint16_t)place;
    driver->areas[place]->further.beyond.owner = driver->rogues[0];
    driver->holds[place] = ASKED;
    asking->place = (uint8_t)place;
    asking->becomes = becomes;
    return place;
}

VINE_SERVICE_CODE static void fill_further(struct area *area, bool listens)
{
    static const char *const texts[] = {"unix:@vine-nobody", "localhost:1", "127.0.0.1:1", "::"};
    const char *text = roll(4) == 0 ? texts[roll(4)] : server_address;

    if (listens)
        text = "127.0.0.1:0";
    memcpy(area->further.text, text, strlen(text) + 1);
}

VINE_SERVICE_CODE static void fill_below(struct area *area)
{
    static const char *const paths[] = {"small", "large", "none", "..", "nobody", "large"};
    const char *const path = paths[roll(6)];

    area->below.root = root.number;
    memcpy(area->below.path, path, strlen(path) + 1);
}

VINE_SERVICE_CODE static const char *any_procedure(void)
{
    static const char *const names[] = {"turn", "noop", "nobody"};

    return names[roll(3)];
}

/* Mostly that which there is. */
VINE_SERVICE_CODE static uint32_t any_remote(void)
{
    return roll(8) == 0 ? roll(20) : remote.number;
}

VINE_SERVICE_CODE static void fill_awaiting(const struct driver *driver,
                                            struct vine__awaiting *awaiting)
{
    const char *const name = any_procedure();

    memcpy(awaiting->procedure, name, strlen(name) + 1);
    awaiting->remote.number = any_remote();
    awaiting->awaited = (struct vine_awaited){.input = driver->brought->bytes,
                                              .input_bytes = roll(sizeof(struct area)),
                                              .output = driver->made->bytes,
                                              .output_max = roll(sizeof(struct area)),
                                              .scalar_count = roll(8) == 0 ? roll(12) : 0};
}

VINE_SERVICE_CODE static void fill_paper(struct paper *paper, uint32_t box)
{
    memset(paper, 0, sizeof(struct area));
    paper->address = roll(4) == 0 ? (struct vine_mail_address){.place = roll(8)} : known;
    paper->type_id = roll(2);
    paper->reply_type_id = roll(2);
    paper->size_bytes = 16;
    paper->reply_bytes = 16;
    paper->box = box;
    paper->error = -(int32_t)roll(3);
    paper->name[0] = (char)('a' + roll(3));
}

VINE_SERVICE_CODE static void fill_box(struct vine_mailbox *box)
{
    memset(box, 0, sizeof(struct area));
    box->type_id = roll(2);
    box->size_bytes = 16;
    if (roll(2) == 0)
        return;
    box->reply_type_id = roll(2);
    box->reply_type = (void *)box;
    box->reply_bytes = 16;
}

/* ---- asks that make sense -------------------------------------------------------------------- */

/* Each returns whether it is one. */
VINE_SERVICE_CODE static bool ask_of_socket(const struct vine_coroutine *that,
                                            struct driver *driver, struct vine__ask *ask)
{
    const uint32_t place = any_socket(driver);
    struct vine_socket *const socket = socket_at(that, driver, place);
    uint32_t file;

    ask->socket = (uint16_t)place;
    switch (roll(8)) {
    case 0:
    case 1:
        if (socket->is_receiving || socket->in.error != 0 || socket->in.is_end)
            return false;
        socket->is_receiving = true;
        ask->kind = VINE__ASK_RECEIVE;
        ask->a = roll(2) == 0 ? 0 : vine__incoming_left(&socket->in);
        if (ask->a == 0)
            socket->in.at = socket->in.size;
        return true;
    case 2:
        ask->kind = VINE__ASK_ROOM;
        return true;
    case 3:
        ask->kind = roll(10) == 0 ? VINE__ASK_NO_MORE : VINE__ASK_SENT;
        return true;
    case 4:
        if (place != 0 || socket->is_receiving || vine__incoming_left(&socket->in) > 0 ||
            socket->in.is_end || socket->in.error != 0)
            return false;
        socket->is_receiving = true;
        ask->kind = VINE__ASK_PARK;
        ask->a = that->inside->record->now_ns + 1000 * 1000 * roll(1000);
        return true;
    default:
        file = place_that_holds(driver, OPENED);
        if (file == 0)
            return false;
        driver->areas[file]->below.offset = roll(3) == 0 ? roll(100000) : 0;
        driver->areas[file]->below.size = roll(150000);
        driver->holds[file] = ASKED; /* until that is sent: it cannot be sent twice at once */
        ask->kind = VINE__ASK_SEND_FILE;
        ask->a = (uintptr_t)driver->areas[file];
        return !socket->out.error;
    }
}

VINE_SERVICE_CODE static bool ask_for_place(const struct vine_coroutine *that,
                                            struct driver *driver, struct asking *asking,
                                            struct vine__ask *ask)
{
    static const struct {
        uint16_t kind;
        uint8_t becomes;
    } all[] = {
        {VINE__ASK_CONNECT, SOCKET},  {VINE__ASK_CONNECT_TLS, SOCKET},
        {VINE__ASK_LISTEN, LISTENER}, {VINE__ASK_ACCEPT, SOCKET},
        {VINE__ASK_OPEN, OPENED},     {VINE__ASK_SPLICE, ASKED},
        {VINE__ASK_SPLICE, ASKED},    {VINE__ASK_AWAIT, ASKED},
        {VINE__ASK_AWAIT, ASKED},     {VINE__ASK_CONNECT_REMOTE, SOCKET},
    };
    const uint32_t way = roll(sizeof(all) / sizeof(all[0]));
    const uint32_t listener = place_that_holds(driver, LISTENER), from = any_socket(driver);
    struct vine_socket *const socket = socket_at(that, driver, from);
    uint32_t place;

    if ((all[way].kind == VINE__ASK_ACCEPT && listener == 0) ||
        (all[way].kind == VINE__ASK_SPLICE && socket->is_receiving))
        return false;
    place = begin_place(driver, asking, all[way].becomes);
    if (place == 0)
        return false;
    ask->kind = all[way].kind;
    ask->a = (uintptr_t)driver->areas[place];
    if (ask->kind == VINE__ASK_ACCEPT) {
        ask->socket = (uint16_t)listener;
    } else if (ask->kind == VINE__ASK_SPLICE) {
        ask->socket = (uint16_t)from;
        socket->in.at = socket->in.size;
        driver->areas[place]->splicing.bytes = roll(200000);
        driver->areas[place]->splicing.to = (uint16_t)any_socket(driver);
    } else if (ask->kind == VINE__ASK_OPEN) {
        fill_below(driver->areas[place]);
    } else if (ask->kind == VINE__ASK_AWAIT) {
        fill_awaiting(driver, &driver->areas[place]->awaiting);
    } else if (ask->kind == VINE__ASK_CONNECT_REMOTE) {
        const char *const name = any_procedure();

        ask->socket = (uint16_t)any_remote();
        memcpy(driver->areas[place]->further.text, name, strlen(name) + 1);
    } else {
        fill_further(driver->areas[place], ask->kind == VINE__ASK_LISTEN);
    }
    return true;
}

VINE_SERVICE_CODE static bool ask_of_mail(const struct vine_coroutine *that, struct driver *driver,
                                          struct paper *paper, struct vine__ask *ask)
{
    static const uint16_t kinds[] = {VINE__ASK_MAIL_FIND, VINE__ASK_MAIL_SEND, VINE__ASK_MAIL_OFFER,
                                     VINE__ASK_MAIL_REQUEST};
    const uint32_t number = roll(BOXES);
    struct vine_mailbox *const box = &driver->boxes[number]->box;
    const void *about = paper;

    fill_paper(paper, box->number);
    ask->kind = kinds[roll(4)];
    if (roll(2) == 0) {
        if (!driver->is_box[number]) {
            driver->is_box[number] = true;
            fill_box(box);
            ask->kind = VINE__ASK_MAIL_OPEN;
            about = box;
        } else if (box->alive.key == 0) {
            return false; /* not yet */
        } else if (driver->is_answering[number]) {
            driver->is_answering[number] = false;
            ask->kind = VINE__ASK_MAIL_RESPOND;
        } else if (roll(6) == 0) {
            ask->kind = VINE__ASK_MAIL_PUBLISH;
        } else if (box->is_full) {
            box->is_full = false;
            driver->is_answering[number] = box->reply_type != NULL;
            return false;
        } else if (!box->is_asked) {
            box->is_asked = true;
            ask->kind = VINE__ASK_MAIL_TAKE;
            ask->a = box->number;
            return true;
        }
    }
    ask->a = (uint64_t)((uintptr_t)about - (uintptr_t)that->inside);
    return true;
}

/* Of a word of it something else, now and then. */
VINE_SERVICE_CODE static void spoil(const struct vine_coroutine *that, struct driver *driver,
                                    struct vine__ask *ask)
{
    struct area *const area = driver->areas[roll(AREAS)];

    switch (is_looked_at ? 4 + roll(2) : roll(6)) {
    case 0:
        ask->kind = (uint16_t)roll(VINE__ASK_SPLICE + 3);
        break;
    case 1:
        ask->a = roll(2) == 0 ? (uintptr_t)area : (uintptr_t)area - (uintptr_t)that->inside;
        break;
    case 2:
        ask->a += roll(2) == 0 ? 4 : UINT64_C(1) << 33;
        break;
    case 3:
        area->bytes[roll(sizeof(area->bytes))] ^= (unsigned char)(1 << roll(8));
        break;
    case 4:
        ask->socket = (uint16_t)roll(AREAS + 2);
        break;
    default:
        area->further.beyond.at_end.place = (uint16_t)roll(20);
        break;
    }
}

VINE_SERVICE_CODE static void ask_anything(struct vine_coroutine *that, struct driver *driver)
{
    const uint32_t n = roll(ROGUES);
    struct vine_coroutine *const rogue = driver->rogues[n];
    struct asking *const asking = &driver->asking[n];
    struct vine__ask *const ask = &rogue->ask;
    bool is_one;

    if (rogue->is_queued || (asking->is_pending && roll(4) != 0))
        return;
    for (const struct vine__ask *at = that->inside->asks; at != NULL; at = at->next)
        if (at == ask)
            return; /* else it would be a circle, each time */
    *asking = (struct asking){.driver = driver};
    ask->kind = VINE__ASK_NOTHING;
    ask->socket = 0;
    ask->a = 0;
    switch (roll(3)) {
    case 0:
        is_one = ask_of_socket(that, driver, ask);
        break;
    case 1:
        is_one = ask_for_place(that, driver, asking, ask);
        break;
    default:
        is_one = ask_of_mail(that, driver, &driver->papers[n]->paper, ask);
        break;
    }
    if (!is_one) {
        ask->kind = VINE__ASK_NOTHING;
        return;
    }
    if (roll(60) == 0)
        spoil(that, driver, ask);
    asking->is_pending = true;
    ask->number = ++that->inside->ask_number;
    ask->next = that->inside->asks;
    ask->previous = NULL;
    if (ask->next != NULL)
        ask->next->previous = ask;
    ask->run = that->inside->run;
    that->inside->asks = ask;
}

VINE_SERVICE_CODE static void leave_anything(const struct vine_coroutine *that,
                                             struct driver *driver)
{
    struct vine__beyond *const beyond = vine__heap_alloc(&that->inside->heap, sizeof(*beyond));
    const uint32_t place = 1 + roll(AREAS - 1);

    if (beyond == NULL)
        return;
    beyond->at_end.place = (uint16_t)place;
    beyond->at_end.next = that->inside->leaving;
    that->inside->leaving = &beyond->at_end;
    if (driver->holds[place] != NOTHING)
        driver->holds[place] = LEFT;
}

/* Bytes, into the block that it has or one that is lent. */
VINE_SERVICE_CODE static void write_anything(const struct vine_coroutine *that,
                                             struct driver *driver)
{
    struct vine_socket *const socket = socket_at(that, driver, any_socket(driver));

    if (roll(4) == 0) {
        socket->wants = (uint8_t)roll(4);
        socket->is_receiving |= (socket->wants & VINE__WANTS_MORE) != 0;
    }
    if (socket->out.error != 0 || socket->out.size > 8000)
        return;
    if (socket->out.bytes == NULL && that->inside->lent_used < VINE__LENT_MAX) {
        socket->out.bytes = that->inside->record->lent[that->inside->lent_used];
        socket->block = (uint8_t)++that->inside->lent_used;
        socket->out.size = 0;
    }
    if (socket->out.bytes == NULL)
        return;
    memset(socket->out.bytes + socket->out.size, 'b', 500);
    socket->out.size += 1 + roll(500);
    socket->is_dirty = true;
}

VINE_SERVICE_CODE static void close_anything(struct driver *driver)
{
    const uint32_t number = roll(BOXES);

    if (!driver->is_box[number] || driver->boxes[number]->box.alive.key == 0)
        return;
    driver->boxes[number]->box.alive.key = 0;
    driver->is_box[number] = false;
    driver->is_answering[number] = false;
}

VINE_SERVICE_CODE static void do_anything(struct vine_coroutine *that, struct driver *driver)
{
    for (uint32_t place = 0; place < AREAS; place++)
        if (driver->holds[place] == LEFT)
            driver->holds[place] = NOTHING;
    for (uint32_t i = roll(5); i > 0; i--)
        ask_anything(that, driver);
    if (roll(3) == 0)
        write_anything(that, driver);
    if (roll(5) == 0)
        leave_anything(that, driver);
    if (roll(20) == 0)
        close_anything(driver);
    for (uint32_t i = 0; i < BOXES; i++)
        if (driver->boxes[i]->box.alive.key != 0 && roll(3) == 0)
            known = driver->boxes[i]->box.address;
    rounds_done++;
}

VINE_COROUTINE(drives)
{
    struct driver *self;

    vine_begin();
    for (self->round = 0; self->round < ROGUES; self->round++) {
        self->asking[self->round].driver = self;
        vine_child(rogue, &self->asking[self->round], self->rogues[self->round]);
        vine_keep(self->papers[self->round], sizeof(struct area));
    }
    vine_keep(self->brought, sizeof(struct area));
    vine_keep(self->made, sizeof(struct area));
    for (self->round = 0; self->round < AREAS; self->round++)
        vine_keep(self->areas[self->round], sizeof(struct area));
    for (self->round = 0; self->round < BOXES; self->round++)
        vine_keep(self->boxes[self->round], sizeof(struct area));
    for (self->round = 0; self->round < ROUNDS; self->round++) {
        do_anything(that, self);
        vine_sleep(1000 * 1000 * (1 + roll(20)));
    }
    for (self->round = 0; self->round < ROGUES; self->round++)
        self->rogues[self->round]->ask.kind = VINE__ASK_NOTHING; /* none is an honest one */
    vine_raise(-ECANCELED);
    vine_end();
}

/* ---- the peers' ------------------------------------------------------------------------------ */

struct peers {
    struct server server;
    int fds[PEERS];
    uint32_t count;
};

static void do_anything_to(struct peers *peers, uint32_t index)
{
    static char bytes[30000];
    const int fd = peers->fds[index];

    switch (roll(8)) {
    case 0:
        (void)shutdown(fd, SHUT_WR);
        break;
    case 1:
        close(fd);
        peers->fds[index] = peers->fds[--peers->count];
        break;
    case 2:
    case 3:
        (void)!read(fd, bytes, 1 + roll(sizeof(bytes) - 1));
        break;
    default:
        (void)!send(fd, bytes, 1 + roll(sizeof(bytes) - 1), MSG_NOSIGNAL | MSG_DONTWAIT);
        break;
    }
}

static void see_peers(struct peers *peers)
{
    const int fd = peers->count < PEERS
                       ? accept4(peers->server.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
                       : -1;

    if (fd >= 0)
        peers->fds[peers->count++] = fd;
    if (peers->count > 0 && roll(2) == 0)
        do_anything_to(peers, roll(peers->count));
}

static void go_through(uint64_t seed)
{
    struct vine_network_counts counts;
    struct peers peers = {.count = 0};
    struct one some[3];

    seed_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    open_processes();
    serve_at(&peers.server, 8);
    memcpy(server_address, peers.server.address, sizeof(server_address));
    for (uint32_t i = 0; i < 3; i++) {
        start_one(&some[i], &vine__type_drives, NULL);
        peers.fds[peers.count++] = some[i].fd;
    }
    for (uint32_t turns = 0; some[0].goings + some[1].goings + some[2].goings < 3; turns++) {
        see_peers(&peers);
        stepped.clock_ns += 1000 * 1000;
        step_all();
        if (turns % 64 == 63)
            sched_yield(); /* workers have a processor, too */
        assert_true(turns < 2000000);
    }
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(some[i].ends, 1);
    while (peers.count > 0)
        close(peers.fds[--peers.count]);
    close(peers.server.fd);
    vine_stop(0);
    advance(8 * VINE_NS_PER_SECOND);
    vine_network_get_counts(&counts);
    assert_int_equal(counts.connections, 0);
    close_cores();
}

static void whatever_is_asked_for_is_over_in_the_end(void **state)
{
    const char *const wanted = getenv("VINE_TEST_SEED");

    const char *const sanitizers = getenv("VINE_SANITIZE");

    (void)state;
    is_looked_at = sanitizers != NULL && *sanitizers != '\0';
    rounds_done = 0;
    if (wanted != NULL) {
        go_through(strtoull(wanted, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        go_through(seed);
    }
    /* Most of them have to come far, or nothing was tried. */
    assert_in_range(rounds_done, SEEDS * 10, UINT32_MAX);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char folder[] = "/tmp/vine-anything-XXXXXX";

static void write_file(const char *name, size_t size_bytes)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);

    const int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
    close(fd);
}

static int make_files(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    write_file("small", 100);
    write_file("large", 120000);
    write_file("none", 0);
    return vine_root_open(folder, &root);
}

static int drop_files(void **state)
{
    static const char *const names[] = {"small", "large", "none"};
    char path[128];

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

/* A descriptor that the ring has closed may be another thread's next one: its calls go past libc,
 * so that ThreadSanitizer knows of two at once. */
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
    return "race:vine__epoll_add\nrace:vine__socket_create\n";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_asked_for_is_over_in_the_end),
    };
    int failed;

    (void)make_files(NULL);
    served_start(&served, NULL, 1);
    if (vine_remote_add(served.path, &remote) != 0)
        return 1;
    failed = cmocka_run_group_tests_name("none", tests, NULL, NULL) +
             cmocka_run_group_tests_name("mprotect, by epoll", tests, use_mprotect, NULL);
    served_stop(&served);
    (void)drop_files(NULL);
    return failed;
}

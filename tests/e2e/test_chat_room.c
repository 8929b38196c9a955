/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* A room in which micro-processes talk, on one core and on several: examples/chat_room.c. */
#include "harness/logged.h"

#define CLIENTS    8
#define LINE_BYTES 512

static char program[1024], library[1024];

static void start_room(const char *cores, const char *isolation, const char *where)
{
    logged_start(NULL, NULL, program,
                 WORDS(program, library, cores, isolation, where, "--overprovisioned",
                       "--memory=192M", "--blocked-reactor-notify-ms=10000"));
}

/* ---- clients --------------------------------------------------------------------------------- */

struct client {
    int fd;
    size_t length;
    char text[4096];
};

/* The next line, without its newline; false: there is none within that time. */
static bool next_line(struct client *client, char line[LINE_BYTES], int wait_ms)
{
    for (;;) {
        char *const end = memchr(client->text, '\n', client->length);
        struct pollfd ready = {.fd = client->fd, .events = POLLIN};

        if (end != NULL) {
            const size_t size = (size_t)(end - client->text);

            assert_true(size < LINE_BYTES);
            memcpy(line, client->text, size);
            line[size] = '\0';
            client->length -= size + 1;
            memmove(client->text, end + 1, client->length);
            return true;
        }
        if (poll(&ready, 1, wait_ms) != 1)
            return false;
        const ssize_t size =
            read(client->fd, client->text + client->length, sizeof(client->text) - client->length);

        if (size <= 0)
            fail_msg("it is closed");
        client->length += (size_t)size;
    }
}

static void expect(struct client *client, const char *text)
{
    char line[LINE_BYTES];

    if (!next_line(client, line, HANG_MS))
        fail_msg("'%s' never comes", text);
    assert_string_equal(line, text);
}

static void say(const struct client *client, const char *text)
{
    char line[LINE_BYTES];
    const int size = snprintf(line, sizeof(line), "%s\n", text);

    assert_int_equal(send(client->fd, line, (size_t)size, MSG_NOSIGNAL), size);
}

static void connect_to(struct client *client, const struct vine_address *address)
{
    *client = (struct client){.fd = try_connect(address)};
    assert_true(client->fd >= 0);
    expect(client, "* who are you?");
}

/* As the one of that number, which has joined when this returns. */
static void come(struct client *client, const struct vine_address *address, const char *name,
                 int number)
{
    char text[64];

    connect_to(client, address);
    say(client, name);
    (void)snprintf(text, sizeof(text), "* %d are here", number);
    expect(client, text);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void talk(const char *cores, const char *isolation)
{
    struct client clients[CLIENTS];
    char text[64], name[16];

    start_room(cores, isolation, "--listen=127.0.0.1:0");
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    for (int i = 0; i < CLIENTS; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        (void)snprintf(text, sizeof(text), "* n%d joins", i);
        come(&clients[i], &address, name, i + 1);
        for (int other = 0; other < i; other++)
            expect(&clients[other], text);
    }
    for (int round = 0; round < 20; round++) {
        const int who = round * 3 % CLIENTS;

        (void)snprintf(text, sizeof(text), "line %d", round);
        say(&clients[who], text);
        (void)snprintf(text, sizeof(text), "n%d: line %d", who, round);
        for (int other = 0; other < CLIENTS; other++)
            if (other != who)
                expect(&clients[other], text);
    }
    (void)close(clients[0].fd);
    for (int other = 1; other < CLIENTS; other++)
        expect(&clients[other], "* n0 leaves");
    for (int i = 1; i < CLIENTS; i++)
        (void)close(clients[i].fd);
    assert_int_equal(logged_stop(), 0);
}

static void a_line_goes_to_all_others_who_are_told_who_comes_and_goes(void **state)
{
    (void)state;
    talk("--smp=1", "--isolate=mprotect");
    talk("--smp=2", "--isolate=none");
}

/* It reads nothing while others talk; then it hears what had room, and how much had none. */
static void a_client_that_does_not_read_holds_up_nobody(void **state)
{
    const uint64_t hang_ns = vine__clock_now_ns() + HANG_MS * UINT64_C(1000000);
    struct client alice, bob, slow;
    char place[64], text[LINE_BYTES], line[LINE_BYTES], filler[300];
    int number = 0, heard = 0, missed = 0, last = -1;

    (void)state;
    memset(filler, '.', sizeof(filler));
    filler[sizeof(filler) - 1] = '\0';
    (void)snprintf(place, sizeof(place), "--listen=unix:@vine-chat-%d", (int)getpid());
    start_room("--smp=2", "--isolate=none", place);
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    come(&bob, &address, "bob", 1);
    come(&alice, &address, "alice", 2);
    expect(&bob, "* alice joins");
    come(&slow, &address, "slow", 3);
    expect(&bob, "* slow joins");
    expect(&alice, "* slow joins");
    for (; number < 2000 || last < 2000; number++) {
        (void)snprintf(text, sizeof(text), "%d %s", number, filler);
        say(&alice, text);
        (void)snprintf(text, sizeof(text), "alice: %d %s", number, filler);
        expect(&bob, text);
        assert_true(vine__clock_now_ns() < hang_ns);
        while (number >= 2000 && next_line(&slow, line, 0)) {
            if (line[0] == '*') {
                missed += atoi(line + strlen("* you have missed "));
                continue;
            }
            assert_true(atoi(line + strlen("alice: ")) > last);
            last = atoi(line + strlen("alice: "));
            heard++;
            if (last >= 2000)
                break;
        }
    }
    assert_true(missed > 100);
    assert_int_equal(heard + missed, last + 1);
    (void)close(slow.fd);
    expect(&bob, "* slow leaves");
    (void)close(alice.fd);
    expect(&bob, "* alice leaves");
    (void)close(bob.fd);
    assert_int_equal(logged_stop(), 0);
}

static void who_says_no_name_is_not_let_in(void **state)
{
    struct client bob, nobody;
    char byte;

    (void)state;
    start_room("--smp=1", "--isolate=none", "--listen=127.0.0.1:0");
    const struct vine_address address = listening_address();

    (void)listen_for(": ready");
    come(&bob, &address, "bob", 1);
    connect_to(&nobody, &address);
    say(&nobody, "");
    assert_int_equal(read(nobody.fd, &byte, 1), 0);
    (void)close(nobody.fd);
    (void)close(bob.fd);
    assert_int_equal(logged_stop(), 0);
}

int main(void)
{
    const char *const folder = getenv("VINE_BUILD_DIR");
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, logged_open, logged_close)
        TEST(who_says_no_name_is_not_let_in),
        TEST(a_line_goes_to_all_others_who_are_told_who_comes_and_goes),
        TEST(a_client_that_does_not_read_holds_up_nobody),
    };

    (void)snprintf(program, sizeof(program), "%s/vine-serve", folder != NULL ? folder : ".");
    (void)snprintf(library, sizeof(library), "%s/examples/chat_room.so",
                   folder != NULL ? folder : ".");
    if (access(program, X_OK) != 0 || access(library, R_OK) != 0) {
        print_message("skipped: there is no vine-serve, or no %s\n", library);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

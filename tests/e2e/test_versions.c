/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers of other versions. Between an application and an appliance of this version stands a relay
 * that makes one of them one of another version for the other: it writes other numbers into the
 * messages of the handshake, appends to them or shortens them, as a later version may, and takes
 * features out, as an earlier one lacks them.
 *
 * Both are met through the C API and through the command.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/talk.h>

#include "arch/peer/peer.h"
#include "core/talk/message.h"
#include "harness/must.h"

#define LIMIT_NS 60000000000ULL /* a hang guard */

/* What becomes of the first message of a type. */
struct disguise {
    uint16_t type;
    uint16_t major, minor;
    int more_bytes;      /* appended; negative: cut off */
    bool is_bare;        /* its descriptor is lost */
    const char *refusal; /* becomes a REFUSE with this text */
    uint64_t without;    /* features that it does not know */
};

static char folder[] = "/tmp/vine-versions-XXXXXX";
static char appliance_path[64]; /* where the appliance listens, */
static char path[64];           /* where the relay does, */
static char input_path[64];     /* a file to work on */
static pid_t appliance;
static FILE *says_of_appliance; /* what it says */
static struct vine__peer_listener listener;
static struct disguise disguise;
static uint16_t welcome_minor; /* that the appliance sent */
static char told[1024];        /* what the library told us */

/* ---- the relay ------------------------------------------------------------------------------- */

static void wear(union vine__talk_any *any, struct vine__peer_message *message)
{
    any->hello.major = disguise.major;
    any->hello.minor = disguise.minor;
    VINE_STATIC_ASSERT(offsetof(struct vine_talk_hello, features) ==
                           offsetof(struct vine_talk_welcome, features),
                       "of both");
    any->hello.features &= ~disguise.without;
    if (disguise.refusal != NULL) {
        any->reason.head.type = VINE_TALK_REFUSE;
        any->reason.error = VINE_EVERSION;
        (void)snprintf(any->reason.text, sizeof any->reason.text, "%s", disguise.refusal);
        message->size_bytes = sizeof any->reason;
    }
    if (disguise.more_bytes > 0)
        memset((unsigned char *)any + message->size_bytes, 0x5a, (size_t)disguise.more_bytes);
    message->size_bytes = (size_t)((int)message->size_bytes + disguise.more_bytes);
    any->head.size_bytes = (uint16_t)message->size_bytes;
    if (disguise.is_bare)
        vine__peer_message_close(message);
}

/* Hand on one message. Returns whether there was one. */
static bool pass_on(int from, int to)
{
    union {
        union vine__talk_any any;
        unsigned char bytes[VINE_TALK_MESSAGE];
    } room;
    struct vine__peer_message message = {
        .bytes = &room, .capacity_bytes = sizeof room, .fd_count_max = 1};

    if (vine__peer_receive(from, &message, 0) != 0)
        return false;
    if (room.any.head.type == VINE_TALK_WELCOME)
        welcome_minor = room.any.welcome.minor;
    if (room.any.head.type == disguise.type)
        wear(&room.any, &message);
    (void)!vine__peer_send(to, &room, message.size_bytes, message.fds, message.fd_count, LIMIT_NS);
    vine__peer_message_close(&message);
    return true;
}

/* One pipe, until either side hangs up. */
static void *relay(void *unused)
{
    int ends[2];

    MUST_BE(vine__peer_accept(listener.fd, LIMIT_NS, &ends[0]), 0);
    MUST_BE(vine__peer_connect(appliance_path, LIMIT_NS, &ends[1]), 0);
    for (bool is_open = true; is_open;) {
        struct pollfd polled[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};

        (void)poll(polled, 2, -1);
        for (int i = 0; i < 2 && is_open; i++)
            if (polled[i].revents != 0)
                is_open = pass_on(ends[i], ends[1 - i]);
    }
    close(ends[0]);
    close(ends[1]);
    return unused;
}

/* ---- both sides ------------------------------------------------------------------------------ */

static void says(const char *text, const char *wanted)
{
    if (strstr(text, wanted) == NULL)
        fail_msg("\"%s\" does not say: %s", text, wanted);
}

/* The appliance says so, now or soon. */
static void appliance_says(const char *wanted)
{
    char line[512];

    do {
        if (fgets(line, sizeof line, says_of_appliance) == NULL)
            fail_msg("the appliance does not say: %s", wanted);
    } while (strstr(line, wanted) == NULL);
}

/* Start one at the address; it is ready. */
static void start_appliance(bool takes_over)
{
    const char *const command = getenv("VINE_COMMAND");
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    appliance = fork();
    assert_true(appliance >= 0);
    if (appliance == 0) {
        (void)dup2(out[1], STDERR_FILENO);
        (void)execl(command, command, "appliance", "--verbose", "--listen", appliance_path,
                    takes_over ? "--take-over" : (char *)NULL, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    says_of_appliance = fdopen(out[0], "r");
    assert_non_null(says_of_appliance);
    appliance_says("ready at");
}

/* Until it has ended, which it does well. */
static void see_its_end(pid_t pid, FILE *says)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    (void)fclose(says);
}

/* Another process takes the appliance's place, and all is left to it. */
static void succeed(void)
{
    const pid_t former = appliance;
    FILE *const says = says_of_appliance;

    start_appliance(true);
    see_its_end(former, says);
}

static int start(void **state)
{
    FILE *file;

    (void)state;
    (void)alarm(200);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(appliance_path, sizeof appliance_path, "%s/appliance", folder);
    (void)snprintf(path, sizeof path, "%s/relay", folder);
    (void)snprintf(input_path, sizeof input_path, "%s/input", folder);
    file = fopen(input_path, "w");
    assert_non_null(file);
    assert_int_equal(fputs("hello", file) < 0, 0);
    assert_int_equal(fclose(file), 0);
    start_appliance(false);
    return vine__peer_listen(&listener, path, NULL);
}

static int stop(void **state)
{
    char command[96];

    (void)state;
    vine__peer_listener_close(&listener);
    assert_int_equal(kill(appliance, SIGTERM), 0);
    see_its_end(appliance, says_of_appliance);
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void hear(void *context, enum vine_log_level level, const char *message)
{
    (void)context;
    (void)level;
    (void)snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", message);
}

/* Through the library: opens, and is served. */
static int call(void)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .log = hear};
    struct vine_pipe *pipe = NULL;
    pthread_t thread;

    told[0] = 0;
    assert_int_equal(pthread_create(&thread, NULL, relay, NULL), 0);

    int error = vine_pipe_open(path, &options, &pipe);

    if (!error) {
        error = vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL);
        vine_pipe_close(pipe);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    return error;
}

/* Through the command: its status; what it says stands in `told`. */
static int run_with(const char *procedure, const char *operands)
{
    char line[256];
    pthread_t thread;

    (void)snprintf(line, sizeof line, "\"$VINE_COMMAND\" run %s -a %s --reconnect 0 %s 2>&1",
                   procedure, path, operands);
    assert_int_equal(pthread_create(&thread, NULL, relay, NULL), 0);

    FILE *output = popen(line, "r");

    assert_non_null(output);
    told[fread(told, 1, sizeof told - 1, output)] = 0;

    const int status = pclose(output);

    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int run(void)
{
    return run_with("sha256", input_path);
}

static void is_served(void)
{
    assert_int_equal(call(), 0);
    assert_int_equal(run(), 0);
    says(told, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_int_equal(welcome_minor, VINE_TALK_MINOR);
}

static void is_refused(const char *why)
{
    assert_int_equal(call(), -VINE_EVERSION);
    says(told, why);
    assert_int_equal(run(), 69);
    says(told, why);
    says(told, "VINE_EVERSION");
}

/* ---- tests ----------------------------------------------------------------------------------- */

#define NEXT_MAJOR (VINE_TALK_MAJOR + 1)

static void an_application_of_a_later_minor_version_is_served_with_ours(void **state)
{
    (void)state;
    disguise = (struct disguise){VINE_TALK_HELLO, VINE_TALK_MAJOR, 7, 24, false, NULL, 0};
    is_served();
}

static void an_appliance_of_a_later_minor_version_serves_us_with_ours(void **state)
{
    (void)state;
    disguise =
        (struct disguise){VINE_TALK_WELCOME, VINE_TALK_MAJOR, VINE_TALK_MINOR, 40, false, NULL, 0};
    is_served();
}

static void an_appliance_that_speaks_above_us_is_refused(void **state)
{
    (void)state;
    disguise = (struct disguise){VINE_TALK_WELCOME, VINE_TALK_MAJOR, 7, 0, false, NULL, 0};
    is_refused("the appliance speaks version 1.7, we 1.0");
}

static void an_application_of_another_major_version_is_refused_and_told_of_both(void **state)
{
    /* As ours; longer; with nothing but the versions, and without a descriptor. */
    const struct disguise disguises[] = {
        {VINE_TALK_HELLO, NEXT_MAJOR, 3, 0, false, NULL, 0},
        {VINE_TALK_HELLO, NEXT_MAJOR, 3, 100, false, NULL, 0},
        {VINE_TALK_HELLO, NEXT_MAJOR, 3, 12 - (int)sizeof(struct vine_talk_hello), true, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof disguises / sizeof disguises[0]; i++) {
        disguise = disguises[i];
        is_refused("refused the pipe: version 1.0 is spoken here, not 2.3");
        appliance_says("version 1.0 is spoken here, not 2.3");
    }
}

static void an_appliance_of_another_major_version_is_refused(void **state)
{
    const struct disguise disguises[] = {
        {VINE_TALK_WELCOME, NEXT_MAJOR, 3, 0, false, NULL, 0},
        {VINE_TALK_WELCOME, NEXT_MAJOR, 3, 100, false, NULL, 0},
        {VINE_TALK_WELCOME, NEXT_MAJOR, 3, 12 - (int)sizeof(struct vine_talk_welcome), true, NULL,
         0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof disguises / sizeof disguises[0]; i++) {
        disguise = disguises[i];
        is_refused("version 1.0 is spoken here, not 2.3");
    }
}

static void an_appliance_of_another_major_version_says_so_itself(void **state)
{
    (void)state;
    disguise = (struct disguise){
        VINE_TALK_WELCOME, NEXT_MAJOR, 3, 16, true, "version 2.3 is spoken here, not 1.0", 0};
    is_refused("the appliance refused the pipe: version 2.3 is spoken here, not 1.0");
}

/* What a side may lack: each by itself, and all of it. */
static const uint64_t lacks[] = {
    VINE_TALK_FEATURE_MEMBARRIER, VINE_TALK_FEATURE_EPOCH,
    VINE_TALK_FEATURE_REASONS,    VINE_TALK_FEATURE_READY,
    VINE_TALK_FEATURE_DEADLINES,  VINE_TALK_FEATURE_RENEWS,
    VINE_TALK_FEATURE_WAITS,      UINT64_MAX,
};

static struct disguise without(uint16_t type, uint64_t features)
{
    return (struct disguise){
        .type = type, .major = VINE_TALK_MAJOR, .minor = VINE_TALK_MINOR, .without = features};
}

static void a_side_that_lacks_any_of_our_features_is_served_and_serves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++) {
        disguise = without(VINE_TALK_HELLO, lacks[i]);
        is_served();
        disguise = without(VINE_TALK_WELCOME, lacks[i]);
        is_served();
    }
}

/* It fits into a completion, and no more is to be had. */
static void an_application_that_takes_no_long_reasons_is_told_their_beginning(void **state)
{
    char line[160];

    (void)state;
    (void)snprintf(line, sizeof line, "%s/x.gz", folder);

    FILE *const file = fopen(line, "w");
    static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}; /* and no more */

    assert_non_null(file);
    assert_int_equal(fwrite(head, 1, sizeof head, file), sizeof head);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(line, sizeof line, "%s/x.gz -o %s/out", folder, folder);
    disguise = without(0, 0);
    assert_int_equal(run_with("gunzip", line), 1);
    says(told, "the member that begins at byte 0 has no end");
    disguise = without(VINE_TALK_HELLO, VINE_TALK_FEATURE_REASONS);
    assert_int_equal(run_with("gunzip", line), 1);
    says(told, "the member that begins at byt...: ");
}

static void a_deadline_that_an_appliance_does_not_heed_is_told_and_does_no_harm(void **state)
{
    (void)state;
    disguise = without(VINE_TALK_WELCOME, VINE_TALK_FEATURE_DEADLINES);
    assert_int_equal(run_with("sha256 --deadline 1ns", input_path), 0);
    says(told, "heeds no --deadline");
    says(told, "2cf24dba5fb0a30e");
    disguise = without(0, 0);
    assert_int_equal(run_with("sha256 --deadline 1ns", input_path), 1);
    says(told, "deadline");
}

/* A pipe whose appliance is succeeded by another one: what a task ends with then. */
static int call_after_succession(void)
{
    struct vine_pipe *pipe = NULL;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, relay, NULL), 0);
    assert_int_equal(vine_pipe_open(path, NULL, &pipe), 0);
    assert_int_equal(vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    succeed();

    const int error = vine_pipe_call(pipe, "noop", NULL, 0, NULL, 0, NULL);

    vine_pipe_close(pipe);
    assert_int_equal(pthread_join(thread, NULL), 0);
    is_served(); /* who comes anew */
    return error;
}

static void who_greets_no_successor_is_told_that_its_appliance_has_drained(void **state)
{
    (void)state;
    disguise = without(VINE_TALK_HELLO, VINE_TALK_FEATURE_RENEWS);
    assert_int_equal(call_after_succession(), -VINE_EDRAINING);
}

static void who_keeps_no_tasks_for_a_successor_greets_it_all_the_same(void **state)
{
    (void)state;
    disguise = without(VINE_TALK_HELLO, VINE_TALK_FEATURE_WAITS);
    assert_int_equal(call_after_succession(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_application_of_a_later_minor_version_is_served_with_ours),
        cmocka_unit_test(an_appliance_of_a_later_minor_version_serves_us_with_ours),
        cmocka_unit_test(an_appliance_that_speaks_above_us_is_refused),
        cmocka_unit_test(an_application_of_another_major_version_is_refused_and_told_of_both),
        cmocka_unit_test(an_appliance_of_another_major_version_is_refused),
        cmocka_unit_test(an_appliance_of_another_major_version_says_so_itself),
        cmocka_unit_test(a_side_that_lacks_any_of_our_features_is_served_and_serves),
        cmocka_unit_test(an_application_that_takes_no_long_reasons_is_told_their_beginning),
        cmocka_unit_test(a_deadline_that_an_appliance_does_not_heed_is_told_and_does_no_harm),
        cmocka_unit_test(who_greets_no_successor_is_told_that_its_appliance_has_drained),
        cmocka_unit_test(who_keeps_no_tasks_for_a_successor_greets_it_all_the_same),
    };

    return cmocka_run_group_tests(tests, start, stop);
}

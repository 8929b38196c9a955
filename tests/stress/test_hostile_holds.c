/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that does not let go, and one that takes memory away.
 *
 * Fault model: a forked child keeps the socket and all memory when its parent has died or was sent
 * away; who shares memory tries to cut it off, punch it out, or write what is not its own, with
 * every call that Linux has for it. The appliance notices each end, holds nothing of it any more,
 * and serves another one meanwhile.
 */
#include "harness/emulator.h"
#include "hostile/application_fixture.h"
#include "hostile/holdings.h"

#include <poll.h>

#include "core/talk/message.h"

#define HANG_GUARD_SECONDS 100

/* ---- who does not let go --------------------------------------------------------------------- */

/* The ends of pipes: the child lives until `leash` is closed, and whoever played a part says so. */
struct play {
    int leash[2];
    int said[2];
};

static void start_play(struct play *play)
{
    (void)alarm(HANG_GUARD_SECONDS);
    assert_int_equal(pipe2(play->leash, O_CLOEXEC), 0);
    assert_int_equal(pipe2(play->said, O_CLOEXEC), 0);
}

static void say(struct play *play, char byte)
{
    if (write(play->said[1], &byte, 1) != 1)
        _exit(1);
}

static char hear(struct play *play)
{
    char byte = 0;

    assert_int_equal(read(play->said[0], &byte, 1), 1);
    return byte;
}

/* A child of ours that has all descriptors, and maps the half anew: no mapping came with it. */
static void leave_a_child(struct play *play, struct raw_application *raw)
{
    char byte;

    if (fork() != 0)
        return;
    close(play->leash[1]);
    if (mmap(NULL, raw->half.size_bytes, PROT_READ, MAP_SHARED, vine_segment_fd(raw->half.segment),
             0) == MAP_FAILED)
        _exit(1);
    say(play, 'c');
    (void)!read(play->leash[0], &byte, 1);
    say(play, 'e'); /* it lived until now */
    _exit(0);
}

/* The child still lives; now it may go. */
static void end_play(struct play *play)
{
    struct pollfd polled = {play->said[0], POLLIN, 0};

    assert_int_equal(poll(&polled, 1, 0), 0);
    close(play->leash[1]);
    assert_int_equal(hear(play), 'e');
    close(play->leash[0]);
    close(play->said[0]);
    close(play->said[1]);
    (void)alarm(0);
}

static void a_child_that_keeps_all_of_a_dead_application_keeps_nothing_alive(void **state)
{
    struct fixture *fixture = *state;
    const struct holdings before = holdings_of(fixture->appliance);
    struct play play;

    start_play(&play);

    const pid_t parent = fork();

    if (parent == 0) {
        static struct raw_application raw;
        struct vine_wire_submission submission = task(procedures.noop);

        if (raw_open(&raw, fixture->path) != 0 || raw_open_channel(&raw) != 0)
            _exit(1);
        leave_a_child(&play, &raw);
        (void)!raw_submit(&raw, 0, &submission);
        _exit(0);
    }
    assert_int_equal(hear(&play), 'c');
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    wait_until_it_holds(fixture, before);
    end_play(&play);
}

static void a_child_that_keeps_all_of_a_closed_pipe_keeps_nothing_alive(void **state)
{
    struct fixture *fixture = *state;
    const struct holdings before = holdings_of(fixture->appliance);
    struct play play;

    start_play(&play);

    const pid_t parent = fork();

    if (parent == 0) {
        static struct raw_application raw;
        struct vine_wire_submission submission = {.kind = 255};
        char byte;

        if (raw_open(&raw, fixture->path) != 0 || raw_open_channel(&raw) != 0)
            _exit(1);
        leave_a_child(&play, &raw);
        (void)!raw_submit(&raw, 0, &submission);
        close(play.leash[1]);
        (void)!read(play.leash[0], &byte, 1); /* nor does the parent end */
        _exit(0);
    }
    assert_int_equal(hear(&play), 'c');
    wait_until_it_holds(fixture, before);
    assert_int_equal(waitpid(parent, NULL, WNOHANG), 0);
    end_play(&play);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
}

/* Its child says hello in its place: nobody could tell when that one ends. */
static void who_died_before_its_hello_is_not_welcomed(void **state)
{
    struct fixture *fixture = *state;
    const struct holdings before = holdings_of(fixture->appliance);
    struct play play;
    int status = 0;

    start_play(&play);

    const int died[2] = {play.leash[0], play.leash[1]};
    const pid_t parent = fork();

    if (parent == 0) {
        int fd = -1;

        if (vine__peer_connect(fixture->path, RAW_LIMIT_NS, &fd) != 0)
            _exit(1);
        if (fork() != 0)
            _exit(0);

        struct vine__why why = {""};
        char byte;
        union vine__talk_any answer;
        struct vine__half half;
        struct vine_talk_hello hello = {.head = VINE__TALK_HEAD(VINE_TALK_HELLO, hello),
                                        .major = VINE_TALK_MAJOR,
                                        .half_bytes = VINE__HALF_BYTES};
        const struct vine__half_options options = {.uuid = hello.uuid,
                                                   .side = VINE_SEGMENT_APPLICATION,
                                                   .generation = 1,
                                                   .bytes_max = VINE__HALF_BYTES,
                                                   .why = &why};
        int came = -1;

        close(died[1]);
        (void)!read(died[0], &byte, 1);
        if (vine__half_create(&half, &options) != 0 ||
            vine__talk_send(fd, &hello, vine_segment_fd(half.segment), 0) != 0 ||
            vine__talk_receive(fd, &answer, &came, RAW_LIMIT_NS, &why) != 0)
            _exit(1);
        say(&play, answer.head.type == VINE_TALK_REFUSE && answer.reason.error == VINE_EPEERLOST);
        _exit(0);
    }
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_int_equal(status, 0);
    close(died[1]); /* both were its own, and ours */
    assert_int_equal(hear(&play), 1);
    wait_until_it_holds(fixture, before);
    close(play.leash[0]);
    close(play.said[0]);
    close(play.said[1]);
    (void)alarm(0);
}

/* ---- who takes memory away ------------------------------------------------------------------- */

/* Nothing that Linux has for it changes memory with all seals through a descriptor of it. */
static void nothing_is_taken_by(int fd)
{
    const off_t page = 4096;
    const unsigned char byte = 0x5a;

    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page, page), -1);
    assert_int_equal(fallocate(fd, FALLOC_FL_ZERO_RANGE, page, page), -1);
    assert_int_equal(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, page, page), -1);
    assert_int_equal(fallocate(fd, 0, 0, page << 12), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, page << 12), -1);
    assert_int_equal(pwrite(fd, &byte, 1, page), -1);
    assert_ptr_equal(mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
                     MAP_FAILED);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);

    unsigned char *memory = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 0);

    /* As one that may not be written to: a hole from there would need to. */
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(mprotect(memory, (size_t)page, PROT_READ | PROT_WRITE), -1);
    assert_int_equal(madvise(memory, (size_t)page, MADV_REMOVE), -1);
    assert_int_equal(munmap(memory, (size_t)page), 0);
}

/* The same through a name of it under /proc, opened as whoever opens it likes. */
static void nothing_is_taken_from(int fd)
{
    char name[64];

    nothing_is_taken_by(fd);
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    assert_int_equal(open(name, O_RDWR | O_TRUNC | O_CLOEXEC), -1);
    assert_int_equal(truncate(name, 0), -1);

    const int again = open(name, O_RDWR | O_CLOEXEC);

    if (again < 0)
        return;
    nothing_is_taken_by(again);
    close(again);
}

static void an_application_takes_away_nothing_of_its_half(void **state)
{
    skip_if_emulated("answers some advice by itself");
    struct fixture *fixture = *state;
    struct raw_application *bad = &fixture->bad;

    open_bad(fixture);
    nothing_is_taken_from(vine_segment_fd(bad->half.segment));
    /* Its own mapping is older than the seals, and may write. */
    assert_int_equal(madvise(vine_segment_base(bad->half.segment), 4096, MADV_REMOVE), -1);
    assert_int_equal(raw_ping(bad, 0), 0);
    raw_close(bad);
}

static void an_application_takes_away_nothing_of_the_appliances_half(void **state)
{
    skip_if_emulated("answers some advice by itself");
    struct fixture *fixture = *state;
    struct vine__why why = {""};
    union vine__talk_any answer;
    struct vine__half half;
    struct vine_talk_hello hello = {.head = VINE__TALK_HEAD(VINE_TALK_HELLO, hello),
                                    .major = VINE_TALK_MAJOR,
                                    .half_bytes = VINE__HALF_BYTES,
                                    .uuid = {1}};
    const struct vine__half_options options = {.uuid = hello.uuid,
                                               .side = VINE_SEGMENT_APPLICATION,
                                               .generation = 1,
                                               .bytes_max = VINE__HALF_BYTES,
                                               .why = &why};
    int fd = -1;
    int came = -1;

    assert_int_equal(vine__half_create(&half, &options), 0);
    assert_int_equal(vine__peer_connect(fixture->path, RAW_LIMIT_NS, &fd), 0);
    assert_int_equal(vine__talk_send(fd, &hello, vine_segment_fd(half.segment), 0), 0);
    assert_int_equal(vine__talk_receive(fd, &answer, &came, RAW_LIMIT_NS, &why), 0);
    assert_int_equal(answer.head.type, VINE_TALK_WELCOME);
    nothing_is_taken_from(came);
    close(came);
    close(fd);
    vine__half_close(&half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTILE(a_child_that_keeps_all_of_a_dead_application_keeps_nothing_alive),
        HOSTILE(a_child_that_keeps_all_of_a_closed_pipe_keeps_nothing_alive),
        HOSTILE(who_died_before_its_hello_is_not_welcomed),
        HOSTILE(an_application_takes_away_nothing_of_its_half),
        HOSTILE(an_application_takes_away_nothing_of_the_appliances_half),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

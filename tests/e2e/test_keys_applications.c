/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applications of an appliance with keys that want more than is theirs: names that lead elsewhere,
 * sealed files that are none, sessions cut anywhere or left open, and a look into all the memory
 * that they share with the appliance. None gets a key, and one that behaves is served beside them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/talk.h>

#include "harness/folder.h"

#define LIMIT_NS   60000000000ULL /* a hang guard */
#define KEY_BYTES  32
#define MASK       0x5a
#define DATA_BYTES 200000
#define ROOM       (DATA_BYTES + 200000)

static char folder[] = "/tmp/vine-keys-XXXXXX";
static char address[80];
static pid_t appliance;
static uint8_t masked[KEY_BYTES]; /* the key, as it is nowhere in our memory */
static struct vine_pipe *pipe_to;
static struct vine_procedure *seal, *unseal;
uint8_t planted[KEY_BYTES]; /* seen from outside, so that no compiler leaves it out */
static uint8_t plain[DATA_BYTES], out[ROOM], back[ROOM];

/* ---- one task -------------------------------------------------------------------------------- */

struct given {
    const void *key;
    size_t key_size;
    const void *input;
    size_t size;
    struct vine_session *session;
    bool is_last;
};

/* Returns how it ends; *ret_size of what came out. */
static int run(struct vine_procedure *procedure, struct given given, uint8_t *ret_bytes,
               size_t *ret_size)
{
    struct vine_data *input = NULL, *output = NULL;
    struct vine_task *task = NULL;

    assert_int_equal(vine_data_create(pipe_to, VINE_TYPE_BYTES, given.size, &input), 0);
    if (given.size > 0)
        assert_int_equal(vine_data_write(input, 0, given.input, given.size), 0);
    assert_int_equal(vine_data_expect(pipe_to, VINE_TYPE_BYTES, ROOM, &output), 0);

    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = given.key,
        .bytes_size = given.key_size,
        .inputs = &input,
        .input_count = 1,
        .outputs = &output,
        .output_count = 1,
        .session = given.session,
        .session_last = given.is_last,
    };
    int error = vine_task_issue(pipe_to, procedure, &options, &task);

    if (error == 0)
        error = vine_task_wait(task, LIMIT_NS);
    *ret_size = error == 0 ? (size_t)vine_data_size(output) : 0;
    if (*ret_size > 0)
        assert_int_equal(vine_data_read(output, 0, ret_bytes, *ret_size), 0);
    vine_task_free(task);
    vine_data_free(output);
    vine_data_free(input);
    return error;
}

static struct given whole(const char *key, const void *input, size_t size)
{
    return (struct given){
        .key = key, .key_size = key != NULL ? strlen(key) : 0, .input = input, .size = size};
}

static void it_still_works(void)
{
    size_t sealed, opened;

    assert_int_equal(run(seal, whole("alpha", plain, sizeof plain), out, &sealed), 0);
    assert_int_equal(run(unseal, whole("alpha", out, sealed), back, &opened), 0);
    assert_int_equal(opened, sizeof plain);
    assert_memory_equal(back, plain, sizeof plain);
}

/* ---- their ways ------------------------------------------------------------------------------ */

static void names_lead_nowhere_else(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } names[] = {{"../keys/alpha", 13},
                 {"./alpha", 7},
                 {"/alpha", 6},
                 {"alpha\0", 6},
                 {"alpha\0x", 7},
                 {"\0alpha", 6},
                 {"alpha\n", 6},
                 {"alph", 4},
                 {"*", 1},
                 {"%s%n%n", 6},
                 {"\xff\xfe", 2},
                 {".hidden", 7},
                 {"Alpha", 5},
                 {"alpha ", 6},
                 {"\0\0\0\0\0", 5},
                 {"", 0}};
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct given given = {names[i].bytes, names[i].size, plain, 100, NULL, false};
        const int error = run(seal, given, out, &size);

        assert_int_equal(error, names[i].size == 0 ? -VINE_EARGUMENT : -VINE_EKEY);
        assert_int_equal(size, 0);
    }
    const struct given long_name = {plain, 65, plain, 100, NULL, false};

    assert_int_equal(run(seal, long_name, out, &size), -VINE_ETOOBIG);
    it_still_works();
}

static void what_is_no_sealed_file_gives_nothing(void **state)
{
    uint64_t seed = 88172645463325252ULL;
    size_t sealed, size;

    (void)state;
    assert_int_equal(run(seal, whole("alpha", plain, 1000), out, &sealed), 0);
    for (unsigned round = 0; round < 300; round++) {
        memcpy(back, out, sealed);
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        /* One byte is another one, and often the end is missing. */
        back[seed % sealed] ^= (uint8_t)(seed >> 32 | 1);

        const size_t given = round % 3 == 0 ? seed % (sealed + 1) : sealed;
        const int error = run(unseal, whole(NULL, back, given), back, &size);

        assert_true(error == -VINE_EDATA || error == -VINE_EKEY || error == -VINE_EAUTHENTIC);
    }
    it_still_works();
}

static void sessions_are_cut_and_left_open_as_one_likes(void **state)
{
    enum { SESSIONS = 80 };
    struct vine_session *sessions[SESSIONS] = {NULL};
    size_t size, opened = 0;

    (void)state;
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct vine_procedure *procedure = i % 2 == 0 ? seal : unseal;

        if (vine_session_open(pipe_to, procedure, &sessions[i]) < 0)
            break;
        opened++;
        /* The first task decides; one that fails ends its session. */
        struct given first = {"alpha", 5, plain, i * 777, sessions[i], false};
        const int error = run(procedure, first, out, &size);

        if (i % 2 == 0)
            assert_true(error == 0 || error == -VINE_EQUOTA || error == -VINE_ESESSION);
        else
            assert_true(error < 0 || i * 777 < 64);
    }
    assert_true(opened >= 40);
    for (unsigned i = 0; i < opened; i += 2)
        vine_session_close(sessions[i]); /* without a last task */
    it_still_works();
    for (unsigned i = 1; i < opened; i += 2)
        vine_session_close(sessions[i]);
    /* A key that a later task of a session names changes nothing. */
    struct vine_session *session;
    struct given given = {"alpha", 5, plain, 1000, NULL, false};
    size_t first, second;

    assert_int_equal(vine_session_open(pipe_to, seal, &session), 0);
    given.session = session;
    assert_int_equal(run(seal, given, out, &first), 0);
    given.key = "beta";
    given.key_size = 4;
    given.is_last = true;
    assert_int_equal(run(seal, given, out + first, &second), 0);
    vine_session_close(session);
    assert_int_equal(run(unseal, whole("alpha", out, first + second), back, &size), 0);
    assert_int_equal(size, 2000);
}

static unsigned keys_in(const uint8_t *bytes, size_t size)
{
    const uint8_t *end = bytes + size, *at = bytes;
    unsigned found = 0;

    while (at + KEY_BYTES <= end &&
           (at = memchr(at, masked[0] ^ MASK, (size_t)(end - at))) != NULL) {
        unsigned same = 0;

        while (same < KEY_BYTES && at + same < end && (uint8_t)(at[same] ^ MASK) == masked[same])
            same++;
        found += same == KEY_BYTES;
        at++;
    }
    return found;
}

/* All that is mapped here, the appliance's half among it, by way of /proc, where nothing faults. */
static unsigned keys_in_memory(size_t *ret_looked)
{
    static uint8_t block[(1 << 20) + KEY_BYTES];
    FILE *maps = fopen("/proc/self/maps", "re");
    const int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[4400], rights[8];
    unsigned long begin, end;
    unsigned found = 0;

    assert_true(maps != NULL && mem >= 0);
    *ret_looked = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) != 3 || rights[0] != 'r')
            continue;
        if (end - begin > 1UL << 28)
            continue; /* a sanitizer's own */
        for (unsigned long at = begin; at < end; at += 1 << 20) {
            const ssize_t got = pread(mem, block, sizeof block, (off_t)at);

            found += got > 0 ? keys_in(block, (size_t)got) : 0;
            *ret_looked += got > 0 ? (size_t)got : 0;
        }
        memset(block, 0, sizeof block);
    }
    fclose(maps);
    close(mem);
    return found;
}

static void nothing_of_a_key_is_in_the_memory_that_is_shared(void **state)
{
    size_t looked;

    (void)state;
    it_still_works();
    assert_int_equal(keys_in_memory(&looked), 0);
    assert_true(looked > 100000);
    /* It is found where it is. */
    for (unsigned i = 0; i < KEY_BYTES; i++)
        planted[i] = masked[i] ^ MASK;
    assert_true(keys_in_memory(&looked) >= 1);
    memset(planted, 0, KEY_BYTES);
}

/* ---- the appliance --------------------------------------------------------------------------- */

static void put_key(const char *name, uint8_t *ret_masked)
{
    uint8_t bytes[KEY_BYTES];
    char path[128];
    const int random = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    assert_int_equal(read(random, bytes, sizeof bytes), sizeof bytes);
    close(random);
    (void)snprintf(path, sizeof path, "%s/keys/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    close(fd);
    for (unsigned i = 0; ret_masked != NULL && i < KEY_BYTES; i++)
        ret_masked[i] = bytes[i] ^ MASK;
    explicit_bzero(bytes, sizeof bytes);
}

static int start(void **state)
{
    char keys[64], line[256] = "";
    int ends[2];

    (void)state;
    assert_int_equal(folder_make(folder), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
    (void)snprintf(keys, sizeof keys, "%s/keys", folder);
    (void)snprintf(address, sizeof address, "%s/socket", folder);
    assert_int_equal(mkdir(keys, 0700), 0);
    put_key("alpha", masked);
    put_key("beta", NULL);
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 7 + i / 253);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    appliance = fork();
    if (appliance == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)execl(getenv("VINE_COMMAND"), "vine", "appliance", "--listen", address, "--keys",
                    keys, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);

    FILE *says = fdopen(ends[0], "re");

    while (strstr(line, " ready at ") == NULL)
        if (fgets(line, sizeof line, says) == NULL)
            return -1;
    assert_int_equal(vine_pipe_open(address, NULL, &pipe_to), 0);
    assert_int_equal(vine_procedure_get(pipe_to, "seal", &seal), 0);
    return vine_procedure_get(pipe_to, "open", &unseal);
}

static int stop(void **state)
{
    int status;

    (void)state;
    vine_pipe_close(pipe_to);
    kill(appliance, SIGTERM);
    return waitpid(appliance, &status, 0) == appliance && status == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_nowhere_else),
        cmocka_unit_test(what_is_no_sealed_file_gives_nothing),
        cmocka_unit_test(sessions_are_cut_and_left_open_as_one_likes),
        cmocka_unit_test(nothing_of_a_key_is_in_the_memory_that_is_shared),
    };

    return cmocka_run_group_tests(tests, start, stop);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=600 long=3000 */
/*
 * kill -9 of a VM server's store at random moments, while it takes a VM out of its pool, its guest
 * writes, and it is put back.
 *
 * Fault model: the process dies at any instruction; the machine goes on. What a guest has written
 * before that is there afterwards, wherever it was on its way; the image is clean; and the pool can
 * be changed. The moments come from the printed seed, as far as the machine's speed lets them.
 */
#include "../unit/vmm/server/pool_world.h"

#include "utils/atomic.h"

#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#define FAR ((off_t)DISK_BYTES - 8)

/* What the two processes share. */
struct shared {
    uint64_t written; /* the last number of which the guest knows that it has written it */
    uint64_t cycles;
    char uid[VINE__VM_UID_BYTES];
    bool is_wrong;
};

static struct shared *shared;

/* The number on the disk. */
static uint64_t number_on(const struct vine__boot *boot)
{
    uint64_t number;

    read_from(boot->disks[0].path, &number, sizeof(number), FAR);
    return number;
}

/* Until it is killed. */
static void run_server(void)
{
    open_store();
    shared->is_wrong |= open_pool("farm", NULL) != VINE_SERVER_E_DONE;
    while (!shared->is_wrong) {
        struct vine__boot *const boot = take_out(shared->uid);
        const uint64_t number = number_on(boot) + 1;

        shared->is_wrong |= number <= shared->written;
        write_to(boot->disks[0].path, &number, sizeof(number), FAR);
        vine__store_release_u64(&shared->written, number);
        shared->is_wrong |= put_back(shared->uid) != VINE_SERVER_E_DONE;
        vine__boot_free(boot);
        shared->cycles++;
    }
    _exit(1);
}

static void kill_one(uint64_t *random)
{
    struct timespec time = {.tv_sec = 0};
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        run_server();
    *random = *random * 6364136223846793005U + 1442695040888963407U;
    time.tv_nsec = (long)(*random >> 33) % (100 * 1000 * 1000);
    (void)nanosleep(&time, NULL);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(shared->is_wrong);
}

static void check_what_is_left(void)
{
    struct vine__boot *boot;

    open_store();
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    boot = take_out(shared->uid);
    assert_true(number_on(boot) >= shared->written);
    assert_true(number_on(boot) <= shared->written + 1);
    assert_true(begins_with(boot->kernel, "kernel of this one"));
    assert_int_equal(put_back(shared->uid), VINE_SERVER_E_DONE);
    assert_false(is_there(boot->disks[0].path));
    vine__boot_free(boot);
    close_store();
    assert_true(pool_is_clean("farm"));
}

static void what_a_guest_has_written_outlives_its_server(void **state)
{
    const char *const seed_text = getenv("VINE_TEST_SEED");
    uint64_t random =
        seed_text != NULL ? (uint64_t)strtoull(seed_text, NULL, 0) : (uint64_t)getpid();
    const int kills = getenv("VINE_TEST_LONG") != NULL ? 1000 : 25;
    uint64_t zero = 0;
    struct vine__boot *boot;

    (void)state;
    print_message("VINE_TEST_SEED=%llu\n", (unsigned long long)random);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    memcpy(shared->uid, vm_named("zip")->uid, sizeof(shared->uid));
    boot = take_out(shared->uid);
    write_to(boot->disks[0].path, &zero, sizeof(zero), FAR);
    assert_int_equal(put_back(shared->uid), VINE_SERVER_E_DONE);
    vine__boot_free(boot);
    close_store();
    for (int i = 0; i < kills; i++) {
        kill_one(&random);
        check_what_is_left();
    }
    print_message("%d killed, %llu times around\n", kills, (unsigned long long)shared->cycles);
    open_store();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_guest_has_written_outlives_its_server,
                                        pool_world_begin, pool_world_end),
    };

    if (!has_pool_tools())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

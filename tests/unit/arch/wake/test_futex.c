/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/futex.h"

#include "arch/clock/clock.h"
#include "utils/atomic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)
#define LONG_TIME   (60 * UINT64_C(1000000000))

static void a_word_that_differs_does_not_put_to_sleep(void **state)
{
    (void)state;
    const uint32_t word = 1;
    assert_int_equal(vine__futex_wait(&word, 2, VINE_FOREVER), 0);
    assert_int_equal(vine__futex_wait_private(&word, 2, VINE_FOREVER), 0);
}

static void an_unanswered_wait_ends_after_its_time_and_not_before(void **state)
{
    (void)state;
    const uint32_t word = 1;
    const uint64_t before_ns = vine__clock_now_ns();
    assert_int_equal(vine__futex_wait(&word, 1, 20 * MILLISECOND), -ETIMEDOUT);
    assert_true(vine__clock_now_ns() - before_ns >= 20 * MILLISECOND);
    assert_int_equal(vine__futex_wait_private(&word, 1, 0), -ETIMEDOUT);
}

static void a_word_that_is_not_in_memory_is_an_error(void **state)
{
    (void)state;
    uint32_t *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    assert_int_equal(vine__futex_wait(page, 0, MILLISECOND), -EFAULT);
    /* So is a device's memory, which can be looked at all the same. */
    const uint64_t before_ns = vine__clock_now_ns();
    assert_int_equal(vine__futex_wait_or_look(page, 0, VINE_FOREVER), 0);
    assert_true(vine__clock_now_ns() > before_ns);
    munmap(page, 4096);
}

static void waking_nobody_wakes_none(void **state)
{
    (void)state;
    const uint32_t word = 1;
    assert_int_equal(vine__futex_wake(&word, 1), 0);
    assert_int_equal(vine__futex_wake_private(&word, 1), 0);
}

/* The word is 1 until somebody wakes us with 2; each wait is bounded, since a wake-up before the
 * wait is none. */
static void *sleep_until_two(void *shared)
{
    uint32_t *word = shared;
    while (vine__load_acquire_u32(word) != 2) {
        const int error = vine__futex_wait(word, 1, LONG_TIME);
        if (error != 0 && error != -EINTR)
            return NULL;
    }
    return word;
}

static void a_thread_is_woken(void **state)
{
    (void)state;
    uint32_t word = 1;
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, sleep_until_two, &word), 0);
    vine__store_release_u32(&word, 2);
    assert_true(vine__futex_wake(&word, INT32_MAX) >= 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, &word);
}

static void a_process_that_maps_the_word_read_only_is_woken(void **state)
{
    (void)state;
    const int fd = memfd_create("futex", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(word, MAP_FAILED);
    vine__store_release_u32(word, 1);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        uint32_t *theirs = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        _exit(theirs != MAP_FAILED && sleep_until_two(theirs) != NULL ? 0 : 1);
    }
    /* Until it sleeps: only a sleeper can be counted. The other way out is its own end. */
    int status = -1;
    vine__store_release_u32(word, 1);
    const uint64_t deadline_ns = vine__clock_now_ns() + LONG_TIME;
    int woken = 0;
    while (woken == 0 && vine__clock_now_ns() < deadline_ns)
        woken = vine__futex_wake(word, 1); /* for nothing: it looks, and sleeps again */
    assert_int_equal(woken, 1);
    vine__store_release_u32(word, 2);
    assert_true(vine__futex_wake(word, 1) >= 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    /* Waking works on a read-only mapping too. */
    uint32_t *read_only = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(read_only, MAP_FAILED);
    assert_int_equal(vine__futex_wake(read_only, 1), 0);
    assert_int_equal(vine__futex_wait(read_only, 2, MILLISECOND), -ETIMEDOUT);
    munmap(read_only, 4096);
    munmap(word, 4096);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_that_differs_does_not_put_to_sleep),
        cmocka_unit_test(an_unanswered_wait_ends_after_its_time_and_not_before),
        cmocka_unit_test(a_word_that_is_not_in_memory_is_an_error),
        cmocka_unit_test(waking_nobody_wakes_none),
        cmocka_unit_test(a_thread_is_woken),
        cmocka_unit_test(a_process_that_maps_the_word_read_only_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

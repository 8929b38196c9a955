/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Words that processes share, which are waited for as anything else is. */
#include "poll_tests.h"

#include "arch/wake/futex.h"
#include "utils/atomic.h"

#include <sys/mman.h>
#include <sys/wait.h>

static uint32_t *shared_word(uint32_t value)
{
    uint32_t *const word =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(word != MAP_FAILED);
    *word = value;
    return word;
}

/* Whether somebody waits there by now: who is woken is told of in the next poll. */
static void wake_who_waits(struct vine__poller *poller, const uint32_t *word)
{
    int woken;

    do {
        (void)vine__poller_flush(poller);
        woken = vine__futex_wake(word, 1);
        assert_true(woken >= 0);
    } while (woken == 0);
}

/* Returns whether words can be waited for here; that they cannot is told at once. */
static bool can_wait(struct vine__poller *poller, uint32_t *word)
{
    struct watched other = WATCHED(VINE__POLL_WORD, .bytes = word, .offset = *word + 1);
    const int32_t result = run(poller, &other);

    if (result == -ENOSYS)
        print_message("nobody can wait for words here\n");
    else
        assert_int_equal(result, -EAGAIN);
    return result != -ENOSYS;
}

static void a_word_that_holds_something_else_is_not_waited_for(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t *const word = shared_word(UINT32_MAX - 1);

    (void)can_wait(poller, word);
    vine__poller_destroy(poller);
    munmap(word, 4096);
}

static void what_is_no_memory_is_refused(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t *const word = shared_word(0);
    const bool can = can_wait(poller, word);
    struct watched nowhere = WATCHED(VINE__POLL_WORD, .bytes = word, .offset = 0);

    munmap(word, 4096);
    assert_int_equal(run(poller, &nowhere), can ? -EFAULT : -ENOSYS);
    vine__poller_destroy(poller);
}

static void who_waits_for_a_word_is_woken_by_another_process(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t *const word = shared_word(7);

    for (uint32_t round = 0; can_wait(poller, word) && round < 20; round++) {
        struct watched waiting = WATCHED(VINE__POLL_WORD, .bytes = word, .offset = *word);

        vine__poller_begin(poller, &waiting.operation);
        (void)vine__poller_flush(poller);

        const pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            (void)vine__fetch_add_acq_rel_u32(word, 1);
            (void)vine__futex_wake(word, 1);
            _exit(0);
        }
        assert_int_equal(wait_for(poller, &waiting), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    vine__poller_destroy(poller);
    munmap(word, 4096);
}

static void a_word_is_waited_for_again_by_its_own_function(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t *const word = shared_word(0);

    if (can_wait(poller, word)) {
        struct watched waiting = WATCHED(VINE__POLL_WORD, .bytes = word, .offset = 0);

        for (uint32_t round = 1; round <= 100; round++) {
            waiting.is_over = false;
            vine__poller_begin(poller, &waiting.operation);
            wake_who_waits(poller, word);
            assert_int_equal(wait_for(poller, &waiting), 0);
            assert_int_equal(waiting.calls, round);
        }
    }
    vine__poller_destroy(poller);
    munmap(word, 4096);
}

static void a_wait_for_a_word_can_be_cancelled(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t *const word = shared_word(0);

    if (can_wait(poller, word)) {
        struct watched waiting = WATCHED(VINE__POLL_WORD, .bytes = word, .offset = 0);

        vine__poller_begin(poller, &waiting.operation);
        (void)vine__poller_flush(poller);
        assert_int_equal(vine__poller_poll(poller, UINT32_MAX), 0);
        vine__poller_cancel(poller, &waiting.operation);
        assert_int_equal(wait_for(poller, &waiting), -ECANCELED);
        assert_int_equal(vine__futex_wake(word, 1), 0);
    }
    vine__poller_destroy(poller);
    munmap(word, 4096);
}

static void the_end_of_a_poller_ends_waits_for_words(void **state)
{
    (void)state;
    struct vine__poller *poller = poller_create();
    uint32_t *const word = shared_word(0);
    struct watched waiting = WATCHED(VINE__POLL_WORD, .bytes = word, .offset = 0);

    vine__poller_begin(poller, &waiting.operation);
    (void)vine__poller_flush(poller);
    vine__poller_destroy(poller);
    assert_true(waiting.is_over);
    assert_true(waiting.result == -ECANCELED || waiting.result == -ENOSYS);
    munmap(word, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_that_holds_something_else_is_not_waited_for),
        cmocka_unit_test(what_is_no_memory_is_refused),
        cmocka_unit_test(who_waits_for_a_word_is_woken_by_another_process),
        cmocka_unit_test(a_word_is_waited_for_again_by_its_own_function),
        cmocka_unit_test(a_wait_for_a_word_can_be_cancelled),
        cmocka_unit_test(the_end_of_a_poller_ends_waits_for_words),
    };
    return RUN_OVER_BACKENDS(tests);
}

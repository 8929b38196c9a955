/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * The host's writer of a status page, seen through another mapping, as a guest sees it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "utils/atomic.h"
#include "vmm/engine/status.h"

struct view {
    struct vine__status status;
    const struct vine_status_page *page;
};

static struct view open_view(uint32_t place_count)
{
    struct view view;

    assert_int_equal(vine__status_create(place_count, &view.status), 0);
    view.page = mmap(NULL, VINE_STATUS_PAGE_BYTES, PROT_READ, MAP_SHARED, view.status.fd, 0);
    assert_ptr_not_equal(view.page, MAP_FAILED);
    return view;
}

static void close_view(struct view *view)
{
    (void)munmap((void *)(uintptr_t)view->page, VINE_STATUS_PAGE_BYTES);
    vine__status_close(&view->status);
}

static const struct vine_status_side sides[2] = {
    {.state = VINE_STATUS_ATTACHED, .generation = 3, .doorbell_peer = 5, .doorbell_vector = 2},
    {.state = VINE_STATUS_LOST, .reason = VINE_STATUS_REASON_PANIC, .generation = 9},
};

static const struct vine__status_entry entry = {.name = "zstd",
                                                .end = VINE_STATUS_APPLIANCE,
                                                .channels = 4,
                                                .size_bytes = {4096, 8192},
                                                .sides = sides};

static void a_new_page_has_places_and_no_links(void **state)
{
    struct view view = open_view(3);

    (void)state;
    assert_memory_equal(&view.page->magic, "VISTATUS", 8);
    assert_int_equal(view.page->version_major, VINE_STATUS_VERSION_MAJOR);
    assert_int_equal(view.page->link_count, 3);
    assert_int_equal(view.page->doorbell_peer, VINE_STATUS_NO_DOORBELL);
    for (int place = 0; place < VINE_STATUS_LINKS_MAX; place++)
        assert_int_equal(view.page->links[place].is_plugged, 0);
    close_view(&view);
}

static void nobody_can_take_pages_of_the_page_away(void **state)
{
    struct view view = open_view(1);

    (void)state;
    assert_int_equal(ftruncate(view.status.fd, 4096), -1);
    assert_int_equal(ftruncate(view.status.fd, 1 << 20), -1);
    /* There may be more: that nobody can execute it. */
    const int wanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;

    assert_int_equal(fcntl(view.status.fd, F_GET_SEALS) & wanted, wanted);
    close_view(&view);
}

static void an_entry_says_all_of_its_link(void **state)
{
    struct view view = open_view(2);
    const struct vine_status_link *const link = &view.page->links[1];

    (void)state;
    vine__status_plug(&view.status, 1, &entry);
    assert_int_equal(link->sequence, 2);
    assert_int_equal(link->is_plugged, 1);
    assert_int_equal(link->end, VINE_STATUS_APPLIANCE);
    assert_int_equal(link->channels, 4);
    assert_int_equal(link->generation, 1);
    assert_int_equal(link->size_bytes[0], 4096);
    assert_int_equal(link->size_bytes[1], 8192);
    assert_string_equal(link->name, "zstd");
    assert_memory_equal(link->sides, sides, sizeof(sides));
    assert_int_equal(view.page->changes, 1);
    assert_int_equal(view.page->links[0].is_plugged, 0);
    close_view(&view);
}

static void each_change_raises_sequence_and_changes_and_nothing_else_does(void **state)
{
    struct view view = open_view(1);
    struct vine_status_side other[2];

    (void)state;
    memcpy(other, sides, sizeof(other));
    vine__status_plug(&view.status, 0, &entry);
    (void)vine__status_set_sides(&view.status, 0, sides);
    assert_int_equal(view.page->links[0].sequence, 2);
    assert_int_equal(view.page->changes, 1);
    other[0].state = VINE_STATUS_PAUSED;
    (void)vine__status_set_sides(&view.status, 0, other);
    assert_int_equal(view.page->links[0].sequence, 4);
    assert_int_equal(view.page->links[0].sides[0].state, VINE_STATUS_PAUSED);
    assert_int_equal(view.page->changes, 2);
    vine__status_set_doorbell(&view.status, 7);
    assert_int_equal(view.page->doorbell_peer, 7);
    assert_int_equal(view.page->changes, 3);
    close_view(&view);
}

static void a_place_that_gets_a_link_again_has_another_generation(void **state)
{
    struct view view = open_view(1);

    (void)state;
    vine__status_plug(&view.status, 0, &entry);
    vine__status_unplug(&view.status, 0);
    assert_int_equal(view.page->links[0].is_plugged, 0);
    vine__status_unplug(&view.status, 0);
    assert_int_equal(view.page->changes, 2);
    vine__status_plug(&view.status, 0, &entry);
    assert_int_equal(view.page->links[0].is_plugged, 1);
    assert_int_equal(view.page->links[0].generation, 2);
    close_view(&view);
}

/* A guest reads while the host writes: what it believes is never half of one and half of
 * another. */
struct reader {
    const struct vine_status_link *shared;
    uint32_t is_over;
    uint32_t read_count;
    uint32_t torn_count;
};

static void *read_on(void *context)
{
    struct reader *const reader = context;
    uint64_t words[sizeof(struct vine_status_link) / sizeof(uint64_t)];
    struct vine_status_link copy;

    while (vine__load_relaxed_u32(&reader->is_over) == 0) {
        const uint32_t sequence = vine__load_acquire_u32(&reader->shared->sequence);

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            words[i] = vine__load_relaxed_u64((const uint64_t *)(const void *)reader->shared + i);
        vine__fence_full();
        if (sequence % 2 != 0 || vine__load_relaxed_u32(&reader->shared->sequence) != sequence)
            continue;
        memcpy(&copy, words, sizeof(copy));
        reader->read_count++;
        if (copy.sides[0].generation != copy.sides[1].generation)
            reader->torn_count++;
    }
    return NULL;
}

static void a_reader_believes_no_torn_entry(void **state)
{
    struct view view = open_view(1);
    struct reader reader = {.shared = &view.page->links[0]};
    struct vine_status_side both[2] = {{0}, {0}};
    pthread_t thread;

    (void)state;
    vine__status_plug(
        &view.status, 0,
        &(struct vine__status_entry){.name = "l", .size_bytes = {4096, 4096}, .sides = both});
    assert_int_equal(pthread_create(&thread, NULL, read_on, &reader), 0);
    for (uint64_t i = 1; i < 200000; i++) {
        both[0].generation = both[1].generation = i;
        (void)vine__status_set_sides(&view.status, 0, both);
    }
    vine__store_relaxed_u32(&reader.is_over, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(reader.torn_count, 0);
    close_view(&view);
}

/* ---- another process goes on ----------------------------------------------------------------- */

/* Write until it is killed: both sides have the same generation, one more each time. */
static void write_on(const struct vine__status *former)
{
    struct vine__status status;
    struct vine_status_side both[2] = {{0}, {0}};

    if (vine__status_adopt(former->fd, former->books_fd, former->place_count, &status) != 0)
        _exit(1);
    for (uint64_t next = vine__status_entry(&status, 1)->sides[0].generation + 1;; next++) {
        both[0].generation = both[1].generation = next;
        if (next % 3 == 0)
            vine__status_unplug(&status, 1);
        if (vine__status_entry(&status, 1)->is_plugged == 0)
            vine__status_plug(&status, 1,
                              &(struct vine__status_entry){
                                  .name = "l", .size_bytes = {4096, 4096}, .sides = both});
        else
            (void)vine__status_set_sides(&status, 1, both);
    }
}

static void who_is_killed_anywhere_leaves_books_that_hold(void **state)
{
    struct view view = open_view(2);
    const struct vine_status_link *const shared = &view.page->links[1];
    uint64_t generation = 0;

    (void)state;
    for (uint32_t round = 0; round < 50; round++) {
        const uint32_t begin = vine__load_relaxed_u32(&view.page->changes);
        const pid_t pid = fork();
        struct vine__status heir;

        if (pid == 0)
            write_on(&view.status);
        while (vine__load_relaxed_u32(&view.page->changes) - begin < 50 + 37 * round)
            (void)sched_yield();
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        const bool was_whole = shared->sequence % 2 == 0;
        const uint64_t was_read = shared->sides[0].generation;

        assert_int_equal(vine__status_adopt(view.status.fd, view.status.books_fd, 2, &heir), 0);
        const struct vine_status_link *const entry_now = vine__status_entry(&heir, 1);

        assert_int_equal(entry_now->sides[0].generation, entry_now->sides[1].generation);
        assert_true(entry_now->generation >= generation);
        /* No guest has read more than they say. */
        assert_true(!was_whole || entry_now->sides[0].generation >= was_read);
        generation = entry_now->generation;
        assert_int_equal(shared->sequence % 2, 0);
        assert_memory_equal(shared, entry_now, sizeof(*shared));
        vine__status_close(&heir);
    }
    close_view(&view);
}

static void books_of_something_else_are_refused(void **state)
{
    struct view view = open_view(2);
    struct vine__status heir;

    (void)state;
    assert_int_equal(vine__status_adopt(view.status.fd, view.status.books_fd, 1, &heir), -EINVAL);
    assert_int_equal(vine__status_adopt(view.status.fd, view.status.fd, 2, &heir), -EINVAL);
    assert_int_equal(vine__status_adopt(view.status.books_fd, view.status.books_fd, 2, &heir),
                     -EINVAL);
    assert_int_equal(vine__status_adopt(-1, view.status.books_fd, 2, &heir), -EBADF);
    view.status.books->current[1] = 2;
    assert_int_equal(vine__status_adopt(view.status.fd, view.status.books_fd, 2, &heir), -EINVAL);
    view.status.books->current[1] = 0;
    view.status.books->bytes++; /* another version's */
    assert_int_equal(vine__status_adopt(view.status.fd, view.status.books_fd, 2, &heir), -EINVAL);
    close_view(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_page_has_places_and_no_links),
        cmocka_unit_test(nobody_can_take_pages_of_the_page_away),
        cmocka_unit_test(an_entry_says_all_of_its_link),
        cmocka_unit_test(each_change_raises_sequence_and_changes_and_nothing_else_does),
        cmocka_unit_test(a_place_that_gets_a_link_again_has_another_generation),
        cmocka_unit_test(a_reader_believes_no_torn_entry),
        cmocka_unit_test(who_is_killed_anywhere_leaves_books_that_hold),
        cmocka_unit_test(books_of_something_else_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

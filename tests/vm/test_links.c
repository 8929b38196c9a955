/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=1200 long=3600 */
/*
 * Links between real machines that come and go, stand still, are slow, or are not what they seem.
 *
 * Fault model: a machine that stands still or gets a tenth of its time; links that are plugged and
 * unplugged under load; a status page that its writer has left half written, or that says what
 * cannot be; memory that a machine can only read and writes to all the same; a process that keeps
 * the memory of a link that is gone; a machine that takes its own devices out; applications that
 * write anything into their half and submit anything; a kernel that panics. `zip` serves, `app` and
 * `two` have applications that compare every byte.
 */
#include <dirent.h>
#include <sys/mman.h>

#include "arch/guest/status_layout.h"
#include "utils/atomic.h"
#include "vm/machines.h"

static struct machines run;

static const char plan[] =
    "'links_max': 5, 'machines': ["
    "{'name': 'zip', 'kernel_options': ['quiet'], "
    "'files': {'procs/hostile.so': '$/plugins/hostile.so'}, 'init': ["
    "'keep appliance /usr/bin/vine appliance --listen pci:auto -v --procs /procs']},"
    "{'name': 'app', @, 'init': ['start load /link load pci:one']},"
    "{'name': 'two', @, 'init': ['start load /link load pci:two', "
    "'start more /link load pci:more', 'start hold /link hold held', "
    "'start eject /link eject thrown']},"
    "{'name': 'ill', 'kernel_options': ['quiet'], 'files': {'link': '$/vm_link_guest', "
    "'application': '$/vm_hostile_application', 'borders': '$/vm_hostile_borders', "
    "'words': '$/vm_hostile_words'}, 'init': ['run poke /link poke', %s"
    "'env VINE_TEST_LINK_BAD=pci:bad', 'env VINE_TEST_LINK_GOOD=pci:ill', "
    "'run application /application', 'run borders /borders', %s"
    "'start load /link load pci:ill', 'run panic /link panic']}],"
    "'links': [{'name': 'one', 'application': 'app', 'appliance': 'zip', 'size': '16M'},"
    "{'name': 'two', 'application': 'two', 'appliance': 'zip', 'size': '16M'},"
    "{'name': 'ill', 'application': 'ill', 'appliance': 'zip', 'size': '16M'},"
    "{'name': 'bad', 'application': 'ill', 'appliance': 'zip', 'size': '128K'}]}";

static int set_up(void **state)
{
    char text[sizeof(plan) + 64];

    (void)state;
    (void)snprintf(text, sizeof(text), plan, is_long() ? "'env VINE_TEST_LONG=1', " : "",
                   is_long() ? "'run words /words', " : "");
    machines_start(&run, text);
    (void)expect_line(&run, 0, "app", "pci:one: served");
    (void)expect_line(&run, 0, "two", "pci:two: served");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    refuse_line(&run, 0, "zip", "appliance ended");
    refuse_line(&run, 0, "zip", "appliance was ended");
    machines_end(&run);
    return 0;
}

static void both_go_on(size_t from)
{
    (void)expect_lines(&run, from, "app", "load pci:one: ", 2);
    (void)expect_lines(&run, from, "two", "load pci:two: ", 2);
}

static void nobody_was_lost(size_t from)
{
    refuse_line(&run, from, "app", "pci:one: lost");
    refuse_line(&run, from, "two", "pci:two: lost");
}

/* ---- one that is hostile --------------------------------------------------------------------- */

/* All memory of the run, as its host sees it. */
static void no_poke_has_reached(void)
{
    char path[96], name[96];
    unsigned looked = 0;

    for (int fd = 0; fd < 256; fd++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)run.pid, fd);
        const ssize_t length = readlink(path, name, sizeof(name) - 1);

        if (length <= 0 || strncmp(name, "/memfd:", 7) != 0)
            continue;
        const int memory_fd = open(path, O_RDONLY | O_CLOEXEC);
        const off_t size = lseek(memory_fd, 0, SEEK_END);
        const uint64_t *const words = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, memory_fd, 0);

        assert_ptr_not_equal(words, MAP_FAILED);
        for (size_t i = 0; i < (size_t)size / 8; i++)
            if ((vine__load_relaxed_u64(&words[i]) ^ i) == UINT64_C(0xbadbadbad0000000))
                fail_msg("word %zu of %s was written", i, name);
        (void)munmap((void *)(uintptr_t)words, (size_t)size);
        (void)close(memory_fd);
        looked++;
    }
    /* Two of each link, and of each machine a page and the books of it. */
    assert_int_equal(looked, 2 * 4 + 2 * 4);
}

static void what_a_machine_can_only_read_it_does_not_change(void **state)
{
    const size_t at = expect_line(&run, 0, "ill", "poke: done");

    (void)state;
    for (size_t i = 0; i < at; i++)
        if (line_is(&run.lines[i], "ill", "line", "poke: ")) {
            print_message("%s\n", run.lines[i].text);
            assert_non_null(strstr(run.lines[i].text, " 0 changed"));
        }
    (void)expect_line(&run, 0, "ill", "poke: status page");
    (void)expect_line(&run, 0, "ill", "poke: ill");
    no_poke_has_reached();
}

static unsigned count_lines(size_t from, size_t to, const char *machine, const char *text)
{
    unsigned count = 0;

    for (size_t i = from; i < to; i++)
        count += line_is(&run.lines[i], machine, "line", text);
    return count;
}

/* What the earlier tests do to an appliance at a socket, as far as it is done in memory: those
 * tests are run in the machine, and fail there if an attack has another answer than it must. Each
 * value of each word takes minutes: in the long run. */
static void a_hostile_machine_hurts_its_own_link_alone(void **state)
{
    static const char *const programs[] = {"application", "borders", "words"};
    /* Why pipes were closed, as the appliance tells it. */
    static const char *const reasons[] = {
        "closed: the other side wrote something impossible into the shared memory",
        "closed: the other side broke the protocol",
        "closed: a token names no living box",
    };
    const size_t begin = expect_line(&run, 0, "ill", "poke: done");
    size_t at = begin;

    (void)state;
    for (size_t i = 0; i < (is_long() ? 3 : 2); i++) {
        char ended[64];

        (void)snprintf(ended, sizeof(ended), "vine-init: %s ", programs[i]);
        while (!line_is(&run.lines[at], "ill", "line", ended))
            at = expect_line(&run, at + 1, "ill", "");
        print_message("after %.1f s: %s\n", (double)(run.lines[at].ns - run.lines[begin].ns) / 1e9,
                      run.lines[at].text);
        assert_non_null(strstr(run.lines[at].text, "ended with 0"));
    }
    assert_int_equal(count_lines(begin, at, "ill", "FAILED ]"), 0);
    print_message("%u tests in the guest; app has compared %u blocks, two %u meanwhile\n",
                  count_lines(begin, at, "ill", "OK ]"), 64 * count_lines(begin, at, "app", "good"),
                  64 * count_lines(begin, at, "two", "good"));
    assert_true(count_lines(begin, at, "ill", "OK ]") >= (is_long() ? 25 : 18));
    for (size_t i = 0; i < 3; i++)
        assert_true(count_lines(begin, at, "zip", reasons[i]) > 0);
    assert_true(count_lines(begin, at, "app", "good") > 0);
    assert_true(count_lines(begin, at, "two", "good") > 0);
    nobody_was_lost(0);
    both_go_on(at);
}

static void a_panic_is_told_to_the_other_end(void **state)
{
    struct times told = {0};
    size_t at = expect_line(&run, 0, "ill", "pci:ill: served");

    (void)state;
    at = expect_line(&run, at, "ill", "Kernel panic");
    times_add(&told, run.lines[expect_line(&run, at, "zip", "its kernel has panicked")].ns -
                         run.lines[at].ns);
    times_print(&told, "panics; the appliance is told after");
    at = expect_event(&run, at, "ill", "ended", "panicked");
    both_go_on(at);
    nobody_was_lost(0);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void who_stands_still_goes_on_where_it_was(void **state)
{
    static const char *const machines[] = {"app", "zip"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char words[32];
        const size_t from = run.count;

        (void)snprintf(words, sizeof(words), "pause %s", machines[i]);
        tell(&run, words);
        size_t at = expect_event(&run, from, machines[i], "paused", "");

        /* The other application does not wait for it. */
        if (i == 0)
            (void)expect_lines(&run, at, "two", "good", 3);
        else
            for (int second = 0; second < 2; second++)
                machines_hear(&run, VINE_NS_PER_SECOND);
        (void)snprintf(words, sizeof(words), "resume %s", machines[i]);
        at = run.count;
        tell(&run, words);
        at = expect_event(&run, at, machines[i], "resumed", "");
        both_go_on(at);
        nobody_was_lost(from);
    }
}

/* Of each 50 ms the process gets 5. */
static void slow_down(pid_t pid, uint64_t duration_ns)
{
    const uint64_t begin_ns = vine__clock_now_ns();

    while (vine__clock_now_ns() - begin_ns < duration_ns) {
        assert_int_equal(kill(pid, SIGSTOP), 0);
        (void)poll(NULL, 0, 45);
        assert_int_equal(kill(pid, SIGCONT), 0);
        (void)poll(NULL, 0, 5);
        machines_hear(&run, 0);
    }
}

static void a_tenth_of_the_speed_is_slow_and_nothing_else(void **state)
{
    static const char *const machines[] = {"app", "zip"};
    const uint64_t duration_ns = (is_long() ? 30 : 3) * VINE_NS_PER_SECOND;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const size_t from = run.count;

        slow_down(pid_of(&run, machines[i]), duration_ns);
        both_go_on(run.count);
        nobody_was_lost(from);
    }
}

/* ---- the status page ------------------------------------------------------------------------- */

/* The page of machine `index`, as its host sees it: we write it in the host's place. */
static struct vine_status_page *map_page(uint32_t index)
{
    char path[96], name[96];
    struct vine_status_page *page = MAP_FAILED;
    uint32_t found = 0;

    for (int fd = 0; fd < 256 && page == MAP_FAILED; fd++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)run.pid, fd);
        const ssize_t size = readlink(path, name, sizeof(name) - 1);

        if (size <= 0)
            continue;
        name[size] = '\0';
        if (strstr(name, "memfd:vine-status") == NULL || found++ != index)
            continue;
        const int page_fd = open(path, O_RDWR | O_CLOEXEC);

        assert_true(page_fd >= 0);
        page = mmap(NULL, VINE_STATUS_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
        (void)close(page_fd);
    }
    assert_ptr_not_equal(page, MAP_FAILED);
    return page;
}

/* Everybody looks again. The host counts on from what it wrote itself: by one step alone its next
 * changes could end at the number that was seen here, and none of them would be looked at. */
static void raise_changes(struct vine_status_page *page)
{
    vine__store_release_u32(&page->changes, vine__load_relaxed_u32(&page->changes) + 0x10000);
}

static void a_page_that_is_left_half_written_is_waited_for(void **state)
{
    const size_t from = run.count;

    (void)state;
    for (uint32_t machine = 0; machine < 2; machine++) {
        struct vine_status_page *const page = map_page(machine);
        struct vine_status_link *const entry = &page->links[0];
        const uint32_t sequence = vine__load_relaxed_u32(&entry->sequence);
        const struct vine_status_link whole = *entry;

        vine__store_release_u32(&entry->sequence, sequence + 1);
        memset(entry->sides, 0xee, sizeof(entry->sides));
        entry->generation = 77;
        entry->is_plugged = 0;
        raise_changes(page);
        both_go_on(run.count);
        both_go_on(run.count);
        *entry = whole;
        vine__store_release_u32(&entry->sequence, sequence + 2);
        raise_changes(page);
        both_go_on(run.count);
        (void)munmap(page, VINE_STATUS_PAGE_BYTES);
    }
    nobody_was_lost(from);
}

static void a_page_that_says_what_cannot_be_costs_that_link_alone(void **state)
{
    struct vine_status_page *const page = map_page(1);
    struct vine_status_link *const entry = &page->links[0];
    const uint32_t sequence = vine__load_relaxed_u32(&entry->sequence);
    const struct vine_status_link whole = *entry;
    const size_t from = run.count;

    (void)state;
    vine__store_release_u32(&entry->sequence, sequence + 1);
    entry->sides[VINE_STATUS_APPLIANCE].state = 0x7fffffff;
    vine__store_release_u32(&entry->sequence, sequence + 2);
    raise_changes(page);
    size_t at = expect_line(&run, from, "app", "pci:one: lost");

    /* And a link that is smaller than it is said to be is none. */
    vine__store_release_u32(&entry->sequence, sequence + 3);
    entry->sides[VINE_STATUS_APPLIANCE] = whole.sides[VINE_STATUS_APPLIANCE];
    entry->size_bytes[VINE_STATUS_APPLICATION] *= 4;
    vine__store_release_u32(&entry->sequence, sequence + 4);
    raise_changes(page);
    at = expect_line(&run, at + 1, "app", "pci:one: lost: ");
    print_message("%s\n", run.lines[at].text);

    vine__store_release_u32(&entry->sequence, sequence + 5);
    *entry = whole;
    vine__store_release_u32(&entry->sequence, sequence + 6);
    raise_changes(page);
    (void)expect_line(&run, at, "app", "pci:one: served");
    both_go_on(at);
    refuse_line(&run, from, "two", "pci:two: lost");
    (void)munmap(page, VINE_STATUS_PAGE_BYTES);
}

/* ---- links that come and go ------------------------------------------------------------------ */

static void links_are_plugged_while_another_is_served(void **state)
{
    const unsigned rounds = is_long() ? 20 : 2;
    struct times served = {0}, told = {0};
    const size_t begin = run.count;

    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        const size_t from = run.count;
        const uint64_t plugged_ns = vine__clock_now_ns();

        tell(&run, "plug more two zip 8M");
        times_add(&served,
                  run.lines[expect_line(&run, from, "two", "pci:more: served")].ns - plugged_ns);
        const size_t at = run.count;
        const uint64_t unplugged_ns = vine__clock_now_ns();

        tell(&run, "unplug more");
        times_add(&told,
                  run.lines[expect_line(&run, at, "two", "pci:more: lost")].ns - unplugged_ns);
        (void)expect_event(&run, at, "two", "unplugged", "more");
        (void)expect_event(&run, at, "zip", "unplugged", "more");
    }
    times_print(&served, "links plugged; an application is served after");
    times_print(&told, "... and told of an unplug after");
    nobody_was_lost(begin);
    both_go_on(run.count);
}

/* ---- who keeps what is gone, and who throws away what is there ------------------------------- */

/* A kernel leaves a process the mapping of a device that is gone: it sees zeros there, or what is
 * plugged in the same place after it. */
static void memory_that_is_kept_holds_up_no_unplug_and_shows_nothing_of_the_next_link(void **state)
{
    const size_t from = run.count;

    (void)state;
    tell(&run, "plug held two zip 8M");
    (void)expect_line(&run, from, "two", "hold held: 0 sees a5a5a5a5a5a5a5a5");
    (void)expect_line(&run, from, "two", "hold held: 1 sees 0000000000000000");
    const size_t at = run.count;

    tell(&run, "unplug held");
    (void)expect_event(&run, at, "two", "unplugged", "held");
    (void)expect_event(&run, at, "zip", "unplugged", "held");
    (void)expect_line(&run, at, "two", "hold held: 0 sees 0000000000000000");
    const size_t again = run.count;

    tell(&run, "plug more two zip 8M");
    (void)expect_line(&run, again, "two", "pci:more: served");
    tell(&run, "unplug more");
    (void)expect_event(&run, again, "two", "unplugged", "more");
    (void)expect_event(&run, again, "zip", "unplugged", "more");
    refuse_line(&run, again, "two", "hold held: ");
    both_go_on(run.count);
}

static void a_machine_that_takes_its_own_devices_out_loses_that_link_alone(void **state)
{
    const unsigned rounds = 2;
    const size_t begin = run.count;

    (void)state;
    tell(&run, "plug thrown two zip 8M");
    (void)expect_event(&run, begin, "two", "unplugged", "thrown");
    (void)expect_event(&run, begin, "zip", "unplugged", "thrown");
    /* And nothing of it is left. */
    for (unsigned i = 0; i < rounds; i++) {
        const size_t from = run.count;

        tell(&run, "plug thrown two zip 8M");
        (void)expect_event(&run, from, "two", "plugged", "thrown");
        (void)expect_event(&run, from, "zip", "plugged", "thrown");
        tell(&run, "unplug thrown");
        (void)expect_event(&run, from, "two", "unplugged", "thrown");
        (void)expect_event(&run, from, "zip", "unplugged", "thrown");
    }
    nobody_was_lost(begin);
    both_go_on(run.count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_machine_can_only_read_it_does_not_change),
        cmocka_unit_test(a_hostile_machine_hurts_its_own_link_alone),
        cmocka_unit_test(a_panic_is_told_to_the_other_end),
        cmocka_unit_test(who_stands_still_goes_on_where_it_was),
        cmocka_unit_test(a_tenth_of_the_speed_is_slow_and_nothing_else),
        cmocka_unit_test(a_page_that_is_left_half_written_is_waited_for),
        cmocka_unit_test(a_page_that_says_what_cannot_be_costs_that_link_alone),
        cmocka_unit_test(links_are_plugged_while_another_is_served),
        cmocka_unit_test(memory_that_is_kept_holds_up_no_unplug_and_shows_nothing_of_the_next_link),
        cmocka_unit_test(a_machine_that_takes_its_own_devices_out_loses_that_link_alone),
    };
    const int status = machines_prepare();

    return status != 0 ? status : cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The status page as a guest reads it, before hosts that err, and that write meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/fake_machines.h"

#include <pthread.h>

#include <vine/error.h>

#include "arch/guest/guest.h"

struct told {
    struct fake_host host;
    char why[256];
};

static int open_guest(struct told *told, struct vine__guest **ret_guest)
{
    const struct vine__guest_options options = {
        .sysfs_root = told->host.machines[0].sysfs,
        .command_line = told->host.machines[0].command_line,
        .why = told->why,
        .why_size = sizeof told->why,
    };

    told->why[0] = 0;
    return vine__guest_open(&options, ret_guest);
}

static struct vine__guest *guest_of(struct told *told)
{
    struct vine__guest *guest = NULL;

    assert_int_equal(open_guest(told, &guest), 0);
    return guest;
}

static int set_up(void **state)
{
    struct told *told = calloc(1, sizeof *told);

    assert_non_null(told);
    fake_start(&told->host);
    *state = told;
    return 0;
}

static int tear_down(void **state)
{
    struct told *told = *state;

    fake_stop(&told->host);
    free(told);
    return 0;
}

static void is_refused(struct told *told, int error)
{
    struct vine__guest *guest = NULL;

    assert_int_equal(open_guest(told, &guest), error);
    assert_null(guest);
    assert_true(told->why[0] != 0);
}

/* ---- the page -------------------------------------------------------------------------------- */

static void a_machine_that_is_told_of_no_page_has_none(void **state)
{
    struct told *told = *state;
    const struct fake_machine *machine = &told->host.machines[0];

    fake_set_command_line(&told->host, 0, "quiet\n");
    assert_false(vine__guest_is_told(machine->command_line));
    is_refused(told, -ENODEV);
    fake_set_command_line(&told->host, 0, "quiet vine.status= ro");
    assert_false(vine__guest_is_told(machine->command_line));
    is_refused(told, -ENODEV);
    fake_set_command_line(&told->host, 0, "");
    assert_false(vine__guest_is_told(machine->command_line));
    is_refused(told, -ENODEV);
    assert_int_equal(unlink(machine->command_line), 0);
    assert_false(vine__guest_is_told(machine->command_line));
    is_refused(told, -ENOENT);
}

static void what_is_no_device_is_refused(void **state)
{
    struct told *told = *state;

    fake_set_command_line(&told->host, 0, "vine.status=0000:00:09.0");
    is_refused(told, -ENODEV);
    fake_set_command_line(&told->host, 0, "vine.status=../../0000:00:02.0");
    is_refused(told, -VINE_ECONFIG);
}

static void a_page_without_its_magic_is_none(void **state)
{
    struct told *told = *state;
    struct vine_status_page *page = told->host.machines[0].page;

    page->magic = 0;
    is_refused(told, -VINE_EMAGIC);
    page->magic = VINE_STATUS_MAGIC + 1;
    is_refused(told, -VINE_EMAGIC);
}

static void another_major_version_is_refused_and_a_later_minor_one_is_not(void **state)
{
    struct told *told = *state;
    struct vine_status_page *page = told->host.machines[0].page;

    page->version_major = VINE_STATUS_VERSION_MAJOR + 1;
    is_refused(told, -VINE_EVERSION);
    page->version_major = 0;
    is_refused(told, -VINE_EVERSION);
    page->version_major = VINE_STATUS_VERSION_MAJOR;
    page->version_minor = UINT16_MAX;
    vine__guest_close(guest_of(told));
}

static void more_places_than_there_can_be_are_refused(void **state)
{
    struct told *told = *state;
    struct vine_status_page *page = told->host.machines[0].page;

    page->link_count = VINE_STATUS_LINKS_MAX + 1;
    is_refused(told, -VINE_ECORRUPT);
    page->link_count = UINT32_MAX;
    is_refused(told, -VINE_ECORRUPT);
    page->link_count = VINE_STATUS_LINKS_MAX;

    struct vine__guest *guest = guest_of(told);

    /* They were counted once. */
    page->link_count = UINT32_MAX;
    assert_int_equal(vine__guest_places(guest), VINE_STATUS_LINKS_MAX);
    vine__guest_close(guest);
}

static void a_device_that_is_too_small_for_a_page_is_refused(void **state)
{
    struct told *told = *state;
    char path[2 * FAKE_SYSFS_PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/status0", told->host.folder);
    assert_int_equal(truncate(path, 4096), 0);
    is_refused(told, -VINE_ETRUNCATED);
    assert_int_equal(truncate(path, VINE_STATUS_PAGE_BYTES), 0);
}

/* ---- entries --------------------------------------------------------------------------------- */

static void an_entry_is_read_as_it_was_written(void **state)
{
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    const uint32_t changes = vine__guest_changes(guest);
    struct vine__guest_link link;

    fake_plug(&told->host, 1, "A-z.9_");
    told->host.links[1].ends[1].doorbell_peer = 7;
    told->host.links[1].ends[1].doorbell_vector = 3;
    fake_say(&told->host, 1, 1, VINE_STATUS_LOST, VINE_STATUS_REASON_PANIC);
    assert_int_not_equal(vine__guest_changes(guest), changes);
    assert_int_equal(vine__guest_link_at(guest, 1, &link), 0);
    assert_string_equal(link.name, "A-z.9_");
    assert_int_equal(link.place, 1);
    assert_int_equal(link.end, VINE_STATUS_APPLICATION);
    assert_int_equal(link.generation, 1);
    assert_int_equal(link.size_bytes[0], FAKE_HALF_BYTES);
    assert_int_equal(link.size_bytes[1], FAKE_HALF_BYTES);
    assert_int_equal(link.ends[0].state, VINE_STATUS_ATTACHED);
    assert_int_equal(link.ends[0].generation, 1);
    assert_int_equal(link.ends[1].state, VINE_STATUS_LOST);
    assert_int_equal(link.ends[1].reason, VINE_STATUS_REASON_PANIC);
    assert_int_equal(link.ends[1].doorbell_peer, 7);
    assert_int_equal(link.ends[1].doorbell_vector, 3);
    vine__guest_close(guest);
}

static void no_link_is_where_none_is_plugged_and_beyond_the_last_place(void **state)
{
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    struct vine__guest_link link;

    assert_int_equal(vine__guest_link_at(guest, 0, &link), -ENOENT);
    assert_int_equal(vine__guest_link_at(guest, FAKE_PLACES, &link), -ENOENT);
    assert_int_equal(vine__guest_link_at(guest, UINT32_MAX, &link), -ENOENT);
    fake_plug(&told->host, 0, "gone");
    fake_unplug(&told->host, 0);
    assert_int_equal(vine__guest_link_at(guest, 0, &link), -ENOENT);
    vine__guest_close(guest);
}

/* Each field of an entry with what it cannot be. */
static void an_impossible_field_is_refused(void **state)
{
    static const struct {
        const char *what;
        size_t offset;
        uint32_t value;
    } fields[] = {
        {"plugged", offsetof(struct vine_status_link, is_plugged), 2},
        {"plugged", offsetof(struct vine_status_link, is_plugged), UINT32_MAX},
        {"end", offsetof(struct vine_status_link, end), 2},
        {"end", offsetof(struct vine_status_link, end), UINT32_MAX},
        {"name without any", offsetof(struct vine_status_link, name), 0},
        {"name with a slash", offsetof(struct vine_status_link, name), 0x612f61},
        {"name with a space", offsetof(struct vine_status_link, name), 0x612061},
        {"name beyond ASCII", offsetof(struct vine_status_link, name), 0x61e461},
        {"state", offsetof(struct vine_status_link, sides[0].state), 4},
        {"state", offsetof(struct vine_status_link, sides[1].state), UINT32_MAX},
        {"reason", offsetof(struct vine_status_link, sides[0].reason), UINT32_MAX},
        {"reason", offsetof(struct vine_status_link, sides[1].reason), 6},
    };
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    unsigned char *entry = (void *)fake_entry(&told->host, 0, 0);
    struct vine__guest_link link;

    fake_plug(&told->host, 0, "zip");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        uint32_t good;

        memcpy(&good, entry + fields[i].offset, sizeof good);
        memcpy(entry + fields[i].offset, &fields[i].value, sizeof good);
        memset(&link, 'u', sizeof link);
        if (vine__guest_link_at(guest, 0, &link) != -VINE_ECORRUPT)
            fail_msg("%s %#x is taken", fields[i].what, fields[i].value);
        assert_int_equal(link.place, 0x75757575); /* untouched */
        memcpy(entry + fields[i].offset, &good, sizeof good);
        assert_int_equal(vine__guest_link_at(guest, 0, &link), 0);
    }
    vine__guest_close(guest);
}

static void a_name_without_an_end_is_refused(void **state)
{
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    struct vine_status_link *entry = fake_entry(&told->host, 0, 0);
    struct vine__guest_link link;

    fake_plug(&told->host, 0, "zip");
    memset(entry->name, 'a', sizeof entry->name);
    assert_int_equal(vine__guest_link_at(guest, 0, &link), -VINE_ECORRUPT);
    entry->name[sizeof entry->name - 1] = 0;
    assert_int_equal(vine__guest_link_at(guest, 0, &link), 0);
    assert_int_equal(strlen(link.name), VINE_STATUS_NAME_BYTES - 1);
    vine__guest_close(guest);
}

/* ---- an entry that is being written ---------------------------------------------------------- */

static void an_entry_that_is_written_for_ever_is_not_waited_for(void **state)
{
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    struct vine__guest_link link;

    fake_plug(&told->host, 0, "zip");
    fake_tear(&told->host, 0, 0);
    memset(&link, 'u', sizeof link);
    assert_int_equal(vine__guest_link_at(guest, 0, &link), -EAGAIN);
    assert_int_equal(link.place, 0x75757575);
    fake_mend(&told->host, 0, 0);
    assert_int_equal(vine__guest_link_at(guest, 0, &link), 0);
    vine__guest_close(guest);
}

/* A host that writes without end: all that it says of one moment is one number. */
struct writer {
    struct fake_host *host;
    uint32_t is_over; /* atomic */
    uint64_t writes;
};

static void *write_on(void *context)
{
    struct writer *writer = context;
    struct fake_link *known = &writer->host->links[0];

    while (vine__load_relaxed_u32(&writer->is_over) == 0) {
        const uint64_t number = ++writer->writes;

        known->generation = number;
        known->ends[0].generation = number;
        known->ends[1].generation = number;
        (void)snprintf(known->name, sizeof known->name, "n%llu", (unsigned long long)number);
        fake_tell(writer->host, 0);
    }
    return NULL;
}

static void what_is_read_was_there_at_one_moment(void **state)
{
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    struct writer writer = {.host = &told->host};
    uint64_t last = 0;
    uint32_t whole = 0;
    pthread_t thread;

    fake_plug(&told->host, 0, "n0");
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
    for (uint32_t i = 0; i < 20000 || whole < 100; i++) {
        struct vine__guest_link link;
        const int error = vine__guest_link_at(guest, 0, &link);
        char name[VINE_STATUS_NAME_BYTES];

        if (error == -EAGAIN)
            continue;
        assert_int_equal(error, 0);
        whole++;
        if (strcmp(link.name, "n0") == 0)
            continue;
        (void)snprintf(name, sizeof name, "n%llu", (unsigned long long)link.generation);
        assert_string_equal(link.name, name);
        assert_int_equal(link.ends[0].generation, link.generation);
        assert_int_equal(link.ends[1].generation, link.generation);
        assert_true(link.generation >= last);
        last = link.generation;
    }
    vine__store_relaxed_u32(&writer.is_over, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vine__guest_close(guest);
}

/* ---- devices --------------------------------------------------------------------------------- */

static void the_devices_of_a_link_stand_behind_their_ports(void **state)
{
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    char bdf[VINE__GUEST_BDF_BYTES];

    fake_plug(&told->host, 2, "zip");
    assert_int_equal(vine__guest_device(guest, 2, VINE_STATUS_APPLICATION, bdf), 0);
    assert_string_equal(bdf, "0000:05:00.0");
    assert_int_equal(vine__guest_device(guest, 2, VINE_STATUS_APPLIANCE, bdf), 0);
    assert_string_equal(bdf, "0000:06:00.0");
    vine__guest_close(guest);
}

static void a_port_has_no_device_yet_or_none_at_all(void **state)
{
    static const char *const others[] = {"power", "0000:05:00", "0000:05:00.00", "0000:05:00.0x",
                                         "pcie"};
    struct told *told = *state;
    struct vine__guest *guest = guest_of(told);
    char bdf[VINE__GUEST_BDF_BYTES] = "untouched";
    char port[FAKE_SYSFS_PATH_MAX];

    assert_int_equal(vine__guest_device(guest, 2, VINE_STATUS_APPLIANCE, bdf), -ENODEV);
    assert_int_equal(vine__guest_device(guest, FAKE_PLACES, VINE_STATUS_APPLIANCE, bdf), -ENODEV);
    fake_port(&told->host, 0, 2, 1, port);
    assert_int_equal(mkdir(port, 0700), 0);
    assert_int_equal(vine__guest_device(guest, 2, VINE_STATUS_APPLIANCE, bdf), -ENODEV);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char path[2 * FAKE_SYSFS_PATH_MAX];

        (void)snprintf(path, sizeof path, "%s/%s", port, others[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    assert_int_equal(vine__guest_device(guest, 2, VINE_STATUS_APPLIANCE, bdf), -ENODEV);
    assert_string_equal(bdf, "untouched");
    vine__guest_close(guest);
}

static void a_doorbell_is_there_if_both_the_command_line_and_the_page_say_so(void **state)
{
    struct told *told = *state;
    char bdf[VINE__GUEST_BDF_BYTES];
    uint32_t peer = 0;
    struct vine__guest *guest = guest_of(told);

    told->host.machines[0].page->doorbell_peer = 5;
    assert_int_equal(vine__guest_doorbell(guest, bdf, &peer), -ENODEV);
    vine__guest_close(guest);
    fake_set_command_line(&told->host, 0,
                          "vine.status=" FAKE_STATUS_BDF " vine.doorbell=0000:00:03.0");
    guest = guest_of(told);
    assert_int_equal(vine__guest_doorbell(guest, bdf, &peer), 0);
    assert_string_equal(bdf, "0000:00:03.0");
    assert_int_equal(peer, 5);
    told->host.machines[0].page->doorbell_peer = VINE_STATUS_NO_DOORBELL;
    assert_int_equal(vine__guest_doorbell(guest, bdf, &peer), -ENODEV);
    vine__guest_close(guest);
}

static void whatever_is_said_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(vine__guest_state_name(VINE_STATUS_LOST), "lost");
    assert_string_equal(vine__guest_state_name((enum vine_status_side_state)4), "?");
    assert_string_equal(vine__guest_reason_name(VINE_STATUS_REASON_RESET), "it has started anew");
    assert_string_equal(vine__guest_reason_name((enum vine_status_reason)6), "?");
}

#define TOLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOLD(a_machine_that_is_told_of_no_page_has_none),
        TOLD(what_is_no_device_is_refused),
        TOLD(a_page_without_its_magic_is_none),
        TOLD(another_major_version_is_refused_and_a_later_minor_one_is_not),
        TOLD(more_places_than_there_can_be_are_refused),
        TOLD(a_device_that_is_too_small_for_a_page_is_refused),
        TOLD(an_entry_is_read_as_it_was_written),
        TOLD(no_link_is_where_none_is_plugged_and_beyond_the_last_place),
        TOLD(an_impossible_field_is_refused),
        TOLD(a_name_without_an_end_is_refused),
        TOLD(an_entry_that_is_written_for_ever_is_not_waited_for),
        TOLD(what_is_read_was_there_at_one_moment),
        TOLD(the_devices_of_a_link_stand_behind_their_ports),
        TOLD(a_port_has_no_device_yet_or_none_at_all),
        TOLD(a_doorbell_is_there_if_both_the_command_line_and_the_page_say_so),
        cmocka_unit_test(whatever_is_said_has_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

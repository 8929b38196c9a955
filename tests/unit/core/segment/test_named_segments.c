/* SPDX-License-Identifier: Apache-2.0 */
/* Named segments: who may make, replace, enter and remove them, and what the dead leave behind. */
#include "segment_tests.h"

#include "unit/arch/memory/fake_sysfs.h"

static struct vine_segment *held; /* by a child until it is killed */

static int attach_as_application(void)
{
    const struct vine_segment_options options = file_options(VINE_SEGMENT_APPLICATION);
    return vine_segment_attach(&options, &held, NULL);
}

static int create_as_appliance(void)
{
    const struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    const int error = vine_segment_create(&options, &held, NULL);
    return error != 0 ? error : vine_segment_publish(held);
}

static int create_and_stay_half_way(void)
{
    const struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    return vine_segment_create(&options, &held, NULL);
}

static void a_second_application_is_busy_and_told_whose_it_is(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment *segment = create_published(&options);
    struct vine_segment_report report;
    const struct child child = start_child(attach_as_application);
    char expected[VINE_SEGMENT_WHY_MAX];

    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -EBUSY);
    assert_int_equal(report.holder_pid, child.pid);
    (void)snprintf(expected, sizeof(expected),
                   "segment %s: is in use by an application, process %d", segment_path,
                   (int)child.pid);
    assert_string_equal(report.why, expected);
    assert_int_equal(vine_segment_participants(segment), 2);
    kill_child(&child);
    reap_child(&child);
    vine_segment_unref(segment);
}

static void the_side_of_the_dead_is_taken_over_even_before_they_are_reaped(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment *segment = create_published(&options);
    struct vine_segment_report report;
    struct vine_segment_presence presence;
    const struct child child = start_child(attach_as_application);

    assert_int_equal(vine_segment_presence(segment, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(presence.state, VINE_SEGMENT_ALIVE);
    assert_int_equal(presence.pid, child.pid);
    const uint64_t claims_before = presence.claims;
    kill_child(&child);
    assert_int_equal(vine_segment_presence(segment, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(presence.state, VINE_SEGMENT_DEAD);
    assert_int_equal(vine_segment_participants(segment), 1);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
    assert_int_equal(report.dead_pid, child.pid);
    assert_string_equal(report.why, "");
    assert_int_equal(vine_segment_presence(segment, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(presence.state, VINE_SEGMENT_ABSENT);
    assert_int_equal(presence.claims, claims_before + 1);
    reap_child(&child);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
    assert_int_equal(report.dead_pid, 0);
    vine_segment_unref(segment);
}

static void a_creator_that_dies_half_way_leaves_corrupted_which_is_made_anew(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    const struct child child = start_child(create_and_stay_half_way);

    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EINITIALIZING);
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EBUSY);
    assert_int_equal(report.holder_pid, child.pid);
    kill_child(&child);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    assert_non_null(strstr(report.why, "died while it initialized it"));
    reap_child(&child);
    segment = create_published(&options);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
    vine_segment_unref(segment);
}

static void nobody_replaces_a_segment_in_which_somebody_lives(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLICATION);
    unsigned char before[64];
    unsigned char after[64];
    const struct child child = start_child(create_as_appliance);

    peek(0, before, sizeof(before));
    options.segment_bytes = 1 << 20;
    for (int truncates = 0; truncates < 2; truncates++) {
        options.truncate = truncates == 1;
        assert_int_equal(vine_segment_create(&options, &segment, &report), -EBUSY);
        assert_int_equal(report.holder_pid, child.pid);
    }
    peek(0, after, sizeof(after));
    assert_memory_equal(before, after, sizeof(before));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
    kill_child(&child);
    reap_child(&child);
    vine_segment_unref(create_published(&options));
}

static void a_segment_is_made_anew_with_the_next_generation_and_zero_regions(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment_facts first;
    struct vine_segment_facts second;
    void *base;
    uint64_t size_bytes;
    struct vine_segment *segment = create_published(&options);
    vine_segment_facts(segment, &first);
    assert_int_equal(first.generation, 1);
    assert_int_equal(first.owner_uid, geteuid());
    assert_int_equal(
        vine_segment_find(segment, VINE_SEGMENT_KIND_APPLIANCE_HALF, &base, &size_bytes), 0);
    assert_int_equal(size_bytes, 2 * HALF_BYTES);
    memset(base, 0x77, (size_t)size_bytes);
    vine_segment_unref(segment);

    segment = create_published(&options);
    vine_segment_facts(segment, &second);
    assert_int_equal(second.generation, 2);
    assert_memory_not_equal(first.identity, second.identity, sizeof(first.identity));
    assert_int_equal(
        vine_segment_find(segment, VINE_SEGMENT_KIND_APPLIANCE_HALF, &base, &size_bytes), 0);
    for (uint64_t i = 0; i < size_bytes; i++)
        assert_int_equal(((unsigned char *)base)[i], 0);
    vine_segment_unref(segment);

    options.generation = 40;
    memset(options.identity, 9, sizeof(options.identity));
    segment = create_published(&options);
    vine_segment_facts(segment, &second);
    assert_int_equal(second.generation, 40);
    assert_memory_equal(second.identity, options.identity, sizeof(options.identity));
    vine_segment_unref(segment);
}

static void a_segment_of_another_major_version_is_replaced_when_nobody_lives_in_it(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLICATION);
    const struct child child = start_child(create_as_appliance);
    POKE(version_major, 9);
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EBUSY);
    kill_child(&child);
    reap_child(&child);
    vine_segment_unref(create_published(&options));
}

static void what_is_no_segment_is_replaced_only_when_told_to_truncate(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct stat status;
    static unsigned char content[1 << 18];
    const size_t sizes[] = {5, 4095, 4096, sizeof(content)};

    memset(content, 0xff, sizeof(content));
    for (int i = 0; i < 4; i++) {
        put_file(content, sizes[i], 0);
        options.truncate = false;
        assert_int_equal(vine_segment_create(&options, &segment, &report), -VINE_EMAGIC);
        assert_int_equal(stat(segment_path, &status), 0);
        assert_int_equal(status.st_size, sizes[i]);
        options.truncate = true;
        segment = create_published(&options);
        assert_int_equal(stat(segment_path, &status), 0);
        assert_int_equal(status.st_size, vine_segment_size(segment));
        assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
        vine_segment_unref(segment);
        segment = NULL;
    }
}

static void an_empty_file_becomes_a_segment(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    put_file("", 0, 0);
    vine_segment_unref(create_published(&options));
}

static bool is_name_made(const struct vine_segment_options *options)
{
    struct vine_segment *segment = create_published(options);
    struct vine_segment_facts facts;

    vine_segment_facts(segment, &facts);
    vine_segment_unref(segment);
    return facts.name_is_made;
}

static void a_name_is_of_who_made_it_however_often_it_is_made_anew(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);

    assert_true(is_name_made(&options));
    assert_true(is_name_made(&options)); /* left behind by the one before */
    options.truncate = true;
    assert_true(is_name_made(&options));
    /* What somebody else made stays theirs: an empty file, one that is no segment. */
    put_file("", 0, 0);
    options.truncate = false;
    assert_false(is_name_made(&options));
    assert_false(is_name_made(&options));
    put_file("x", 1, 8192);
    options.truncate = true;
    assert_false(is_name_made(&options));
}

static void a_larger_file_keeps_its_size_unless_truncated(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct stat status;
    options.segment_bytes = 1 << 20;
    vine_segment_unref(create_published(&options));
    options.segment_bytes = 0;
    struct vine_segment *segment = create_published(&options);
    assert_int_equal(stat(segment_path, &status), 0);
    assert_int_equal(status.st_size, 1 << 20);
    assert_true(vine_segment_size(segment) < 1 << 20);
    vine_segment_unref(segment);
    options.truncate = true;
    segment = create_published(&options);
    assert_int_equal(stat(segment_path, &status), 0);
    assert_int_equal(status.st_size, vine_segment_size(segment));
    vine_segment_unref(segment);
}

static void both_halves_are_found_by_both_sides_and_lie_apart(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment *appliance = create_published(&options);
    struct vine_segment *application = NULL;
    struct vine_segment_facts facts;
    void *bases[4];
    void *nothing = NULL;
    uint64_t sizes[4];
    options.side = VINE_SEGMENT_APPLICATION;
    assert_int_equal(vine_segment_attach(&options, &application, NULL), 0);
    for (unsigned int i = 0; i < 4; i++)
        assert_int_equal(vine_segment_find(i < 2 ? appliance : application,
                                           i % 2 == 0 ? VINE_SEGMENT_KIND_APPLICATION_HALF
                                                      : VINE_SEGMENT_KIND_APPLIANCE_HALF,
                                           &bases[i], &sizes[i]),
                         0);
    assert_int_equal(sizes[0], HALF_BYTES);
    assert_int_equal(sizes[2], HALF_BYTES);
    assert_int_equal(sizes[3], 2 * HALF_BYTES);
    memset(bases[2], 0x11, HALF_BYTES);
    memset(bases[1], 0x22, 2 * HALF_BYTES);
    assert_memory_equal(bases[0], bases[2], HALF_BYTES);
    assert_memory_equal(bases[1], bases[3], 2 * HALF_BYTES);
    assert_int_equal(*(unsigned char *)bases[0], 0x11);
    assert_int_equal((uintptr_t)bases[0] % 4096, 0);
    assert_int_equal(vine_segment_find(appliance, VINE_SEGMENT_KIND_HEAP, &nothing, &sizes[0]),
                     -ENOENT);
    assert_int_equal(vine_segment_find(appliance, VINE_SEGMENT_KIND_NONE, &nothing, &sizes[0]),
                     -ENOENT);
    assert_null(nothing);
    vine_segment_facts(application, &facts);
    assert_int_equal(facts.trust, VINE_SEGMENT_ONE_USER);
    assert_int_equal(facts.backend, VINE_SEGMENT_FILE);
    vine_segment_unref(application);
    vine_segment_unref(appliance);
}

static void sides_are_claimed_and_detached_one_at_a_time(void **state)
{
    (void)state;
    struct vine_segment_presence presence;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    struct vine_segment_report report;
    struct vine_segment *first = create_published(&options);
    struct vine_segment *second = NULL;
    struct vine_segment *reader = NULL;
    assert_int_equal(vine_segment_attach(&options, &second, &report), 0);
    options.read_only = true;
    assert_int_equal(vine_segment_attach(&options, &reader, &report), 0);
    assert_int_equal(vine_segment_participants(reader), 0);
    assert_int_equal(vine_segment_claim(reader, VINE_SEGMENT_APPLICATION, &report), -EROFS);
    assert_int_equal(vine_segment_claim(first, VINE_SEGMENT_NOBODY, &report), -EINVAL);
    assert_int_equal(vine_segment_claim(first, VINE_SEGMENT_APPLICATION, &report), 0);
    assert_int_equal(vine_segment_presence(reader, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(vine_segment_claim(first, VINE_SEGMENT_APPLICATION, &report), 0);
    const uint64_t claims_before = presence.claims;
    assert_int_equal(vine_segment_presence(reader, VINE_SEGMENT_APPLICATION, &presence), 0);
    assert_int_equal(presence.claims, claims_before + 1);
    assert_int_equal(vine_segment_claim(first, VINE_SEGMENT_APPLIANCE, &report), -EINVAL);
    assert_int_equal(vine_segment_claim(second, VINE_SEGMENT_APPLICATION, &report), -EBUSY);
    assert_int_equal(report.holder_pid, getpid());
    assert_int_equal(vine_segment_claim(second, VINE_SEGMENT_APPLIANCE, &report), 0);
    assert_int_equal(vine_segment_participants(reader), 2);
    vine_segment_detach(first);
    vine_segment_detach(first);
    assert_int_equal(vine_segment_participants(reader), 1);
    vine_segment_unref(second);
    assert_int_equal(vine_segment_participants(reader), 0);
    assert_int_equal(vine_segment_condemn(reader), -EROFS);
    assert_int_equal(vine_segment_extent_add(reader, 4096), -EROFS);
    vine_segment_unref(first);
    vine_segment_unref(reader);
}

static void a_holder_of_another_machine_counts_as_alive(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    struct vine_segment_report report;
    vine_segment_unref(create_published(&options));
    struct vine__segment_holder foreign = {.word = 0x3fffff, .scope = 0x1234};
    poke(offsetof(struct vine__segment_header, sides), &foreign, sizeof(foreign));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -EBUSY);
    foreign.scope = 0;
    poke(offsetof(struct vine__segment_header, sides), &foreign, sizeof(foreign));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -EBUSY);
}

/* As in two containers that were started together. */
static void the_same_pid_and_start_in_another_namespace_is_somebody_else(void **state)
{
    (void)state;
    const struct vine__identity theirs = {.pid = 7, .start_ticks = 77, .scope = 111};
    const struct vine__identity ours = {.pid = 7, .start_ticks = 77, .scope = 222};
    struct vine__segment_holder line = {0};
    struct vine__segment_holder_state before;

    assert_int_equal(vine__segment_holder_take(&line, &theirs, &before), 0);
    assert_int_equal(vine__segment_holder_take(&line, &ours, &before), -EBUSY);
    assert_int_equal(vine__segment_holder_renew(&line, &ours), -EBUSY);
    vine__segment_holder_leave(&line, &ours);
    assert_int_equal(vine__segment_holder_renew(&line, &theirs), 0);
    vine__segment_holder_leave(&line, &theirs);
    assert_int_equal(line.word, 0);
    assert_int_equal(line.scope, 0);
}

static void a_pid_that_was_reused_is_dead(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    struct vine_segment_report report;
    struct vine__identity self;
    vine_segment_unref(create_published(&options));
    vine__identity_of_self(&self);
    self.start_ticks++;
    struct vine__segment_holder older = {.word = vine__segment_word(&self), .scope = self.scope};
    poke(offsetof(struct vine__segment_header, sides), &older, sizeof(older));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
    assert_int_equal(report.dead_pid, getpid());
}

static void a_name_is_removed_unless_somebody_else_lives_there(void **state)
{
    (void)state;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    struct vine_segment_report report;
    assert_int_equal(vine_segment_remove(&options, &report), -ENOENT);
    put_file("precious", 8, 0);
    assert_int_equal(vine_segment_remove(&options, &report), -VINE_EMAGIC);
    put_file("precious", 8, 8192);
    assert_int_equal(vine_segment_remove(&options, &report), -VINE_EMAGIC);
    (void)unlink(segment_path);

    const struct child child = start_child(create_as_appliance);
    assert_int_equal(vine_segment_remove(&options, &report), -EBUSY);
    assert_int_equal(report.holder_pid, child.pid);
    options.side = VINE_SEGMENT_APPLIANCE;
    assert_int_equal(vine_segment_remove(&options, &report), -EBUSY);
    kill_child(&child);
    reap_child(&child);
    assert_int_equal(vine_segment_remove(&options, &report), 0);
    assert_int_equal(access(segment_path, F_OK), -1);

    /* An appliance that stops removes its name while an application is still there. */
    struct vine_segment *segment = create_published(&options);
    const struct child application = start_child(attach_as_application);
    assert_int_equal(vine_segment_remove(&options, &report), 0);
    kill_child(&application);
    reap_child(&application);
    vine_segment_unref(segment);

    put_file("", 0, 0);
    assert_int_equal(vine_segment_remove(&options, &report), 0);
    options.backend = VINE_SEGMENT_MEMFD;
    assert_int_equal(vine_segment_remove(&options, &report), -EOPNOTSUPP);
}

static void posix_names_work_like_files(void **state)
{
    (void)state;
    char name[64];
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment *application = NULL;
    struct vine_segment_report report;
    (void)snprintf(name, sizeof(name), "/vine-test-%d", (int)getpid());
    options.backend = VINE_SEGMENT_POSIX;
    options.name = name;
    options.offset_bytes = 8192;
    struct vine_segment *appliance = create_published(&options);
    options.side = VINE_SEGMENT_APPLICATION;
    options.offset_bytes = 0;
    assert_int_equal(vine_segment_attach(&options, &application, &report), -VINE_EINITIALIZING);
    options.offset_bytes = 8192;
    assert_int_equal(vine_segment_attach(&options, &application, &report), 0);
    assert_int_equal(vine_segment_participants(application), 2);
    vine_segment_unref(application);
    vine_segment_unref(appliance);
    assert_int_equal(vine_segment_remove(&options, &report), 0);
}

static void a_bar_carries_a_segment_between_two_trees(void **state)
{
    (void)state;
    char here[] = "/tmp/vine-sysfs-XXXXXX";
    char there[] = "/tmp/vine-sysfs-XXXXXX";
    const struct fake_device device = {"0000:00:05.0", 0x1af4, 0x1110, 1 << 20, 1 << 20, 1, 0};
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment *application = NULL;
    struct vine_segment *reader = NULL;
    struct vine_segment_report report;
    struct vine_segment_facts facts;
    assert_int_equal(fake_sysfs_create(here), 0);
    assert_int_equal(fake_sysfs_create(there), 0);
    assert_int_equal(fake_sysfs_add(here, &device), 0);
    assert_int_equal(fake_sysfs_add(there, &device), 0);
    assert_int_equal(fake_sysfs_share(here, device.bdf, there, device.bdf), 0);

    options.backend = VINE_SEGMENT_IVSHMEM;
    options.name = "auto";
    options.sysfs_root = here;
    options.exclusive = true;
    options.write_combining = true;
    struct vine_segment *appliance = create_published(&options);
    assert_true(vine_segment_needs_fence(appliance));
    vine_segment_publish_fence(appliance);
    options.sysfs_root = there;
    options.side = VINE_SEGMENT_APPLICATION;
    assert_int_equal(vine_segment_attach(&options, &application, &report), 0);
    assert_int_equal(vine_segment_participants(application), 2);
    vine_segment_facts(application, &facts);
    assert_int_equal(facts.trust, VINE_SEGMENT_ONE_USER);
    assert_int_equal(facts.backend, VINE_SEGMENT_IVSHMEM);
    vine_segment_unref(application);
    vine_segment_unref(appliance);

    /* A device that carries one half is one-way: its reader needs no right to write. */
    options.sysfs_root = here;
    options.region_count = 1;
    appliance = create_published(&options);
    options.sysfs_root = there;
    options.side = VINE_SEGMENT_NOBODY;
    options.read_only = true;
    assert_int_equal(vine_segment_attach(&options, &reader, &report), 0);
    vine_segment_facts(reader, &facts);
    assert_int_equal(facts.trust, VINE_SEGMENT_HOSTILE_SAFE);
    vine_segment_unref(reader);
    vine_segment_unref(appliance);

    options.read_only = false;
    options.regions[0].size_bytes = 2 << 20;
    assert_int_equal(vine_segment_create(&options, &reader, &report), -VINE_ETRUNCATED);
    assert_int_equal(fake_sysfs_destroy(here), 0);
    assert_int_equal(fake_sysfs_destroy(there), 0);
}

static void each_backend_has_a_name_and_a_trust_class(void **state)
{
    (void)state;
    assert_string_equal(vine_segment_backend_name(VINE_SEGMENT_POSIX), "posix");
    assert_string_equal(vine_segment_backend_name(VINE_SEGMENT_BACKEND_COUNT), "?");
    assert_int_equal(vine_segment_backend_trust(VINE_SEGMENT_MEMFD), VINE_SEGMENT_HOSTILE_SAFE);
    assert_int_equal(vine_segment_backend_trust(VINE_SEGMENT_IVSHMEM), VINE_SEGMENT_HOSTILE_SAFE);
    assert_int_equal(vine_segment_backend_trust(VINE_SEGMENT_FILE), VINE_SEGMENT_ONE_USER);
    assert_int_equal(vine_segment_backend_trust(VINE_SEGMENT_BACKEND_COUNT), VINE_SEGMENT_ONE_USER);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, forget_file)
    const struct CMUnitTest tests[] = {
        TEST(a_second_application_is_busy_and_told_whose_it_is),
        TEST(the_side_of_the_dead_is_taken_over_even_before_they_are_reaped),
        TEST(a_creator_that_dies_half_way_leaves_corrupted_which_is_made_anew),
        TEST(nobody_replaces_a_segment_in_which_somebody_lives),
        TEST(a_segment_is_made_anew_with_the_next_generation_and_zero_regions),
        TEST(a_segment_of_another_major_version_is_replaced_when_nobody_lives_in_it),
        TEST(what_is_no_segment_is_replaced_only_when_told_to_truncate),
        TEST(an_empty_file_becomes_a_segment),
        TEST(a_name_is_of_who_made_it_however_often_it_is_made_anew),
        TEST(a_larger_file_keeps_its_size_unless_truncated),
        TEST(both_halves_are_found_by_both_sides_and_lie_apart),
        TEST(sides_are_claimed_and_detached_one_at_a_time),
        TEST(a_holder_of_another_machine_counts_as_alive),
        TEST(the_same_pid_and_start_in_another_namespace_is_somebody_else),
        TEST(a_pid_that_was_reused_is_dead),
        TEST(a_name_is_removed_unless_somebody_else_lives_there),
        TEST(posix_names_work_like_files),
        TEST(a_bar_carries_a_segment_between_two_trees),
        TEST(each_backend_has_a_name_and_a_trust_class),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

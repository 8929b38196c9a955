/* SPDX-License-Identifier: Apache-2.0 */
/* What an attach refuses: every way in which a named segment can be none, or not ours. */
#include "segment_tests.h"

static void a_segment_that_is_missing_is_enoent(void **state)
{
    (void)state;
    struct vine_segment_report report;
    assert_int_equal(try_attach(VINE_SEGMENT_NOBODY, &report), -ENOENT);
    assert_non_null(strstr(report.why, segment_path));
}

static void an_empty_file_is_truncated(void **state)
{
    (void)state;
    struct vine_segment_report report;
    put_file("", 0, 0);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ETRUNCATED);
    assert_non_null(strstr(report.why, "is empty"));
}

static void a_file_shorter_than_a_header_is_truncated(void **state)
{
    (void)state;
    struct vine_segment_report report;
    put_file("VINESEG1", 8, 0);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ETRUNCATED);
    put_file("VINESEG1", 8, 4095);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ETRUNCATED);
    assert_non_null(strstr(report.why, "4095"));
}

static void a_segment_that_was_cut_off_is_truncated(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    vine_segment_unref(create_published(&options));
    assert_int_equal(truncate(segment_path, 2 * 4096), 0);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ETRUNCATED);
    assert_non_null(strstr(report.why, "at offset 40"));
}

static void a_segment_that_claims_more_than_there_is_is_truncated(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    vine_segment_unref(create_published(&options));
    POKE(size_bytes, UINT64_C(1) << 40);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ETRUNCATED);
}

static void a_segment_smaller_than_asked_for_is_truncated(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    struct vine_segment *segment = NULL;
    vine_segment_unref(create_published(&options));
    options.segment_bytes = 1 << 20;
    assert_int_equal(vine_segment_attach(&options, &segment, &report), -VINE_ETRUNCATED);
}

static void foreign_magic_is_refused(void **state)
{
    (void)state;
    struct vine_segment_report report;
    put_file("#!/bin/sh\n", 10, 1 << 16);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EMAGIC);
    assert_non_null(strstr(report.why, "at offset 0"));
}

static void zeroes_are_a_segment_that_is_not_initialized_yet(void **state)
{
    (void)state;
    struct vine_segment_report report;
    put_file("", 0, 1 << 16);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EINITIALIZING);
}

static void another_major_version_is_refused_and_a_higher_minor_is_not(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    struct vine_segment *segment = NULL;
    struct vine_segment_facts facts;
    vine_segment_unref(create_published(&options));
    POKE(version_minor, 77);
    assert_int_equal(vine_segment_attach(&options, &segment, &report), 0);
    vine_segment_facts(segment, &facts);
    assert_int_equal(facts.version_minor, VINE__SEGMENT_VERSION_MINOR);
    vine_segment_unref(segment);

    POKE(version_major, 3);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EVERSION);
    char expected[VINE_SEGMENT_WHY_MAX];
    (void)snprintf(expected, sizeof(expected), "segment %s: major version 3 at offset 8, this is 2",
                   segment_path);
    assert_string_equal(report.why, expected);
}

static void another_fingerprint_is_refused(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    vine_segment_unref(create_published(&options));
    POKE(fingerprint, FINGERPRINT + 1);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EFINGERPRINT);
    assert_non_null(strstr(report.why, "at offset 16"));
    POKE(fingerprint, FINGERPRINT);
    POKE(line_bytes, 128);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EFINGERPRINT);
    POKE(line_bytes, 64);
    POKE(slot_bytes, 128);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EFINGERPRINT);
}

static void corrupted_and_unknown_status_are_refused(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    vine_segment_unref(create_published(&options));
    POKE(status, 3);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    assert_non_null(strstr(report.why, "status 3 (corrupted) at offset 12"));
    POKE(status, 4);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    POKE(status, 0);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
}

static void a_condemned_segment_is_corrupted(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment *segment = create_published(&options);
    assert_int_equal(vine_segment_condemn(segment), 0);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    vine_segment_unref(segment);
}

static void an_initialization_that_was_given_up_leaves_corrupted(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLIANCE);
    struct vine_segment *segment = NULL;
    assert_int_equal(vine_segment_create(&options, &segment, &report), 0);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EINITIALIZING);
    vine_segment_unref(segment);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    /* And it can be made anew. */
    segment = create_published(&options);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
    vine_segment_unref(segment);
}

static void initializing_that_nobody_is_at_is_corrupted(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    vine_segment_unref(create_published(&options));
    POKE(status, 1);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
}

static void a_maker_that_died_once_it_had_published_left_a_segment(void **state)
{
    (void)state;
    const struct vine__segment_reporter to = {NULL, "here"};
    static struct vine__segment_header header;
    struct vine__identity self;
    struct vine__identity dead;

    /* Whoever copied the header a moment ago saw `initializing`, and asks what that meant. */
    vine__identity_of_self(&self);
    dead = self;
    dead.start_ticks++;
    header.magic = VINE__SEGMENT_MAGIC;
    header.claim.word = vine__segment_word(&dead);
    header.claim.scope = dead.scope;
    header.status = VINE__SEGMENT_STATUS_INITIALIZED;
    assert_int_equal(vine__segment_diagnose(&header, &self, &to), -VINE_EINITIALIZING);
    header.status = VINE__SEGMENT_STATUS_INITIALIZING;
    assert_int_equal(vine__segment_diagnose(&header, &self, &to), -VINE_ECORRUPT);
}

static void an_unknown_feature_is_refused_only_if_it_is_required(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    struct vine_segment *segment = NULL;
    struct vine_segment_facts facts;
    options.features = UINT64_C(7) | UINT64_C(1) << 40;
    vine_segment_unref(create_published(&options));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -EOPNOTSUPP);
    assert_non_null(strstr(report.why, "feature bit 40 at offset 24"));
    options.features = UINT64_C(5) | UINT64_C(8) | UINT64_C(1) << 40;
    assert_int_equal(vine_segment_attach(&options, &segment, &report), 0);
    vine_segment_facts(segment, &facts);
    assert_int_equal(facts.features, UINT64_C(5) | UINT64_C(1) << 40);
    vine_segment_unref(segment);
}

static void impossible_regions_are_refused(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    vine_segment_unref(create_published(&options));
    struct vine__segment_spec good;
    peek(offsetof(struct vine__segment_header, specs), &good, sizeof(good));
    const struct vine__segment_spec bad[] = {
        {1, 0, 0, 64},                                /* in the header */
        {1, 0, 4095, 64},                             /* in it and not aligned */
        {1, 0, 4096 + 8, 64},                         /* not aligned */
        {1, 0, 4096, 0},                              /* of no bytes */
        {1, 0, 4096, UINT64_MAX},                     /* too long */
        {1, 0, UINT64_MAX - 63, 128},                 /* its end wraps */
        {1, 0, UINT64_C(1) << 50, 64},                /* far behind the end */
        {2, 0, good.offset_bytes, good.size_bytes},   /* the kind of the next one */
        {1, 0, good.offset_bytes, 6 * UINT64_C(4096)} /* into the next one */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        poke(offsetof(struct vine__segment_header, specs), &bad[i], sizeof(bad[i]));
        assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    }
    struct vine__segment_spec unknown = {1000, 0, 17, UINT64_MAX};
    poke(offsetof(struct vine__segment_header, specs), &unknown, sizeof(unknown));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), 0);
    unknown.flags = VINE__SEGMENT_SPEC_REQUIRED;
    poke(offsetof(struct vine__segment_header, specs), &unknown, sizeof(unknown));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -EOPNOTSUPP);
}

static void impossible_sizes_and_counts_are_refused(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    uint64_t size_bytes;
    vine_segment_unref(create_published(&options));
    peek(offsetof(struct vine__segment_header, size_bytes), &size_bytes, sizeof(size_bytes));
    POKE(size_bytes, 4095);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    POKE(size_bytes, 0);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    POKE(size_bytes, size_bytes);
    POKE(header_bytes, 8192);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
    POKE(header_bytes, 4096);
    POKE(extent_count, 65);
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_ECORRUPT);
}

static void a_refused_segment_is_left_as_it_was(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment_options options = file_options(VINE_SEGMENT_NOBODY);
    unsigned char before[VINE__SEGMENT_HEADER_BYTES];
    unsigned char after[VINE__SEGMENT_HEADER_BYTES];
    vine_segment_unref(create_published(&options));
    POKE(fingerprint, 0);
    peek(0, before, sizeof(before));
    assert_int_equal(try_attach(VINE_SEGMENT_APPLICATION, &report), -VINE_EFINGERPRINT);
    peek(0, after, sizeof(after));
    assert_memory_equal(before, after, sizeof(before));
}

static void impossible_options_are_refused(void **state)
{
    (void)state;
    struct vine_segment_report report;
    struct vine_segment *segment = NULL;
    struct vine_segment_options options = file_options(VINE_SEGMENT_APPLICATION);
    options.read_only = true;
    assert_int_equal(vine_segment_attach(&options, &segment, &report), -EINVAL);
    options = file_options(VINE_SEGMENT_APPLICATION);
    options.size_bytes--;
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EINVAL);
    options = file_options(VINE_SEGMENT_APPLICATION);
    options.regions[1].kind = VINE_SEGMENT_KIND_APPLICATION_HALF;
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EINVAL);
    options = file_options(VINE_SEGMENT_APPLICATION);
    options.regions[1].size_bytes = UINT64_MAX;
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EINVAL);
    options.regions[1].size_bytes = 0;
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EINVAL);
    options = file_options(VINE_SEGMENT_APPLICATION);
    options.region_count = 9;
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EINVAL);
    options = file_options(VINE_SEGMENT_APPLICATION);
    options.name = NULL;
    assert_int_equal(vine_segment_create(&options, &segment, NULL), -EINVAL);
    options = file_options(VINE_SEGMENT_APPLICATION);
    options.backend = VINE_SEGMENT_BACKEND_COUNT;
    assert_int_equal(vine_segment_create(&options, &segment, &report), -EINVAL);
    assert_null(segment);
    assert_int_equal(access(segment_path, F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, forget_file)
    const struct CMUnitTest tests[] = {
        TEST(a_segment_that_is_missing_is_enoent),
        TEST(an_empty_file_is_truncated),
        TEST(a_file_shorter_than_a_header_is_truncated),
        TEST(a_segment_that_was_cut_off_is_truncated),
        TEST(a_segment_that_claims_more_than_there_is_is_truncated),
        TEST(a_segment_smaller_than_asked_for_is_truncated),
        TEST(foreign_magic_is_refused),
        TEST(zeroes_are_a_segment_that_is_not_initialized_yet),
        TEST(another_major_version_is_refused_and_a_higher_minor_is_not),
        TEST(another_fingerprint_is_refused),
        TEST(corrupted_and_unknown_status_are_refused),
        TEST(a_condemned_segment_is_corrupted),
        TEST(an_initialization_that_was_given_up_leaves_corrupted),
        TEST(initializing_that_nobody_is_at_is_corrupted),
        TEST(a_maker_that_died_once_it_had_published_left_a_segment),
        TEST(an_unknown_feature_is_refused_only_if_it_is_required),
        TEST(impossible_regions_are_refused),
        TEST(impossible_sizes_and_counts_are_refused),
        TEST(a_refused_segment_is_left_as_it_was),
        TEST(impossible_options_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Creating, sharing and giving back memory, of every backend that needs no device. */
#include "harness/emulator.h"
#include "memory_tests.h"

#include <stdlib.h>

static char folder[] = "/tmp/vine-memory-XXXXXX";
static char file_path[64];
static char shm_name[64];

static int make_names(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(file_path, sizeof(file_path), "%s/file", folder);
    (void)snprintf(shm_name, sizeof(shm_name), "vine-memory-%d", (int)getpid());
    return 0;
}

static int remove_names(void **state)
{
    (void)state;
    char path[80];
    (void)snprintf(path, sizeof(path), "/%s", shm_name);
    (void)shm_unlink(path);
    (void)unlink(file_path);
    return rmdir(folder);
}

static struct vine__memory_options named(enum vine__memory_backend backend, uint64_t size_bytes)
{
    struct vine__memory_options options = options_for(backend, size_bytes);
    options.name = backend == VINE__MEMORY_POSIX ? shm_name : file_path;
    return options;
}

static const enum vine__memory_backend named_backends[] = {VINE__MEMORY_POSIX, VINE__MEMORY_FILE};

static void put_file(const char *path, const char *bytes)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), (ssize_t)strlen(bytes));
    (void)close(fd);
}

static void impossible_options_are_refused(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = options_for(VINE__MEMORY_BACKEND_COUNT, PAGE);
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = options_for(VINE__MEMORY_MEMFD, 0);
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = options_for(VINE__MEMORY_MEMFD, UINT64_MAX);
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = options_for(VINE__MEMORY_MEMFD, PAGE);
    options.offset_bytes = PAGE;
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = options_for(VINE__MEMORY_FILE, PAGE);
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = named(VINE__MEMORY_FILE, PAGE);
    options.offset_bytes = 100;
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = named(VINE__MEMORY_FILE, PAGE);
    options.huge_pages = true;
    assert_int_equal(vine__memory_create(&options, &memory), -EOPNOTSUPP);
    options = options_for(VINE__MEMORY_MEMFD, PAGE);
    options.numa_node = 100000;
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = options_for(VINE__MEMORY_ANONYMOUS, PAGE);
    assert_int_equal(vine__memory_open(&options, &memory), -EINVAL);
    assert_null(memory);
}

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    const char *const names[] = {"/", "a/b", "/a/b", ".", "..", "../x"};
    struct vine__memory *memory = NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct vine__memory_options options = options_for(VINE__MEMORY_POSIX, PAGE);
        options.name = names[i];
        assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
        assert_int_equal(vine__memory_open(&options, &memory), -EINVAL);
        assert_int_equal(vine__memory_remove(&options), -EINVAL);
    }
}

static void opening_what_is_not_there_is_enoent(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct vine__memory_options options = named(named_backends[i], PAGE);
        struct vine__memory *memory = NULL;
        assert_int_equal(vine__memory_open(&options, &memory), -ENOENT);
        assert_int_equal(vine__memory_remove(&options), -ENOENT);
    }
}

static void empty_and_short_files_are_truncated(void **state)
{
    (void)state;
    struct vine__memory_options options = named(VINE__MEMORY_FILE, 2 * PAGE);
    struct vine__memory *memory = NULL;
    char why[256];
    options.why = why;
    options.why_size = sizeof(why);
    put_file(file_path, "");
    assert_int_equal(vine__memory_open(&options, &memory), -VINE_ETRUNCATED);
    assert_non_null(strstr(why, "is empty"));
    assert_non_null(strstr(why, file_path));
    put_file(file_path, "short");
    assert_int_equal(vine__memory_open(&options, &memory), -VINE_ETRUNCATED);
    options.size_bytes = 0;
    options.offset_bytes = PAGE;
    assert_int_equal(vine__memory_open(&options, &memory), -VINE_ETRUNCATED);
    (void)unlink(file_path);
}

static void links_folders_and_fifos_are_refused(void **state)
{
    (void)state;
    struct vine__memory_options options = named(VINE__MEMORY_FILE, PAGE);
    struct vine__memory *memory = NULL;
    char target[80];
    (void)snprintf(target, sizeof(target), "%s/target", folder);
    put_file(target, "precious");
    assert_int_equal(symlink(target, file_path), 0);
    assert_int_equal(vine__memory_create(&options, &memory), -ELOOP);
    assert_int_equal(vine__memory_open(&options, &memory), -ELOOP);
    (void)unlink(file_path);
    (void)unlink(target);
    assert_int_equal(mkfifo(file_path, 0600), 0);
    assert_int_equal(vine__memory_open(&options, &memory), -EINVAL);
    (void)unlink(file_path);
    options.name = folder;
    assert_int_equal(vine__memory_open(&options, &memory), -EISDIR);
}

static void files_that_others_may_write_or_own_are_refused(void **state)
{
    (void)state;
    struct vine__memory_options options = named(VINE__MEMORY_FILE, 0);
    struct vine__memory *memory = NULL;
    put_file(file_path, "something");
    assert_int_equal(chmod(file_path, 0620), 0);
    assert_int_equal(vine__memory_open(&options, &memory), -EACCES);
    assert_int_equal(chmod(file_path, 0602), 0);
    assert_int_equal(vine__memory_open(&options, &memory), -EACCES);
    assert_int_equal(chmod(file_path, 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(file_path, 12345, 12345), 0);
        assert_int_equal(vine__memory_open(&options, &memory), -EACCES);
    }
    (void)unlink(file_path);
}

static void a_creation_that_fails_leaves_no_name_and_no_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct vine__memory_options options = named(named_backends[i], UINT64_C(1) << 50);
        struct vine__memory *memory = NULL;
        assert_int_not_equal(vine__memory_create(&options, &memory), 0);
        options.size_bytes = 0;
        assert_int_equal(vine__memory_open(&options, &memory), -ENOENT);
    }
}

static void named_memory_is_made_once_and_found_by_others(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct vine__memory_options options = named(named_backends[i], 3 * PAGE - 1);
        struct vine__memory *first = NULL;
        struct vine__memory *second = NULL;
        assert_int_equal(vine__memory_create(&options, &first), 0);
        assert_int_equal(vine__memory_size(first), 3 * PAGE);
        options.create_new = true;
        assert_int_equal(vine__memory_create(&options, &second), -EEXIST);
        options.size_bytes = 0;
        assert_int_equal(vine__memory_open(&options, &second), 0);
        assert_int_equal(vine__memory_size(second), 3 * PAGE);
        memset(vine__memory_base(first), 0x5a, 3 * PAGE);
        assert_memory_equal(vine__memory_base(first), vine__memory_base(second), 3 * PAGE);
        assert_int_equal(vine__memory_remove(&options), 0);
        vine__memory_close(first);
        vine__memory_close(second);
    }
}

static void an_offset_names_the_place_in_the_file(void **state)
{
    (void)state;
    struct vine__memory_options options = named(VINE__MEMORY_FILE, PAGE);
    struct vine__memory *whole = NULL;
    struct vine__memory *part = NULL;
    options.offset_bytes = 2 * PAGE;
    assert_int_equal(vine__memory_create(&options, &part), 0);
    options.offset_bytes = 0;
    options.size_bytes = 0;
    assert_int_equal(vine__memory_open(&options, &whole), 0);
    assert_int_equal(vine__memory_size(whole), 3 * PAGE);
    memcpy(vine__memory_base(part), "here", 4);
    assert_memory_equal((char *)vine__memory_base(whole) + 2 * PAGE, "here", 4);
    vine__memory_close(whole);
    vine__memory_close(part);
    assert_int_equal(vine__memory_remove(&options), 0);
}

static void growing_keeps_the_content(void **state)
{
    (void)state;
    struct vine__memory_options options = named(VINE__MEMORY_FILE, PAGE);
    struct vine__memory *memory = NULL;
    put_file(file_path, "content");
    assert_int_equal(vine__memory_create(&options, &memory), 0);
    assert_memory_equal(vine__memory_base(memory), "content", 7);
    vine__memory_close(memory);
    assert_int_equal(vine__memory_remove(&options), 0);
}

static void clear_zeroes_and_cut_ends_the_file(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct vine__memory_options options = named(named_backends[i], 8 * PAGE);
        struct vine__memory *memory = NULL;
        struct stat status;
        assert_int_equal(vine__memory_create(&options, &memory), 0);
        memset(vine__memory_base(memory), 1, 8 * PAGE);
        vine__memory_close(memory);
        options.size_bytes = 4 * PAGE;
        assert_int_equal(vine__memory_create(&options, &memory), 0);
        assert_int_equal(vine__memory_clear(memory, PAGE), 0);
        const unsigned char *const bytes = vine__memory_base(memory);
        for (unsigned int at = 0; at < 4 * PAGE; at++)
            assert_int_equal(bytes[at], at < PAGE);
        assert_int_equal(fstat(vine__memory_fd(memory), &status), 0);
        assert_int_equal(status.st_size, 8 * PAGE);
        assert_int_equal(vine__memory_cut(memory), 0);
        assert_int_equal(fstat(vine__memory_fd(memory), &status), 0);
        assert_int_equal(status.st_size, 4 * PAGE);
        /* Nothing that could fail on first touch is left. */
        assert_true((uint64_t)status.st_blocks * 512 >= 4 * PAGE);
        vine__memory_close(memory);
        assert_int_equal(vine__memory_remove(&options), 0);
    }
}

static void of_two_who_lock_the_second_is_told_that_it_is_busy(void **state)
{
    (void)state;
    struct vine__memory_options options = named(VINE__MEMORY_POSIX, PAGE);
    struct vine__memory *first = NULL;
    struct vine__memory *second = NULL;
    assert_int_equal(vine__memory_create(&options, &first), 0);
    assert_int_equal(vine__memory_open(&options, &second), 0);
    assert_int_equal(vine__memory_lock(first), 0);
    assert_int_equal(vine__memory_lock(second), -EBUSY);
    vine__memory_unlock(first);
    assert_int_equal(vine__memory_lock(second), 0);
    vine__memory_close(second);
    assert_int_equal(vine__memory_lock(first), 0);
    vine__memory_close(first);
    assert_int_equal(vine__memory_remove(&options), 0);
}

static void memory_is_zero_writable_aligned_and_of_whole_pages(void **state)
{
    (void)state;
    const enum vine__memory_backend backends[] = {VINE__MEMORY_MEMFD, VINE__MEMORY_ANONYMOUS};
    for (int i = 0; i < 2; i++) {
        struct vine__memory_options options = options_for(backends[i], 10 * PAGE + 1);
        struct vine__memory *memory = NULL;
        options.populate = true;
        assert_int_equal(vine__memory_create(&options, &memory), 0);
        const unsigned char *const bytes = vine__memory_base(memory);
        assert_int_equal(vine__memory_size(memory), 11 * PAGE);
        assert_int_equal((uintptr_t)bytes % PAGE, 0);
        for (unsigned int at = 0; at < 11 * PAGE; at++)
            assert_int_equal(bytes[at], 0);
        memset(vine__memory_base(memory), 7, 11 * PAGE);
        assert_int_equal(vine__memory_fence_of(memory), VINE__MEMORY_FENCE_NONE);
        vine__memory_publish_fence(memory);
        vine__memory_close(memory);
    }
}

static void a_memfd_closes_on_exec_and_is_never_executable(void **state)
{
    (void)state;
    struct vine__memory_options options = options_for(VINE__MEMORY_MEMFD, PAGE);
    struct vine__memory *memory = NULL;
    assert_int_equal(vine__memory_create(&options, &memory), 0);
    assert_int_equal(fcntl(vine__memory_fd(memory), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    vine__memory_close(memory);
}

static void an_address_hint_is_followed_where_it_is_free(void **state)
{
    (void)state;
    struct vine__memory_options options = options_for(VINE__MEMORY_MEMFD, PAGE);
    struct vine__memory *memory = NULL;
    /* A page, and one for a guard on either side. */
    unsigned char *const pages =
        mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    options.address_hint = pages + PAGE;
    assert_int_equal(vine__memory_create(&options, &memory), 0);
    assert_ptr_not_equal(vine__memory_base(memory), pages + PAGE); /* taken: left alone */
    vine__memory_close(memory);
    assert_int_equal(munmap(pages, 3 * PAGE), 0);
    assert_int_equal(vine__memory_create(&options, &memory), 0);
    assert_ptr_equal(vine__memory_base(memory), pages + PAGE);
    vine__memory_close(memory);
}

/* Neither to be touched nor to be had by anything else. */
static void expect_guard(void *address)
{
    assert_int_equal(is_mapped(address), 0);
    assert_ptr_equal(
        mmap(address, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
        MAP_FAILED);
    assert_int_equal(errno, EEXIST);
}

static void expect_guards(struct vine__memory *memory, unsigned int mapped_bytes)
{
    unsigned char *const base = vine__memory_base(memory);

    assert_int_equal(is_mapped(base), 1);
    assert_int_equal(is_mapped(base + mapped_bytes - 1), 1);
    expect_guard(base - PAGE);
    expect_guard(base + mapped_bytes);
}

static void each_mapping_lies_between_pages_that_nobody_may_touch(void **state)
{
    (void)state;
    skip_if_emulated("maps over what it may not replace");
    const enum vine__memory_backend backends[] = {VINE__MEMORY_MEMFD, VINE__MEMORY_ANONYMOUS,
                                                  VINE__MEMORY_POSIX, VINE__MEMORY_FILE};
    for (int i = 0; i < 4; i++) {
        struct vine__memory_options options = named(backends[i], 2 * PAGE);
        struct vine__memory *memory = NULL;
        struct vine__memory *reader = NULL;
        assert_int_equal(vine__memory_create(&options, &memory), 0);
        expect_guards(memory, 2 * PAGE);
        unsigned char *const base = vine__memory_base(memory);
        if (backends[i] == VINE__MEMORY_MEMFD) {
            assert_int_equal(vine__memory_from_fd(vine__memory_fd(memory), PAGE, &options, &reader),
                             0);
            expect_guards(reader, PAGE);
        } else if (backends[i] != VINE__MEMORY_ANONYMOUS) {
            /* A part of a file: the rest of it is not within reach. */
            options.size_bytes = PAGE;
            assert_int_equal(vine__memory_open(&options, &reader), 0);
            expect_guards(reader, PAGE);
            assert_int_equal(vine__memory_remove(&options), 0);
        }
        vine__memory_close(reader);
        vine__memory_close(memory);
        /* The guards go with the mapping. */
        void *const all = mmap(base - PAGE, 4 * PAGE, PROT_READ,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        assert_ptr_equal(all, base - PAGE);
        assert_int_equal(munmap(all, 4 * PAGE), 0);
    }
}

static void memory_of_node_0_is_to_be_had_where_nodes_are(void **state)
{
    (void)state;
    const enum vine__memory_backend backends[] = {VINE__MEMORY_MEMFD, VINE__MEMORY_ANONYMOUS};
    for (int i = 0; i < 2; i++) {
        struct vine__memory_options options = options_for(backends[i], 4 * PAGE);
        struct vine__memory *memory = NULL;
        options.numa_node = 0;
        const int error = vine__memory_create(&options, &memory);
        if (error == -ENOSYS || error == -EPERM) {
            print_message("skipped: mbind is not to be had here\n");
            skip();
        }
        assert_int_equal(error, 0);
        vine__memory_close(memory);
        options.numa_node = 1023;
        assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    }
}

static void huge_pages_are_all_there_at_creation_or_refused(void **state)
{
    (void)state;
    const enum vine__memory_backend backends[] = {VINE__MEMORY_MEMFD, VINE__MEMORY_ANONYMOUS};
    for (int i = 0; i < 2; i++) {
        struct vine__memory_options options = options_for(backends[i], UINT64_C(1) << 40);
        struct vine__memory *memory = NULL;
        options.huge_pages = true;
        assert_int_not_equal(vine__memory_create(&options, &memory), 0);
        options.size_bytes = PAGE;
        if (vine__memory_create(&options, &memory) != 0) {
            print_message("no huge pages are reserved here: only their refusal is tested\n");
            continue;
        }
        assert_true(vine__memory_size(memory) > PAGE);
        memset(vine__memory_base(memory), 1, (size_t)vine__memory_size(memory));
        vine__memory_close(memory);
    }
}

static void no_mapping_survives_fork(void **state)
{
    (void)state;
    if (!fork_leaves_mappings_out()) {
        print_message("skipped: MADV_DONTFORK has no effect here (an emulator?)\n");
        skip();
    }
    const enum vine__memory_backend backends[] = {VINE__MEMORY_MEMFD, VINE__MEMORY_ANONYMOUS,
                                                  VINE__MEMORY_POSIX, VINE__MEMORY_FILE};
    for (int i = 0; i < 4; i++) {
        struct vine__memory_options options = named(backends[i], PAGE);
        struct vine__memory *memory = NULL;
        struct vine__memory *reader = NULL;
        assert_int_equal(vine__memory_create(&options, &memory), 0);
        if (backends[i] == VINE__MEMORY_MEMFD)
            assert_int_equal(vine__memory_from_fd(vine__memory_fd(memory), PAGE, &options, &reader),
                             0);
        const pid_t child = fork();
        if (child == 0) {
            if (is_mapped(vine__memory_base(memory)))
                _exit(1);
            if (reader != NULL && is_mapped(vine__memory_base(reader)))
                _exit(2);
            /* What lies at that address now is none of the handle's business. */
            void *const other = mmap(vine__memory_base(memory), PAGE, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
            vine__memory_close(memory);
            _exit(other != MAP_FAILED && is_mapped(other) == 1 ? 0 : 3);
        }
        assert_int_equal(status_of(child), 0);
        vine__memory_close(reader);
        vine__memory_close(memory);
        if (backends[i] == VINE__MEMORY_POSIX || backends[i] == VINE__MEMORY_FILE)
            assert_int_equal(vine__memory_remove(&options), 0);
    }
}

static void each_backend_has_a_name_and_a_trust_class(void **state)
{
    (void)state;
    assert_string_equal(vine__memory_backend_name(VINE__MEMORY_MEMFD), "memfd");
    assert_int_equal(vine__memory_backend_trust(VINE__MEMORY_MEMFD), VINE__MEMORY_HOSTILE_SAFE);
    assert_int_equal(vine__memory_backend_trust(VINE__MEMORY_IVSHMEM), VINE__MEMORY_HOSTILE_SAFE);
    assert_int_equal(vine__memory_backend_trust(VINE__MEMORY_POSIX), VINE__MEMORY_ONE_USER);
    assert_int_equal(vine__memory_backend_trust(VINE__MEMORY_FILE), VINE__MEMORY_ONE_USER);
    assert_int_equal(vine__memory_backend_trust(VINE__MEMORY_ANONYMOUS), VINE__MEMORY_ONE_USER);
}

static uint64_t allocated_bytes(const struct vine__memory *memory)
{
    struct stat status;
    assert_int_equal(fstat(vine__memory_fd(memory), &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static void memory_made_in_steps_allocates_no_more_than_one_at_a_time(void **state)
{
    (void)state;
    const uint64_t bytes = UINT64_C(1) << 20;
    const uint64_t step_bytes = UINT64_C(16) * PAGE;
    struct vine__memory_options options = options_for(VINE__MEMORY_MEMFD, bytes);
    struct vine__memory *memory = NULL;
    struct vine__memory *taken = NULL;
    uint64_t seen_bytes = 0;
    uint64_t steps = 0;
    int more = 1;
    options.in_steps = true;
    assert_int_equal(vine__memory_create(&options, &memory), 0);
    assert_int_equal(allocated_bytes(memory), 0);
    while (more > 0) {
        more = vine__memory_step(memory, step_bytes);
        assert_in_range(allocated_bytes(memory) - seen_bytes, 0, step_bytes);
        seen_bytes = allocated_bytes(memory);
        steps++;
    }
    assert_int_equal(more, 0);
    assert_int_equal(steps, bytes / step_bytes);
    assert_int_equal(vine__memory_step(memory, step_bytes), 0);
    /* A reader takes it: it has its seals and no holes. */
    assert_int_equal(vine__memory_from_fd(vine__memory_fd(memory), bytes, &options, &taken), 0);
    while ((more = vine__memory_step(taken, step_bytes)) > 0)
        steps--;
    assert_int_equal(more, 0);
    assert_int_equal(steps, 1);
    vine__memory_close(taken);
    vine__memory_close(memory);
}

static void memory_is_unmapped_from_its_end_in_steps(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = options_for(VINE__MEMORY_MEMFD, 64 * PAGE);
    unsigned char resident;
    uint64_t steps = 0;
    assert_int_equal(vine__memory_create(&options, &memory), 0);
    unsigned char *base = vine__memory_base(memory);
    while (vine__memory_unmap_step(memory, 16 * PAGE)) {
        const uint64_t left = (uint64_t)steps < 3 ? (3 - steps) * 16 * PAGE : 0;
        if (left > 0)
            assert_int_equal(mincore(base + left - PAGE, PAGE, &resident), 0);
        assert_int_equal(mincore(base + left + PAGE, PAGE, &resident), -1);
        steps++;
    }
    assert_in_range(steps, 3, 4); /* the pages on either side are counted, too */
    vine__memory_close(memory);
}

static void only_what_grows_is_made_in_steps(void **state)
{
    (void)state;
    struct vine__memory *memory = NULL;
    struct vine__memory_options options = named(VINE__MEMORY_FILE, PAGE);
    options.in_steps = true;
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    options = options_for(VINE__MEMORY_MEMFD, PAGE);
    options.in_steps = true;
    options.populate = true;
    assert_int_equal(vine__memory_create(&options, &memory), -EINVAL);
    /* And what was given up half way leaves nothing. */
    const uint64_t fds = count_fds();
    options = options_for(VINE__MEMORY_MEMFD, 64 * PAGE);
    options.in_steps = true;
    assert_int_equal(vine__memory_create(&options, &memory), 0);
    assert_int_equal(vine__memory_step(memory, PAGE), 1);
    vine__memory_close(memory);
    assert_int_equal(count_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test(opening_what_is_not_there_is_enoent),
        cmocka_unit_test(empty_and_short_files_are_truncated),
        cmocka_unit_test(links_folders_and_fifos_are_refused),
        cmocka_unit_test(files_that_others_may_write_or_own_are_refused),
        cmocka_unit_test(a_creation_that_fails_leaves_no_name_and_no_bytes),
        cmocka_unit_test(named_memory_is_made_once_and_found_by_others),
        cmocka_unit_test(an_offset_names_the_place_in_the_file),
        cmocka_unit_test(growing_keeps_the_content),
        cmocka_unit_test(clear_zeroes_and_cut_ends_the_file),
        cmocka_unit_test(of_two_who_lock_the_second_is_told_that_it_is_busy),
        cmocka_unit_test(memory_is_zero_writable_aligned_and_of_whole_pages),
        cmocka_unit_test(a_memfd_closes_on_exec_and_is_never_executable),
        cmocka_unit_test(an_address_hint_is_followed_where_it_is_free),
        cmocka_unit_test(each_mapping_lies_between_pages_that_nobody_may_touch),
        cmocka_unit_test(memory_of_node_0_is_to_be_had_where_nodes_are),
        cmocka_unit_test(huge_pages_are_all_there_at_creation_or_refused),
        cmocka_unit_test(no_mapping_survives_fork),
        cmocka_unit_test(each_backend_has_a_name_and_a_trust_class),
        cmocka_unit_test(memory_made_in_steps_allocates_no_more_than_one_at_a_time),
        cmocka_unit_test(memory_is_unmapped_from_its_end_in_steps),
        cmocka_unit_test(only_what_grows_is_made_in_steps),
    };
    return cmocka_run_group_tests(tests, make_names, remove_names);
}

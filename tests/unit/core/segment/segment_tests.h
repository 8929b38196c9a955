/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of core/segment share. */
#ifndef VINE_TESTS_CORE_SEGMENT_TESTS_H
#define VINE_TESTS_CORE_SEGMENT_TESTS_H

#include <vine/segment.h>

#include "core/segment/segment_internal.h"
#include "harness/emulator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FINGERPRINT UINT64_C(0x1122334455667788)
#define HALF_BYTES  UINT64_C(20000)

static char segment_folder[] = "/tmp/vine-segment-XXXXXX";
static char segment_path[64];

static inline int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(segment_folder) == NULL)
        return -1;
    (void)snprintf(segment_path, sizeof(segment_path), "%s/segment", segment_folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    (void)unlink(segment_path);
    return rmdir(segment_folder);
}

static inline int forget_file(void **state)
{
    (void)state;
    (void)unlink(segment_path);
    return 0;
}

/* A file with two halves, as a named pipe has it. */
static inline struct vine_segment_options file_options(enum vine_segment_side side)
{
    struct vine_segment_options options;
    vine_segment_options_init(&options);
    options.backend = VINE_SEGMENT_FILE;
    options.name = segment_path;
    options.side = side;
    options.fingerprint = FINGERPRINT;
    options.region_count = 2;
    options.regions[0] =
        (struct vine_segment_region){VINE_SEGMENT_KIND_APPLICATION_HALF, HALF_BYTES};
    options.regions[1] =
        (struct vine_segment_region){VINE_SEGMENT_KIND_APPLIANCE_HALF, 2 * HALF_BYTES};
    return options;
}

static inline struct vine_segment *create_published(const struct vine_segment_options *options)
{
    struct vine_segment *segment = NULL;
    struct vine_segment_report report;
    const int error = vine_segment_create(options, &segment, &report);
    if (error != 0)
        print_message("%s\n", report.why);
    assert_int_equal(error, 0);
    assert_string_equal(report.why, "");
    assert_int_equal(vine_segment_publish(segment), 0);
    return segment;
}

/* Change bytes of the file behind everybody's back. */
static inline void poke(uint64_t offset, const void *bytes, size_t size)
{
    const int fd = open(segment_path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
    (void)close(fd);
}

#define POKE(field, value)                                                                         \
    do {                                                                                           \
        const __typeof__(((struct vine__segment_header *)0)->field) poke_value = (value);          \
        poke(offsetof(struct vine__segment_header, field), &poke_value, sizeof(poke_value));       \
    } while (0)

static inline void peek(uint64_t offset, void *bytes, size_t size)
{
    const int fd = open(segment_path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, size, (off_t)offset), (ssize_t)size);
    (void)close(fd);
}

static inline void put_file(const void *bytes, size_t size, uint64_t file_bytes)
{
    const int fd = open(segment_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    if (file_bytes > size)
        assert_int_equal(ftruncate(fd, (off_t)file_bytes), 0);
    (void)close(fd);
}

static inline int try_attach(enum vine_segment_side side, struct vine_segment_report *report)
{
    const struct vine_segment_options options = file_options(side);
    struct vine_segment *segment = NULL;
    const int error = vine_segment_attach(&options, &segment, report);
    assert_true((error == 0) == (segment != NULL));
    if (error != 0)
        assert_true(report->why[0] != '\0');
    vine_segment_unref(segment);
    return error;
}

/* Run `body` in a child that then waits to be killed, and wait for its one byte. */
struct child {
    pid_t pid;
    int ready_fd;
};

static inline struct child start_child(int (*body)(void))
{
    skip_if_emulated("tells a process another start time of itself than others see");
    struct child child;
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    child.pid = fork();
    if (child.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(ready[0]);
        const char result = body() == 0 ? '1' : '0';
        (void)!write(ready[1], &result, 1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    child.ready_fd = ready[0];
    assert_true(child.pid > 0);
    assert_int_equal(read(child.ready_fd, &byte, 1), 1);
    assert_int_equal(byte, '1');
    return child;
}

/* It is dead when this returns, and still a zombie. */
static inline void kill_child(const struct child *child)
{
    siginfo_t information;
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)child->pid, &information, WEXITED | WNOWAIT), 0);
    (void)close(child->ready_fd);
}

static inline void reap_child(const struct child *child)
{
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

static inline int status_of(pid_t child)
{
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/thread/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *begin(void *context)
{
    const struct vine__thread *const thread = context;

    thread->fn(thread->context);
    return NULL;
}

int vine__thread_start(struct vine__thread *thread, const char *name, void (*fn)(void *context),
                       void *context)
{
    char short_name[16];

    thread->fn = fn;
    thread->context = context;
    const int error = pthread_create(&thread->id, NULL, begin, thread);

    if (error != 0)
        return -error;
    (void)snprintf(short_name, sizeof(short_name), "%s", name);
    (void)pthread_setname_np(thread->id, short_name);
    return 0;
}

void vine__thread_join(struct vine__thread *thread)
{
    (void)pthread_join(thread->id, NULL);
}

pthread_t vine__thread_self(void)
{
    return pthread_self();
}

uint64_t vine__thread_used_ns(pthread_t id)
{
    struct timespec used;
    clockid_t clock;

    if (pthread_getcpuclockid(id, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * VINE_NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

/* The beginning of a file of the kernel's about a thread; "" if there is none. */
static void read_about(uint32_t number, const char *name, char *ret_text, size_t size_bytes)
{
    char path[64];
    ssize_t length = -1;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%" PRIu32 "/%s", number, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        length = read(fd, ret_text, size_bytes - 1);
        (void)close(fd);
    }
    ret_text[length > 0 ? length : 0] = '\0';
}

uint64_t vine__thread_waited_ns(uint32_t number)
{
    char text[96]; /* time on a processor, time waiting for one, how often it got one */
    char *end = text;

    read_about(number, "schedstat", text, sizeof(text));
    (void)strtoull(text, &end, 10);
    return strtoull(end, NULL, 10);
}

bool vine__thread_is_runnable(uint32_t number)
{
    char text[128]; /* number, name in parentheses, which may have some itself, and state */

    read_about(number, "stat", text, sizeof(text));
    const char *const end = strrchr(text, ')');

    return end != NULL && strncmp(end, ") R", 3) == 0;
}

int vine__thread_pin(uint32_t processor)
{
    cpu_set_t *set;
    size_t size_bytes;
    int error;

    if (processor >= VINE__THREAD_PROCESSORS_MAX)
        return -EINVAL;
    set = CPU_ALLOC(VINE__THREAD_PROCESSORS_MAX);
    if (set == NULL)
        return -ENOMEM;
    size_bytes = CPU_ALLOC_SIZE(VINE__THREAD_PROCESSORS_MAX);
    CPU_ZERO_S(size_bytes, set);
    CPU_SET_S(processor, size_bytes, set);
    error = pthread_setaffinity_np(pthread_self(), size_bytes, set);
    CPU_FREE(set);
    return -error;
}

int vine__thread_get_places(struct vine__thread_places *ret_places)
{
    struct vine__thread_places places = {0};
    const int error = pthread_getaffinity_np(pthread_self(), sizeof(places), (cpu_set_t *)&places);

    if (error == 0)
        *ret_places = places;
    return -error;
}

void vine__thread_use_places(const struct vine__thread_places *places)
{
    /* Without them a thread runs where it was made, which is no harm. */
    (void)pthread_setaffinity_np(pthread_self(), sizeof(*places), (const cpu_set_t *)places);
}

static struct vine__thread_places noted;
static bool has_noted;

void vine__thread_note_places(const struct vine__thread_places *places)
{
    noted = *places;
    has_noted = true;
}

void vine__thread_use_noted_places(void)
{
    if (has_noted)
        vine__thread_use_places(&noted);
}

uint32_t vine__thread_number(void)
{
    return (uint32_t)gettid();
}

uint32_t vine__thread_processor(void)
{
    const int processor = sched_getcpu();

    return processor < 0 ? VINE__THREAD_ANYWHERE : (uint32_t)processor;
}

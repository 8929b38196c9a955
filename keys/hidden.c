/* SPDX-License-Identifier: Apache-2.0 */
#include "hidden.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "utils/assert.h"

#define CLASS_MIN_BYTES 64 /* with the head; each class is twice the one before */
#define CLASSES         11 /* up to 64 KiB */

/* In front of each block, the next one's place while it is free. */
struct head {
    size_t size; /* that was asked for; of a free block that of its class */
    struct head *next;
};

VINE_STATIC_ASSERT(sizeof(struct head) % 16 == 0, "blocks are aligned as malloc's are");

static struct {
    pthread_mutex_t lock;
    unsigned char *begin, *end;
    unsigned char *fresh; /* from here on nothing was given out yet */
    struct head *free[CLASSES];
} region = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *map_secret(void)
{
    const int fd = (int)syscall(SYS_memfd_secret, FD_CLOEXEC);
    void *memory = MAP_FAILED;

    if (fd < 0)
        return MAP_FAILED;
    if (ftruncate(fd, HIDDEN_BYTES) == 0)
        memory = mmap(NULL, HIDDEN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory;
}

static int map_region(enum hidden_kind *ret_kind)
{
    enum hidden_kind kind = HIDDEN_SECRET;
    void *memory = map_secret();

    if (memory == MAP_FAILED) {
        memory =
            mmap(NULL, HIDDEN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return -errno;
        kind = mlock(memory, HIDDEN_BYTES) == 0 ? HIDDEN_LOCKED : HIDDEN_UNLOCKED;
    }
    /* No child gets it, should there ever be one. */
    (void)madvise(memory, HIDDEN_BYTES, MADV_DONTDUMP);
    (void)madvise(memory, HIDDEN_BYTES, MADV_DONTFORK);
    region.begin = memory;
    region.end = region.begin + HIDDEN_BYTES;
    region.fresh = region.begin;
    *ret_kind = kind;
    return 0;
}

static unsigned class_of(size_t size)
{
    unsigned class = 0;

    while (class < CLASSES && (size_t)CLASS_MIN_BYTES << class < size + sizeof(struct head))
        class ++;
    return class; /* CLASSES: of none */
}

/* A block of the region, or NULL if there is none left. */
static struct head *take(unsigned class)
{
    const size_t size = (size_t)CLASS_MIN_BYTES << class;

    pthread_mutex_lock(&region.lock);
    struct head *head = region.free[class];
    if (head != NULL) {
        region.free[class] = head->next;
    } else if ((size_t)(region.end - region.fresh) >= size) {
        head = (struct head *)region.fresh;
        region.fresh += size;
    }
    pthread_mutex_unlock(&region.lock);
    return head;
}

static void give_back(struct head *head, unsigned class)
{
    pthread_mutex_lock(&region.lock);
    head->next = region.free[class];
    region.free[class] = head;
    pthread_mutex_unlock(&region.lock);
}

static bool is_hidden(const struct head *head)
{
    return (uintptr_t)head >= (uintptr_t)region.begin && (uintptr_t)head < (uintptr_t)region.end;
}

static void *allocate(size_t size)
{
    const unsigned class = class_of(size);
    struct head *head = class < CLASSES ? take(class) : NULL;

    if (head == NULL && size <= SIZE_MAX - sizeof(*head))
        head = malloc(size + sizeof(*head));
    if (head == NULL)
        return NULL;
    head->size = size;
    head->next = NULL;
    return head + 1;
}

void *hidden_allocate(size_t size)
{
    void *memory = allocate(size);

    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void hidden_free(void *memory)
{
    if (memory == NULL)
        return;

    struct head *head = (struct head *)memory - 1;
    const unsigned class = class_of(head->size);

    OPENSSL_cleanse(memory, head->size);
    if (is_hidden(head))
        give_back(head, class);
    else
        free(head);
}

/* ---- for OpenSSL ----------------------------------------------------------------------------- */

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return allocate(size);
}

static void crypto_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    hidden_free(memory);
}

static void *crypto_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (memory == NULL)
        return allocate(size);
    if (size == 0) {
        hidden_free(memory);
        return NULL;
    }

    const size_t before = ((struct head *)memory - 1)->size;
    void *larger = allocate(size);

    if (larger == NULL)
        return NULL;
    memcpy(larger, memory, before < size ? before : size);
    hidden_free(memory);
    return larger;
}

int hidden_init(enum hidden_kind *ret_kind)
{
    VINE_ASSERT(region.begin == NULL);

    const int error = map_region(ret_kind);

    if (error < 0)
        return error;
    return CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) == 1 ? 0 : -EBUSY;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vine/error.h>

#include "hidden.h"
#include "seal.h"

#define HEX_BYTES  (2 * VINE_SEAL_KEY_BYTES)
#define FILE_BYTES (HEX_BYTES + 2) /* one more than the longest: hexadecimal and a line's end */

VINE_PRINTF(3, 4)
static int refuse(char *ret_reason, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(ret_reason, KEYRING_REASON_MAX, format, arguments);
    va_end(arguments);
    return error;
}

static bool is_name(const char *name)
{
    size_t length = 0;

    for (; name[length] != '\0'; length++) {
        const char letter = name[length];

        if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
              (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-'))
            return false;
    }
    return length > 0 && length <= VINE_KEY_NAME_MAX;
}

static bool is_ours(const struct stat *status)
{
    return status->st_uid == geteuid() || status->st_uid == 0;
}

int keyring_check_folder(int fd, char ret_reason[KEYRING_REASON_MAX])
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return refuse(ret_reason, -errno, "%s", strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return refuse(ret_reason, -ENOTDIR, "it is no folder");
    if (!is_ours(&status))
        return refuse(ret_reason, -EACCES, "it belongs to user %u", (unsigned)status.st_uid);
    if ((status.st_mode & 022) != 0)
        return refuse(ret_reason, -EACCES, "others may write it");
    return 0;
}

static int check_file(int fd, const char *name, char *ret_reason)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return refuse(ret_reason, -errno, "%s: %s", name, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse(ret_reason, -VINE_ECONFIG, "%s: not a regular file", name);
    if (!is_ours(&status))
        return refuse(ret_reason, -EACCES, "%s: it belongs to user %u", name,
                      (unsigned)status.st_uid);
    if ((status.st_mode & 077) != 0)
        return refuse(ret_reason, -EACCES, "%s: others may read or write it (chmod 600)", name);
    if (status.st_nlink != 1)
        return refuse(ret_reason, -EACCES, "%s: it has another name elsewhere, a hard link", name);
    return 0;
}

/* 0 .. 15, or -1. */
static int digit_of(uint8_t letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

static bool read_hex(const uint8_t *text, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < VINE_SEAL_KEY_BYTES; i++) {
        const int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Its bytes are in hidden memory alone from the first read on. */
static int read_file(int fd, struct key *key, uint8_t *text, char *ret_reason)
{
    size_t size = 0;
    ssize_t got = 1;

    while (got > 0 && size < FILE_BYTES) {
        got = read(fd, text + size, FILE_BYTES - size);
        if (got < 0 && errno != EINTR)
            return refuse(ret_reason, -errno, "%s: %s", key->name, strerror(errno));
        size += got > 0 ? (size_t)got : 0;
        got = got < 0 ? 1 : got;
    }
    if (size == VINE_SEAL_KEY_BYTES) {
        memcpy(key->bytes, text, VINE_SEAL_KEY_BYTES);
        return 0;
    }
    if (size == HEX_BYTES + 1 && text[HEX_BYTES] == '\n')
        size--;
    if (size != HEX_BYTES || !read_hex(text, key->bytes))
        return refuse(ret_reason, -VINE_ECONFIG, "%s: neither %d bytes nor %d hexadecimal digits",
                      key->name, VINE_SEAL_KEY_BYTES, HEX_BYTES);
    return 0;
}

static int read_key(int folder, const char *name, struct key *key, char *ret_reason)
{
    const int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return errno == ELOOP ? refuse(ret_reason, -VINE_ECONFIG, "%s: a symbolic link", name)
                              : refuse(ret_reason, -errno, "%s: %s", name, strerror(errno));

    uint8_t *text = hidden_allocate(FILE_BYTES);

    if (text == NULL) {
        close(fd);
        return refuse(ret_reason, -ENOMEM, "out of memory");
    }

    int error = check_file(fd, name, ret_reason);

    if (error == 0) {
        memcpy(key->name, name, strlen(name) + 1); /* as is_name found it */
        error = read_file(fd, key, text, ret_reason);
    }
    if (error == 0) {
        error = seal_key_id(key->bytes, key->id);
        if (error < 0)
            refuse(ret_reason, error, "%s: OpenSSL cannot derive from it", name);
    }
    hidden_free(text);
    close(fd);
    return error;
}

/* The next key, or none: 0 at the end, 1 when it was read, or negative. */
static int read_next(DIR *folder, struct keyring *keyring, char *ret_reason)
{
    struct dirent *entry;

    do {
        errno = 0;
        entry = readdir(folder);
    } while (entry != NULL && entry->d_name[0] == '.');
    if (entry == NULL)
        return errno == 0 ? 0 : refuse(ret_reason, -errno, "%s", strerror(errno));
    if (!is_name(entry->d_name))
        return refuse(ret_reason, -VINE_ECONFIG,
                      "a file whose name is no key's: 1 to %d of A-Z a-z 0-9 . _ -",
                      VINE_KEY_NAME_MAX);
    if (keyring->count == KEYRING_KEYS_MAX)
        return refuse(ret_reason, -VINE_EQUOTA, "more than %d keys", KEYRING_KEYS_MAX);

    const int error =
        read_key(dirfd(folder), entry->d_name, &keyring->keys[keyring->count], ret_reason);

    keyring->count += error == 0;
    return error == 0 ? 1 : error;
}

int keyring_read(int fd, struct keyring *ret_keyring, char ret_reason[KEYRING_REASON_MAX])
{
    struct keyring keyring = {0};
    int error = keyring_check_folder(fd, ret_reason);

    if (error < 0)
        return error;

    /* An open of its own: the position of a folder is shared by all that were made of one. */
    const int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = own >= 0 ? fdopendir(own) : NULL;

    if (folder == NULL) {
        error = refuse(ret_reason, -errno, "%s", strerror(errno));
        if (own >= 0)
            close(own);
        return error;
    }
    keyring.keys = hidden_allocate(KEYRING_KEYS_MAX * sizeof(struct key));
    error = keyring.keys == NULL ? refuse(ret_reason, -ENOMEM, "out of memory") : 1;
    while (error > 0)
        error = read_next(folder, &keyring, ret_reason);
    closedir(folder);
    if (error == 0 && keyring.count == 0)
        error = refuse(ret_reason, -ENOENT, "there is no key in it");
    if (error < 0) {
        keyring_free(&keyring);
        return error;
    }
    *ret_keyring = keyring;
    return 0;
}

void keyring_free(struct keyring *keyring)
{
    hidden_free(keyring->keys);
    *keyring = (struct keyring){0};
}

const struct key *keyring_find(const struct keyring *keyring, const char *name, size_t length)
{
    for (size_t i = 0; i < keyring->count; i++)
        if (strlen(keyring->keys[i].name) == length &&
            memcmp(keyring->keys[i].name, name, length) == 0)
            return &keyring->keys[i];
    return NULL;
}

const struct key *keyring_find_id(const struct keyring *keyring,
                                  const uint8_t id[VINE_SEAL_ID_BYTES])
{
    for (size_t i = 0; i < keyring->count; i++)
        if (memcmp(keyring->keys[i].id, id, VINE_SEAL_ID_BYTES) == 0)
            return &keyring->keys[i];
    return NULL;
}

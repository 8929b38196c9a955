/* SPDX-License-Identifier: Apache-2.0 */
#include "sums.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

void sums_hex(const unsigned char *sum, size_t size, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        *ret_text++ = digits[sum[i] >> 4];
        *ret_text++ = digits[sum[i] & 15];
    }
    *ret_text = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

size_t sums_from_hex(const char *text, size_t length, unsigned char *ret_sum, size_t capacity)
{
    if (length % 2 != 0 || length / 2 > capacity)
        return 0;
    for (size_t i = 0; i < length; i += 2) {
        const int high = digit_value(text[i]), low = digit_value(text[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        ret_sum[i / 2] = (unsigned char)(high << 4 | low);
    }
    return length / 2;
}

static void print_begin(FILE *file, const unsigned char *sum, size_t size, const char *name)
{
    char text[2 * SUMS_BYTES_MAX + 1];

    sums_hex(sum, size < SUMS_BYTES_MAX ? size : SUMS_BYTES_MAX, text);
    fprintf(file, "%s%s  ", strpbrk(name, "\n\r\\") != NULL ? "\\" : "", text);
}

static bool print_escaped(FILE *file, char byte)
{
    switch (byte) {
    case '\n':
        fputs("\\n", file);
        return true;
    case '\r':
        fputs("\\r", file);
        return true;
    case '\\':
        fputs("\\\\", file);
        return true;
    default:
        return false;
    }
}

void sums_print(FILE *file, const unsigned char *sum, size_t size, const char *name)
{
    print_begin(file, sum, size, name);
    for (; *name != '\0'; name++)
        if (!print_escaped(file, *name))
            putc(*name, file);
    putc('\n', file);
}

void sums_show(FILE *file, const unsigned char *sum, size_t size, const char *name)
{
    print_begin(file, sum, size, name);
    while (*name != '\0') {
        const size_t length = message_utf8_length(name);

        if (!print_escaped(file, *name)) {
            if (length > 0)
                fwrite(name, 1, length, file);
            else
                fprintf(file, "\\%03o", (unsigned char)*name);
        }
        name += length > 0 ? length : 1;
    }
    putc('\n', file);
}

int sums_open(struct output *output, struct sums *ret_sums)
{
    struct sums sums = {.file.fd = -1};
    int error = output_begin(output, SUMS_NAME, 0666, NULL, &sums.file);

    if (error < 0)
        return error;
    const int fd = fcntl(sums.file.fd, F_DUPFD_CLOEXEC, 0);
    sums.stream = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (sums.stream == NULL) {
        error = -errno;
        if (fd >= 0)
            close(fd);
        output_abandon(&sums.file);
        return error;
    }
    *ret_sums = sums;
    return 0;
}

int sums_commit(struct sums *sums)
{
    struct stat status;
    int error = 0;

    errno = EIO;
    if (ferror(sums->stream) || fflush(sums->stream) != 0)
        error = -errno;
    if (error == 0)
        error = output_commit(&sums->file, &status);
    sums_abandon(sums);
    return error;
}

void sums_abandon(struct sums *sums)
{
    if (sums->stream != NULL)
        fclose(sums->stream);
    sums->stream = NULL;
    output_abandon(&sums->file);
}

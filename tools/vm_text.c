/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "status.h"
#include "vm_verbs.h"

int vm_log_get(struct vm_server *server, const char *uid, uint64_t bytes_max, char **ret_log,
               size_t *ret_size)
{
    const uint64_t most = bytes_max != 0 ? bytes_max : VM_LOG_BYTES_MAX;
    const int status =
        vm_server_ask(server, vm_server_number(server, VINE_SERVER_LOGS), "si", uid, (int64_t)most);

    return status != STATUS_DONE ? status
                                 : vm_server_string(server, ret_log, ret_size, (size_t)most);
}

/* How many bytes from `at` on are a character that a terminal may get; 0: none. A string ends with
 * a zero. */
static size_t length_at(const char *at)
{
    if (*at == '\n' || *at == '\t')
        return 1;
    return message_utf8_length(at);
}

void vm_text_print(const char *bytes, size_t size)
{
    if (isatty(STDOUT_FILENO) == 0) {
        (void)fwrite(bytes, 1, size, stdout); /* its error is looked at when all is printed */
        return;
    }
    for (size_t at = 0; at < size;) {
        const size_t length = length_at(bytes + at);

        if (bytes[at] == '\r' && at + 1 < size && bytes[at + 1] == '\n')
            at++; /* the end of a line, as a serial port has it */
        else if (length > 0)
            at += fwrite(bytes + at, 1, length, stdout);
        else
            printf("\\%03o", (unsigned char)bytes[at++]);
        if (ferror(stdout) != 0)
            return;
    }
}

void vm_text_json(json_t *object, const char *key, const char *bytes, size_t size)
{
    char *const text = malloc(3 * size + 1);
    size_t end = 0;

    for (size_t at = 0; text != NULL && at < size;) {
        const bool is_control = (unsigned char)bytes[at] < ' ' && bytes[at] != '\0';
        const size_t length = is_control ? 1 : message_utf8_length(bytes + at);

        memcpy(text + end, length > 0 ? bytes + at : "\xef\xbf\xbd", length > 0 ? length : 3);
        end += length > 0 ? length : 3;
        at += length > 0 ? length : 1;
    }
    (void)json_object_set_new(object, key, text != NULL ? json_stringn(text, end) : NULL);
    free(text);
}

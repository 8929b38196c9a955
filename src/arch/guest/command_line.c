/* SPDX-License-Identifier: Apache-2.0 */
/* Options on the kernel's command line: words that end at a space. */
#include "arch/guest/guest.h"

#include <string.h>

bool vine__guest_option(const char *line, const char *option, uint32_t index, char *ret_value,
                        size_t size)
{
    const size_t length = strlen(option);

    for (const char *word = line; *word != 0;) {
        const size_t word_length = strcspn(word, " \t\n");

        if (word_length >= length && strncmp(word, option, length) == 0 && index-- == 0) {
            const size_t value_length = word_length - length;
            const size_t taken = value_length < size ? value_length : size - 1;

            memcpy(ret_value, word + length, taken);
            ret_value[taken] = 0;
            return true;
        }
        word += word_length;
        word += strspn(word, " \t\n");
    }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration parser. Whatever the bytes: it ends, refuses with a reason, or accepts entries
 * that keep the limits of the format; and what it accepted, written out again, reads the same.
 */
#include "utils/assert.h"
#include "utils/config.h"
#include "utils/vinetalk_keys.h"

#include <vine/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void check_entry(const struct vine__config_entry *entry)
{
    const size_t key_length = strlen(entry->key);
    const size_t value_length = strlen(entry->value);
    VINE_ASSERT(key_length >= 1 && key_length <= VINE__CONFIG_KEY_MAX);
    VINE_ASSERT(value_length >= 1 && value_length <= VINE__CONFIG_LINE_MAX);
    VINE_ASSERT(strpbrk(entry->key, " \t\r\n=") == NULL);
    VINE_ASSERT(strpbrk(entry->value, "\r\n") == NULL);
    VINE_ASSERT(entry->value[0] != ' ' && entry->value[value_length - 1] != ' ');
    VINE_ASSERT(entry->line > 0);
}

/* Each getter on each entry: they end, and say what is wrong. */
static void read_values(const struct vine__config *config, const char *key)
{
    struct vine__config_reason reason = {{0}};
    uint64_t number = 77;
    bool is_on;
    char *path;
    int error = vine__config_get_size(config, key, &number, &reason);
    VINE_ASSERT(error == 0 || (error == -VINE_ECONFIG && number == 77 && reason.text[0] != '\0'));
    error = vine__config_get_unsigned(config, key, &number, &reason);
    VINE_ASSERT(error == 0 || error == -VINE_ECONFIG);
    error = vine__config_get_bool(config, key, &is_on, &reason);
    VINE_ASSERT(error == 0 || error == -VINE_ECONFIG);
    error = vine__config_get_path(config, key, &path, &reason);
    VINE_ASSERT(error == 0 || error == -VINE_ECONFIG);
    if (error == 0)
        free(path);
}

static void write_and_read_again(const struct vine__config *config)
{
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    VINE_ASSERT(file != NULL);
    for (uint32_t i = 0; i < config->count; i++) {
        const struct vine__config_entry *entry = &config->entries[i];
        fprintf(file, "%s = %s\n", entry->key, entry->value);
    }
    VINE_ASSERT(fclose(file) == 0);

    struct vine__config again = {0};
    const int error = vine__config_add_memory(&again, "again", text, size, NULL);
    free(text);
    /* A line may have become longer than a line may be, or the file than a file. */
    if (error == 0) {
        VINE_ASSERT(again.count == config->count);
        for (uint32_t i = 0; i < config->count; i++) {
            const struct vine__config_entry *entry = &config->entries[i];
            const struct vine__config_entry *same = &again.entries[i];
            VINE_ASSERT(strcmp(entry->key, same->key) == 0);
            VINE_ASSERT(strcmp(entry->value, same->value) == 0);
        }
    } else {
        VINE_ASSERT(error == -VINE_ECONFIG);
    }
    vine__config_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct vine__config config = {0};
    struct vine__config_reason reason = {{0}};
    const int error = vine__config_add_memory(&config, "input", bytes, size_bytes, &reason);
    if (error != 0) {
        VINE_ASSERT(error == -VINE_ECONFIG || error == -ENOSPC);
        VINE_ASSERT(strncmp(reason.text, "input:", 6) == 0);
        VINE_ASSERT(config.count == 0);
    }
    for (uint32_t i = 0; i < config.count; i++) {
        check_entry(&config.entries[i]);
        read_values(&config, config.entries[i].key);
    }
    if (error == 0) {
        write_and_read_again(&config);
        /* The second layer is the same bytes: it replaces all and adds nothing. */
        const uint32_t count = config.count;
        VINE_ASSERT(vine__config_add_memory(&config, "second", bytes, size_bytes, NULL) == 0);
        VINE_ASSERT(config.count == count);
        (void)vine__config_check(&config, vinetalk_keys, VINETALK_KEY_COUNT,
                                 VINETALK_ARCHITECTURE_SHM, &reason);
    }
    vine__config_fini(&config);
    return 0;
}

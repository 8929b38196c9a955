/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/resp_server/random_commands.h - commands by chance, right ones and wrong ones.
 *
 * Owns:     the words of the last command.
 * Threads:  one.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 *
 * Few keys, so that commands meet; values that are numbers, nearly numbers, any bytes, and larger
 * than a reply's room.
 */
#ifndef VINE_TESTS_RANDOM_COMMANDS_H
#define VINE_TESTS_RANDOM_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define RANDOM_WORDS_MAX   12
#define RANDOM_BYTES_MAX   5000
#define RANDOM_KEYS        6
#define RANDOM_FAR_MS      1900000000000 /* times about here are told to the commands */
#define RANDOM_COMMAND_MAX (RANDOM_WORDS_MAX * (RANDOM_BYTES_MAX + 32))

struct random_word {
    char bytes[RANDOM_BYTES_MAX];
    size_t size;
};

static struct {
    uint64_t seed;
    int64_t now_ms; /* times are about now, where a clock of the test's own says when that is */
    struct random_word words[RANDOM_WORDS_MAX];
    size_t count;
} by_chance;

static inline uint64_t random_below(uint64_t bound)
{
    by_chance.seed ^= by_chance.seed << 13;
    by_chance.seed ^= by_chance.seed >> 7;
    by_chance.seed ^= by_chance.seed << 17;
    return by_chance.seed % bound;
}

static inline struct random_word *random_add(const char *text)
{
    struct random_word *const word = &by_chance.words[by_chance.count++];

    word->size = (size_t)snprintf(word->bytes, sizeof(word->bytes), "%s", text);
    return word;
}

static inline void random_add_number(int64_t number)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    (void)random_add(text);
}

static inline void random_add_key(void)
{
    static const char *const keys[RANDOM_KEYS] = {"a", "b", "key", "k\r\n", "", "another key"};

    (void)random_add(keys[random_below(RANDOM_KEYS)]);
}

/* A number, and now and then what is none. */
static inline void random_add_any_number(void)
{
    static const char *const words[] = {
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "1x", "", "-", "01",
        "9223372036854775",    "-9223372036854776",
    };

    if (random_below(6) == 0)
        (void)random_add(words[random_below(sizeof(words) / sizeof(words[0]))]);
    else
        random_add_number((int64_t)random_below(100) - 10);
}

static inline void random_add_value(void)
{
    struct random_word *word;

    switch (random_below(5)) {
    case 0:
        word = random_add("");
        word->size = random_below(40);
        for (size_t n = 0; n < word->size; n++)
            word->bytes[n] = (char)random_below(256);
        return;
    case 1:
        word = random_add("");
        word->size = random_below(4) == 0 ? random_below(RANDOM_BYTES_MAX) : random_below(200);
        memset(word->bytes, (int)('a' + random_below(26)), word->size);
        return;
    default:
        random_add_any_number();
    }
}

/* Times from now that are the same whatever that is: past, or none. */
static inline void random_add_past(void)
{
    static const char *const words[] = {
        "0", "-1", "-1000000", "x", "9223372036854775807", "9223372036854775808"};

    (void)random_add(words[random_below(sizeof(words) / sizeof(words[0]))]);
}

/* A count of seconds or milliseconds, from now or from 1970. */
static inline void random_add_time(bool is_in_ms, bool is_from_now)
{
    const int64_t unit_ms = is_in_ms ? 1 : 1000;
    int64_t ms = ((int64_t)random_below(40) - 5) * 1000;

    if (by_chance.now_ms == 0 && is_from_now) {
        random_add_past();
        return;
    }
    if (random_below(8) == 0) {
        random_add_any_number();
        return;
    }
    if (!is_from_now)
        ms += by_chance.now_ms != 0 ? by_chance.now_ms : RANDOM_FAR_MS;
    random_add_number(ms / unit_ms);
}

static inline void random_add_set(void)
{
    static const struct {
        const char *word;
        bool has_time, is_in_ms, is_from_now;
    } options[] = {
        {"NX", false, false, false},   {"xx", false, false, false},
        {"GET", false, false, false},  {"KeepTTL", false, false, false},
        {"EX", true, false, true},     {"px", true, true, true},
        {"exat", true, false, false},  {"PXAT", true, true, false},
        {"what", false, false, false},
    };

    random_add_key();
    random_add_value();
    while (by_chance.count < RANDOM_WORDS_MAX - 2 && random_below(2) == 0) {
        const size_t n = random_below(40) == 0 ? 8 : random_below(8);

        (void)random_add(options[n].word);
        if (options[n].has_time && random_below(30) != 0)
            random_add_time(options[n].is_in_ms, options[n].is_from_now);
    }
}

static inline void random_add_expire(bool is_in_ms, bool is_from_now)
{
    static const char *const options[] = {"nx", "XX", "gt", "LT", "what"};

    random_add_key();
    random_add_time(is_in_ms, is_from_now);
    while (by_chance.count < 6 && random_below(3) == 0)
        (void)random_add(options[random_below(random_below(10) == 0 ? 5 : 4)]);
}

static inline void random_command(void)
{
    static const char *const names[] = {
        "GET",  "set",  "DEL",    "exists",     "INCR",        "decr",      "incrby",  "DECRBY",
        "MGET", "mset", "expire", "PEXPIRE",    "expireat",    "pexpireat", "PERSIST", "set",
        "get",  "echo", "ping",   "expiretime", "PEXPIRETIME", "ttl",       "pttl",
    };
    const size_t which = random_below(by_chance.now_ms != 0 ? 23 : 21);

    by_chance.count = 0;
    (void)random_add(names[which]);
    if (random_below(60) == 0)
        return; /* too few words, mostly */
    switch (which) {
    case 1:
    case 15:
        random_add_set();
        break;
    case 2:
    case 3:
    case 8:
        do
            random_add_key();
        while (by_chance.count < RANDOM_WORDS_MAX && random_below(3) != 0);
        break;
    case 6:
    case 7:
        random_add_key();
        random_add_any_number();
        break;
    case 9:
        do {
            random_add_key();
            if (random_below(30) != 0)
                random_add_value();
        } while (by_chance.count < RANDOM_WORDS_MAX - 1 && random_below(3) != 0);
        break;
    case 10:
    case 11:
    case 12:
    case 13:
        random_add_expire(which == 11 || which == 13, which < 12);
        break;
    case 17:
    case 18:
        random_add_value();
        break;
    default:
        random_add_key();
    }
}

/* The command as its bytes. Returns their size. */
static inline size_t random_bytes(char bytes[RANDOM_COMMAND_MAX])
{
    size_t size = (size_t)snprintf(bytes, RANDOM_COMMAND_MAX, "*%zu\r\n", by_chance.count);

    for (size_t n = 0; n < by_chance.count; n++) {
        const struct random_word *const word = &by_chance.words[n];

        size += (size_t)snprintf(bytes + size, RANDOM_COMMAND_MAX - size, "$%zu\r\n", word->size);
        memcpy(bytes + size, word->bytes, word->size);
        size += word->size;
        memcpy(bytes + size, "\r\n", 2);
        size += 2;
    }
    return size;
}

#endif

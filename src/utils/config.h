/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/config.h - `KEY VALUE` configuration: parsed, layered, with the origin of each value.
 *
 * Owns:     copies of everything that it was given.
 * Threads:  one at a time; any number once nothing is added any more.
 * Blocking: files are read from disk; anything but a regular file is refused.
 * Trust:    the bytes may be anything. What is wrong is told with file and line; a layer with a
 *           mistake adds nothing.
 * Limits:   the VINE__CONFIG_*_MAX below.
 *
 * The format, line by line (a line ends with LF or CR LF, the last one also with the file):
 *
 *   line    = blanks                              nothing
 *           | blanks "#" anything                 a comment
 *           | blanks KEY blanks VALUE rest        blanks between them: at least one
 *           | blanks KEY blanks "=" blanks VALUE rest
 *   rest    = blanks | blank "#" anything         trailing blanks and a comment are cut
 *   blank   = space | tab
 *   KEY     = 1 to 32 printable ASCII characters other than "=", the first not "#"
 *   VALUE   = at least one byte, to the end of the line; no control characters but tab
 *
 * So a "#" inside a value is part of it unless a blank precedes it. There are no quotes, escapes,
 * sections or continued lines. The case of keys matters. A key that is there twice in one file is a
 * mistake; between layers, the later wins.
 */
#ifndef VINE_UTILS_CONFIG_H
#define VINE_UTILS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINE__CONFIG_KEY_MAX     32           /* bytes */
#define VINE__CONFIG_LINE_MAX    4096         /* bytes, without the line's end */
#define VINE__CONFIG_FILE_MAX    (256 * 1024) /* bytes */
#define VINE__CONFIG_ENTRIES_MAX 512          /* different keys, of all layers */
#define VINE__CONFIG_REASON_MAX  1024         /* bytes, with the NUL; longer ones are cut */

/* What was wrong, one line for a person: "FILE:LINE: ...". Written on failure alone. Wherever one
 * is taken, NULL is too. */
struct vine__config_reason {
    char text[VINE__CONFIG_REASON_MAX];
};

struct vine__config_entry {
    const char *key;
    const char *value;
    const char *source; /* a file's path, "$VARIABLE", "--flag", or "default" */
    uint32_t line;      /* from 1; 0 where there are no lines */
};

/* Zeroed is empty. The fields are for this module alone. */
struct vine__config {
    struct vine__config_entry *entries; /* in the order in which their keys first came */
    uint32_t count;
    char *sources; /* the files that were looked at, for messages: "A (absent), B", or NULL */
};

enum vine__config_type {
    VINE__CONFIG_STRING,   /* any value */
    VINE__CONFIG_PATH,     /* "~" and "~/..." begin with $HOME */
    VINE__CONFIG_SIZE,     /* vine__parse_size */
    VINE__CONFIG_UNSIGNED, /* vine__parse_unsigned */
    VINE__CONFIG_BOOL,     /* 0 or 1 */
    VINE__CONFIG_DURATION, /* vine__parse_duration */
};

/* One row of a program's table of the keys that it knows. */
struct vine__config_key {
    const char *key;
    enum vine__config_type type;
    const char *group; /* who uses it; required keys are required within their group */
    bool required;
    const char *fallback; /* the value if nobody gives one; NULL: there is none */
    const char *least;    /* of numbers and sizes, as a value; NULL: no limit */
    const char *greatest;
    const char *help; /* one sentence */
};

/* Free everything; the config is empty afterwards. */
void vine__config_fini(struct vine__config *config);

/*
 * Add a layer that was read already; `source` is what messages call it.
 *
 * Returns 0; -VINE_ECONFIG (malformed); -ENOSPC (too many keys); -ENOMEM. With each, a reason, and
 * the config is as before.
 */
int vine__config_add_memory(struct vine__config *config, const char *source, const void *bytes,
                            size_t size_bytes, struct vine__config_reason *ret_reason);

/*
 * Add the layer that a file holds.
 *
 * Returns what vine__config_add_memory returns;
 *         -ENOENT    there is none (a reason is given; where files are optional, go on: messages
 *                    about missing keys will name it);
 *         -EACCES    it cannot be read; -EISDIR, -EINVAL: not a regular file; -EFBIG: too large;
 *                    or another negated errno.
 */
int vine__config_add_file(struct vine__config *config, const char *path,
                          struct vine__config_reason *ret_reason);

/* Add, for each known key, the environment's PREFIX followed by the key in capitals (with `_` for
 * each character that names of variables cannot have), if it is set and not empty.
 * Returns what vine__config_add_memory returns. */
int vine__config_add_environment(struct vine__config *config, const char *prefix,
                                 const struct vine__config_key *keys, uint32_t key_count,
                                 struct vine__config_reason *ret_reason);

/* Add or replace one value, as a flag does. Returns what vine__config_add_memory returns. */
int vine__config_set(struct vine__config *config, const char *key, const char *value,
                     const char *source, struct vine__config_reason *ret_reason);

/* Add the known keys' fallbacks for keys that are absent; source "default".
 * Returns what vine__config_add_memory returns. */
int vine__config_add_fallbacks(struct vine__config *config, const struct vine__config_key *keys,
                               uint32_t key_count, struct vine__config_reason *ret_reason);

/* The entry of a key, or NULL. Valid until something is added. */
const struct vine__config_entry *vine__config_find(const struct vine__config *config,
                                                   const char *key);

/* Write "FILE:LINE", or the source alone, cut to fit. */
void vine__config_origin(const struct vine__config_entry *entry, char *ret_text, size_t capacity);

/*
 * Check every value that is there against the type and the limits of its key, and that the required
 * keys of `group` (NULL: none) are there.
 *
 * Returns 0, or -VINE_ECONFIG with a reason that names the key, and the file and line of a wrong
 * value or the files that lack it.
 */
int vine__config_check(const struct vine__config *config, const struct vine__config_key *keys,
                       uint32_t key_count, const char *group,
                       struct vine__config_reason *ret_reason);

/* The first entry from `*index` on whose key is not known, or NULL; moves `*index` behind it. An
 * unknown key is not a mistake (another version may know it), but worth a word. */
const struct vine__config_entry *vine__config_next_unknown(const struct vine__config *config,
                                                           const struct vine__config_key *keys,
                                                           uint32_t key_count, uint32_t *index);

/*
 * Typed values. Each
 *
 * Returns 0                the value;
 *         -ENOENT          no such key: outputs are untouched, so set the default before; a reason
 *                          says that this key is required and missing;
 *         -VINE_ECONFIG    malformed; the reason names file, line and key.
 */
int vine__config_get_size(const struct vine__config *config, const char *key, uint64_t *ret_bytes,
                          struct vine__config_reason *ret_reason);
int vine__config_get_unsigned(const struct vine__config *config, const char *key,
                              uint64_t *ret_value, struct vine__config_reason *ret_reason);
int vine__config_get_bool(const struct vine__config *config, const char *key, bool *ret_value,
                          struct vine__config_reason *ret_reason);
int vine__config_get_duration(const struct vine__config *config, const char *key, uint64_t *ret_ns,
                              struct vine__config_reason *ret_reason);
/* The value as it stands, valid until something is added. */
int vine__config_get_string(const struct vine__config *config, const char *key,
                            const char **ret_value, struct vine__config_reason *ret_reason);
/* The path with `~` replaced, for the caller to free(3). Also -ENOMEM. */
int vine__config_get_path(const struct vine__config *config, const char *key, char **ret_path,
                          struct vine__config_reason *ret_reason);

/* Values by themselves, for flags too. All of `text` has to be one. */

/* Decimal digits, or 0x and hexadecimal ones. Returns 0, -EINVAL, or -ERANGE beyond 64 bits. */
int vine__parse_unsigned(const char *text, uint64_t *ret_value);

/*
 * A number of bytes: a decimal number and, after optional blanks, a unit in any case: B, or one of
 * K, M, G, T, P, also written as KB or KiB and so on, which all are powers of 1024; or a
 * hexadecimal number, which takes no unit. Returns 0, -EINVAL, or -ERANGE beyond 64 bits.
 */
int vine__parse_size(const char *text, uint64_t *ret_bytes);

/*
 * A time in nanoseconds: a decimal number, with a fraction or without, and behind it, without a
 * blank, one of ns, us, ms, s, min and h; or 0, which needs no unit. Returns 0, -EINVAL, or -ERANGE
 * beyond 64 bits.
 */
int vine__parse_duration(const char *text, uint64_t *ret_ns);

/* "0" or "1". Returns 0 or -EINVAL. */
int vine__parse_bool(const char *text, bool *ret_value);

/* Put $HOME (`home`) in place of a "~" that is the whole text or precedes a "/". Allocates.
 * Returns 0; -EINVAL for "~user"; -ENOENT if `home` is needed and NULL or empty; -ENOMEM. */
int vine__expand_path(const char *text, const char *home, char **ret_path);

#endif

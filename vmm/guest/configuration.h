/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configuration.h - what this guest is for: the lines of /etc/vine/init.conf
 * (docs/formats/init.md), which are done in their order.
 *
 * Owns:     the text that it is given, which it takes apart in place; nothing is allocated.
 * Trust:    whoever makes the initrd writes it; still any bytes end in lines or complaints.
 * Limits:   CONFIGURATION_BYTES_MAX, _LINES_MAX and _WORDS_MAX for the whole.
 */
#ifndef VINE_VMM_GUEST_CONFIGURATION_H
#define VINE_VMM_GUEST_CONFIGURATION_H

#include <stddef.h>

#define CONFIGURATION_FILE      "/etc/vine/init.conf"
#define CONFIGURATION_BYTES_MAX 65536
#define CONFIGURATION_LINES_MAX 256
#define CONFIGURATION_WORDS_MAX 4096
#define CONFIGURATION_NAME_MAX  32 /* bytes of a program's name, with its zero */

#define CONFIGURATION_ANY 0xffff

/* X(name, keyword, fewest words behind it, most, usage). */
#define CONFIGURATION_KEYWORDS(X)                                                                  \
    X(LINE_HOSTNAME, "hostname", 1, 1, "hostname NAME")                                            \
    X(LINE_ENV, "env", 1, 1, "env KEY=VALUE")                                                      \
    X(LINE_NET, "net", 2, 2, "net INTERFACE ADDRESS/PREFIX")                                       \
    X(LINE_MOUNT, "mount", 3, 4, "mount DEVICE DIRECTORY TYPE [OPTIONS]")                          \
    X(LINE_RUN, "run", 2, CONFIGURATION_ANY, "run NAME PROGRAM [ARGUMENT...]")                     \
    X(LINE_START, "start", 2, CONFIGURATION_ANY, "start NAME PROGRAM [ARGUMENT...]")               \
    X(LINE_KEEP, "keep", 2, CONFIGURATION_ANY, "keep NAME PROGRAM [ARGUMENT...]")                  \
    X(LINE_WATCH, "watch", 1, 1, "watch yes|no")                                                   \
    X(LINE_POWEROFF, "poweroff", 0, 0, "poweroff")

enum configuration_kind {
#define CONFIGURATION_KIND(name, ...) name,
    CONFIGURATION_KEYWORDS(CONFIGURATION_KIND)
#undef CONFIGURATION_KIND
};

struct configuration_line {
    enum configuration_kind kind;
    unsigned number; /* in the file, from 1 */
    size_t word_count;
    char **words; /* behind the keyword; NULL-terminated */
};

struct configuration {
    size_t line_count;
    size_t word_count;
    struct configuration_line lines[CONFIGURATION_LINES_MAX];
    char *words[CONFIGURATION_WORDS_MAX];
};

const char *configuration_keyword(enum configuration_kind kind);

/* Called for each line that is not understood, which is left out. */
typedef void (*configuration_complain_fn)(void *context, unsigned number, const char *why);

/* Take `text` apart; it has room for a zero behind its `size` bytes and must outlive the result. */
void configuration_parse(char *text, size_t size, configuration_complain_fn complain, void *context,
                         struct configuration *ret_configuration);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/options.h - the command line of a program on reactors, read and explained.
 *
 * Owns:     the lists of operands and of texts, and the values of the program's options; texts stay
 *           argv's.
 * Threads:  one at a time.
 * Blocking: never.
 * Trust:    the command line may be anything. What is wrong in it is told, all of it at once.
 * Limits:   VINE__LEVELS_MAX levels of modules.
 */
#ifndef VINE_CORE_LAUNCH_OPTIONS_H
#define VINE_CORE_LAUNCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <vine/runtime.h>

#include "core/launch/launch_options.h"
#include "core/launch/lines.h"

/* Kinds that programs need not have; they follow those of vine/runtime.h. */
enum vine__option_kind {
    VINE_OPTION_SWITCH = VINE_OPTION_KIND_COUNT, /* 0 or 1 */
    VINE_OPTION_MICROSECONDS,                    /* in nanoseconds */
    VINE_OPTION_PORTION,                         /* bytes, or thousandths of a percent */
    VINE_OPTION_PATH,
    VINE_OPTION_MACHINE, /* text that describes one */
    VINE_OPTION_CPUS,    /* text that is a list of processors */
    VINE_OPTION_LEVELS,  /* into `levels` */
};

enum vine__launch_option {
#define VINE__LAUNCH_ENUM(field, ...) VINE__LAUNCH_##field,
    VINE__LAUNCH_OPTIONS(VINE__LAUNCH_ENUM)
#undef VINE__LAUNCH_ENUM
        VINE__LAUNCH_COUNT,
};

/* --reactor-backend, in the order of its words. */
enum vine__launch_backend {
    VINE__LAUNCH_BACKEND_AUTO,
    VINE__LAUNCH_BACKEND_URING,
    VINE__LAUNCH_BACKEND_EPOLL,
};

/* --malloc, in the order of its words. */
enum vine__launch_malloc {
    VINE__LAUNCH_MALLOC_CORE,
    VINE__LAUNCH_MALLOC_PROCESS,
};

/* --help, in the order of its words. */
enum vine__launch_help {
    VINE__LAUNCH_HELP_TEXT,
    VINE__LAUNCH_HELP_MAN,
    VINE__LAUNCH_HELP_MARKDOWN,
};

enum vine__origin {
    VINE__ORIGIN_NONE,    /* nobody says anything */
    VINE__ORIGIN_TABLE,   /* the fallback */
    VINE__ORIGIN_PROGRAM, /* what the program wishes */
    VINE__ORIGIN_USER,
};

struct vine__launch_value {
    const char *text; /* as it was written; NULL: nobody says anything */
    uint64_t number;  /* by its kind; 0 of nothing */
    uint8_t origin;   /* enum vine__origin */
    bool is_percent;  /* of a PORTION: thousandths of a percent, not bytes */
};

/* Whether user or program ask for it, so that it has to be, and not just would be good. */
static inline bool vine__is_asked(const struct vine__launch_value *value)
{
    return value->origin >= VINE__ORIGIN_PROGRAM;
}

#define VINE__LEVELS_MAX 64

struct vine__level {
    const char *module; /* `length` bytes */
    uint32_t length;
    enum vine_log_level level;
};

struct vine__launch_options {
    union {
        struct {
#define VINE__LAUNCH_FIELD(field, ...) struct vine__launch_value field;
            VINE__LAUNCH_OPTIONS(VINE__LAUNCH_FIELD)
#undef VINE__LAUNCH_FIELD
        };
        struct vine__launch_value all[VINE__LAUNCH_COUNT];
    };
    struct vine__level levels[VINE__LEVELS_MAX]; /* a later one of a module wins */
    uint32_t level_count;
    int argc;           /* the operands, behind argv[0] */
    char **argv;        /* ended with NULL */
    const char **texts; /* of the program's options that may be given more than once */
    /* Of how many processes that share processors and memory this is which one; a count of 0 or 1:
     * it has all to itself. No part of the command line. */
    uint32_t process_index, process_count;
    uint64_t stop_limit_ns; /* for all that is to be stopped; 0: as a rule */
};

/* Everything that is wrong, a line each; what does not fit is left out. */
struct vine__mistakes {
    uint32_t count;
    uint32_t length;
    char text[4096];
};

void vine__mistakes_add(struct vine__mistakes *mistakes, const char *format, ...) VINE_PRINTF(2, 3);

/* What a program says of itself, as this library knows it, with its name filled in: a program may
 * have been built with another length of the struct. `program` may be NULL. */
struct vine_options vine__launch_program(const struct vine_options *program, const char *argv0);

/*
 * Read a command line by the table, and by the program's own one: its values are stored if all is
 * right. `program` is of vine__launch_program, or NULL.
 *
 * Returns 0; -EINVAL: `mistakes` says what is wrong and what would be right; -ENOMEM.
 */
VINE_MUST_CHECK int vine__launch_options_init(struct vine__launch_options *ret_options,
                                              const struct vine_options *program, int argc,
                                              char **argv, struct vine__mistakes *ret_mistakes);

/* A zeroed one is allowed. */
void vine__launch_options_fini(struct vine__launch_options *options);

/* The level for messages of a module. */
enum vine_log_level vine__launch_level(const struct vine__launch_options *options,
                                       const char *module);

/* help.c: the tables as text, as a page for man, and as a table in Markdown; `name` is the
 * program's. With a program of NULL, the runtime's options alone. */
void vine__launch_help(const struct vine_options *program, const char *name,
                       const struct vine__lines *lines);
void vine__launch_manual(const struct vine_options *program, const char *name,
                         const struct vine__lines *lines);
void vine__launch_markdown(const struct vine_options *program, const struct vine__lines *lines);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/runtime.h - a program on reactors: its main function, its options, and all the rest.
 *
 * Owns:     everything between vine_main's call and its return: threads, memory, reactors.
 * Threads:  vine_main is called once, by the thread that becomes core 0.
 * Blocking: vine_main returns when the reactors have stopped.
 * Trust:    the command line is the user's: what is wrong in it is named, with what would be right.
 * Limits:   as many cores as --smp takes.
 */
#ifndef VINE_RUNTIME_H
#define VINE_RUNTIME_H

#include <vine/abort.h>
#include <vine/base.h>
#include <vine/call_limit.h>
#include <vine/condition.h>
#include <vine/error.h>
#include <vine/fifo.h>
#include <vine/file.h>
#include <vine/file_stream.h>
#include <vine/foreign.h>
#include <vine/gate.h>
#include <vine/hash_table.h>
#include <vine/http.h>
#include <vine/http_proxy.h>
#include <vine/http_resource.h>
#include <vine/http_router.h>
#include <vine/http_writer.h>
#include <vine/keyspace.h>
#include <vine/list.h>
#include <vine/log.h>
#include <vine/lookup.h>
#include <vine/metrics.h>
#include <vine/network.h>
#include <vine/queue.h>
#include <vine/reactor.h>
#include <vine/remote.h>
#include <vine/resp.h>
#include <vine/resp_server.h>
#include <vine/semaphore.h>
#include <vine/set.h>
#include <vine/sharded.h>
#include <vine/signal.h>
#include <vine/supervise.h>
#include <vine/timer.h>
#include <vine/tls.h>
#include <vine/waiting.h>

VINE_BEGIN_DECLARATIONS

/* What an option of a program takes, and what becomes of it. */
enum vine_option_kind {
    VINE_OPTION_FLAG,         /* nothing; a bool becomes true. "--name=0" takes it back */
    VINE_OPTION_COUNT,        /* a whole number, decimal or 0x...: uint64_t */
    VINE_OPTION_SIZE,         /* bytes, "512M": uint64_t */
    VINE_OPTION_MILLISECONDS, /* "0.5": uint64_t, in nanoseconds */
    VINE_OPTION_TEXT,         /* anything: const char *, which points into argv */
    VINE_OPTION_TEXTS,     /* the same, any number of times: struct vine_texts, which stays as it is
                                 until vine_main returns. With none there is the fallback */
    VINE_OPTION_ADDRESS,   /* where to listen or connect: as TEXT, but an address by
                              vine_address_parse */
    VINE_OPTION_ADDRESSES, /* the same, any number of times: as TEXTS */
    VINE_OPTION_CHOICE,    /* one of the words of `shown`, "best|fast|safe": uint64_t, which one,
                              from 0 */
    VINE_OPTION_KIND_COUNT,
};

/* An option of the program's own, "--NAME VALUE" or "--NAME=VALUE". */
struct vine_option {
    const char *name; /* without dashes; none of the runtime's */
    enum vine_option_kind kind;
    void *value;          /* where it goes, of the type that its kind says; untouched if nobody
                             gives one and there is no fallback */
    const char *shown;    /* what --help calls the value, "PORT"; NULL: by its kind; of a CHOICE,
                             its words */
    const char *fallback; /* the value if nobody gives one, as a user would write it, or NULL */
    const char *least;    /* of numbers, the same way; NULL: no limit */
    const char *greatest;
    const char *help; /* one sentence without a full stop */
};

/* What a program says of itself. Zeroed fields say nothing. */
struct vine_options {
    size_t size_bytes; /* sizeof(struct vine_options) */
    const char *name;  /* NULL: from argv[0] */
    const char *summary;
    const char *version;  /* NULL: --version prints the library's */
    const char *operands; /* what it takes that is no option, as --help calls it: "FROM TO", of
                             which both have to be there, "[FILE]", "FILE...", "[FILE...]".
                             NULL: nothing, and who gives one is told */
    const struct vine_option *options; /* its own, `option_count` of them */
    size_t option_count;
    const char *const *defaults; /* values that it wishes for options of the runtime or its own, as
                                    "--smp=2", with NULL behind the last; the command line wins */
    /* Called with the operands, as app_main, once the command line has been read and is right,
     * before anything is taken or started; or NULL. What it returns is the exit code, 2 after what
     * it has told, unless it is VINE_MAIN_GOES_ON: the place to look whether values that are the
     * program's own make sense. It is called in a supervisor, and again in each of its processes,
     * which vine_supervised() tells apart. */
    int (*check)(int argc, char **argv);
    /* Become a supervisor with these wishes (vine/supervise.h), which VINE_SUPERVISE_OPTIONS has
     * the command line fill in, and in the processes that it starts go on: once `check` has been
     * called and the options suit each of the processes. NULL: there is none. */
    const struct vine_supervise_options *supervise;
};

/* What app_main returns if it has only begun something. */
#define VINE_MAIN_GOES_ON VINE_SUPERVISE_GOES_ON

/*
 * Lay out this machine as the options say, start a reactor on each of its cores, and call
 * `app_main` on core 0 once all are up. It gets the operands, what on the command line is no
 * option, as its argv (argv[0] stays). If it returns an exit code (0 or more), the reactors stop
 * with it; if VINE_MAIN_GOES_ON, they run until somebody calls vine_stop. All options are in
 * docs/guides/runtime.md, and in what --help prints. `options` may be NULL.
 *
 * The program's main thread, once.
 *
 * Returns the exit code: of app_main or vine_stop; 0 after --help, --version and --topology; 2
 *         after options that are wrong or that this machine does not bear, each told on standard
 *         error; 1 if something else could not be had, told the same way.
 */
VINE_API VINE_MUST_CHECK int vine_main(int argc, char **argv, const struct vine_options *options,
                                       int (*app_main)(int argc, char **argv));

VINE_END_DECLARATIONS

#endif

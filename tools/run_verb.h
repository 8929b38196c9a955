/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_verb.h - `vine run` as a verb: what was asked for, and what is prepared before run_loop and
 * completed after it.
 */
#ifndef VINE_TOOLS_RUN_VERB_H
#define VINE_TOOLS_RUN_VERB_H

#include "connect.h"
#include "run.h"
#include "settings.h"

struct run_values {
    const char *output;
    const char *appliance;
    const char *level;
    const char *key;
    uint64_t jobs;
    uint64_t chunk;
    uint64_t reconnect;
    uint64_t deadline_ns;
    bool sums;
    bool verify;
    bool in_process;
    bool json;
    bool quiet;
    bool verbose;
};

/* The verb's whole state. */
struct run_verb {
    const struct run_values *values;
    const char *procedure;
    char **sources;
    size_t source_count;
    struct settings settings;
    struct connection connection;
    struct run run;
    struct vine_pipe *pipe; /* until an engine has it */
};

/* run_prepare.c: refuse what can be refused before anything is started, then get an engine. Returns
 * a status; what was wrong was told. */
int run_prepare(struct run_verb *verb);

/* run_prepare.c: what the options say that can be wrong whatever the procedure. */
int run_read_options(struct run_verb *verb);

/* run_prepare.c: the same for a stream from standard input, which takes the pipe. */
int run_prepare_stream(struct run_verb *verb);

/* run_stream.c: put standard input through, to standard output. Returns a status. */
int run_stream(struct run_verb *verb);

/* run_output.c: open OUT, its state and its list of sums. Returns a status. */
int run_open_output(struct run_verb *verb, struct stat *ret_status);

/* run_output.c: all went as far as `status` says: what there is gets its last touches, and OUT is
 * closed. Returns the status to exit with. */
int run_complete_output(struct run_verb *verb, int status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/inspect.h - what an appliance tells its operator: how its procedures do, and who is there.
 *
 * Owns:     nothing. Answers are copied to the caller's memory.
 * Threads:  any.
 * Blocking: for some round trips, each at most the pipe's call time-out.
 * Trust:    the appliance may say anything: numbers are as it says, texts are ended and printable.
 * Limits:   an appliance keeps the last 128 pipes that are over, and tells of at most 16,384
 *           findings.
 *
 * Who may know what: sums over all pipes are told to every application. Of pipes an application is
 * told those of its own user, and all of them if that is root or the appliance's own, or if it
 * shares a named segment with it. One on another machine is told of its own pipe.
 */
#ifndef VINE_INSPECT_H
#define VINE_INSPECT_H

#include <vine/talk.h>

VINE_BEGIN_DECLARATIONS

/* Durations of tasks, by the appliance's clock: percentiles within an eighth. */
struct vine_durations {
    uint64_t total_ns;
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
};

/* What an appliance has counted of a procedure since it was started. */
struct vine_procedure_stats {
    char name[VINE_NAME_MAX + 1];
    uint64_t tasks_done;
    uint64_t tasks_failed;
    uint64_t bytes_in; /* of inputs and outputs of the tasks done */
    uint64_t bytes_out;
    uint64_t tasks_late;          /* of the failed ones: those whose deadline was over */
    uint64_t runs_long;           /* that held the loop for longer than dispatch_max_ns says */
    struct vine_durations queued; /* of the tasks that ran: from when it first saw them */
    struct vine_durations run;
};

/*
 * Ask for the statistics of all procedures that are offered. Writes at most `count`.
 *
 * Returns how many there are (which may be more than `count`); -VINE_EPROCEDURE  the appliance is
 * older than this and does not tell; -ETIMEDOUT; -VINE_EPROTOCOL  what it said is none; or as
 * vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int
vine_inspect_procedures(struct vine_pipe *pipe, struct vine_procedure_stats *stats, size_t count);

/* A pipe, as the appliance knows it. */
struct vine_pipe_facts {
    uint64_t number;              /* which no other one of this appliance gets */
    char name[VINE_NAME_MAX + 1]; /* what the application calls itself: a hint */
    char link[VINE_NAME_MAX + 1]; /* to the machine where it is; empty: it is on this one */
    int64_t pid;                  /* 0: not known */
    int64_t uid;                  /* -1: nobody vouches for it */
    bool is_own;                  /* the one that was asked by */
    bool is_closed;
    int error;          /* of a closed one: 0, its application closed it, or why */
    char reason[96];    /* a sentence behind it; may be empty */
    uint64_t age_ns;    /* since it was opened */
    uint64_t closed_ns; /* since it was closed */
    uint64_t tasks_done;
    uint64_t tasks_failed;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t quota_bytes; /* that it may make the appliance hold */
    uint64_t held_bytes;  /* that it does */
    uint32_t tasks_in_flight;
    uint32_t channels;
    uint32_t threads_sharing; /* as in struct vine_pipe_stats, as the application says it */
};

/* Ask for the pipes that are open, and for the last ones that were, the oldest first of both. One
 * that is being opened or closed may be told of a little late. Writes at most `count`. Returns as
 * vine_inspect_procedures. */
VINE_API VINE_MUST_CHECK int vine_inspect_pipes(struct vine_pipe *pipe,
                                                struct vine_pipe_facts *facts, size_t count);

enum vine_finding_kind {
    VINE_FINDING_TASKS = 1,   /* that were taken and have not ended; bytes of their inputs */
    VINE_FINDING_ROOM = 2,    /* boxes for what such tasks write */
    VINE_FINDING_RESULTS = 3, /* boxes that the application has not given back */
    VINE_FINDING_FAULT = 4,   /* what cannot be */
};

/* What an appliance's own books say of a pipe: of each kind and procedure how much there is, and
 * what they find that cannot be, of the application's half and of themselves. */
struct vine_finding {
    uint64_t pipe; /* its number, as in vine_pipe_facts */
    enum vine_finding_kind kind;
    char name[VINE_NAME_MAX + 1]; /* the procedure, empty: others; or what is wrong */
    uint64_t count;
    uint64_t bytes;
    uint64_t oldest_ns; /* since when the oldest is there: too old by a third at most */
    uint64_t ages[4];   /* how many are younger than a second, a minute, an hour; and older */
    int64_t channel;    /* of a fault; -1: of none */
    int64_t offset; /* of a fault, in the application's half; -1: in the appliance's own books */
    char found[80]; /* of a fault: what is there, and what has to be */
    char expected[64];
};

/*
 * Have an appliance look at its books of all pipes, and of the other half what they speak of. Each
 * of its cores looks at its own pipes, some at a time; boxes that come and go meanwhile may be
 * missed. Who may know what is as for vine_inspect_pipes. Writes at most `count`. Returns as
 * vine_inspect_procedures; -VINE_ECANCELED  others ask all the time.
 */
VINE_API VINE_MUST_CHECK int vine_inspect_books(struct vine_pipe *pipe,
                                                struct vine_finding *findings, size_t count);

VINE_END_DECLARATIONS

#endif

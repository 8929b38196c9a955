/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/launch_options.h - the options of every program on reactors, once for parser, --help,
 * man page and docs/guides/runtime.md.
 *
 * X(FIELD, name, KIND, value, fallback, bare, least, greatest, help)
 *
 * FIELD     the field of struct vine__launch_options, and in capitals its number
 * KIND      how the value is read: a kind of vine/runtime.h, or of options.h
 * value     what --help calls it; of a choice, its words
 * fallback  the value if nobody gives one; in parentheses: what is done then, which is no value
 * bare      the value of the option without one; NULL: it needs one
 * least, greatest  limits, as a user would write them, or NULL
 * help      one sentence without a full stop
 */
#ifndef VINE_CORE_LAUNCH_LAUNCH_OPTIONS_H
#define VINE_CORE_LAUNCH_LAUNCH_OPTIONS_H

/* Those that say how the reactors are. */
#define VINE__REACTOR_OPTIONS(X)                                                                   \
    X(smp, "smp", COUNT, "N", "(all that may be used)", NULL, "1", "64",                           \
      "how many cores there are, each a thread on a processor of its own")                         \
    X(cpuset, "cpuset", CPUS, "LIST", "(all that may be used)", NULL, NULL, NULL,                  \
      "the processors that are used, as 0-3,8")                                                    \
    X(memory, "memory", PORTION, "SIZE", "(all but what is reserved)", NULL, NULL, NULL,           \
      "the memory of all cores together, as 4G or 25% of what there is")                           \
    X(reserve_memory, "reserve-memory", PORTION, "SIZE",                                           \
      "(the larger of 1536M and 7%, but never beyond 25%)", NULL, NULL, NULL,                      \
      "the memory that is left to everybody else")                                                 \
    X(hugepages, "hugepages", PATH, "PATH", NULL, NULL, NULL, NULL,                                \
      "a mount of hugetlbfs, of whose pages all cores' memory is made")                            \
    X(lock_memory, "lock-memory", SWITCH, "0|1", "0", NULL, NULL, NULL,                            \
      "whether all memory is kept from being swapped out")                                         \
    X(num_io_queues, "num-io-queues", COUNT, "N", "(one a core)", NULL, "1", "64",                 \
      "how many cores have a queue of file operations; others submit through a neighbour")         \
    X(max_io_requests, "max-io-requests", COUNT, "N", "(128 for each I/O queue)", NULL, "1",       \
      "1048576", "how many file operations are handed to the kernel at once, by all queues")       \
    X(topology, "topology", MACHINE, "FILE|TEXT", NULL, NULL, NULL, NULL,                          \
      "show the start on another machine, without starting: as a file that lstopo wrote, or in "   \
      "words, as 'pack:2 [numa(memory=64GB)] core:16 pu:2'")                                       \
    X(explain_start, "explain-start", FLAG, NULL, NULL, "1", NULL, NULL,                           \
      "print the start step by step, with what was found and decided")                             \
    X(thread_affinity, "thread-affinity", SWITCH, "0|1", "1", NULL, NULL, NULL,                    \
      "whether each core's thread is bound to its processor")                                      \
    X(overprovisioned, "overprovisioned", FLAG, NULL, NULL, "1", NULL, NULL,                       \
      "share the processors with others: more cores than processors are allowed, threads are not " \
      "bound, and an idle core sleeps at once; each unless said otherwise")                        \
    X(poll_mode, "poll-mode", FLAG, NULL, NULL, "1", NULL, NULL,                                   \
      "never sleep: an idle core polls on, at the cost of its processor; not with "                \
      "--overprovisioned")                                                                         \
    X(idle_poll_time, "idle-poll-time-us", MICROSECONDS, "US", "200", NULL, "0", "1000000",        \
      "how long an idle core polls at most before it sleeps; less where that does not pay")        \
    X(task_quota, "task-quota-ms", MILLISECONDS, "MS", "0.5", NULL, "0.01", "1000",                \
      "how long a turn of the loop runs work before it looks at everything else")                  \
    X(blocked_notify, "blocked-reactor-notify-ms", MILLISECONDS, "MS", "25", NULL, "0", "3600000", \
      "how long a core may be blocked before that is told with a backtrace; 0: never")             \
    X(max_task_backlog, "max-task-backlog", COUNT, "N", "1000", NULL, "1", "1000000000",           \
      "how much work may wait on a core before what brings more is held back")                     \
    X(shuffle_seed, "shuffle-seed", COUNT, "N", "(0; in debug builds a random number)", NULL, "0", \
      "4294967295",                                                                                \
      "run a core's work in an order of this number's choice, which finds who relies on another "  \
      "one; 0: in order")                                                                          \
    X(network_stack, "network-stack", CHOICE, "posix", "posix", NULL, NULL, NULL,                  \
      "whose network is used: the kernel's")                                                       \
    X(reactor_backend, "reactor-backend", CHOICE, "auto|io_uring|epoll", "auto", NULL, NULL, NULL, \
      "how operations are handed to the kernel; auto: by io_uring where it is to be had")          \
    X(malloc, "malloc", CHOICE, "core|process", "core", NULL, NULL, NULL,                          \
      "whose memory malloc gives on a core: the core's own, or the process's, beside it")          \
    X(abort_on_bad_alloc, "abort-on-bad-alloc", FLAG, NULL, NULL, "1", NULL, NULL,                 \
      "end the program with a core dump when a core's memory is used up, not with an error")       \
    X(default_log_level, "default-log-level", CHOICE, "error|warning|info|debug", "info", NULL,    \
      NULL, NULL, "the least important messages that are printed")                                 \
    X(logger_log_level, "logger-log-level", LEVELS, "MODULE=LEVEL", NULL, NULL, NULL, NULL,        \
      "the same for one module; may be given for several, also as A=LEVEL:B=LEVEL")

#define VINE__LAUNCH_OPTIONS(X)                                                                    \
    VINE__REACTOR_OPTIONS(X)                                                                       \
    X(help, "help", CHOICE, "text|man|markdown", NULL, "text", NULL, NULL,                         \
      "print all options, also as a page for man or a table")                                      \
    X(version, "version", FLAG, NULL, NULL, "1", NULL, NULL, "print which version this is")

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - the exit codes of `vine`, and which of them an error means.
 */
#ifndef VINE_TOOLS_STATUS_H
#define VINE_TOOLS_STATUS_H

/* X(name, code, text); in the order of the man page. */
#define STATUSES(X)                                                                                \
    X(STATUS_DONE, 0, "done")                                                                      \
    X(STATUS_FAILED, 1, "the work, or a part of it, failed; what failed was named")                \
    X(STATUS_USAGE, 2, "the command was not understood, or cannot mean anything")                  \
    X(STATUS_NO_APPLIANCE, 69,                                                                     \
      "no appliance or VM server, or none that we can talk to, is where one was named")            \
    X(STATUS_TRY_AGAIN, 75,                                                                        \
      "a time-out, an address that another one has, or the appliance was lost; the same may work " \
      "later")                                                                                     \
    X(STATUS_DENIED, 77, "not permitted")                                                          \
    X(STATUS_INTERRUPTED, 130,                                                                     \
      "interrupted (143 by SIGTERM, 129 by SIGHUP); nothing half-done was left behind")

enum status {
#define STATUS_VALUE(name, code, text) name = code,
    STATUSES(STATUS_VALUE)
#undef STATUS_VALUE
};

/* What it means; "" for one that is not of the table. */
const char *status_text(int status);

/* The exit code for an error of libvine while work was under way. */
int status_of_error(int error);

/* The exit code for an error of vine_pipe_open. */
int status_of_connect(int error);

#endif

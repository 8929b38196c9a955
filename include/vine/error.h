/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/error.h - the error numbers of Vine, in one table.
 *
 * Owns:     constant tables.
 * Threads:  any.
 * Blocking: never.
 * Trust:    a number that came from a peer is looked up like any other; unknown ones have a text.
 * Limits:   errno values stay negated below 1000; Vine's own numbers begin at 1001. The numbers
 *           cross the wire: they are never renumbered, new ones are added at the end.
 */
#ifndef VINE_ERROR_H
#define VINE_ERROR_H

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

/* X(name, number, text) */
#define VINE_ERRORS(X)                                                                             \
    X(VINE_EPEERLOST, 1001, "the other side is gone")                                              \
    X(VINE_ECORRUPT, 1002, "the other side wrote something impossible into the shared memory")     \
    X(VINE_EFORK, 1003, "a pipe does not survive fork; open one in the child")                     \
    X(VINE_EQUOTA, 1004, "a quota of the pipe is used up")                                         \
    X(VINE_EMAGIC, 1005, "not a Vine segment")                                                     \
    X(VINE_EVERSION, 1006, "the other side speaks another major version")                          \
    X(VINE_EFINGERPRINT, 1007, "the other side was built with another layout of shared memory")    \
    X(VINE_ETRUNCATED, 1008, "the memory is smaller than it claims")                               \
    X(VINE_EUNSEALED, 1009, "the memory can be changed by its owner in ways that would hurt us")   \
    X(VINE_EINITIALIZING, 1010, "the segment is not initialized yet")                              \
    X(VINE_EPROTOCOL, 1011, "the other side broke the protocol")                                   \
    X(VINE_EPROCEDURE, 1012, "the appliance has no such procedure")                                \
    X(VINE_EARGUMENT, 1013, "an argument is of the wrong type, size or count")                     \
    X(VINE_ETOOBIG, 1014, "the data is larger than the procedure or the pipe takes")               \
    X(VINE_EDRAINING, 1015, "the appliance is shutting down and takes no new work")                \
    X(VINE_ECANCELED, 1016, "the task was canceled")                                               \
    X(VINE_EFAILED, 1017, "the procedure failed")                                                  \
    X(VINE_EDATA, 1018, "the input is not what the procedure expects")                             \
    X(VINE_EACCELERATOR, 1019, "the appliance has no such accelerator")                            \
    X(VINE_ECLOSED, 1020, "the pipe is closed")                                                    \
    X(VINE_ENOAPPLIANCE, 1021, "no appliance answers at this address")                             \
    X(VINE_ECONFIG, 1022, "the configuration is malformed")                                        \
    X(VINE_ETOKEN, 1023, "a token names no living box")                                            \
    X(VINE_ESESSION, 1024, "no such session, or it has ended")                                     \
    X(VINE_EOVERFLOW, 1025, "the result is larger than the room that the task stated")             \
    X(VINE_EKEY, 1026, "the appliance has no such key, or the data was sealed with another")       \
    X(VINE_EAUTHENTIC, 1027, "the data does not authenticate: it was changed, or is not whole")    \
    X(VINE_EDEADLINE, 1028, "the task's deadline was over before it had ended")                    \
    X(VINE_ECHANGED, 1029, "the appliance that came has this procedure with other arguments")

enum vine_error {
#define VINE_ERROR_VALUE(name, number, text) name = number,
    VINE_ERRORS(VINE_ERROR_VALUE)
#undef VINE_ERROR_VALUE
        VINE_ERROR_END, /* one more than the last of them */
};

/* The symbol of an error, "VINE_EQUOTA" or "EAGAIN"; takes either sign; "?" for an unknown one.
 * Any thread. The text is constant. */
VINE_API const char *vine_error_name(int error);

/* One sentence without a full stop that tells a person what happened. Takes either sign. Any
 * thread. The text is constant. */
VINE_API const char *vine_error_text(int error);

VINE_END_DECLARATIONS

#endif

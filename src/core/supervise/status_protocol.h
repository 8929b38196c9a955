/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/supervise/status_protocol.h - what passes between a supervisor and its processes.
 *
 * In the environment of a process: LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES, as sd_listen_fds(3)
 * has them (sockets from descriptor 3 on; names separated by colons, and empty where there is
 * none), and VINE_SUPERVISED, "INDEX COUNT FD PID": which of how many processes it is, where it
 * writes, and which process is meant, since an environment is inherited further.
 *
 * Written by a process, to a pipe that waits for nobody: lines, each by one write.
 *
 *     READY           it serves
 *     WORDS text      to be told if it dies
 */
#ifndef VINE_CORE_SUPERVISE_STATUS_PROTOCOL_H
#define VINE_CORE_SUPERVISE_STATUS_PROTOCOL_H

#define STATUS_VARIABLE   "VINE_SUPERVISED"
#define STATUS_READY      "READY"
#define STATUS_WORDS      "WORDS "
#define STATUS_FIRST_FD   3
#define STATUS_LINE_BYTES (VINE_SUPERVISED_WORDS_BYTES + sizeof(STATUS_WORDS))

#endif

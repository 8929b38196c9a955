/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/qmp.h - a client of QEMU's control protocol that never waits.
 *
 * Owns:     its socket, copies of descriptors that are still to be sent, and what came and was not
 *           taken yet.
 * Threads:  one at a time.
 * Blocking: never. Poll vine__qmp_fd, for writing too while vine__qmp_wants_write, until
 *           vine__qmp_deadline_ns; then call vine__qmp_process with the time that it is.
 * Trust:    QEMU may have been taken over by its guest: a line that is too long, no JSON, or no
 *           message of the protocol, an answer to what was never asked, or a greeting that does not
 *           come ends the connection with an error. No more is kept than the limits allow.
 * Limits:   VINE__QMP_LINE_BYTES a line, VINE__QMP_COMMANDS_MAX commands that await an answer,
 *           VINE__QMP_MESSAGES_MAX messages not taken: then it stops reading.
 */
#ifndef VINE_VMM_ENGINE_QMP_H
#define VINE_VMM_ENGINE_QMP_H

#include <vine/base.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define VINE__QMP_LINE_BYTES   (256 * 1024)
#define VINE__QMP_COMMANDS_MAX 128
#define VINE__QMP_MESSAGES_MAX 16

enum vine__qmp_kind {
    VINE__QMP_READY,  /* greeted, and capabilities agreed upon: commands are heard now */
    VINE__QMP_ANSWER, /* to command `id` */
    VINE__QMP_EVENT,  /* `name` happened */
};

struct vine__qmp_message {
    enum vine__qmp_kind kind;
    uint64_t id;
    int error;     /* of an answer: 0; -VINE_EFAILED with QEMU's words in `text`; -ETIMEDOUT */
    char name[64]; /* of an event */
    char text[256];
    json_t *value; /* what an answer returned, or an event's data; or NULL. The receiver's */
};

struct vine__qmp;

/* Take over a connected socket. The greeting is awaited until `deadline_ns`.
 * Returns 0; -ENOMEM; or what the system said, and the socket is still the caller's. */
VINE_MUST_CHECK int vine__qmp_open(int fd, uint64_t deadline_ns, struct vine__qmp **ret_qmp);
void vine__qmp_close(struct vine__qmp *qmp);

int vine__qmp_fd(const struct vine__qmp *qmp);
bool vine__qmp_wants_write(const struct vine__qmp *qmp);

/* When vine__qmp_process is to be called even if nothing comes; VINE_FOREVER: never. */
uint64_t vine__qmp_deadline_ns(const struct vine__qmp *qmp);

/*
 * Send a command, once the greeting is over. `arguments` is taken, whatever is returned; NULL for
 * none. A copy of `fd` goes with it; -1: none.
 *
 * Returns 0 and the id of the answer to come, which says -ETIMEDOUT if QEMU has not answered by
 * `deadline_ns`; -EAGAIN  too many await theirs; -ENOMEM; or the error that ended the connection.
 */
VINE_MUST_CHECK int vine__qmp_send(struct vine__qmp *qmp, const char *command, json_t *arguments,
                                   int fd, uint64_t deadline_ns, uint64_t *ret_id);

/* Read and write what can be. Returns 0; -VINE_EPEERLOST  the other side has closed;
 * -VINE_EPROTOCOL  it broke the protocol; -ETIMEDOUT  it did not greet; another negative error.
 * Each of them is for ever; messages that came before can still be taken. */
VINE_MUST_CHECK int vine__qmp_process(struct vine__qmp *qmp, uint64_t now_ns);

/* Take the next message. Returns whether there was one. */
bool vine__qmp_next(struct vine__qmp *qmp, struct vine__qmp_message *ret_message);
void vine__qmp_message_fini(struct vine__qmp_message *message);

#endif

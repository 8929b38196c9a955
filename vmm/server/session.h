/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/session.h - what a connection of a client asks, done and answered.
 *
 * Owns:     an answer until it was sent, an upload, what is waited for, events that were not sent.
 *           Work goes on without it.
 * Threads:  the registry's.
 * Blocking: as the registry; whoever waits for a VM, or for work at one, is told so, and woken.
 * Trust:    a command was permitted by the request's reader; parameters may be anything. Sentences
 *           may name files of the host: whoever is no control socket is told the rest of them.
 * Limits:   VINE__SESSION_ANSWER_BYTES_MAX of an answer, VINE__SESSION_EVENTS_MAX events; of a
 *           client's answers that were not sent, VINE__SESSION_HELD_BYTES_MAX in all its sessions.
 */
#ifndef VINE_VMM_SERVER_SESSION_H
#define VINE_VMM_SERVER_SESSION_H

#include "vmm/server/answer.h"
#include "vmm/server/control_pools.h"
#include "vmm/server/request.h"
#include "vmm/server/upload.h"

#define VINE__SESSION_ANSWER_BYTES_MAX (8U << 20)
#define VINE__SESSION_HELD_BYTES_MAX   (16U << 20)
#define VINE__SESSION_LOG_BYTES_MAX    (64U << 10)
#define VINE__SESSION_EVENTS_MAX       64
#define VINE__SESSION_WAIT_MS_MAX      (24 * 3600 * 1000)

struct vine__session_event {
    uint64_t number;
    char uid[VINE__CLIENT_UID_BYTES];
    enum vine__vm_state state;
    const char *ended_by;
    char text[VINE__VM_END_BYTES];
};

struct vine__session {
    struct vine__registry *registry; /* private, from here... */
    struct vine__client *client;
    struct vine__upload upload;
    struct vine__watcher waits, listens;
    struct vine__asker asker;            /* for work; its VM is there while that is under way */
    bool is_working;                     /* `waiting` is for work, and not for a state */
    const struct vine__command *waiting; /* the command that is not answered yet, or NULL */
    char wait_uid[VINE__CLIENT_UID_BYTES];
    enum vine__vm_state wait_state;
    bool is_reached;                    /* the VM was in that state, be it for a moment */
    struct vine__session_event *events; /* a ring; NULL: nobody has asked for them */
    uint32_t event_first, event_count;
    uint64_t event_number; /* of the last one that there was, taken or not */
    char *large;
    char small[1024]; /* ...to here */

    /* Of the control socket; or NULL. */
    struct vine__control *control;
    struct vine__control_asked *asked; /* of the server itself; private */
    /* What large answers hold, of all sessions that share it; NULL: of nobody else. */
    uint64_t *held_bytes;
    /* There is an event, or what is waited for. Its maker's; may not call back. */
    void (*wake)(struct vine__session *session);
    /* A refusal was told in fewer words than these, which the server's log is to have. Its maker's;
     * NULL: nobody is told. */
    void (*shortened)(struct vine__session *session, const char *text);
    /* What is to be sent; NULL: nothing. */
    const char *answer;
    size_t answer_bytes;
    uint64_t wait_ms; /* after VINE__SESSION_WAITS: how long at most */
};

enum vine__session_told {
    VINE__SESSION_ANSWERED, /* `answer` is to be sent */
    VINE__SESSION_WAITS,    /* until `wake`, or `wait_ms` are over: then vine__session_go_on */
};

void vine__session_init(struct vine__session *session, struct vine__registry *registry,
                        struct vine__client *client, void (*wake)(struct vine__session *session));

/* An upload that is not whole has not been. */
void vine__session_fini(struct vine__session *session);

/* Answer a request that its reader has refused. */
void vine__session_refuse(struct vine__session *session, const struct vine__request *request);

/* A request's buffer begins; so many bytes of it were written to the upload's file, or there was
 * this errno. Returns false if it is refused: the answer is there, and the rest of the request is
 * to go by. */
VINE_MUST_CHECK bool vine__session_buffer(struct vine__session *session,
                                          const struct vine__request *request);
VINE_MUST_CHECK bool vine__session_piece(struct vine__session *session,
                                         const struct vine__command *command, size_t size,
                                         int error);

/* A request that is whole. */
VINE_MUST_CHECK enum vine__session_told vine__session_do(struct vine__session *session,
                                                         const struct vine__request *request);
VINE_MUST_CHECK enum vine__session_told vine__session_go_on(struct vine__session *session,
                                                            bool is_timed_out);

/* The answer was sent. */
void vine__session_sent(struct vine__session *session);

/* Have the next event as the answer. Returns whether there was one. */
VINE_MUST_CHECK bool vine__session_next_event(struct vine__session *session);

#endif

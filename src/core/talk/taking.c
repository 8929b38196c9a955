/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appliance takes another one's place: it asks at its address for the listener and all pipes,
 * which come one after the other, while it serves. Each is a connection that says hello when its
 * application finds that the other has left it, which may take as long as that does nothing.
 *
 * Where the other one took somebody's place itself, of whom it is still left pipes, it hands that
 * connection on with its last message: so it need not wait, and at each moment one process alone
 * has it. If that process ends, who is to leave something over it hears of it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/peer/identity.h"
#include "arch/wake/epoll.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/leave.h"
#include "core/talk/message.h"

#define MESSAGES_AT_ONCE 16
/* More than are on their way at once: they wait in a socket's buffer, some hundred bytes each. */
#define MESSAGES_LAST 4096

static int connect_there(struct vine_appliance *appliance, uint64_t timeout_ns, int *ret_fd,
                         struct vine__why *why)
{
    struct vine__peer_credentials there;
    struct vine__identity self;
    int error = vine__peer_connect(appliance->address.text, timeout_ns, ret_fd);

    if (error) {
        *ret_fd = -1;
        vine__why_say(why, "no appliance listens there");
        return error == -ENOENT || error == -ECONNREFUSED ? -VINE_ENOAPPLIANCE : error;
    }
    error = vine__peer_credentials(*ret_fd, &there);
    vine__identity_of_self(&self);
    if (!error && there.uid != self.uid) {
        vine__why_say(why, "it is user %u's", there.uid);
        return -EACCES;
    }
    return error;
}

/* The next message, which is to be of this type, and its descriptor. */
static int expect(int fd, uint16_t type, uint64_t timeout_ns, union vine__talk_any *ret_message,
                  int *ret_fd, struct vine__why *why)
{
    const int error = vine__talk_receive(fd, ret_message, ret_fd, timeout_ns, why);

    if (error)
        return error == -EAGAIN ? -ETIMEDOUT : error;
    if (ret_message->head.type == type)
        return 0;
    if (*ret_fd >= 0)
        close(*ret_fd);
    *ret_fd = -1;
    if (ret_message->head.type == VINE_TALK_REFUSE) {
        vine__why_say(why, "it refuses: %s", ret_message->reason.text);
        return vine__error_from_wire(ret_message->reason.error, -VINE_EPROTOCOL);
    }
    vine__why_say(why, "message %u instead of %u", ret_message->head.type, type);
    return -VINE_EPROTOCOL;
}

static int ask(struct vine_appliance *appliance, uint64_t timeout_ns, struct vine__why *why)
{
    const struct vine_talk_take_over question = {
        .head = VINE__TALK_HEAD(VINE_TALK_TAKE_OVER, question),
        .major = VINE_TALK_MAJOR,
        .minor = VINE_TALK_MINOR,
    };
    union vine__talk_any listener;
    union vine__talk_any lock;
    int listener_fd = -1;
    int lock_fd = -1;
    const int fd = appliance->taking_fd;
    int error = vine__talk_send(fd, &question, -1, timeout_ns);

    if (!error)
        error = expect(fd, VINE_TALK_LISTENER, timeout_ns, &listener, &listener_fd, why);
    if (!error)
        error = expect(fd, VINE_TALK_LOCK, timeout_ns, &lock, &lock_fd, why);
    if (!error) {
        const struct vine__peer_listener taken = {
            .fd = listener_fd,
            .lock_fd = lock_fd,
            .device = listener.left.device,
            .inode = listener.left.inode,
        };

        error = vine__peer_listener_take(&appliance->listener, &taken, appliance->address.text);
    }
    if (error) {
        if (listener_fd >= 0)
            close(listener_fd);
        if (lock_fd >= 0)
            close(lock_fd);
    }
    return error;
}

static int watch(struct vine_appliance *appliance)
{
    const int error =
        vine__epoll_add(appliance->epoll_fd, appliance->listener.fd, &appliance->listener);

    return error
               ? error
               : vine__epoll_add(appliance->epoll_fd, appliance->taking_fd, &appliance->taking_fd);
}

int vine_appliance_take_over(struct vine_appliance *appliance, const char *address,
                             uint64_t timeout_ns)
{
    struct vine__why why = {""};

    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    if (appliance->listener.fd >= 0 || appliance->named != NULL || appliance->places != NULL)
        return -EINVAL;

    int error = vine__address_resolve(address, true, &appliance->address, &why);

    if (!error && (appliance->address.is_link || appliance->address.is_named)) {
        vine__why_say(&why, "only what listens at a socket can be taken over");
        error = -EOPNOTSUPP;
    }
    if (!error)
        error = connect_there(appliance, timeout_ns, &appliance->taking_fd, &why);
    if (!error)
        error = ask(appliance, timeout_ns, &why);
    if (!error)
        error = watch(appliance);
    if (!error)
        return 0;
    vine__appliance_log(appliance, VINE_LOG_WARNING, "cannot take over %s: %s",
                        appliance->address.text[0] != 0 ? appliance->address.text
                        : address != NULL               ? address
                                                        : "the default address",
                        why.text[0] != 0 ? why.text : vine_error_text(error));
    vine__peer_listener_return(&appliance->listener);
    if (appliance->taking_fd >= 0)
        close(appliance->taking_fd);
    appliance->taking_fd = -1;
    return error;
}

/* The other one has left all that it had, or is lost. */
static void end(struct vine_appliance *appliance, int error)
{
    close(appliance->taking_fd);
    appliance->taking_fd = -1;
    if (error)
        vine__appliance_log(appliance, VINE_LOG_WARNING,
                            "whose place we take is lost, with the pipes that it had still: %s",
                            vine_error_text(error));
    else
        vine__appliance_log(appliance, VINE_LOG_INFO, "all pipes were taken over");
}

/* It has left all that it had, and whose place it took itself has something still: what that one
 * leaves comes to us. */
static void follow(struct vine_appliance *appliance, int former_fd)
{
    int error = vine__peer_check(former_fd);

    if (!error)
        error = vine__epoll_add(appliance->epoll_fd, former_fd, &appliance->taking_fd);
    if (error) {
        close(former_fd);
        end(appliance, error);
        return;
    }
    close(appliance->taking_fd);
    appliance->taking_fd = former_fd;
    vine__appliance_log(appliance, VINE_LOG_INFO,
                        "all pipes of one were taken over; the one before it has some still");
}

static void hear(struct vine_appliance *appliance, int messages_max)
{
    for (int i = 0; i < messages_max && appliance->taking_fd >= 0; i++) {
        union vine__talk_any message;
        struct vine__why why = {""};
        int fd = -1;
        const int error = vine__talk_receive(appliance->taking_fd, &message, &fd, 0, &why);

        if (error == -EAGAIN)
            return;
        if (error == -EMFILE) {
            vine__appliance_log(appliance, VINE_LOG_WARNING,
                                "a pipe that was left is lost: no descriptor is free for it");
        } else if (error) {
            end(appliance, error);
        } else if (message.head.type == VINE_TALK_PIPE) {
            vine__events_place(appliance, fd, (message.left.flags & VINE_TALK_PIPE_GREETED) != 0);
        } else if (message.head.type == VINE_TALK_FORMER) {
            follow(appliance, fd);
        } else {
            if (fd >= 0)
                close(fd);
            end(appliance, message.head.type == VINE_TALK_THAT_WAS_ALL ? 0 : -VINE_EPROTOCOL);
        }
    }
}

void vine__taking_hear(struct vine_appliance *appliance)
{
    hear(appliance, MESSAGES_AT_ONCE);
}

void vine__taking_pass(struct vine_appliance *appliance)
{
    vine__epoll_remove(appliance->epoll_fd, appliance->taking_fd);
    close(appliance->taking_fd);
    appliance->taking_fd = -1;
}

void vine__taking_give_up(struct vine_appliance *appliance)
{
    /* What comes then is for who has the listener, as is the rest. */
    if (appliance->is_listener_left) {
        vine__epoll_remove(appliance->epoll_fd, appliance->taking_fd);
        return;
    }
    hear(appliance, MESSAGES_LAST); /* perhaps that was all */
    if (appliance->taking_fd < 0)
        return;
    vine__appliance_log(appliance, VINE_LOG_WARNING,
                        "whose place we take goes on: we end before it has left all pipes");
    if (!appliance->is_deaf)
        vine__epoll_remove(appliance->epoll_fd, appliance->listener.fd);
    vine__peer_listener_return(&appliance->listener);
    close(appliance->taking_fd);
    appliance->taking_fd = -1;
}

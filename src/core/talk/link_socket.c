/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes of one machine: halves in sealed memfds, passed over a Unix socket. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/peer/peer.h"
#include "arch/wake/membarrier.h"
#include "core/talk/link.h"
#include "core/talk/message.h"
#include "utils/assert.h"
#include "utils/bits.h"

/* Messages taken in one go: an application that floods us is one among many. */
#define MESSAGES_AT_ONCE 8

/* Wake-ups of a former appliance that a socket may hold still. */
#define LEFTOVERS_MAX 4096

static void wake(struct vine__link *link)
{
    const struct vine_talk_head head = VINE__TALK_HEAD(VINE_TALK_WAKE, struct vine_talk_head);

    /* A full socket holds wake-ups enough, and a closed one is noticed by whoever waits. */
    (void)!vine__talk_send(link->socket_fd, &head, -1, 0);
}

static int announce(struct vine__link *link, uint32_t index, const struct vine__half_extent *extent)
{
    const struct vine_talk_extent message = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, message),
        .index = index,
        .size_bytes = extent->size_bytes,
    };

    return vine__talk_send(link->socket_fd, &message, vine__memory_fd(extent->memory), 0);
}

static int take(struct vine__link *link, const union vine__talk_any *message, int fd,
                struct vine__why *why)
{
    switch (message->head.type) {
    case VINE_TALK_WAKE:
        link->wakes_heard++;
        return 0;
    case VINE_TALK_EXTENT: {
        const int error =
            vine__mirror_add(link->mirror, message->extent.index, fd, message->extent.size_bytes);

        if (error)
            vine__why_say(why, "extent %u of %llu bytes cannot be taken: %s", message->extent.index,
                          (unsigned long long)message->extent.size_bytes, vine_error_text(error));
        return error;
    }
    case VINE_TALK_BYE:
        vine__why_say(why, "the other side closed the pipe: %s", message->reason.text);
        return vine__error_from_wire(message->reason.error, -VINE_ECLOSED);
    case VINE_TALK_REFUSE:
        if (link->side != VINE_SEGMENT_APPLICATION)
            break;
        /* Who it was left to will not have it, and hangs up. That may be heard before we greet him,
         * and even before the one that left it says so. */
        vine__why_say(why, "the appliance that it was left to refuses it: %s",
                      message->reason.text);
        return -VINE_EPEERLOST;
    default:
        break;
    }
    vine__why_say(why, "a message of type %u out of turn", message->head.type);
    return -VINE_EPROTOCOL;
}

static int receive(struct vine__link *link, struct vine__why *why)
{
    for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
        union vine__talk_any message;
        int fd = -1;
        int error;

        /* One extent after the other. */
        if (link->mirror->growing != NULL)
            return 1;
        error = vine__talk_receive(link->socket_fd, &message, &fd, 0, why);
        if (error == -EAGAIN)
            return 0;
        if (error == -VINE_EPEERLOST)
            vine__why_say(why, "the other side hung up");
        if (!error)
            error = take(link, &message, fd, why);
        if (fd >= 0)
            close(fd);
        if (error)
            return error;
    }
    return 1;
}

static bool peer_lost(struct vine__link *link)
{
    if (link->pidfd >= 0)
        return vine__peer_is_dead(link->pidfd) == 1;
    return link->peer_pid > 0 && !vine__process_is_alive(link->peer_pid, link->peer_start_ticks);
}

static void bye(struct vine__link *link, int error, const char *text)
{
    vine__talk_send_reason(link->socket_fd, VINE_TALK_BYE, error, text);
}

static void close_link(struct vine__link *link)
{
    if (link->socket_fd >= 0)
        close(link->socket_fd);
    if (link->pidfd >= 0)
        close(link->pidfd);
    link->socket_fd = -1;
    link->pidfd = -1;
}

static const struct vine__link_operations operations = {
    .wake = wake,
    .announce = announce,
    .receive = receive,
    .peer_lost = peer_lost,
    .bye = bye,
    .close = close_link,
};

static int announce_extent(void *context, uint32_t index, const struct vine__half_extent *extent)
{
    struct vine__link *link = context;

    return link->operations->announce(link, index, extent);
}

/* Watch the process, as far as it can be. */
static int watch_peer(struct vine__link *link, int error, struct vine__why *why)
{
    if (!error)
        return 0;
    link->pidfd = -1;
    if (error == -VINE_EPEERLOST) {
        vine__why_say(why, "the other side has ended already");
        return error;
    }
    /* Without pidfds: by pid and start time; from another pid namespace by hang-up alone. */
    if (link->peer_pid > 0 &&
        vine__process_start_time(link->peer_pid, &link->peer_start_ticks) != 0)
        link->peer_pid = 0;
    return 0;
}

/* Know the process on the other side well enough to notice its death. */
static int know_peer(struct vine__link *link, uint32_t *ret_uid, struct vine__why *why)
{
    struct vine__peer_credentials credentials;
    int error = vine__peer_credentials(link->socket_fd, &credentials);

    if (error)
        return error;
    *ret_uid = credentials.uid;
    link->peer_pid = credentials.pid;
    return watch_peer(link, vine__peer_pidfd(link->socket_fd, &link->pidfd), why);
}

/* The one that welcomed us is another than the one that listened: it has taken the socket over, and
 * is the one to be watched. It has to be of the same user, or root's. */
static int know_sender(struct vine__link *link, const struct vine__peer_credentials *sender,
                       uint32_t uid, struct vine__why *why)
{
    if (sender->pid == link->peer_pid && link->pidfd >= 0)
        return 0;
    if (sender->uid != uid && sender->uid != 0) {
        vine__why_say(why, "the appliance's user was %u, and is %u", uid, sender->uid);
        return -EACCES;
    }
    if (link->pidfd >= 0)
        close(link->pidfd);
    link->pidfd = -1;
    link->peer_pid = sender->pid;

    const int error = watch_peer(link, vine__peer_pidfd_by_number(sender, &link->pidfd), why);

    /* It may have left the socket to another since, as its board says then; or else it is lost. */
    if (error == -VINE_EPEERLOST)
        link->peer_start_ticks = UINT64_MAX;
    return error == -VINE_EPEERLOST ? 0 : error;
}

static uint64_t own_features(uint32_t without)
{
    const uint32_t features = VINE_TALK_FEATURE_EPOCH | VINE_TALK_FEATURE_REASONS |
                              VINE_TALK_FEATURE_READY | VINE_TALK_FEATURE_DEADLINES |
                              (vine__membarrier_register() == 0 ? VINE_TALK_FEATURE_MEMBARRIER : 0);

    return features & ~without;
}

/* Our half, which tells the other side over the link what it grows by. */
static int make_half(struct vine__link *link, const struct vine__half_options *options)
{
    const int error = vine__half_create(link->half, options);

    if (error)
        return error;
    link->half->announce = announce_extent;
    link->half->announce_context = link;
    return 0;
}

/* ---- the application's side ----------------------------------------------------------------- */

/* What goes there and comes back. */
struct greeting {
    struct vine_talk_hello hello;
    union vine__talk_any answer;
    int half_fd; /* that came with the answer; -1: none */
    uint32_t peer_uid;
    struct vine__peer_credentials sender; /* of the answer */
};

static int reach(struct vine__link *link, const char *path, const struct vine__handshake_wish *wish)
{
    const int error = vine__peer_connect(path, wish->timeout_ns, &link->socket_fd);

    if (!error)
        return 0;
    link->socket_fd = -1;
    if (error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR) {
        vine__why_say(wish->why, "no appliance listens at %s", path);
        return -VINE_ENOAPPLIANCE;
    }
    vine__why_say(wish->why, "cannot connect to %s: %s", path, vine_error_text(error));
    return error;
}

static int make_hello(struct vine__link *link, uint32_t peer_uid,
                      const struct vine__handshake_wish *wish, struct vine_talk_hello *ret_hello)
{
    const bool is_there = link->half->layout != NULL;
    struct vine_talk_hello hello = {
        .head = VINE__TALK_HEAD(VINE_TALK_HELLO, hello),
        .major = VINE_TALK_MAJOR,
        .minor = VINE_TALK_MINOR,
        .channels_max = wish->channels_max,
        .tasks_max = wish->tasks_max,
        .memory_max_bytes = wish->memory_max_bytes,
    };
    const struct vine__half_options half_options = {
        .uuid = hello.uuid,
        .peer_uid = peer_uid,
        .side = VINE_SEGMENT_APPLICATION,
        .generation = 1,
        .bytes_max = VINE__HALF_BYTES,
        .why = wish->why,
    };
    struct vine_segment_facts facts;
    int error = is_there ? 0 : vine__random_bytes(hello.uuid, sizeof hello.uuid);

    if (!error && !is_there)
        error = make_half(link, &half_options);
    if (error)
        return error;
    vine_segment_facts(link->half->segment, &facts);
    memcpy(hello.uuid, facts.identity, sizeof hello.uuid);
    (void)snprintf(hello.name, sizeof hello.name, "%s", wish->name);
    hello.features = own_features(wish->without) | VINE_TALK_FEATURE_RENEWS |
                     (VINE_TALK_FEATURE_WAITS & ~wish->without);
    hello.half_bytes = vine_segment_size(link->half->segment);
    *ret_hello = hello;
    return 0;
}

/* What the former appliance sent last, to have us look, is no answer. */
static int next_message(struct vine__link *link, const struct vine__handshake_wish *wish,
                        struct greeting *greeting)
{
    for (int i = 0; i < LEFTOVERS_MAX; i++) {
        const int error =
            vine__talk_receive_from(link->socket_fd, &greeting->answer, &greeting->half_fd,
                                    wish->timeout_ns, &greeting->sender, wish->why);

        if (error || greeting->answer.head.type != VINE_TALK_WAKE)
            return error;
    }
    vine__why_say(wish->why, "a flood of wake-ups instead of a welcome");
    return -VINE_EPROTOCOL;
}

/* `path` is NULL where the pipe goes on over the socket that it has. */
static int greet(struct vine__link *link, const char *path, const struct vine__handshake_wish *wish,
                 struct greeting *greeting)
{
    int error = vine__talk_send(link->socket_fd, &greeting->hello,
                                vine_segment_fd(link->half->segment), wish->timeout_ns);

    /* Who hung up before it was greeted may have said why. */
    if (!error || error == -VINE_EPEERLOST)
        error = next_message(link, wish, greeting);
    if (error != -EAGAIN && error != -VINE_EPEERLOST)
        return error;
    if (path == NULL)
        vine__why_say(wish->why, "the appliance that it was left to %s",
                      error == -EAGAIN ? "does not answer" : "hung up");
    else if (error == -EAGAIN)
        vine__why_say(wish->why, "an appliance listens at %s but does not answer", path);
    else
        vine__why_say(wish->why, "the appliance at %s hung up", path);
    return error == -EAGAIN ? -ETIMEDOUT : error;
}

/* Whether the answer is a welcome, and one that can be. */
static int check_answer(const union vine__talk_any *answer, struct vine__why *why)
{
    const struct vine_talk_welcome *welcome = &answer->welcome;

    if (answer->head.type == VINE_TALK_REFUSE) {
        vine__why_say(why, "the appliance refused the pipe: %s", answer->reason.text);
        return vine__error_from_wire(answer->reason.error, -VINE_EPROTOCOL);
    }
    if (answer->head.type != VINE_TALK_WELCOME) {
        vine__why_say(why, "message %u instead of a welcome", answer->head.type);
        return -VINE_EPROTOCOL;
    }
    if (welcome->minor > VINE_TALK_MINOR) {
        vine__why_say(why, "the appliance speaks version %u.%u, we %u.%u", welcome->major,
                      welcome->minor, VINE_TALK_MAJOR, VINE_TALK_MINOR);
        return -VINE_EVERSION;
    }
    if (welcome->channels_max == 0 || welcome->channels_max > VINE_TALK_CHANNELS_MAX ||
        welcome->tasks_max == 0 || welcome->tasks_max > VINE_SPSC_SLOTS_MAX / 2 ||
        welcome->memory_max_bytes < 2 * VINE__HALF_BYTES) {
        vine__why_say(why, "the appliance grants the impossible: %u channels, %u tasks, %llu bytes",
                      welcome->channels_max, welcome->tasks_max,
                      (unsigned long long)welcome->memory_max_bytes);
        return -VINE_EPROTOCOL;
    }
    return 0;
}

/* What a welcome that was found good says. */
static struct vine__agreement agree(const struct greeting *greeting)
{
    const struct vine_talk_welcome *welcome = &greeting->answer.welcome;
    struct vine__agreement agreement = {
        .channels_max = welcome->channels_max,
        .tasks_max = welcome->tasks_max,
        .memory_max_bytes = welcome->memory_max_bytes,
        .generation = welcome->generation,
        .stream =
            (welcome->features & greeting->hello.features & VINE_TALK_FEATURE_MEMBARRIER) != 0,
        .rings = (welcome->features & VINE_TALK_FEATURE_EPOCH) != 0,
        .ready = (welcome->features & greeting->hello.features & VINE_TALK_FEATURE_READY) != 0,
        .deadlines = (welcome->features & VINE_TALK_FEATURE_DEADLINES) != 0,
        .peer_uid = greeting->peer_uid,
    };

    memcpy(agreement.peer_name, welcome->name, sizeof agreement.peer_name);
    vine__talk_tame(agreement.peer_name, sizeof agreement.peer_name);
    return agreement;
}

static int open_welcomed(struct vine__mirror *mirror, const struct greeting *greeting,
                         struct vine__why *why)
{
    const struct vine__mirror_options options = {
        .fd = greeting->half_fd,
        .claimed_bytes = greeting->answer.welcome.half_bytes,
        .uuid = greeting->hello.uuid,
        .bytes_max = greeting->answer.welcome.memory_max_bytes,
        .why = why,
    };

    return vine__mirror_open(mirror, &options);
}

/* The order has its reasons: who the peer is comes before our half, whose header names its user;
 * our half before HELLO, which carries it; and the answer is believed last, when its half has been
 * mapped and checked. Until then nothing of the peer's is kept, and any failure closes all of it.
 */
static int meet(struct vine__link *link, const char *path, const struct vine__handshake_wish *wish,
                struct greeting *greeting)
{
    VINE_ASSERT(link->operations == NULL);
    link->operations = &operations;
    link->side = VINE_SEGMENT_APPLICATION;
    wish->why->text[0] = 0;

    int error = path != NULL ? reach(link, path, wish) : 0;

    if (!error)
        error = know_peer(link, &greeting->peer_uid, wish->why);
    /* Who listened may have gone, and left the socket to another, who says so. */
    if (error == -VINE_EPEERLOST)
        error = 0;
    if (!error)
        error = vine__peer_ask_senders(link->socket_fd);
    greeting->sender =
        (struct vine__peer_credentials){.pid = link->peer_pid, .uid = greeting->peer_uid};
    if (!error)
        error = make_hello(link, greeting->peer_uid, wish, &greeting->hello);
    if (!error)
        error = greet(link, path, wish, greeting);
    if (!error)
        error = check_answer(&greeting->answer, wish->why);
    if (!error)
        error = know_sender(link, &greeting->sender, greeting->peer_uid, wish->why);
    if (!error)
        error = open_welcomed(link->mirror, greeting, wish->why);
    if (greeting->half_fd >= 0)
        close(greeting->half_fd);
    return error;
}

int vine__link_connect(struct vine__link *link, const char *path,
                       const struct vine__handshake_wish *wish,
                       struct vine__agreement *ret_agreement)
{
    struct greeting greeting = {.half_fd = -1};
    const int error = meet(link, path, wish, &greeting);

    if (error) {
        vine__link_undo(link);
        return error;
    }
    *ret_agreement = agree(&greeting);
    link->half->bytes_max = ret_agreement->memory_max_bytes - link->mirror->size_bytes;
    return 0;
}

int vine__link_renew(struct vine__link *link, const char *path,
                     const struct vine__handshake_wish *wish, struct vine__agreement *ret_agreement)
{
    struct greeting greeting = {.half_fd = -1};
    const int error = meet(link, path, wish, &greeting);

    if (error) {
        vine__mirror_close(link->mirror);
        close_link(link);
        return error;
    }
    *ret_agreement = agree(&greeting);
    return 0;
}

/* ---- the appliance's side ------------------------------------------------------------------- */

static uint32_t smaller_wish(uint32_t wish, uint32_t most)
{
    return wish != 0 && wish < most ? wish : most;
}

/* What a hello wishes for, as far as we give it. */
static struct vine__agreement grant_wish(const struct vine_talk_hello *hello,
                                         const struct vine__grant *grant)
{
    struct vine__agreement agreement = {
        .channels_max = smaller_wish(hello->channels_max, grant->channels_max),
        .tasks_max = smaller_wish(hello->tasks_max, grant->tasks_max),
        .memory_max_bytes = grant->memory_max_bytes,
        .generation = grant->generation,
    };

    if (hello->memory_max_bytes != 0)
        agreement.memory_max_bytes = vine__min_u64(
            grant->memory_max_bytes, vine__max_u64(hello->memory_max_bytes, 2 * VINE__HALF_BYTES));
    memcpy(agreement.peer_name, hello->name, sizeof agreement.peer_name);
    vine__talk_tame(agreement.peer_name, sizeof agreement.peer_name);
    return agreement;
}

/* The half that comes with a HELLO is looked through at once, so it is not large; its extents may
 * be. */
static int open_half(struct vine__mirror *mirror, int fd, const struct vine_talk_hello *hello,
                     uint64_t memory_max_bytes, struct vine__why *why)
{
    const uint64_t bytes_max = memory_max_bytes - VINE__HALF_BYTES;
    const struct vine__mirror_options options = {
        .fd = fd,
        .claimed_bytes = hello->half_bytes,
        .uuid = hello->uuid,
        .bytes_max = vine__min_u64(bytes_max, VINE__HALF_BYTES_MOST),
        .why = why,
    };
    const int error = vine__mirror_open(mirror, &options);

    if (!error)
        mirror->bytes_max = bytes_max;
    return error;
}

static int send_welcome(struct vine__link *link, const struct vine_talk_hello *hello,
                        const struct vine__grant *grant, struct vine__agreement *agreement)
{
    struct vine_talk_welcome welcome = {
        .head = VINE__TALK_HEAD(VINE_TALK_WELCOME, welcome),
        .major = VINE_TALK_MAJOR,
        .minor = (uint16_t)vine__min_u64(hello->minor, VINE_TALK_MINOR),
        .channels_max = agreement->channels_max,
        .tasks_max = agreement->tasks_max,
        .memory_max_bytes = agreement->memory_max_bytes,
        .features = own_features(grant->without),
        .half_bytes = link->half->size_bytes,
        .generation = agreement->generation,
    };

    (void)snprintf(welcome.name, sizeof welcome.name, "%s", grant->name);
    agreement->stream = (welcome.features & hello->features & VINE_TALK_FEATURE_MEMBARRIER) != 0;
    agreement->reasons = (hello->features & VINE_TALK_FEATURE_REASONS) != 0;
    agreement->ready = (welcome.features & hello->features & VINE_TALK_FEATURE_READY) != 0;
    agreement->rings = true;
    agreement->renews = (hello->features & VINE_TALK_FEATURE_RENEWS) != 0;
    agreement->waits = agreement->renews && (hello->features & VINE_TALK_FEATURE_WAITS) != 0;
    return vine__talk_send(link->socket_fd, &welcome, vine_segment_fd(link->half->segment), 0);
}

int vine__link_welcome(struct vine__link *link, const struct vine_talk_hello *hello, int half_fd,
                       const struct vine__grant *grant, struct vine__agreement *ret_agreement)
{
    struct vine__agreement agreement = grant_wish(hello, grant);

    VINE_ASSERT(link->socket_fd >= 0);
    VINE_ASSERT(link->operations == NULL);
    link->operations = &operations;
    link->side = VINE_SEGMENT_APPLIANCE;
    grant->why->text[0] = 0;

    int error = know_peer(link, &agreement.peer_uid, grant->why);

    if (!error)
        error = open_half(link->mirror, half_fd, hello, agreement.memory_max_bytes, grant->why);
    if (!error) {
        const struct vine__half_options half_options = {
            .uuid = hello->uuid,
            .peer_uid = agreement.peer_uid,
            .side = VINE_SEGMENT_APPLIANCE,
            .generation = grant->generation,
            .bytes_max = agreement.memory_max_bytes - link->mirror->size_bytes,
            .why = grant->why,
        };

        error = make_half(link, &half_options);
    }
    if (!error)
        error = send_welcome(link, hello, grant, &agreement);
    if (error) {
        if (grant->why->text[0] == 0)
            vine__why_say(grant->why, "%s", vine_error_text(error));
        vine__talk_send_reason(link->socket_fd, VINE_TALK_REFUSE, error, grant->why->text);
        vine__link_undo(link);
        return error;
    }
    *ret_agreement = agreement;
    return 0;
}

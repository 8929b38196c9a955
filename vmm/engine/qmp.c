/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/qmp.h"

#include <vine/error.h>

#include "utils/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_BYTES (64 * 1024)

/* The id of our own first command; the caller's come after it. */
#define CAPABILITIES_ID 1

enum state { GREETING, CAPABILITIES, READY, BROKEN };

/* A command on its way, and then the promise of an answer. */
struct command {
    uint64_t id;
    uint64_t deadline_ns;
    char *bytes; /* NULL once all of it was sent */
    size_t size_bytes;
    size_t sent_bytes;
    int fd; /* goes with the first byte; -1: none, or gone */
};

struct vine__qmp {
    int fd;
    int error; /* of BROKEN */
    enum state state;
    uint64_t greeting_deadline_ns;
    uint64_t next_id;
    struct command commands[VINE__QMP_COMMANDS_MAX]; /* in the order in which they were given */
    uint32_t command_count;
    struct vine__qmp_message messages[VINE__QMP_MESSAGES_MAX]; /* a ring */
    uint32_t message_first;
    uint32_t message_count;
    char *line; /* what came of the next one */
    size_t line_bytes;
    bool has_lines; /* whole ones may be there, which found no room as messages */
};

int vine__qmp_open(int fd, uint64_t deadline_ns, struct vine__qmp **ret_qmp)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
    struct vine__qmp *const qmp = calloc(1, sizeof(*qmp));

    if (qmp == NULL)
        return -ENOMEM;
    qmp->line = malloc(VINE__QMP_LINE_BYTES);
    if (qmp->line == NULL) {
        free(qmp);
        return -ENOMEM;
    }
    qmp->fd = fd;
    qmp->greeting_deadline_ns = deadline_ns;
    qmp->next_id = CAPABILITIES_ID;
    *ret_qmp = qmp;
    return 0;
}

static void forget_command(struct vine__qmp *qmp, uint32_t index)
{
    struct command *const command = &qmp->commands[index];

    if (command->fd >= 0)
        (void)close(command->fd);
    free(command->bytes);
    qmp->command_count--;
    memmove(command, command + 1, (qmp->command_count - index) * sizeof(*command));
}

void vine__qmp_close(struct vine__qmp *qmp)
{
    struct vine__qmp_message message;

    if (qmp == NULL)
        return;
    while (vine__qmp_next(qmp, &message))
        vine__qmp_message_fini(&message);
    while (qmp->command_count > 0)
        forget_command(qmp, 0);
    (void)close(qmp->fd);
    free(qmp->line);
    free(qmp);
}

int vine__qmp_fd(const struct vine__qmp *qmp)
{
    return qmp->fd;
}

bool vine__qmp_wants_write(const struct vine__qmp *qmp)
{
    if (qmp->state == GREETING || qmp->state == BROKEN)
        return false;
    for (uint32_t i = 0; i < qmp->command_count; i++)
        if (qmp->commands[i].bytes != NULL)
            return true;
    return false;
}

uint64_t vine__qmp_deadline_ns(const struct vine__qmp *qmp)
{
    uint64_t deadline_ns = VINE_FOREVER;

    if (qmp->state == BROKEN)
        return VINE_FOREVER;
    if (qmp->has_lines)
        return 0; /* now: the socket may have nothing more to say */
    if (qmp->state != READY)
        deadline_ns = qmp->greeting_deadline_ns;
    for (uint32_t i = 0; i < qmp->command_count; i++)
        if (qmp->commands[i].deadline_ns < deadline_ns)
            deadline_ns = qmp->commands[i].deadline_ns;
    return deadline_ns;
}

/* ---- messages -------------------------------------------------------------------------------- */

bool vine__qmp_next(struct vine__qmp *qmp, struct vine__qmp_message *ret_message)
{
    if (qmp->message_count == 0)
        return false;
    *ret_message = qmp->messages[qmp->message_first];
    qmp->message_first = (qmp->message_first + 1) % VINE__QMP_MESSAGES_MAX;
    qmp->message_count--;
    return true;
}

void vine__qmp_message_fini(struct vine__qmp_message *message)
{
    json_decref(message->value);
    message->value = NULL;
}

/* There is always room for one: no line is read, and no time-out told, without it. */
static struct vine__qmp_message *add_message(struct vine__qmp *qmp, enum vine__qmp_kind kind)
{
    VINE_ASSERT(qmp->message_count < VINE__QMP_MESSAGES_MAX);
    const uint32_t at = (qmp->message_first + qmp->message_count++) % VINE__QMP_MESSAGES_MAX;

    qmp->messages[at] = (struct vine__qmp_message){.kind = kind};
    return &qmp->messages[at];
}

/* A text of QEMU's, cut off where it is too long, and printable: one that was taken over may say
 * anything, and characters of several bytes may be cut in two. */
static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from != NULL ? from : "");
    for (; *to != '\0'; to++)
        if (*to < ' ' || *to > '~')
            *to = ' ';
}

static int take_event(struct vine__qmp *qmp, const json_t *object)
{
    const char *const name = json_string_value(json_object_get(object, "event"));
    json_t *const data = json_object_get(object, "data");

    if (name == NULL || (data != NULL && !json_is_object(data)))
        return -VINE_EPROTOCOL;
    struct vine__qmp_message *const message = add_message(qmp, VINE__QMP_EVENT);

    copy_text(message->name, sizeof(message->name), name);
    message->value = json_incref(data);
    return 0;
}

static int take_answer(struct vine__qmp *qmp, const json_t *object, json_t *returned,
                       const json_t *failure)
{
    const json_t *const number = json_object_get(object, "id");
    const json_int_t id = json_integer_value(number);
    uint32_t index = 0;

    if (!json_is_integer(number) || id < CAPABILITIES_ID || (uint64_t)id >= qmp->next_id)
        return -VINE_EPROTOCOL;
    while (index < qmp->command_count && qmp->commands[index].id != (uint64_t)id)
        index++;
    if (index == qmp->command_count)
        return 0; /* too late: its time-out was told */
    if (qmp->commands[index].bytes != NULL)
        return -VINE_EPROTOCOL; /* it cannot know the question */
    forget_command(qmp, index);

    if (id == CAPABILITIES_ID) {
        if (failure != NULL)
            return -VINE_EPROTOCOL;
        qmp->state = READY;
        (void)add_message(qmp, VINE__QMP_READY);
        return 0;
    }
    struct vine__qmp_message *const message = add_message(qmp, VINE__QMP_ANSWER);

    message->id = (uint64_t)id;
    if (failure != NULL) {
        message->error = -VINE_EFAILED;
        copy_text(message->text, sizeof(message->text),
                  json_string_value(json_object_get(failure, "desc")));
    } else {
        message->value = json_incref(returned);
    }
    return 0;
}

static int put_command(struct vine__qmp *qmp, const char *name, json_t *arguments, int fd,
                       uint64_t deadline_ns);

static int take_line(struct vine__qmp *qmp, const char *line, size_t size_bytes)
{
    json_t *const object = json_loadb(line, size_bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *const returned = json_object_get(object, "return");
    const json_t *const failure = json_object_get(object, "error");
    int error = -VINE_EPROTOCOL;

    if (!json_is_object(object))
        error = -VINE_EPROTOCOL;
    else if (qmp->state == GREETING && json_is_object(json_object_get(object, "QMP"))) {
        qmp->state = CAPABILITIES;
        error = put_command(qmp, "qmp_capabilities", NULL, -1, qmp->greeting_deadline_ns);
    } else if (qmp->state == GREETING)
        error = -VINE_EPROTOCOL;
    else if (json_object_get(object, "event") != NULL)
        error = take_event(qmp, object);
    else if ((returned != NULL) != json_is_object(failure))
        error = take_answer(qmp, object, returned, failure);
    json_decref(object);
    return error;
}

/* Lines in what was read; what is left of the last one stays. */
static int take_lines(struct vine__qmp *qmp)
{
    size_t at = 0;
    int error = 0;

    while (error == 0 && qmp->message_count < VINE__QMP_MESSAGES_MAX) {
        const char *const line = qmp->line + at;
        const char *const end = memchr(line, '\n', qmp->line_bytes - at);

        if (end == NULL)
            break;
        size_t size = (size_t)(end - line);

        at += size + 1;
        if (size > 0 && line[size - 1] == '\r')
            size--;
        if (size > 0)
            error = take_line(qmp, line, size);
    }
    qmp->line_bytes -= at;
    memmove(qmp->line, qmp->line + at, qmp->line_bytes);
    return error;
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int read_lines(struct vine__qmp *qmp)
{
    /* A bound on what one call may take of its caller's time. */
    for (int turn = 0; turn < 8; turn++) {
        const int error = take_lines(qmp);

        if (error != 0)
            return error;
        if (qmp->message_count == VINE__QMP_MESSAGES_MAX)
            return 0;
        if (qmp->line_bytes == VINE__QMP_LINE_BYTES)
            return -VINE_EPROTOCOL;
        const size_t room = VINE__QMP_LINE_BYTES - qmp->line_bytes;
        const ssize_t size = recv(qmp->fd, qmp->line + qmp->line_bytes,
                                  room < READ_BYTES ? room : READ_BYTES, MSG_DONTWAIT);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return 0;
        if (size == 0 || (size < 0 && (errno == ECONNRESET || errno == EPIPE)))
            return -VINE_EPEERLOST;
        if (size < 0)
            return -errno;
        qmp->line_bytes += (size_t)size;
    }
    return take_lines(qmp);
}

/* Returns 1 if all of it is gone, 0 if the socket is full. */
static int write_command(struct vine__qmp *qmp, struct command *command)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};

    while (command->sent_bytes < command->size_bytes) {
        struct iovec iov = {command->bytes + command->sent_bytes,
                            command->size_bytes - command->sent_bytes};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

        if (command->fd >= 0) {
            message.msg_control = control.bytes;
            message.msg_controllen = sizeof(control.bytes);
            control.header.cmsg_level = SOL_SOCKET;
            control.header.cmsg_type = SCM_RIGHTS;
            control.header.cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(&control.header), &command->fd, sizeof(int));
        }
        const ssize_t size = sendmsg(qmp->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return 0;
        if (size < 0)
            return errno == EPIPE || errno == ECONNRESET ? -VINE_EPEERLOST : -errno;
        command->sent_bytes += (size_t)size;
        if (command->fd >= 0)
            (void)close(command->fd);
        command->fd = -1;
    }
    free(command->bytes);
    command->bytes = NULL;
    return 1;
}

static int write_commands(struct vine__qmp *qmp)
{
    int done = 1;

    if (qmp->state == GREETING)
        return 0;
    for (uint32_t i = 0; i < qmp->command_count && done > 0; i++)
        if (qmp->commands[i].bytes != NULL)
            done = write_command(qmp, &qmp->commands[i]);
    return done < 0 ? done : 0;
}

static int check_deadlines(struct vine__qmp *qmp, uint64_t now_ns)
{
    if (qmp->state != READY && now_ns >= qmp->greeting_deadline_ns)
        return -ETIMEDOUT;
    for (uint32_t i = 0; i < qmp->command_count && qmp->message_count < VINE__QMP_MESSAGES_MAX;) {
        struct command *const command = &qmp->commands[i];

        if (now_ns < command->deadline_ns) {
            i++;
            continue;
        }
        /* Half a command cannot be taken back. */
        if (command->sent_bytes > 0 && command->bytes != NULL)
            return -ETIMEDOUT;
        struct vine__qmp_message *const message = add_message(qmp, VINE__QMP_ANSWER);

        message->id = command->id;
        message->error = -ETIMEDOUT;
        forget_command(qmp, i);
    }
    return 0;
}

int vine__qmp_process(struct vine__qmp *qmp, uint64_t now_ns)
{
    if (qmp->state == BROKEN)
        return qmp->error;
    int error = read_lines(qmp);

    qmp->has_lines = qmp->message_count == VINE__QMP_MESSAGES_MAX;
    if (error == 0) {
        error = write_commands(qmp);
        if (error == -VINE_EPEERLOST)
            error = 0; /* reading tells that, behind the last that there is to read */
    }
    if (error == 0)
        error = check_deadlines(qmp, now_ns);
    if (error != 0) {
        qmp->state = BROKEN;
        qmp->error = error;
    }
    return error;
}

/* ---- commands -------------------------------------------------------------------------------- */

/* The caller keeps `arguments`. */
static int put_command(struct vine__qmp *qmp, const char *name, json_t *arguments, int fd,
                       uint64_t deadline_ns)
{
    struct command command = {.id = qmp->next_id, .deadline_ns = deadline_ns, .fd = -1};

    if (qmp->command_count == VINE__QMP_COMMANDS_MAX)
        return -EAGAIN;
    json_t *const object = json_pack("{s:s, s:O*, s:I}", "execute", name, "arguments", arguments,
                                     "id", (json_int_t)command.id);
    char *const text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;

    json_decref(object);
    if (text == NULL)
        return -ENOMEM;
    command.size_bytes = strlen(text) + 1;
    command.bytes = realloc(text, command.size_bytes + 1);
    if (command.bytes == NULL) {
        free(text);
        return -ENOMEM;
    }
    memcpy(command.bytes + command.size_bytes - 1, "\n", 2);
    if (fd >= 0 && (command.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0) {
        free(command.bytes);
        return -errno;
    }
    qmp->next_id++;
    qmp->commands[qmp->command_count++] = command;
    return 0;
}

int vine__qmp_send(struct vine__qmp *qmp, const char *command, json_t *arguments, int fd,
                   uint64_t deadline_ns, uint64_t *ret_id)
{
    int error = qmp->state == BROKEN ? qmp->error : 0;

    if (error == 0 && qmp->state != READY)
        error = -EAGAIN;
    if (error == 0)
        error = put_command(qmp, command, arguments, fd, deadline_ns);
    json_decref(arguments);
    if (error != 0)
        return error;
    *ret_id = qmp->next_id - 1;
    /* What the socket takes goes at once; its errors are told by the next vine__qmp_process. */
    (void)write_commands(qmp);
    return 0;
}

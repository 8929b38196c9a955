/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/service_outside.c - sockets and connections, outside of all coroutines; see service.h.
 *
 * A connection and its session are made when it is accepted, before its micro-process. That one
 * attaches itself to it before it reads anything, and to no other from then on. Whatever it says
 * later may be its client's words.
 */

#include "vmm/server/service_internal.h"

#include "utils/assert.h"
#include "utils/container_of.h"
#include "vmm/server/farewell.h"
#include "vmm/server/session.h"
#include "vmm/server/socket_name.h"

#include <vine/error.h>
#include <vine/file.h>
#include <vine/timer.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAP_BYTES (128U << 10)

/* A client's, or the control socket. */
struct client_socket {
    struct vine_list link;
    struct vine__server *server;
    struct vine__client *client;
    struct vine__socket_name name;
    struct vine_listener *listener; /* NULL: it does not listen any more */
    struct vine_work closed;
    struct vine_list connections;
    uint32_t connection_count;
    uint64_t held_bytes; /* by large answers of all its connections */
    struct vine__farewells crowded, denied;
    uint32_t use_count; /* connections that there are, and the listener */
    bool is_removed;    /* with its client, which is ours then */
};

struct vine__server {
    struct vine__registry *registry;
    struct vine__control *control; /* or NULL */
    struct vine__client controller;
    struct vine_list sockets;
    uint32_t connections_max;
    uint64_t connection_count, all_connections_max; /* of clients */
    vine__server_ended_fn crowded, denied;
    void (*refused)(const struct vine__client *client, const char *text);
    uint32_t open_count;         /* sockets that there are, and one until it is to stop */
    void (*done)(void *context); /* it stops, when there are none; or NULL */
    void *context;
};

/* What of an upload is on its way to its file, which is written beside core 0: one piece at a
 * time, so that a client sends no faster than the disk takes it. */
struct writing {
    struct client_socket *from;    /* which stays for it */
    struct connection *connection; /* NULL: it is gone */
    const struct vine__command *command;
    struct vine_file file; /* the upload's */
    struct vine_file_op op;
    char *path; /* of the file; NULL: it has none any more */
    bool is_under_way;
    size_t room_bytes, piece_bytes;
    char *bytes;
};

struct connection {
    struct vine_kept kept;
    struct vine_list link;
    struct vine__session session;
    struct client_socket *from;
    struct vine_mail_address waits, listens;
    struct writing *writing; /* of its upload; NULL: nothing has come of one yet */
    size_t sent_bytes;       /* of the answer */
    bool is_attached;
};

static uint64_t request_ns = VINE__SERVER_REQUEST_NS;

uint64_t vine__server_request_ns(void)
{
    return request_ns;
}

static void ring(struct vine_mail_address address)
{
    const struct vine__bell bell = {.is_gone = false};

    /* Who has as many as there may be will look; who is gone will not. */
    (void)!vine_mail_tell(address, struct vine__bell, bell);
}

/* ---- who uses a socket ----------------------------------------------------------------------- */

static void less(struct vine__server *server)
{
    void (*const done)(void *) = server->done;
    void *const context = server->context;

    VINE_ASSERT(server->open_count > 0);
    server->open_count--;
    if (server->open_count > 0 || done == NULL)
        return;
    free(server);
    done(context);
}

/* One less that uses the socket: behind the last one nothing of it is left. */
static void leave(struct client_socket *from)
{
    struct vine__server *const server = from->server;

    VINE_ASSERT(from->use_count > 0);
    if (--from->use_count > 0)
        return;
    vine_list_remove(&from->link);
    if (from->is_removed)
        vine__client_destroy(from->client);
    free(from);
    less(server);
}

/* ---- what coroutines ask --------------------------------------------------------------------- */

static struct connection *connection_of(const struct vine_outside *outside)
{
    return (struct connection *)vine_outside_kept(outside);
}

int64_t vine__server_attach(struct vine_outside *outside, const void *argument)
{
    const struct vine__asked *const asked = argument;
    struct connection *connection = connection_of(outside);

    if (connection == NULL) {
        /* It has just begun, and has read nothing: this is what it was begun with. */
        connection = (struct connection *)(uintptr_t)asked->argument;
        if (connection->is_attached)
            return -EPERM;
        connection->is_attached = true;
        vine_outside_keep(outside, &connection->kept);
    }
    return connection->session.client->permissions;
}

/* What the session has come to, for the coroutine. */
static int64_t tell(struct connection *connection, int64_t more)
{
    if (connection->session.answer == NULL)
        return more;
    connection->sent_bytes = 0;
    return more | VINE__SERVER_ANSWERS;
}

/* Whether all that a request points to is the micro-process's own, up to the parameter at which it
 * is; and who may ask for it. */
static bool check_request(const struct vine_outside *outside, const struct connection *connection,
                          struct vine__request *request)
{
    const struct vine__command *const command = vine__command_find(request->number);

    if (command == NULL || request->version != command->version ||
        !vine__command_is_permitted(command, connection->session.client->permissions))
        return false;
    request->command = command;
    for (size_t i = 0; command->parameters[i] != '\0'; i++)
        if (command->parameters[i] == 's' &&
            !vine_outside_can_read(outside, request->parameters[i].bytes,
                                   request->parameters[i].size_bytes))
            return false;
    return true;
}

static int64_t refuse(struct connection *connection, struct vine__request *request)
{
    if (request->error <= VINE_SERVER_E_DONE || request->error > VINE_SERVER_E_NO_CLIENT)
        return -EFAULT;
    request->command = vine__command_find(request->number);
    vine__session_refuse(&connection->session, request);
    return tell(connection, 0);
}

static bool has_buffer(const struct vine__request *request)
{
    return strchr(request->command->parameters, 'b') != NULL;
}

static void is_freed(struct vine_file_op *op)
{
    struct writing *const writing = VINE_CONTAINER_OF(op, struct writing, op);
    struct client_socket *const from = writing->from;

    free(writing->path);
    free(writing->bytes);
    free(writing);
    leave(from);
}

/* It is not under way. The file may be a large one that is nobody's any more. */
static void end_writing(struct writing *writing)
{
    vine_file_op_init(&writing->op, is_freed);
    vine_file_close(&writing->op, &writing->file);
}

static void leave_writing(struct connection *connection)
{
    struct writing *const writing = connection->writing;

    connection->writing = NULL;
    if (writing == NULL)
        return;
    writing->connection = NULL;
    if (!writing->is_under_way)
        end_writing(writing);
}

/* The piece was, or could not be. */
static void is_written(struct vine_file_op *op)
{
    struct writing *const writing = VINE_CONTAINER_OF(op, struct writing, op);

    writing->is_under_way = false;
    if (writing->connection != NULL)
        ring(writing->connection->waits);
    else
        end_writing(writing);
}

static void write_bytes(struct writing *writing)
{
    vine_file_op_init(&writing->op, is_written);
    vine_file_write(&writing->op, &writing->file, writing->bytes, writing->piece_bytes,
                    writing->connection->session.upload.done_bytes);
}

static void is_nameless(struct vine_file_op *op)
{
    struct writing *const writing = VINE_CONTAINER_OF(op, struct writing, op);

    if (vine_file_result(op) == 0) {
        free(writing->path);
        writing->path = NULL;
    }
    if (writing->connection != NULL && writing->path == NULL)
        write_bytes(writing);
    else
        is_written(op);
}

/* Not all file systems have files that begin without a name. */
static void is_opened(struct vine_file_op *op)
{
    struct writing *const writing = VINE_CONTAINER_OF(op, struct writing, op);

    if (vine_file_result(op) != 0) {
        is_written(op);
        return;
    }
    vine_file_op_init(&writing->op, is_nameless);
    vine_file_unlink(&writing->op, NULL, writing->path, 0);
}

static bool has_room(struct writing *writing, size_t size)
{
    char *const bytes = size > writing->room_bytes ? realloc(writing->bytes, size) : writing->bytes;

    if (bytes == NULL)
        return false;
    writing->bytes = bytes;
    if (size > writing->room_bytes)
        writing->room_bytes = size;
    return true;
}

/* The folder is ours alone: what has one of these names was left by a server that was killed. */
static struct writing *begin_writing(struct connection *connection)
{
    static uint64_t count;
    struct writing *const writing = calloc(1, sizeof(*writing));

    if (writing == NULL ||
        asprintf(&writing->path, "%s/upload-%llu", connection->session.registry->upload_folder,
                 (unsigned long long)count++) < 0) {
        free(writing);
        return NULL;
    }
    writing->connection = connection;
    writing->from = connection->from;
    writing->from->use_count++;
    connection->writing = writing;
    return writing;
}

static void open_file(struct writing *writing)
{
    vine_file_op_init(&writing->op, is_opened);
    vine_file_open(&writing->op, &writing->file, NULL, writing->path,
                   O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
}

/* Returns false: no memory. */
static bool write_piece(struct connection *connection, const struct vine__request *request)
{
    struct writing *const writing =
        connection->writing != NULL ? connection->writing : begin_writing(connection);

    if (writing == NULL || !has_room(writing, request->piece_bytes))
        return false;
    memcpy(writing->bytes, request->piece, request->piece_bytes);
    writing->piece_bytes = request->piece_bytes;
    writing->command = request->command;
    writing->is_under_way = true;
    if (writing->path == NULL)
        write_bytes(writing);
    else
        open_file(writing);
    return true;
}

/* So many bytes were, or there is this error. */
static int64_t tell_written(struct connection *connection, const struct vine__command *command,
                            size_t size, int error)
{
    if (vine__session_piece(&connection->session, command, size, error))
        return 0;
    leave_writing(connection);
    return tell(connection, VINE__SERVER_REFUSES);
}

static bool is_writing(const struct connection *connection)
{
    return connection->writing != NULL && connection->writing->command != NULL;
}

static int64_t go_on_writing(struct connection *connection)
{
    struct writing *const writing = connection->writing;
    const struct vine__command *const command = writing->command;
    const int64_t result = writing->is_under_way ? 0 : vine_file_result(&writing->op);

    if (writing->is_under_way)
        return VINE__SERVER_WAITS;
    writing->command = NULL;
    return tell_written(connection, command, vine_file_count(&writing->op),
                        result < 0 ? (int)-result : 0);
}

static int64_t take_piece(struct vine_outside *outside, struct connection *connection,
                          const struct vine__request *request)
{
    const struct vine__upload *const upload = &connection->session.upload;

    if (upload->vm == NULL || request->piece_bytes > upload->size_bytes - upload->done_bytes ||
        !vine_outside_can_read(outside, request->piece, request->piece_bytes))
        return -EFAULT;
    return write_piece(connection, request)
               ? VINE__SERVER_WAITS | VINE__SERVER_WORKS | VINE__SESSION_WAIT_MS_MAX
               : tell_written(connection, request->command, 0, ENOMEM);
}

static int64_t begin_buffer(struct connection *connection, const struct vine__request *request)
{
    if (connection->session.upload.vm != NULL || !has_buffer(request))
        return -EFAULT;
    return vine__session_buffer(&connection->session, request)
               ? 0
               : tell(connection, VINE__SERVER_REFUSES);
}

/* All is written: the upload has the file too, and whoever closes it last frees what it has. */
static bool give_file(struct connection *connection)
{
    const int fd = vine_file_descriptor(&connection->writing->file);

    connection->session.upload.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return connection->session.upload.fd >= 0;
}

static int64_t do_all(struct connection *connection, const struct vine__request *request)
{
    struct vine__session *const session = &connection->session;
    const struct vine__upload *const upload = &session->upload;
    const bool listens = request->command->action == VINE_SERVER_EVENTS;

    if (has_buffer(request) ? upload->vm == NULL || upload->done_bytes != upload->size_bytes
                            : upload->vm != NULL)
        return -EFAULT;
    if (has_buffer(request) && !give_file(connection)) {
        (void)!vine__session_piece(session, request->command, 0, errno);
        leave_writing(connection);
        return tell(connection, 0);
    }
    leave_writing(connection);
    if (vine__session_do(session, request) == VINE__SESSION_WAITS)
        return VINE__SERVER_WAITS | (session->is_working ? VINE__SERVER_WORKS : 0) |
               (int64_t)session->wait_ms;
    return tell(connection, listens && session->events != NULL ? VINE__SERVER_LISTENS : 0);
}

int64_t vine__server_do(struct vine_outside *outside, const void *argument)
{
    const struct vine__asked *const asked = argument;
    struct connection *const connection = connection_of(outside);
    struct vine__request request;

    if (connection == NULL || connection->session.answer != NULL ||
        connection->session.waiting != NULL || is_writing(connection) ||
        !vine_outside_can_read(outside, asked->request, sizeof(request)))
        return -EFAULT;
    memcpy(&request, asked->request, sizeof(request));
    if (asked->told == VINE__REQUEST_REFUSED)
        return refuse(connection, &request);
    if (asked->told == VINE__REQUEST_LOST)
        return request.is_refused ? 0 : refuse(connection, &request);
    if (request.is_refused)
        return 0;
    if (!check_request(outside, connection, &request))
        return -EFAULT;
    return asked->told == VINE__REQUEST_BUFFER  ? begin_buffer(connection, &request)
           : asked->told == VINE__REQUEST_PIECE ? take_piece(outside, connection, &request)
           : asked->told == VINE__REQUEST_DONE  ? do_all(connection, &request)
                                                : -EFAULT;
}

int64_t vine__server_go_on(struct vine_outside *outside, const void *argument)
{
    const struct vine__asked *const asked = argument;
    struct connection *const connection = connection_of(outside);

    if (connection == NULL || (connection->session.waiting == NULL && !is_writing(connection)))
        return -EFAULT;
    connection->waits = asked->address;
    if (is_writing(connection))
        return go_on_writing(connection);
    return vine__session_go_on(&connection->session, asked->is_timed_out) == VINE__SESSION_WAITS
               ? VINE__SERVER_WAITS
               : tell(connection, 0);
}

int64_t vine__server_take_answer(struct vine_outside *outside, const void *argument)
{
    const struct vine__asked *const asked = argument;
    struct connection *const connection = connection_of(outside);
    struct vine__session *const session = connection != NULL ? &connection->session : NULL;
    size_t now;

    if (session == NULL || session->answer == NULL ||
        !vine_outside_can_write(outside, asked->bytes, asked->size))
        return -EFAULT;
    now = session->answer_bytes - connection->sent_bytes;
    if (now > asked->size)
        now = asked->size;
    memcpy(asked->bytes, session->answer + connection->sent_bytes, now);
    connection->sent_bytes += now;
    if (connection->sent_bytes < session->answer_bytes)
        return (int64_t)now | VINE__SERVER_MORE;
    vine__session_sent(session);
    return (int64_t)now;
}

int64_t vine__server_hear_events(struct vine_outside *outside, const void *argument)
{
    const struct vine__asked *const asked = argument;
    struct connection *const connection = connection_of(outside);

    if (connection == NULL)
        return -EFAULT;
    connection->listens = asked->address;
    ring(connection->listens); /* there may have been some since */
    return 0;
}

int64_t vine__server_next_event(struct vine_outside *outside, const void *asked)
{
    struct connection *const connection = connection_of(outside);

    (void)asked;
    if (connection == NULL || connection->session.answer != NULL)
        return -EFAULT;
    connection->sent_bytes = 0;
    return vine__session_next_event(&connection->session);
}

static void woken(struct vine__session *session)
{
    struct connection *const connection = VINE_CONTAINER_OF(session, struct connection, session);

    if (session->waiting != NULL)
        ring(connection->waits);
    if (session->event_count > 0)
        ring(connection->listens);
}

static void shortened(struct vine__session *session, const char *text)
{
    struct client_socket *const from = VINE_CONTAINER_OF(session, struct connection, session)->from;

    if (from->server->refused != NULL)
        from->server->refused(from->client, text);
}

/* ---- connections ----------------------------------------------------------------------------- */

static bool is_control(const struct client_socket *from)
{
    return from->client == &from->server->controller;
}

/* The connection is closed before this is called by `gone`. */
static void kept_ends(struct vine_kept *kept)
{
    (void)kept;
}

static void gone(void *context, int error)
{
    struct connection *const connection = context;
    struct client_socket *const from = connection->from;

    (void)error;
    leave_writing(connection);
    vine__session_fini(&connection->session);
    vine_list_remove(&connection->link);
    free(connection);
    from->connection_count--;
    if (!is_control(from))
        from->server->connection_count--;
    leave(from);
}

/* The kernel has looked at the socket's mode. Who has the socket in a folder of his own may have
 * changed that: so who it is counts, too. */
static bool is_admitted(const struct client_socket *from, struct vine_connection *taken)
{
    gid_t groups[VINE_CREDENTIALS_GROUPS_MAX + 1];
    struct vine_credentials peer;
    uint32_t count = 0;

    if (from->is_removed || vine_connection_get_credentials(taken, &peer) != 0)
        return false;
    groups[count++] = peer.group;
    for (uint32_t i = 0; i < peer.group_count; i++)
        groups[count++] = peer.groups[i];
    return vine__client_admits(from->client, geteuid(), getegid(), peer.user, groups, count);
}

static bool has_place(const struct client_socket *from)
{
    const struct vine__server *const server = from->server;

    return is_control(from) || (from->connection_count < server->connections_max &&
                                server->connection_count < server->all_connections_max);
}

static void turn_away(struct client_socket *from, struct vine_connection *taken, bool is_admitted)
{
    const vine__server_ended_fn ended = is_admitted ? from->server->crowded : from->server->denied;
    const uint64_t count = vine__farewells_count(is_admitted ? &from->crowded : &from->denied);

    if (ended != NULL && count > 0)
        ended(from->client, count);
    vine__farewell(taken, is_admitted ? VINE_SERVER_E_LIMIT : VINE_SERVER_E_DENIED,
                   is_admitted ? "there are as many connections as may be"
                               : "this socket is for others");
}

static void accepted(struct vine_connection *taken, void *context)
{
    struct client_socket *const from = context;
    const bool is_one = is_admitted(from, taken), has_room = is_one && has_place(from);
    struct connection *const connection = has_room ? calloc(1, sizeof(*connection)) : NULL;
    const struct vine_service_options options = {
        .size_bytes = sizeof(options), .heap_bytes = HEAP_BYTES, .argument = connection};

    if (connection == NULL) {
        if (has_room)
            vine_connection_close(taken, NULL);
        else
            turn_away(from, taken, is_one);
        return;
    }
    connection->kept.end = kept_ends;
    connection->from = from;
    vine__session_init(&connection->session, from->server->registry, from->client, woken);
    connection->session.held_bytes = &from->held_bytes;
    connection->session.shortened = shortened;
    if (is_control(from))
        connection->session.control = from->server->control;
    vine_list_push_back(&from->connections, &connection->link);
    from->use_count++;
    from->connection_count++;
    if (!is_control(from))
        from->server->connection_count++;
    if (vine_service_run_here(&vine__server_service, taken, &options, gone, connection) != 0)
        gone(connection, 0);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void closed(struct vine_work *work)
{
    leave(VINE_CONTAINER_OF(work, struct client_socket, closed));
}

static int listen_at(struct client_socket *from)
{
    const struct vine_listen_options options = {
        .size_bytes = sizeof(options),
        .balance = VINE_BALANCE_HERE,
        .mode = from->client->mode,
    };
    char text[VINE__CLIENT_PATH_BYTES + 8];
    struct vine_address address;
    int error;

    (void)snprintf(text, sizeof(text), "unix:%s", from->client->path);
    error = vine_address_parse(text, &address);
    if (error == 0)
        error = (vine_listen)(&address, &options, accepted, from, &from->listener);
    return error;
}

/* Nobody is let in any more. */
static void close_listener(struct client_socket *from)
{
    if (from->listener == NULL)
        return;
    vine_work_init(&from->closed, closed);
    vine_listener_close(from->listener, &from->closed);
    from->listener = NULL;
}

static int open_socket(struct vine__server *server, struct vine__client *client)
{
    struct client_socket *const from = calloc(1, sizeof(*from));
    int error;

    if (from == NULL) {
        (void)snprintf(client->fault, sizeof(client->fault), "no memory");
        return -ENOMEM;
    }
    *from = (struct client_socket){.server = server, .client = client, .use_count = 1};
    vine_list_init(&from->connections);
    vine_list_push_back(&server->sockets, &from->link);
    server->open_count++;
    client->fault[0] = '\0';
    error = vine__socket_name_check(client->path, client->fault);
    if (error == 0) {
        error = listen_at(from);
        if (error != 0)
            (void)snprintf(client->fault, sizeof(client->fault), "%s: %s", client->path,
                           vine_error_text(error));
    }
    if (error != 0) {
        leave(from);
        return error;
    }
    error = vine__socket_name_give(client, &from->name, client->fault);
    if (error != 0)
        close_listener(from);
    return error;
}

/* ---- while it runs --------------------------------------------------------------------------- */

static struct client_socket *socket_of(const struct vine__server *server,
                                       const struct vine__client *client)
{
    VINE_LIST_FOR_EACH(node, &server->sockets)
    {
        struct client_socket *const from = VINE_LIST_OBJECT(node, struct client_socket, link);

        if (from->client == client)
            return from;
    }
    return NULL;
}

static int control_opens(struct vine__control *control, struct vine__client *client)
{
    return open_socket(control->server, client);
}

static void control_closes(struct vine__control *control, struct vine__client *client)
{
    struct client_socket *const from = socket_of(control->server, client);

    if (from == NULL) {
        vine__client_destroy(client);
        return;
    }
    /* What is on its way already is nothing that it may do. */
    client->permissions = 0;
    from->is_removed = true;
    from->use_count++;
    /* The listener ends in a later turn; its name is free at once. */
    vine__socket_name_remove(client->path, &from->name);
    close_listener(from);
    VINE_LIST_FOR_EACH(node, &from->connections)
    vine_service_hang_up(gone, VINE_LIST_OBJECT(node, struct connection, link));
    leave(from);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void nothing(void *context)
{
    (void)context;
}

static int open_control(struct vine__server *server)
{
    struct vine__client *const controller = &server->controller;
    struct vine__control *const control = server->control;

    *controller = (struct vine__client){
        .name = "control",
        .mode = 0600,
        .user = VINE__CLIENT_NOBODY,
        .group = VINE__CLIENT_NOBODY,
        .permissions = VINE_SERVER_PERMISSIONS_CONTROL,
    };
    if (strlen(control->path) >= sizeof(controller->path)) {
        (void)snprintf(controller->fault, sizeof(controller->fault), "%.160s: %s", control->path,
                       vine_error_text(-ENAMETOOLONG));
        return -ENAMETOOLONG;
    }
    memcpy(controller->path, control->path, strlen(control->path) + 1);
    control->registry = server->registry;
    control->server = server;
    control->open_socket = control_opens;
    control->close_socket = control_closes;
    return open_socket(server, controller);
}

int vine__server_start(const struct vine__server_options *options, struct vine__server **ret_server,
                       char why[VINE__CLIENTS_WHY_BYTES])
{
    struct vine__server *const server = calloc(1, sizeof(*server));
    int error = 0;

    if (server == NULL)
        return -ENOMEM;
    if (options->request_ns != 0)
        request_ns = options->request_ns;
    server->registry = options->registry;
    server->control = options->control;
    server->connections_max =
        options->connections_max != 0 ? options->connections_max : VINE__SERVER_CONNECTIONS;
    server->all_connections_max =
        options->all_connections_max != 0 ? options->all_connections_max : UINT64_MAX;
    server->crowded = options->crowded;
    server->denied = options->denied;
    server->refused = options->refused;
    server->open_count = 1; /* until it is told to stop */
    vine_list_init(&server->sockets);
    if (server->control != NULL) {
        error = open_control(server);
        if (error != 0)
            (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "control: %.240s",
                           server->controller.fault);
    }
    if (error != 0) {
        vine__server_stop(server, nothing, NULL);
        return error;
    }
    *ret_server = server;
    (void)vine__server_open_missing(server);
    return 0;
}

bool vine__server_open_missing(struct vine__server *server)
{
    const struct vine__clients *const clients = server->registry->clients;
    bool is_held = false;

    for (uint32_t i = 0; i < clients->count; i++)
        if (socket_of(server, clients->all[i]) == NULL)
            is_held |= open_socket(server, clients->all[i]) == -EADDRINUSE;
    return is_held;
}

void vine__server_stop(struct vine__server *server, void (*done)(void *context), void *context)
{
    VINE_ASSERT(server->done == NULL && done != NULL);
    server->done = done;
    server->context = context;
    VINE_LIST_FOR_EACH(node, &server->sockets)
    close_listener(VINE_LIST_OBJECT(node, struct client_socket, link));
    less(server);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/server/command.h"
#include "vmm/server/places.h"

#include "human.h"
#include "message.h"
#include "status.h"

#define LINE_BYTES  512 /* of a status with its text */
#define ERROR_BYTES 512 /* of an error that is a string */
#define PIECE_BYTES (256U << 10)
#define DIGITS_MAX  18
#define FAREWELL    "0,0" /* the head of an answer to no request */

struct vm_server {
    int fd;
    int broken; /* the status of what made it useless, or STATUS_DONE */
    uint32_t permissions;
    char about[208]; /* whom requests are about, before what is wrong */
    uint64_t silent_ns;
    enum vine_server_error error;
    uint32_t expected; /* bits of errors that are not told */
    char *first; /* of an answer whose shape tells errors: the string that was none, or NULL */
    size_t first_bytes;
    int64_t first_integer;
    bool has_first_integer;
    size_t begin, end; /* what was received and not taken */
    char bytes[16 << 10];
    char path[VINE__PLACE_BYTES];
};

/* ---- what goes wrong ------------------------------------------------------------------------- */

static int break_off(struct vm_server *server, int status)
{
    server->broken = status;
    return status;
}

void vm_server_speak_of(struct vm_server *server, const char *name)
{
    (void)snprintf(server->about, sizeof(server->about), "%.200s%s",
                   name != NULL ? message_escape(name) : "", name != NULL ? ": " : "");
}

int vm_server_nonsense(struct vm_server *server, const char *what)
{
    message_error("%s: what answers there is no VM server that we understand: %s",
                  message_escape(server->path), message_escape(what));
    return break_off(server, STATUS_NO_APPLIANCE);
}

static int fail_system(struct vm_server *server, int error)
{
    message_error("%s: %s", message_escape(server->path), strerror(error));
    return break_off(server, STATUS_TRY_AGAIN);
}

static int out_of_memory(struct vm_server *server)
{
    message_error("out of memory");
    return break_off(server, STATUS_FAILED);
}

static int status_of(enum vine_server_error error)
{
    switch (error) {
    case VINE_SERVER_E_BAD_VALUE:
        return STATUS_USAGE;
    case VINE_SERVER_E_DENIED:
        return STATUS_DENIED;
    case VINE_SERVER_E_TIMED_OUT:
    case VINE_SERVER_E_BUSY:
        return STATUS_TRY_AGAIN;
    case VINE_SERVER_E_UNKNOWN_COMMAND:
    case VINE_SERVER_E_UNKNOWN_VERSION:
        return STATUS_NO_APPLIANCE;
    default:
        return STATUS_FAILED;
    }
}

/* It was refused: by a number of ours or of a later version, with a text. */
static int refused(struct vm_server *server, uint64_t number, const char *text)
{
    server->error =
        number <= VINE_SERVER_E_NO_CLIENT ? (enum vine_server_error)number : VINE_SERVER_E_FAILED;
    if ((server->expected >> server->error & 1) == 0)
        message_error("%sthe server says: %s", server->about,
                      text[0] != '\0' ? message_escape(text) : "no");
    return status_of(server->error);
}

void vm_server_expect(struct vm_server *server, enum vine_server_error error)
{
    server->expected = 1U << error;
}

enum vine_server_error vm_server_error(const struct vm_server *server)
{
    return server->error;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Until there is something. `silent_ns` 0: however long. */
static int wait_for(struct vm_server *server, short events, uint64_t silent_ns)
{
    const uint64_t until_ns = human_now_ns() + silent_ns;

    for (;;) {
        struct pollfd fd = {.fd = server->fd, .events = events};
        const uint64_t now_ns = human_now_ns();
        int told;

        if (silent_ns != 0 && now_ns >= until_ns) {
            message_error("%s: the server is silent", message_escape(server->path));
            return break_off(server, STATUS_TRY_AGAIN);
        }
        told =
            poll(&fd, 1, silent_ns != 0 ? (int)((until_ns - now_ns) / 1000000 % 1000000) + 1 : -1);
        if (told < 0 && errno != EINTR)
            return fail_system(server, errno);
        if (told > 0)
            return STATUS_DONE;
    }
}

static int receive(struct vm_server *server, uint64_t silent_ns)
{
    ssize_t got;

    server->begin = server->end = 0;
    do {
        const int status = wait_for(server, POLLIN, silent_ns);

        if (status != STATUS_DONE)
            return status;
        got = recv(server->fd, server->bytes, sizeof(server->bytes), MSG_DONTWAIT);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got < 0)
        return fail_system(server, errno);
    if (got == 0) {
        message_error("%s: the server has ended the connection", message_escape(server->path));
        return break_off(server, STATUS_TRY_AGAIN);
    }
    server->end = (size_t)got;
    return STATUS_DONE;
}

static int next_byte(struct vm_server *server, uint64_t silent_ns, char *ret_byte)
{
    if (server->broken != STATUS_DONE)
        return server->broken;
    if (server->begin == server->end) {
        const int status = receive(server, silent_ns);

        if (status != STATUS_DONE)
            return status;
    }
    *ret_byte = server->bytes[server->begin++];
    return STATUS_DONE;
}

/* Up to `end`, which is taken and not kept. */
static int take_line(struct vm_server *server, uint64_t silent_ns, char *line, size_t room,
                     char end)
{
    size_t size = 0;

    for (;;) {
        char byte;
        const int status = next_byte(server, silent_ns, &byte);

        if (status != STATUS_DONE)
            return status;
        if (byte == end)
            break;
        if (size + 1 == room || byte == '\0')
            return vm_server_nonsense(server, "a line that is too long, or has a zero");
        line[size++] = byte;
    }
    line[size] = '\0';
    return STATUS_DONE;
}

static int take_bytes(struct vm_server *server, char *bytes, size_t size)
{
    while (size > 0) {
        size_t now = server->end - server->begin;

        if (now == 0) {
            const int status = receive(server, server->silent_ns);

            if (status != STATUS_DONE)
                return status;
            continue;
        }
        now = now < size ? now : size;
        memcpy(bytes, server->bytes + server->begin, now);
        server->begin += now;
        bytes += now;
        size -= now;
    }
    return STATUS_DONE;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Digits alone, at most 18, and no zero before others. */
static bool read_digits(const char *text, uint64_t *ret_number)
{
    const size_t size = strlen(text);

    if (size == 0 || size > DIGITS_MAX || strspn(text, "0123456789") != size ||
        (size > 1 && text[0] == '0'))
        return false;
    *ret_number = strtoull(text, NULL, 10);
    return true;
}

static int take_integer(struct vm_server *server, int64_t *ret_integer)
{
    char line[DIGITS_MAX + 3];
    uint64_t number;
    const int status = take_line(server, server->silent_ns, line, sizeof(line), '\n');
    const bool is_negative = status == STATUS_DONE && line[0] == '-';

    if (status != STATUS_DONE)
        return status;
    if (!read_digits(line + is_negative, &number))
        return vm_server_nonsense(server, "an integer that is none");
    *ret_integer = is_negative ? -(int64_t)number : (int64_t)number;
    return STATUS_DONE;
}

static int take_string(struct vm_server *server, char **ret_bytes, size_t *ret_size,
                       size_t bytes_max)
{
    char line[DIGITS_MAX + 2], newline = '\0';
    uint64_t size;
    char *bytes;
    int status = take_line(server, server->silent_ns, line, sizeof(line), ',');

    if (status != STATUS_DONE)
        return status;
    if (!read_digits(line, &size))
        return vm_server_nonsense(server, "a length that is none");
    if (size > bytes_max)
        return vm_server_nonsense(server, "a string that is too long");
    bytes = malloc((size_t)size + 1);
    if (bytes == NULL)
        return out_of_memory(server);
    status = take_bytes(server, bytes, (size_t)size);
    if (status == STATUS_DONE)
        status = next_byte(server, server->silent_ns, &newline);
    if (status == STATUS_DONE && newline != '\n')
        status = vm_server_nonsense(server, "a string without an end");
    if (status != STATUS_DONE) {
        free(bytes);
        return status;
    }
    bytes[size] = '\0';
    *ret_bytes = bytes;
    *ret_size = (size_t)size;
    return STATUS_DONE;
}

int vm_server_integer(struct vm_server *server, int64_t *ret_integer)
{
    if (server->broken != STATUS_DONE)
        return server->broken;
    if (!server->has_first_integer)
        return take_integer(server, ret_integer);
    server->has_first_integer = false;
    *ret_integer = server->first_integer;
    return STATUS_DONE;
}

int vm_server_string(struct vm_server *server, char **ret_bytes, size_t *ret_size, size_t bytes_max)
{
    if (server->broken != STATUS_DONE)
        return server->broken;
    if (server->first == NULL)
        return take_string(server, ret_bytes, ret_size, bytes_max);
    if (server->first_bytes > bytes_max)
        return vm_server_nonsense(server, "a string that is too long");
    *ret_bytes = server->first;
    *ret_size = server->first_bytes;
    server->first = NULL;
    return STATUS_DONE;
}

int vm_server_text(struct vm_server *server, char **ret_text, size_t bytes_max)
{
    char *text;
    size_t size;
    const int status = vm_server_string(server, &text, &size, bytes_max);

    if (status != STATUS_DONE)
        return status;
    if (strlen(text) != size) {
        free(text);
        return vm_server_nonsense(server, "a text with a zero in it");
    }
    *ret_text = text;
    return STATUS_DONE;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* A line: 0, or the error's number and a text. */
static int take_status(struct vm_server *server)
{
    char line[LINE_BYTES];
    char *comma;
    uint64_t number;
    const int status = take_line(server, server->silent_ns, line, sizeof(line), '\n');

    if (status != STATUS_DONE || strcmp(line, "0") == 0)
        return status;
    comma = strchr(line, ',');
    if (comma != NULL)
        *comma = '\0';
    if (comma == NULL || !read_digits(line, &number) || number == 0)
        return vm_server_nonsense(server, "a status that is none");
    return refused(server, number, comma + 1);
}

/* It hangs up, whatever was asked, and says why. */
static int take_farewell(struct vm_server *server)
{
    const int status = take_status(server);

    if (status == STATUS_DONE)
        return vm_server_nonsense(server, "an answer to something else");
    return break_off(server, server->error == VINE_SERVER_E_LIMIT ? STATUS_TRY_AGAIN : status);
}

/* "COMMAND,1", of what was asked. */
static int take_head(struct vm_server *server, uint64_t silent_ns, uint32_t number)
{
    char line[32], wanted[32];
    const int status = take_line(server, silent_ns, line, sizeof(line), '\n');

    if (status != STATUS_DONE)
        return status;
    if (strcmp(line, FAREWELL) == 0)
        return take_farewell(server);
    (void)snprintf(wanted, sizeof(wanted), "%" PRIu32 ",1", number);
    if (strcmp(line, wanted) != 0)
        return vm_server_nonsense(server, "an answer to something else");
    return STATUS_DONE;
}

/* "error 5: no such VM"; or any other text. */
static int refuse_by_string(struct vm_server *server, const char *text)
{
    uint64_t number = VINE_SERVER_E_FAILED;
    char digits[8] = "";

    if (strncmp(text, "error ", 6) == 0) {
        const size_t length = strcspn(text + 6, ":");

        (void)snprintf(digits, sizeof(digits), "%.*s", (int)(length < 8 ? length : 0), text + 6);
        if (read_digits(digits, &number) && number != 0 && text[6 + length] == ':')
            text += 6 + length + 1;
        else
            number = VINE_SERVER_E_FAILED;
        text += strspn(text, " ");
    }
    return refused(server, number, text);
}

/* Whether the string, of a command of that shape, is an error. */
static bool is_error(const struct vm_server *server, enum vine_server_shape shape)
{
    const char *const text = server->first;

    switch (shape) {
    case VINE_SERVER_SHAPE_LIST:
        return strncmp(text, "error ", 6) == 0 && memchr(text, ';', server->first_bytes) == NULL;
    case VINE_SERVER_SHAPE_UID:
        return server->first_bytes % 2 != 0;
    case VINE_SERVER_SHAPE_EMPTY:
        return server->first_bytes != 0;
    case VINE_SERVER_SHAPE_PATH:
        return memchr(text, '/', server->first_bytes) == NULL;
    default:
        return false;
    }
}

static int take_by_shape(struct vm_server *server, enum vine_server_shape shape)
{
    const size_t most = shape == VINE_SERVER_SHAPE_LIST ? VM_SERVER_LIST_BYTES : ERROR_BYTES;
    int status;

    if (shape == VINE_SERVER_SHAPE_STATUS)
        return take_status(server);
    if (shape == VINE_SERVER_SHAPE_INTEGER) {
        status = take_integer(server, &server->first_integer);
        if (status == STATUS_DONE && server->first_integer < 0)
            return refused(server, VINE_SERVER_E_DENIED, "an error, of which it says no more");
        server->has_first_integer = status == STATUS_DONE;
        return status;
    }
    status = take_string(server, &server->first, &server->first_bytes, most);
    if (status != STATUS_DONE || !is_error(server, shape))
        return status;
    status = refuse_by_string(server, server->first);
    free(server->first);
    server->first = NULL;
    return status;
}

static int take_answer(struct vm_server *server, uint64_t silent_ns, uint32_t number)
{
    const struct vine__command *const command = vine__command_find(number);
    const int status = take_head(server, silent_ns, number);

    if (status != STATUS_DONE)
        return status;
    return take_by_shape(server, command != NULL ? (enum vine_server_shape)command->shape
                                                 : VINE_SERVER_SHAPE_STATUS);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Who does not listen any more may have said why. */
static int fail_to_send(struct vm_server *server, int error)
{
    static const char farewell[] = FAREWELL "\n";
    const ssize_t got = server->begin == server->end
                            ? recv(server->fd, server->bytes, sizeof(server->bytes), MSG_DONTWAIT)
                            : 0;

    if (got < (ssize_t)strlen(farewell) || memcmp(server->bytes, farewell, strlen(farewell)) != 0)
        return fail_system(server, error);
    server->begin = strlen(farewell);
    server->end = (size_t)got;
    return take_farewell(server);
}

/* Send all, or until the server answers, where it may before all of it has come. */
static int send_all(struct vm_server *server, const char *bytes, size_t size, bool may_answer,
                    bool *ret_has_answered)
{
    while (size > 0) {
        const int status =
            wait_for(server, (short)(may_answer ? POLLIN | POLLOUT : POLLOUT), server->silent_ns);
        struct pollfd fd = {.fd = server->fd, .events = POLLIN};
        ssize_t sent;

        if (status != STATUS_DONE)
            return status;
        if (may_answer && poll(&fd, 1, 0) > 0) {
            *ret_has_answered = true;
            return STATUS_DONE;
        }
        sent = send(server->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return fail_to_send(server, errno);
        bytes += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return STATUS_DONE;
}

static int send_text(struct vm_server *server, const char *bytes, size_t size)
{
    bool has_answered = false;

    return send_all(server, bytes, size, false, &has_answered);
}

/* What a former answer had and nobody has taken would be taken for one of this. */
static int begin(struct vm_server *server)
{
    if (server->broken != STATUS_DONE) {
        message_error("%s%s: the connection has ended", server->about,
                      message_escape(server->path));
        return server->broken;
    }
    server->error = VINE_SERVER_E_DONE;
    server->has_first_integer = false;
    free(server->first);
    server->first = NULL;
    if (server->begin != server->end)
        return vm_server_nonsense(server, "more than was asked for");
    return STATUS_DONE;
}

static int ask(struct vm_server *server, uint64_t silent_ns, uint32_t number, const char *kinds,
               va_list values)
{
    char *request = NULL;
    size_t size = 0;
    FILE *const stream = open_memstream(&request, &size);
    int status = begin(server);

    if (stream == NULL)
        return out_of_memory(server);
    (void)fprintf(stream, "%" PRIu32 ",1\n", number);
    for (const char *kind = kinds; *kind != '\0'; kind++) {
        if (*kind == 'i') {
            (void)fprintf(stream, "%" PRId64 "\n", va_arg(values, int64_t));
        } else {
            const char *const text = va_arg(values, const char *);

            (void)fprintf(stream, "%zu,%s\n", strlen(text), text);
        }
    }
    if (fclose(stream) != 0 && status == STATUS_DONE)
        status = out_of_memory(server);
    if (status == STATUS_DONE)
        status = send_text(server, request, size);
    free(request);
    return status != STATUS_DONE ? status : take_answer(server, silent_ns, number);
}

int vm_server_ask(struct vm_server *server, uint32_t number, const char *kinds, ...)
{
    va_list values;
    int status;

    va_start(values, kinds);
    status = ask(server, server->silent_ns, number, kinds, values);
    va_end(values);
    return status;
}

int vm_server_ask_waiting(struct vm_server *server, uint64_t timeout_ms, uint32_t number,
                          const char *kinds, ...)
{
    va_list values;
    int status;

    va_start(values, kinds);
    status = ask(server, server->silent_ns + timeout_ms * 1000000, number, kinds, values);
    va_end(values);
    return status;
}

int vm_server_next_event(struct vm_server *server)
{
    const int status = take_head(server, 0, VINE_SERVER_EVENT);

    return status != STATUS_DONE ? status : take_status(server);
}

/* ---- uploads --------------------------------------------------------------------------------- */

static void show(const char *path, uint64_t done, uint64_t size)
{
    const size_t length = strlen(path);
    char text[128], done_text[HUMAN_MAX], size_text[HUMAN_MAX];

    (void)snprintf(text, sizeof(text), "%s: %s of %s", length > 40 ? path + length - 40 : path,
                   human_binary(done, done_text), human_binary(size, size_text));
    message_progress(message_escape(text));
}

/* All of the file, in pieces; as much of it as was said, whatever becomes of it meanwhile; or until
 * the server answers. */
static int send_file(struct vm_server *server, int fd, const char *path, uint64_t size,
                     bool *ret_has_answered)
{
    char *const piece = malloc(PIECE_BYTES);
    int status = piece != NULL ? STATUS_DONE : out_of_memory(server);

    for (uint64_t done = 0; status == STATUS_DONE && done < size && !*ret_has_answered;) {
        const size_t wanted = size - done < PIECE_BYTES ? (size_t)(size - done) : PIECE_BYTES;
        const ssize_t got = read(fd, piece, wanted);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            message_error("%s: %s", message_escape(path),
                          got < 0 ? strerror(errno) : "it became shorter while it was sent");
            status = break_off(server, STATUS_FAILED);
            break;
        }
        show(path, done, size);
        status = send_all(server, piece, (size_t)got, true, ret_has_answered);
        done += (uint64_t)got;
    }
    free(piece);
    message_progress("");
    return status == STATUS_DONE && !*ret_has_answered ? send_text(server, "\n", 1) : status;
}

static int upload(struct vm_server *server, uint32_t number, const char *uid, const char *path,
                  int fd)
{
    bool has_answered = false;
    struct stat file;
    char head[128];
    int status = begin(server);

    if (status != STATUS_DONE)
        return status;
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
        message_error("%s: it is no file of a size that is known", message_escape(path));
        return STATUS_FAILED;
    }
    (void)snprintf(head, sizeof(head), "%" PRIu32 ",1\n%zu,%.64s\n%" PRIu64 ",", number,
                   strlen(uid), uid, (uint64_t)file.st_size);
    status = send_text(server, head, strlen(head));
    if (status == STATUS_DONE)
        status = send_file(server, fd, path, (uint64_t)file.st_size, &has_answered);
    if (status != STATUS_DONE)
        return status;
    status = take_answer(server, server->silent_ns + VM_SERVER_CHANGE_MS * 1000000, number);
    if (status == STATUS_DONE && has_answered)
        return vm_server_nonsense(server, "it has a file that was not sent yet");
    /* What follows it would take for the rest of the file. */
    if (has_answered && server->broken == STATUS_DONE)
        server->broken = status;
    return status;
}

int vm_server_upload(struct vm_server *server, uint32_t number, const char *uid, const char *path)
{
    const int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int status;

    if (fd < 0) {
        message_error("%s: %m", message_escape(path));
        return errno == EACCES ? STATUS_DENIED : STATUS_FAILED;
    }
    status = upload(server, number, uid, path, fd);
    (void)close(fd);
    return status;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int find_path(const char *path, struct vm_server *server)
{
    struct vine__places places;
    int size;

    if (path == NULL && vine__places_find(geteuid() == 0, &places) != 0) {
        message_error("there is no home to look for a server in: say with --socket where it is");
        return STATUS_USAGE;
    }
    size = snprintf(server->path, sizeof(server->path), "%s%s",
                    path != NULL ? path : places.runtime, path != NULL ? "" : "/control.sock");
    if (size <= 0 || (size_t)size >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        message_error("%s: too long for a socket", message_escape(server->path));
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

static int connect_to(struct vm_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, server->path, strlen(server->path));
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->fd < 0) {
        message_error("no socket can be had: %m");
        return STATUS_FAILED;
    }
    if (connect(server->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return STATUS_DONE;
    if (errno == ENOENT || errno == ECONNREFUSED)
        message_error("no VM server is at %s: `vine server` starts one",
                      message_escape(server->path));
    else
        message_error("%s: %m", message_escape(server->path));
    return errno == EACCES || errno == EPERM ? STATUS_DENIED
           : errno == EAGAIN                 ? STATUS_TRY_AGAIN
                                             : STATUS_NO_APPLIANCE;
}

/* Who is not denied it has what it needs. */
static int try_to_ask(struct vm_server *server, uint32_t number)
{
    const struct vine__command *const command = vine__command_find(number);
    const int status = vm_server_ask(server, number, command->parameters, "");
    int64_t count;

    if (server->broken != STATUS_DONE)
        return server->broken;
    if (status != STATUS_DENIED)
        server->permissions |= command->needs;
    return status == STATUS_DONE ? vm_server_integer(server, &count) : STATUS_DONE;
}

/* Its permissions, which say whether it asks over all. Who may not be told them has them all the
 * same: how many VMs there are, and the status of one that nobody has, is denied or is not. */
static int learn(struct vm_server *server)
{
    static const uint32_t needs_one[] = {VINE_SERVER_COUNT, VINE_SERVER_STATUS,
                                         VINE_SERVER_OVER_ALL + VINE_SERVER_COUNT,
                                         VINE_SERVER_OVER_ALL + VINE_SERVER_STATUS};
    int64_t word = 0;
    int status;

    server->expected = 1U << VINE_SERVER_E_DENIED | 1U << VINE_SERVER_E_NO_VM;
    status = vm_server_ask(server, VINE_SERVER_PERMISSIONS, "");
    if (status == STATUS_DONE)
        status = vm_server_integer(server, &word);
    if (word > UINT16_MAX)
        return vm_server_nonsense(server, "permissions that are none");
    server->permissions = (uint32_t)word;
    if (status == STATUS_DENIED && server->broken == STATUS_DONE) {
        status = STATUS_DONE;
        for (size_t i = 0; status == STATUS_DONE && i < 4; i++)
            status = try_to_ask(server, needs_one[i]);
    }
    server->expected = 0;
    return status;
}

int vm_server_open(const char *path, struct vm_server **ret_server)
{
    struct vm_server *const server = calloc(1, sizeof(*server));
    int status;

    if (server == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    server->fd = -1;
    server->silent_ns = VM_SERVER_SILENT_NS;
    status = find_path(path, server);
    if (status == STATUS_DONE)
        status = connect_to(server);
    if (status == STATUS_DONE)
        status = learn(server);
    if (status != STATUS_DONE) {
        vm_server_close(server);
        return status;
    }
    *ret_server = server;
    return STATUS_DONE;
}

void vm_server_close(struct vm_server *server)
{
    if (server == NULL)
        return;
    if (server->fd >= 0)
        (void)close(server->fd);
    free(server->first);
    free(server);
}

uint32_t vm_server_user(const struct vm_server *server)
{
    struct ucred peer = {.uid = UINT32_MAX};
    socklen_t size = sizeof(peer);

    if (getsockopt(server->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return UINT32_MAX;
    return peer.uid;
}

bool vm_server_is_control(const struct vm_server *server)
{
    return (server->permissions & VINE_SERVER_MANAGE_SERVER) != 0;
}

bool vm_server_may(const struct vm_server *server, uint32_t number)
{
    const struct vine__command *const command = vine__command_find(number);

    return command != NULL && vine__command_is_permitted(command, (uint16_t)server->permissions);
}

uint32_t vm_server_number(const struct vm_server *server, enum vine_server_action action)
{
    const uint32_t over_all = VINE_SERVER_OVER_ALL + (uint32_t)action;

    return vm_server_may(server, over_all) ? over_all : (uint32_t)action;
}

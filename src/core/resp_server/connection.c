/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of a connection. */
#include <string.h>

#include "core/resp_server/resp_server_internal.h"

int vine__resp_ping(struct vine__resp_run *run)
{
    if (run->argument_count > 2)
        return vine__resp_wrong_arity(run, "ping");
    if (run->argument_count == 2)
        return vine__resp_echo(run);
    (void)vine_resp_write_simple(run->writer, "PONG");
    return 0;
}

int vine__resp_echo(struct vine__resp_run *run)
{
    return vine__resp_send(run, run->arguments[1].bytes, run->arguments[1].size_bytes);
}

int vine__resp_quit(struct vine__resp_run *run)
{
    run->session->is_closing = true;
    return vine__resp_ok(run);
}

int vine__resp_select(struct vine__resp_run *run)
{
    int64_t number;

    if (!vine__resp_number(run, &run->arguments[1], &number))
        return 0;
    if (number != 0)
        return vine__resp_error(run, "ERR DB index is out of range");
    return vine__resp_ok(run);
}

/* Returns NULL, or what is wrong with a connection's name. */
static const char *why_no_name(const struct vine_resp_argument *name)
{
    for (uint32_t n = 0; n < name->size_bytes; n++)
        if (name->bytes[n] < '!' || name->bytes[n] > '~')
            return "ERR Client names cannot contain spaces, newlines or special characters.";
    return name->size_bytes < VINE_RESP_NAME_BYTES ? NULL
                                                   : "ERR Client names are of 31 bytes at most";
}

static void set_name(struct vine_resp_session *session, const struct vine_resp_argument *name)
{
    memset(session->name, 0, sizeof(session->name));
    if (name->size_bytes > 0)
        memcpy(session->name, name->bytes, name->size_bytes);
}

/* ---- HELLO ----------------------------------------------------------------------------------- */

static int tell_of_server(struct vine__resp_run *run)
{
    struct vine_resp_writer *const writer = run->writer;
    const struct {
        const char *key, *value;
    } texts[] = {{"mode", "standalone"}, {"role", "master"}};

    (void)vine_resp_write_map(writer, 7);
    (void)vine_resp_write_bulk(writer, "server", 6);
    (void)vine_resp_write_bulk(writer, "vine", 4);
    (void)vine_resp_write_bulk(writer, "version", 7);
    (void)vine_resp_write_bulk(writer, run->server->version,
                               strnlen(run->server->version, VINE__RESP_VERSION_BYTES));
    (void)vine_resp_write_bulk(writer, "proto", 5);
    (void)vine_resp_write_integer(writer, run->session->protocol);
    (void)vine_resp_write_bulk(writer, "id", 2);
    (void)vine_resp_write_integer(writer, (int64_t)run->session->id);
    for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++) {
        (void)vine_resp_write_bulk(writer, texts[n].key, strlen(texts[n].key));
        (void)vine_resp_write_bulk(writer, texts[n].value, strlen(texts[n].value));
    }
    (void)vine_resp_write_bulk(writer, "modules", 7);
    (void)vine_resp_write_array(writer, 0);
    return 0;
}

/* There is the user of Redis that needs no password, and no other. */
static bool is_user(const struct vine_resp_argument *name)
{
    return name->size_bytes == 7 && memcmp(name->bytes, "default", 7) == 0;
}

int vine__resp_hello(struct vine__resp_run *run)
{
    const struct vine_resp_argument *const arguments = run->arguments;
    const struct vine_resp_argument *name = NULL, *user = NULL;
    int64_t protocol = 0;

    if (run->argument_count >= 2) {
        if (!vine_resp_integer(arguments[1].bytes, arguments[1].size_bytes, &protocol))
            return vine__resp_error(run, "ERR Protocol version is not an integer or out of range");
        if (protocol != 2 && protocol != 3)
            return vine__resp_error(run, "NOPROTO unsupported protocol version");
    }
    for (uint32_t n = 2; n < run->argument_count; n++) {
        const uint32_t left = run->argument_count - n - 1;

        if (vine__resp_is(&arguments[n], "auth") && left >= 2) {
            user = &arguments[n + 1];
            n += 2;
        } else if (vine__resp_is(&arguments[n], "setname") && left >= 1) {
            name = &arguments[++n];
            if (why_no_name(name) != NULL)
                return vine__resp_error(run, "%s", why_no_name(name));
        } else {
            const int size = arguments[n].size_bytes < 128 ? (int)arguments[n].size_bytes : 128;

            return vine__resp_error(run, "ERR Syntax error in HELLO option '%.*s'", size,
                                    arguments[n].bytes);
        }
    }
    if (user != NULL && !is_user(user))
        return vine__resp_error(run,
                                "WRONGPASS invalid username-password pair or user is disabled.");
    if (name != NULL)
        set_name(run->session, name);
    if (protocol != 0)
        run->session->protocol = (uint8_t)protocol;
    run->writer->protocol = run->session->protocol;
    return tell_of_server(run);
}

/* ---- CLIENT ---------------------------------------------------------------------------------- */

int vine__resp_client_setinfo(struct vine__resp_run *run)
{
    const struct vine_resp_argument *const what = &run->arguments[2];

    if (vine__resp_is(what, "lib-name") || vine__resp_is(what, "lib-ver"))
        return vine__resp_ok(run);
    return vine__resp_error(run, "ERR Unrecognized option '%.*s'",
                            what->size_bytes < 128 ? (int)what->size_bytes : 128, what->bytes);
}

int vine__resp_client_setname(struct vine__resp_run *run)
{
    const char *const wrong = why_no_name(&run->arguments[2]);

    if (wrong != NULL)
        return vine__resp_error(run, "%s", wrong);
    set_name(run->session, &run->arguments[2]);
    return vine__resp_ok(run);
}

int vine__resp_client_getname(struct vine__resp_run *run)
{
    const char *const name = run->session->name;

    if (name[0] == '\0')
        (void)vine_resp_write_null(run->writer);
    else
        (void)vine_resp_write_bulk(run->writer, name, strlen(name));
    return 0;
}

int vine__resp_client_id(struct vine__resp_run *run)
{
    return vine__resp_integer(run, (int64_t)run->session->id);
}

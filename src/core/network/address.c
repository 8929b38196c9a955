/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/network.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define LOCAL_PREFIX "unix:"
#define NAME_OFFSET  offsetof(struct sockaddr_un, sun_path)

/* ---- from text ------------------------------------------------------------------------------- */

/* Digits alone, and no more than `most`. */
static int parse_number(const char *text, uint32_t most, uint32_t *ret_number)
{
    uint32_t number = 0;

    if (*text == '\0')
        return -EINVAL;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || number > (most - (uint32_t)(*at - '0')) / 10)
            return -EINVAL;
        number = number * 10 + (uint32_t)(*at - '0');
    }
    *ret_number = number;
    return 0;
}

static int parse_local(const char *name, struct vine_address *ret_address)
{
    struct vine_address address = {.local = {.sun_family = AF_UNIX}};
    const size_t length = strlen(name);
    const bool is_abstract = name[0] == '@';

    if (length == 0 || (is_abstract && length == 1))
        return -EINVAL;
    /* A path ends with a zero in there; an abstract name begins with one, in the place of '@'. */
    if (length + !is_abstract > sizeof(address.local.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.local.sun_path, name, length);
    if (is_abstract)
        address.local.sun_path[0] = '\0';
    address.size_bytes = (uint32_t)(NAME_OFFSET + length + !is_abstract);
    *ret_address = address;
    return 0;
}

/* `host` is text without brackets. */
static int parse_ip6(char *host, uint32_t port, struct vine_address *ret_address)
{
    struct vine_address address = {.ip6 = {.sin6_family = AF_INET6}};
    char *const percent = strchr(host, '%');

    if (percent != NULL) {
        *percent = '\0';
        if (parse_number(percent + 1, UINT32_MAX, &address.ip6.sin6_scope_id) != 0)
            return -EINVAL;
    }
    if (inet_pton(AF_INET6, host, &address.ip6.sin6_addr) != 1)
        return -EINVAL;
    address.ip6.sin6_port = htons((uint16_t)port);
    address.size_bytes = sizeof(address.ip6);
    *ret_address = address;
    return 0;
}

static int parse_ip4(const char *host, uint32_t port, struct vine_address *ret_address)
{
    struct vine_address address = {.ip4 = {.sin_family = AF_INET}};

    if (inet_pton(AF_INET, host, &address.ip4.sin_addr) != 1)
        return -EINVAL;
    address.ip4.sin_port = htons((uint16_t)port);
    address.size_bytes = sizeof(address.ip4);
    *ret_address = address;
    return 0;
}

int vine_address_parse(const char *text, struct vine_address *ret_address)
{
    char host[INET6_ADDRSTRLEN + 16];
    const char *const colon = strrchr(text, ':');
    uint32_t port;

    if (strncmp(text, LOCAL_PREFIX, sizeof(LOCAL_PREFIX) - 1) == 0)
        return parse_local(text + sizeof(LOCAL_PREFIX) - 1, ret_address);
    if (colon == NULL || parse_number(colon + 1, UINT16_MAX, &port) != 0)
        return -EINVAL;
    const size_t length = (size_t)(colon - text);

    if (length < 2 || length >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    if (host[0] != '[')
        return parse_ip4(host, port, ret_address);
    if (host[length - 1] != ']')
        return -EINVAL;
    host[length - 1] = '\0';
    return parse_ip6(host + 1, port, ret_address);
}

/* ---- to text --------------------------------------------------------------------------------- */

static size_t print_byte(char *text, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";

    if (byte >= ' ' && byte <= '~' && byte != '\\') {
        text[0] = (char)byte;
        return 1;
    }
    text[0] = '\\';
    text[1] = 'x';
    text[2] = digits[byte >> 4];
    text[3] = digits[byte & 15];
    return 4;
}

static void print_local(const struct vine_address *address, char *text)
{
    const char *const name = address->local.sun_path;
    const size_t most = sizeof(address->local.sun_path);
    size_t size = address->size_bytes > NAME_OFFSET ? address->size_bytes - NAME_OFFSET : 0;
    size_t at = sizeof(LOCAL_PREFIX) - 1;
    size_t first = 0;

    size = size < most ? size : most;
    memcpy(text, LOCAL_PREFIX, at);
    if (size > 0 && name[0] == '\0') {
        text[at++] = '@';
        first = 1;
    } else {
        size = strnlen(name, size);
    }
    for (size_t i = first; i < size; i++)
        at += print_byte(text + at, (unsigned char)name[i]);
    text[at] = '\0';
}

void vine_address_print(const struct vine_address *address, char text[VINE_ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    char scope[16] = "";

    switch (address->any.sa_family) {
    case AF_INET:
        (void)inet_ntop(AF_INET, &address->ip4.sin_addr, host, sizeof(host));
        (void)snprintf(text, VINE_ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(address->ip4.sin_port));
        break;
    case AF_INET6:
        (void)inet_ntop(AF_INET6, &address->ip6.sin6_addr, host, sizeof(host));
        if (address->ip6.sin6_scope_id != 0)
            (void)snprintf(scope, sizeof(scope), "%%%u", address->ip6.sin6_scope_id);
        (void)snprintf(text, VINE_ADDRESS_TEXT_BYTES, "[%s%s]:%u", host, scope,
                       ntohs(address->ip6.sin6_port));
        break;
    case AF_UNIX:
        print_local(address, text);
        break;
    default:
        (void)snprintf(text, VINE_ADDRESS_TEXT_BYTES, "-");
        break;
    }
}

uint16_t vine_address_port(const struct vine_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohs(address->ip4.sin_port);
    return address->any.sa_family == AF_INET6 ? ntohs(address->ip6.sin6_port) : 0;
}

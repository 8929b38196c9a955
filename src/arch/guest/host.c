/* SPDX-License-Identifier: Apache-2.0 */
/* A process of the host as one end of a link: descriptors instead of devices. */
#include "arch/guest/guest_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/guest/host_protocol.h"
#include "arch/peer/peer.h"

#define ANSWER_NS (5 * VINE_NS_PER_SECOND)

static int connect_to(const char *path, int *ret_fd, const struct vine__guest_options *options)
{
    const int error = vine__peer_connect(path, ANSWER_NS, ret_fd);

    if (error == -ENOENT || error == -ECONNREFUSED)
        return vine__guest_refuse(options, -VINE_ENOAPPLIANCE, "nobody hands out a link at %s",
                                  path);
    return error ? vine__guest_refuse(options, error, "%s: %s", path, vine_error_text(error)) : 0;
}

static int check(const struct vine_host_end *given, const struct vine__peer_message *message)
{
    const uint32_t expected =
        given->vector_count != 0 ? VINE_HOST_END_DESCRIPTORS : VINE_HOST_END_DESCRIPTORS - 1;

    if (message->size_bytes != sizeof *given || given->magic != VINE_HOST_END_MAGIC)
        return -VINE_EPROTOCOL;
    if (given->version != VINE_HOST_END_VERSION)
        return -VINE_EVERSION;
    if (given->outcome == VINE_HOST_END_BUSY)
        return -EBUSY;
    if (given->outcome != VINE_HOST_END_GIVEN)
        return -VINE_ENOAPPLIANCE;
    return message->fd_count == expected && given->place < VINE_STATUS_LINKS_MAX ? 0
                                                                                 : -VINE_EPROTOCOL;
}

int vine__guest_take_host(struct vine__guest *guest, const struct vine__guest_options *options)
{
    struct vine_host_end given;
    struct vine__peer_message message = {
        .bytes = &given, .capacity_bytes = sizeof given, .fd_count_max = VINE_HOST_END_DESCRIPTORS};
    int error = connect_to(options->socket, &guest->socket_fd, options);

    if (error)
        return error;
    error = vine__peer_receive(guest->socket_fd, &message, ANSWER_NS);
    if (!error) {
        error = check(&given, &message);
        if (error)
            vine__peer_message_close(&message);
    }
    if (error == -EAGAIN)
        error = -ETIMEDOUT;
    if (error == -EBUSY)
        return vine__guest_refuse(options, error, "another process has the link of %s",
                                  options->socket);
    if (error)
        return vine__guest_refuse(options, error, "no link from %s: %s", options->socket,
                                  vine_error_text(error));
    memcpy(guest->given_fds, message.fds, message.fd_count * sizeof message.fds[0]);
    guest->given_place = given.place;
    guest->given_vectors = given.vector_count;
    return 0;
}

void vine__guest_leave_host(struct vine__guest *guest)
{
    for (int i = 0; i < VINE_HOST_END_DESCRIPTORS; i++)
        if (guest->given_fds[i] >= 0)
            (void)close(guest->given_fds[i]);
    if (guest->socket_fd < 0)
        return;
    /* Who only hangs up has died. */
    (void)!vine__peer_send(guest->socket_fd, "", 1, NULL, 0, 0);
    (void)close(guest->socket_fd);
}

int vine__guest_host_device(const struct vine__guest *guest, uint32_t place,
                            enum vine_status_end writer, char ret_name[VINE__GUEST_BDF_BYTES])
{
    if (place != guest->given_place)
        return -ENODEV;
    (void)snprintf(ret_name, VINE__GUEST_BDF_BYTES, "fd:%d",
                   guest->given_fds[writer == VINE_STATUS_APPLICATION ? VINE_HOST_END_APPLICATION
                                                                      : VINE_HOST_END_APPLIANCE]);
    return 0;
}

int vine__guest_bells(const struct vine__guest *guest, int *ret_socket_fd,
                      uint32_t *ret_vector_count)
{
    if (guest->given_fds[VINE_HOST_END_BELLS] < 0)
        return -ENODEV;

    const int fd = fcntl(guest->given_fds[VINE_HOST_END_BELLS], F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    *ret_socket_fd = fd;
    *ret_vector_count = guest->given_vectors;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int network_parse(const char *text, uint32_t *ret_address, uint32_t *ret_mask)
{
    const char *slash = strchr(text, '/');
    char address[INET_ADDRSTRLEN];
    struct in_addr parsed;
    char *end = NULL;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(address) || slash[1] < '0' ||
        slash[1] > '9')
        return -EINVAL;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    const unsigned long prefix = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || prefix > 32 || inet_pton(AF_INET, address, &parsed) != 1)
        return -EINVAL;
    *ret_address = parsed.s_addr;
    *ret_mask = prefix == 0 ? 0 : htonl(UINT32_MAX << (32 - prefix));
    return 0;
}

static int set_address(int fd, struct ifreq *request, unsigned long what, uint32_t address)
{
    struct sockaddr_in value = {.sin_family = AF_INET, .sin_addr.s_addr = address};

    memcpy(&request->ifr_addr, &value, sizeof(value));
    return ioctl(fd, what, request) == 0 ? 0 : -errno;
}

int network_set(const char *interface, const char *address)
{
    struct ifreq request = {0};
    uint32_t bytes, mask;
    int error = network_parse(address, &bytes, &mask);

    if (error < 0 || strlen(interface) >= sizeof(request.ifr_name))
        return -EINVAL;
    memcpy(request.ifr_name, interface, strlen(interface) + 1);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    error = set_address(fd, &request, SIOCSIFADDR, bytes);
    if (error == 0)
        error = set_address(fd, &request, SIOCSIFNETMASK, mask);
    if (error == 0 && ioctl(fd, SIOCGIFFLAGS, &request) != 0)
        error = -errno;
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (error == 0 && ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        error = -errno;
    close(fd);
    return error;
}

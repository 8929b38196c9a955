/* SPDX-License-Identifier: Apache-2.0 */
#include "button.h"

#include <fcntl.h>
#include <linux/input.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEVICES_MAX 32
#define EVENTS_MAX  64 /* read at once: more come with the next poll */

static bool has_power_key(int fd)
{
    unsigned char keys[KEY_MAX / 8 + 1] = {0};

    return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) >= 0 &&
           (keys[KEY_POWER / 8] >> KEY_POWER % 8 & 1) != 0;
}

size_t button_open(struct pollfd *ret_polls, size_t max)
{
    size_t count = 0;

    for (int i = 0; i < DEVICES_MAX && count < max; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (has_power_key(fd))
            ret_polls[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
        else
            close(fd);
    }
    return count;
}

bool button_was_pressed(const struct pollfd *polled)
{
    struct input_event events[EVENTS_MAX];
    const ssize_t size = read(polled->fd, events, sizeof(events));
    bool pressed = false;

    for (ssize_t i = 0; size > 0 && i < size / (ssize_t)sizeof(events[0]); i++)
        pressed |= events[i].type == EV_KEY && events[i].code == KEY_POWER && events[i].value == 1;
    return pressed;
}

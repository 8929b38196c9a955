/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/bell.h"

#include <unistd.h>

#include <vine/error.h>

#include "arch/wake/futex.h"
#include "utils/atomic.h"

#define SERVER_NS (2 * VINE_NS_PER_SECOND) /* for what a server of bells says first */

void vine__bell_open(struct vine__bell *bell, const struct vine__guest *guest,
                     const char *sysfs_root, struct vine__why *why)
{
    char bdf[VINE__GUEST_BDF_BYTES];
    char said[VINE__DOORBELL_WHY_BYTES] = "";
    struct vine__doorbell_options options = {
        .socket_fd = -1,
        .timeout_ns = SERVER_NS,
        .sysfs_root = sysfs_root,
        .ret_why = said,
    };
    uint32_t self = 0;

    *bell = (struct vine__bell){0};

    int error = vine__guest_bells(guest, &options.socket_fd, &options.vector_count);

    if (error) {
        options.bdf = bdf;
        error = vine__guest_doorbell(guest, bdf, &self);
    }
    if (error) {
        vine__why_say(why, "this machine has no doorbell");
        return;
    }
    error = vine__doorbell_open(&bell->doorbell, &options);
    if (error) {
        bell->doorbell = NULL;
        if (options.socket_fd >= 0)
            (void)close(options.socket_fd);
        vine__why_say(why, "the doorbell is of no use: %s",
                      said[0] != 0 ? said : vine_error_text(error));
    }
}

void vine__bell_close(struct vine__bell *bell)
{
    vine__doorbell_close(bell->doorbell);
    bell->doorbell = NULL;
}

void vine__bell_ring(const struct vine__bell *bell, uint32_t peer, uint32_t vector)
{
    /* Who cannot be rung looks by itself. */
    if (bell->doorbell != NULL && peer != VINE_STATUS_NO_DOORBELL)
        (void)!vine__doorbell_ring(bell->doorbell, peer, vector);
}

bool vine__bell_hears(const struct vine__bell *bell, uint32_t vector)
{
    return bell->doorbell != NULL && vector < vine__doorbell_vector_count(bell->doorbell);
}

uint32_t vine__bell_rings(const struct vine__bell *bell)
{
    return vine__load_acquire_u32(&bell->rings); /* W2 pairs with W1 */
}

static void wake_all(struct vine__bell *bell)
{
    (void)vine__fetch_add_acq_rel_u32(&bell->rings, 1); /* W1 pairs with W2 */
    vine__store_release_u32(&bell->listening, 0);       /* W3 pairs with W4 */
    /* Who is not counted yet finds the other count of rings. */
    vine__fence_full();
    if (vine__load_relaxed_u32(&bell->resting) > 0)
        (void)vine__futex_wake_private(&bell->rings, INT32_MAX);
}

static void rest_behind(struct vine__bell *bell, uint32_t rings, uint64_t timeout_ns)
{
    (void)vine__fetch_add_acq_rel_u32(&bell->resting, 1);
    /* As in wake_all. The kernel looks at the count before we sleep. */
    vine__fence_full();
    (void)!vine__futex_wait_private(&bell->rings, rings, timeout_ns);
    (void)vine__fetch_sub_acq_rel_u32(&bell->resting, 1);
}

void vine__bell_rest(struct vine__bell *bell, uint32_t vector, uint32_t rings, uint64_t timeout_ns)
{
    uint32_t nobody = 0;

    /* W4 pairs with W3. */
    if (!vine__compare_exchange_acq_rel_u32(&bell->listening, &nobody, 1)) {
        rest_behind(bell, rings, timeout_ns);
        return;
    }
    /* Who listened before us may have taken what was meant for us. */
    if (vine__bell_rings(bell) == rings)
        (void)!vine__doorbell_wait(bell->doorbell, vector, timeout_ns);
    wake_all(bell);
}

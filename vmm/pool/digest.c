/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/digest_internal.h"

void vine__digest_print(const XXH3_state_t *sum, char ret_digest[VINE__DIGEST_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(sum));
    for (size_t i = 0; i < sizeof(canonical.digest); i++) {
        ret_digest[2 * i] = "0123456789abcdef"[canonical.digest[i] >> 4];
        ret_digest[2 * i + 1] = "0123456789abcdef"[canonical.digest[i] & 15];
    }
    ret_digest[VINE__DIGEST_BYTES - 1] = '\0';
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/base.h>

VINE_API int vine_nothing_of_interest(void);

VINE_API int vine_nothing_of_interest(void)
{
    return 0;
}

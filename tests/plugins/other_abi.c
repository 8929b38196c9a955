/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/procedure.h>

VINE_API extern const struct vine_procedure_library vine_procedure_library;

VINE_API const struct vine_procedure_library vine_procedure_library = {
    .magic = VINE_PROCEDURE_LIBRARY_MAGIC,
    .abi_version = VINE_PROCEDURE_LIBRARY_ABI + 1,
    .definition_bytes = sizeof(struct vine_procedure_definition),
};

# SPDX-License-Identifier: Apache-2.0
#
# What runs virtual machines, on the host: a plain library beside libvine, for the command and tests.

file(GLOB VINE_ENGINE_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/vmm/engine/*.c")
add_library(vine_engine STATIC EXCLUDE_FROM_ALL ${VINE_ENGINE_SOURCES})
target_include_directories(vine_engine PUBLIC "${PROJECT_SOURCE_DIR}" src include)
target_link_libraries(vine_engine PRIVATE vine_flags PUBLIC libvine)

# SPDX-License-Identifier: Apache-2.0
#
# `vine-keys`, which `vine appliance --keys` starts: the keys, in a process that has nothing else.
# Linked with libvine and OpenSSL's libcrypto alone.
vine_find(libcrypto)
if(CMAKE_CROSSCOMPILING OR NOT vine_found_libcrypto)
    return()
endif()

file(GLOB VINE_KEYS_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/keys/*.c")
list(FILTER VINE_KEYS_SOURCES EXCLUDE REGEX "/main\\.c$")

# Apart from the program, so that tests link them too.
add_library(vine_keys OBJECT ${VINE_KEYS_SOURCES})
target_include_directories(vine_keys PRIVATE src PUBLIC include keys)
target_link_libraries(vine_keys PRIVATE vine_flags PUBLIC vine_pkg::libcrypto)

add_executable(vine-keys keys/main.c)
set_target_properties(vine-keys PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
target_include_directories(vine-keys PRIVATE include src keys)
target_link_libraries(vine-keys PRIVATE vine_keys vine_flags libvine)

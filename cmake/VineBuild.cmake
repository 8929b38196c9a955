# SPDX-License-Identifier: Apache-2.0
#
# How everything of ours is compiled. A target of ours links `vine_flags`; nothing of this reaches
# those who use the library.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()

option(VINE_WERROR "Warnings are errors (on in our presets; off for other people's compilers)" OFF)
option(VINE_LIBFUZZER "Build the fuzzers with clang's libFuzzer" OFF)
set(VINE_SANITIZE "" CACHE STRING "What to build with: empty, address,undefined or thread")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")

# NDEBUG takes away VINE_ASSERT_SLOW alone; VINE_ASSERT is always there.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
    enable_language(CXX)
else()
    message(STATUS "vine: no C++ compiler; programs in C++ are left out (package: g++)")
endif()

find_package(Threads REQUIRED)

# No strict aliasing: the same bytes of a segment are words to one side and a struct to the other.
# `vine_code` is that without sanitizers, for what runs where they cannot.
add_library(vine_code INTERFACE)
target_compile_options(vine_code INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Wvla
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<BOOL:${VINE_WERROR}>:-Werror>
    -fvisibility=hidden -fno-plt -fno-common -fno-strict-aliasing)
target_compile_definitions(vine_code INTERFACE $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>)
add_library(vine_flags INTERFACE)
target_link_libraries(vine_flags INTERFACE vine_code Threads::Threads)

if(VINE_SANITIZE)
    target_compile_options(vine_flags INTERFACE
        -fsanitize=${VINE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(vine_flags INTERFACE -fsanitize=${VINE_SANITIZE})
else()
    # A shared library under a sanitizer takes the runtime from the program.
    set(VINE_SHARED_LINK_OPTIONS "LINKER:-z,defs;LINKER:-z,relro;LINKER:-z,now")
endif()
if(VINE_LIBFUZZER)
    target_compile_options(vine_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(vine_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

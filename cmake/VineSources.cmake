# SPDX-License-Identifier: Apache-2.0
#
# Which files each part is made of. A new file under its module's folder is picked up by itself; a
# new module of libvine is a line here and one in src/DEPS.

set(VINE_LIBRARY_MODULES
    utils
    arch/clock arch/cpu arch/guest arch/memory arch/peer arch/wake
    core/allocator core/bridge core/ring core/segment core/survey
    core/talk core/warden)

set(VINE_LIBRARY_SOURCES)
foreach(module IN LISTS VINE_LIBRARY_MODULES)
    file(GLOB found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${module}/*.c")
    list(APPEND VINE_LIBRARY_SOURCES ${found})
endforeach()

# libvine-runtime, on top of it.
set(VINE_RUNTIME_MODULES
    arch/backtrace arch/console arch/guard arch/net arch/poll arch/process arch/reservation
    arch/storage arch/thread arch/topology
    core/appliance core/arena core/file core/future core/heap core/http core/launch core/log core/mail core/metrics core/network
    core/poll core/process core/reactor core/remote core/service core/socket core/state core/supervise core/sync core/timer
    core/vectoring core/watch
    core/keyspace core/resp core/resp_server)

set(VINE_RUNTIME_SOURCES)
foreach(module IN LISTS VINE_RUNTIME_MODULES)
    file(GLOB found CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${module}/*.c")
    list(APPEND VINE_RUNTIME_SOURCES ${found})
endforeach()

# A sanitizer has to keep its malloc (docs/decisions/0020).
set(left_out malloc_kept)
if(VINE_SANITIZE)
    set(left_out malloc_replaced)
endif()
list(FILTER VINE_RUNTIME_SOURCES EXCLUDE REGEX "/core/arena/${left_out}\\.c$")

# One ticks_*.c, one context_*.c and one switch_*.c for each architecture. The compiler says which one it builds for, as clock.h hears
# it: right for whoever builds for another machine.
include(CheckSymbolExists)
set(VINE_TICKS)
foreach(architecture x86_64 aarch64)
    check_symbol_exists("__${architecture}__" "stdint.h" VINE_FOR_${architecture})
    if(VINE_FOR_${architecture})
        set(VINE_TICKS ${architecture})
    endif()
endforeach()
if(NOT VINE_TICKS)
    message(FATAL_ERROR "Vine is for x86-64 and aarch64; the compiler builds for another machine")
endif()
list(FILTER VINE_RUNTIME_SOURCES EXCLUDE REGEX "/arch/(backtrace/context|guard/switch)_")
list(APPEND VINE_RUNTIME_SOURCES
    "${PROJECT_SOURCE_DIR}/src/arch/backtrace/context_${VINE_TICKS}.c"
    "${PROJECT_SOURCE_DIR}/src/arch/guard/switch_${VINE_TICKS}.c")
list(FILTER VINE_LIBRARY_SOURCES EXCLUDE REGEX "/arch/clock/ticks_")
list(APPEND VINE_LIBRARY_SOURCES "${PROJECT_SOURCE_DIR}/src/arch/clock/ticks_${VINE_TICKS}.c")

file(GLOB VINE_TOOL_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tools/*.c")
file(GLOB VINE_IMAGE_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/vmm/image/*.c")
file(GLOB VINE_GUEST_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/vmm/guest/*.c")
list(FILTER VINE_GUEST_SOURCES EXCLUDE REGEX "/init\\.c$")
file(GLOB VINE_PROCEDURE_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/procedures/*.c")

# vine_words(FILE TAG VARIABLE): the words of a file's lines `/* TAG: words */` or `# TAG: words`, by
# which a test or a benchmark says what it needs. Changing them configures anew.
function(vine_words file tag variable)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
    file(STRINGS "${file}" lines REGEX "^(/\\*|#) ${tag}: ")
    set(words)
    foreach(line IN LISTS lines)
        string(REGEX REPLACE "^(/\\*|#) ${tag}: *([^*]*[^* ]).*$" "\\2" line "${line}")
        separate_arguments(line UNIX_COMMAND "${line}")
        list(APPEND words ${line})
    endforeach()
    set(${variable} ${words} PARENT_SCOPE)
endfunction()

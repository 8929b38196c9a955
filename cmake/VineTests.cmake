# SPDX-License-Identifier: Apache-2.0
#
# How a test becomes a ctest entry: its own process, a time limit, a label.
#
# A test program says what it wants in lines of its own near its top:
#     /* test: timeout=600 long=1800 serial links=zlib links=procedures */
# (a script: `# test: ...`)
# timeout=S     seconds until it is ended (300): a guard against what hangs, on any machine
# long=S        register it a second time, labelled `long`, with VINE_TEST_LONG=1 and S seconds
# long          it belongs to `make check` alone
# serial        nothing else runs beside it
# links=NAME    a pkg-config module that it needs (left out where absent), or one of our own parts:
#               procedures, streams, keys, tools, engine, pool, server, image, guest, runtime
# The environment has VINE_SOURCE_DIR, VINE_BUILD_DIR, VINE_C_COMPILER, VINE_SANITIZE and, where it is
# built, VINE_COMMAND: the path of the command; VINE_WITHOUT is the path of tests/harness/without.c's.

if(CMAKE_CROSSCOMPILING)
    # No cmocka for the other machine: our own harness speaks the part of its language that we use.
    add_library(vine_cmocka INTERFACE)
    target_include_directories(vine_cmocka INTERFACE "${PROJECT_SOURCE_DIR}/tests/harness")
    set(vine_have_cmocka TRUE)
else()
    vine_find(cmocka)
    set(vine_have_cmocka ${vine_found_cmocka})
    if(vine_have_cmocka)
        add_library(vine_cmocka_fail OBJECT "${PROJECT_SOURCE_DIR}/tests/harness/fail.c")
        target_link_libraries(vine_cmocka_fail PRIVATE vine_flags)
        add_library(vine_cmocka INTERFACE)
        target_link_libraries(vine_cmocka INTERFACE vine_pkg::cmocka)
    endif()
endif()

set(VINE_TEST_ENVIRONMENT
    "VINE_SOURCE_DIR=${PROJECT_SOURCE_DIR}" "VINE_BUILD_DIR=${CMAKE_BINARY_DIR}"
    "VINE_C_COMPILER=${CMAKE_C_COMPILER}" "VINE_SANITIZE=${VINE_SANITIZE}"
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1")
# Nothing that the person who runs the tests has set: an empty setting is none.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/utils/vinetalk_keys.h)
file(READ "${PROJECT_SOURCE_DIR}/src/utils/vinetalk_keys.h" keys)
string(REGEX MATCHALL " X\\(\"[a-z_]+" keys "${keys}")
foreach(key IN LISTS keys)
    string(REGEX REPLACE ".*\"" "VINE_" key "${key}")
    string(TOUPPER "${key}=" key)
    list(APPEND VINE_TEST_ENVIRONMENT "${key}")
endforeach()
if(CMAKE_CROSSCOMPILING)
    # An emulator stands in for the kernel: what is about the kernel itself may skip.
    list(APPEND VINE_TEST_ENVIRONMENT "VINE_TEST_EMULATED=1")
endif()
if(NOT CMAKE_CROSSCOMPILING)
    list(APPEND VINE_TEST_ENVIRONMENT "VINE_WITHOUT=$<TARGET_FILE:without>")
endif()
if(TARGET vine)
    list(APPEND VINE_TEST_ENVIRONMENT "VINE_COMMAND=$<TARGET_FILE:vine>")
endif()

# vine_register(NAME LABEL TIMEOUT LONG SERIAL COMMAND...); sanitizers and emulators get thrice the time.
function(vine_register name label timeout long serial)
    if(VINE_SANITIZE OR CMAKE_CROSSCOMPILING)
        math(EXPR timeout "3 * ${timeout}")
    endif()
    add_test(NAME "${name}" COMMAND ${ARGN})
    set_tests_properties("${name}" PROPERTIES
        LABELS "${label}" TIMEOUT "${timeout}" SKIP_RETURN_CODE 77 RUN_SERIAL "${serial}"
        ENVIRONMENT "${VINE_TEST_ENVIRONMENT}")
    if(long)
        add_test(NAME "${name}:long" COMMAND ${ARGN})
        set_tests_properties("${name}:long" PROPERTIES
            LABELS "${label};long" TIMEOUT "${long}" SKIP_RETURN_CODE 77 RUN_SERIAL "${serial}"
            ENVIRONMENT "${VINE_TEST_ENVIRONMENT};VINE_TEST_LONG=1")
    endif()
endfunction()

# vine_read_test_words(FILE): sets word_timeout, word_long, word_serial, word_links.
macro(vine_read_test_words file)
    vine_words("${file}" test words)
    set(word_timeout 300)
    set(word_long 0)
    set(word_serial FALSE)
    set(word_links)
    set(word_label)
    foreach(word IN LISTS words)
        if(word MATCHES "^timeout=([0-9]+)$")
            set(word_timeout ${CMAKE_MATCH_1})
        elseif(word MATCHES "^long=([0-9]+)$")
            set(word_long ${CMAKE_MATCH_1})
        elseif(word STREQUAL "serial")
            set(word_serial TRUE)
        elseif(word STREQUAL "long")
            set(word_label ";long")
        elseif(word MATCHES "^links=([a-z0-9+.-]+)$")
            list(APPEND word_links ${CMAKE_MATCH_1})
        else()
            message(FATAL_ERROR "${file}: unknown word '${word}' in its line `test:`")
        endif()
    endforeach()
endmacro()

# vine_find_parts(LIBRARIES MISSING NAME...): what the words `links=NAME` stand for.
function(vine_find_parts libraries_variable missing_variable)
    set(libraries)
    set(missing)
    foreach(link IN LISTS ARGN)
        if(link MATCHES "^(procedures|streams|keys|tools|engine|pool|server|image|guest|runtime|world)$")
            string(REPLACE "tools" "tool_objects" part "vine_${link}")
            if(TARGET ${part})
                list(APPEND libraries ${part})
            else()
                list(APPEND missing ${link})
            endif()
        else()
            vine_find(${link})
            if(vine_found_${link})
                list(APPEND libraries vine_pkg::${link})
            else()
                list(APPEND missing ${link})
            endif()
        endif()
    endforeach()
    set(${libraries_variable} ${libraries} PARENT_SCOPE)
    set(${missing_variable} ${missing} PARENT_SCOPE)
endfunction()

# vine_test_program(FILE LABEL): one program with cmocka, one ctest entry.
function(vine_test_program file label)
    file(RELATIVE_PATH path "${PROJECT_SOURCE_DIR}/tests" "${file}")
    string(REGEX REPLACE "test_([^/]*)\\.c$" "\\1" name "${path}")
    vine_read_test_words("${file}")
    vine_find_parts(libraries missing ${word_links})
    if(missing)
        vine_dropped("test ${name}" ${missing})
        return()
    endif()
    string(MAKE_C_IDENTIFIER "test_${name}" target)
    add_executable(${target} "${file}")
    set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON) # for plugins that it loads
    target_include_directories(${target} PRIVATE
        "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests")
    target_link_libraries(${target} PRIVATE
        vine_flags vine_cmocka ${libraries} libvine m ${CMAKE_DL_LIBS})
    if(TARGET vine_cmocka_fail)
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:vine_cmocka_fail>)
    endif()
    add_dependencies(tests ${target})
    vine_register("${name}" "${label}${word_label}" ${word_timeout} ${word_long} ${word_serial} ${target})
endfunction()

# SPDX-License-Identifier: Apache-2.0
#
# What this machine has beside libc. vine_find(NAME) looks for the pkg-config module NAME, defines
# the target `vine_pkg::NAME` if it is there, and sets vine_found_NAME. The Debian package that
# brings it is named in packages.list, nowhere else.

if(NOT CMAKE_CROSSCOMPILING)
    find_package(PkgConfig QUIET)
endif()

# Libraries without a pkg-config file: their header and what to link.
set(vine_plain_cmocka cmocka.h cmocka)
set(vine_plain_libb2 blake2.h b2)
set(vine_plain_boost boost/interprocess/managed_external_buffer.hpp "")
set(vine_plain_mimalloc mimalloc.h mimalloc)

function(vine_find name)
    if(TARGET vine_pkg::${name})
        set(vine_found_${name} TRUE PARENT_SCOPE)
        return()
    endif()
    set(found FALSE)
    string(MAKE_C_IDENTIFIER "vine_pc_${name}" prefix)
    if(PkgConfig_FOUND)
        pkg_check_modules(${prefix} QUIET IMPORTED_TARGET GLOBAL ${name})
    endif()
    if(${prefix}_FOUND)
        add_library(vine_pkg::${name} INTERFACE IMPORTED GLOBAL)
        target_link_libraries(vine_pkg::${name} INTERFACE PkgConfig::${prefix})
        set(found TRUE)
    elseif(DEFINED vine_plain_${name} AND NOT CMAKE_CROSSCOMPILING)
        list(GET vine_plain_${name} 0 header)
        list(GET vine_plain_${name} 1 library)
        find_path(${prefix}_header "${header}")
        set(ready "${${prefix}_header}")
        if(library AND ready)
            find_library(${prefix}_library ${library})
            set(ready "${${prefix}_library}")
        endif()
        if(ready)
            add_library(vine_pkg::${name} INTERFACE IMPORTED GLOBAL)
            target_include_directories(vine_pkg::${name} INTERFACE "${${prefix}_header}")
            if(library)
                target_link_libraries(vine_pkg::${name} INTERFACE "${${prefix}_library}")
            endif()
            set(found TRUE)
        endif()
    endif()
    set(vine_found_${name} ${found} PARENT_SCOPE)
endfunction()

# vine_dropped(WHAT NAME...): the one line that says what is left out, and for want of what.
function(vine_dropped what)
    string(REPLACE ";" ", " names "${ARGN}")
    message(STATUS "vine: ${what} is left out: no ${names} here")
endfunction()

# SPDX-License-Identifier: Apache-2.0
#
# Plain libraries beside libvine, for the command and tests: what runs virtual machines, what keeps
# them on disk, what serves them, and what makes what they boot from; and `vine-init`, the first
# process of a guest.

file(GLOB VINE_ENGINE_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/vmm/engine/*.c")
vine_find(jansson)
if(vine_found_jansson)
    add_library(vine_engine STATIC EXCLUDE_FROM_ALL ${VINE_ENGINE_SOURCES})
    target_include_directories(vine_engine PUBLIC "${PROJECT_SOURCE_DIR}" src include)
    target_link_libraries(vine_engine PRIVATE vine_flags PUBLIC libvine vine_pkg::jansson)
else()
    vine_dropped("the engine of virtual machines" jansson)
endif()

file(GLOB VINE_SERVER_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/vmm/server/*.c")
file(GLOB VINE_POOL_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/vmm/pool/*.c")
vine_find(ext2fs)
vine_find(com_err)
vine_find(libxxhash)
if(vine_found_jansson AND vine_found_ext2fs AND vine_found_com_err AND vine_found_libxxhash)
    add_library(vine_pool STATIC EXCLUDE_FROM_ALL ${VINE_POOL_SOURCES})
    target_include_directories(vine_pool PUBLIC "${PROJECT_SOURCE_DIR}" src include)
    target_link_libraries(vine_pool PRIVATE vine_flags
        PUBLIC libvine vine_pkg::jansson vine_pkg::ext2fs vine_pkg::com_err vine_pkg::libxxhash)

    add_library(vine_server STATIC EXCLUDE_FROM_ALL ${VINE_SERVER_SOURCES})
    target_include_directories(vine_server PUBLIC "${PROJECT_SOURCE_DIR}" src include)
    target_link_libraries(vine_server PRIVATE vine_flags PUBLIC vine_engine vine_pool)
else()
    vine_dropped("pools and the server of virtual machines" ext2fs com_err jansson libxxhash)
endif()

# Of what a guest is told, init reads the kernel's command line alone.
list(APPEND VINE_GUEST_SOURCES "${PROJECT_SOURCE_DIR}/src/arch/guest/command_line.c")
if(NOT CMAKE_CROSSCOMPILING)
    # It runs alone in a file system without libraries, and outside of every sanitizer.
    add_executable(vine-init ${VINE_GUEST_SOURCES} "${PROJECT_SOURCE_DIR}/vmm/guest/init.c")
    set_target_properties(vine-init PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
    target_include_directories(vine-init PRIVATE src)
    target_link_libraries(vine-init PRIVATE vine_code)
    target_link_options(vine-init PRIVATE -static -s)

    # The same but for `main`, for tests.
    add_library(vine_guest STATIC EXCLUDE_FROM_ALL ${VINE_GUEST_SOURCES})
    target_include_directories(vine_guest PUBLIC "${PROJECT_SOURCE_DIR}" src)
    target_link_libraries(vine_guest PRIVATE vine_flags)

    vine_find(liblz4)
    if(vine_found_liblz4)
        add_library(vine_image STATIC EXCLUDE_FROM_ALL ${VINE_IMAGE_SOURCES})
        target_include_directories(vine_image PUBLIC "${PROJECT_SOURCE_DIR}" include src)
        target_link_libraries(vine_image PUBLIC vine_pkg::liblz4 PRIVATE vine_flags)
    endif()
endif()

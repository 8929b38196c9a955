# SPDX-License-Identifier: Apache-2.0
#
# `vine-server`, which `vine server` becomes: virtual machines of pools for several clients, on
# libvine-runtime.
if(NOT TARGET vine_runtime OR NOT TARGET vine OR NOT TARGET vine_server)
    return()
endif()

file(GLOB VINE_SERVER_PROGRAM_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/server/*.c")
add_executable(vine-server ${VINE_SERVER_PROGRAM_SOURCES})
set_target_properties(vine-server PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
target_include_directories(vine-server PRIVATE include src server)
target_link_libraries(vine-server PRIVATE vine_flags vine_tool_objects vine_procedures vine_server
    vine_runtime libvine vine_pkg::jansson vine_pkg::libzstd vine_pkg::libisal vine_pkg::libxxhash
    vine_pkg::libcrypto vine_pkg::libb2 vine_image ${vine_runtime_libraries} m ${CMAKE_DL_LIBS})
target_compile_definitions(vine-server PRIVATE VINE_VERSION="${PROJECT_VERSION}")
add_dependencies(vine vine-server)

# SPDX-License-Identifier: Apache-2.0
#
# `vine-appliance`, which `vine appliance` becomes: what ships and libraries of procedures, on
# libvine-runtime. It is left out where that is, and the command serves on a plain loop.
if(NOT TARGET vine_runtime OR NOT TARGET vine)
    return()
endif()

file(GLOB VINE_APPLIANCE_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/appliance/*.c")
add_executable(vine-appliance ${VINE_APPLIANCE_SOURCES})
# Libraries of procedures call back into it: all of the runtime is there for them.
set_target_properties(vine-appliance PROPERTIES
    ENABLE_EXPORTS ON RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
target_include_directories(vine-appliance PRIVATE include src appliance)
target_link_libraries(vine-appliance PRIVATE vine_flags vine_tool_objects vine_procedures vine_streams
    -Wl,--whole-archive $<TARGET_FILE:vine_runtime> $<TARGET_FILE:libvine> -Wl,--no-whole-archive
    vine_pkg::jansson vine_pkg::libzstd vine_pkg::libisal vine_pkg::libxxhash
    vine_pkg::libcrypto vine_pkg::libb2 vine_image ${vine_runtime_libraries} m ${CMAKE_DL_LIBS})
add_dependencies(vine-appliance vine_runtime libvine)
set_property(TARGET vine-appliance APPEND PROPERTY
    LINK_DEPENDS $<TARGET_FILE:vine_runtime> $<TARGET_FILE:libvine>)
add_dependencies(vine vine-appliance)

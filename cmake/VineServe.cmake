# SPDX-License-Identifier: Apache-2.0
#
# `vine-serve`, which `vine serve` becomes: the services that ship, on libvine-runtime.
if(NOT TARGET vine_runtime)
    return()
endif()

file(GLOB VINE_SERVICE_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/services/*.c")
add_executable(vine-serve ${VINE_SERVICE_SOURCES})
# Libraries of services call back into it: all of the runtime is there for them.
set_target_properties(vine-serve PROPERTIES
    ENABLE_EXPORTS ON RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
target_include_directories(vine-serve PRIVATE services)
target_link_libraries(vine-serve PRIVATE vine_flags
    -Wl,--whole-archive $<TARGET_FILE:vine_runtime> $<TARGET_FILE:libvine> -Wl,--no-whole-archive
    ${vine_runtime_libraries})
target_include_directories(vine-serve PRIVATE include)
target_compile_definitions(vine-serve PRIVATE VINE_VERSION="${PROJECT_VERSION}")
add_dependencies(vine-serve vine_runtime libvine)
set_property(TARGET vine-serve APPEND PROPERTY
    LINK_DEPENDS $<TARGET_FILE:vine_runtime> $<TARGET_FILE:libvine>)

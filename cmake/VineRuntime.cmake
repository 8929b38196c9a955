# SPDX-License-Identifier: Apache-2.0
#
# libvine-runtime: reactors, on top of libvine. It is left out where a library that it needs is absent
# and in builds for another machine (cmake/aarch64.cmake says why).
set(missing)
set(vine_runtime_libraries)
foreach(name liburing hwloc mimalloc libssl libcrypto)
    vine_find(${name})
    if(vine_found_${name})
        list(APPEND vine_runtime_libraries vine_pkg::${name})
    else()
        list(APPEND missing ${name})
    endif()
endforeach()
if(CMAKE_CROSSCOMPILING)
    return()
endif()
if(missing)
    vine_dropped("libvine-runtime" ${missing})
    return()
endif()

add_library(vine_runtime_objects OBJECT ${VINE_RUNTIME_SOURCES})
set_target_properties(vine_runtime_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(vine_runtime_objects PUBLIC include PRIVATE src)
target_link_libraries(vine_runtime_objects PRIVATE vine_flags ${vine_runtime_libraries})
# What --version of a program without a version of its own prints.
set_source_files_properties("${PROJECT_SOURCE_DIR}/src/core/launch/main.c" PROPERTIES
    COMPILE_DEFINITIONS "VINE_VERSION=\"${PROJECT_VERSION}\"")

add_library(vine_runtime STATIC $<TARGET_OBJECTS:vine_runtime_objects>)
set_target_properties(vine_runtime PROPERTIES OUTPUT_NAME vine-runtime PREFIX lib LINKER_LANGUAGE C)
target_include_directories(vine_runtime PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_link_libraries(vine_runtime PUBLIC libvine ${vine_runtime_libraries})

# The shared one has libvine in it: the runtime uses what libvine.so hides.
add_library(vine_runtime_shared SHARED
    $<TARGET_OBJECTS:vine_runtime_objects> $<TARGET_OBJECTS:vine_objects>)
set_target_properties(vine_runtime_shared PROPERTIES
    OUTPUT_NAME vine-runtime PREFIX lib LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    LINK_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/vine-runtime.map")
target_include_directories(vine_runtime_shared PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
target_link_options(vine_runtime_shared PRIVATE
    "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/vine-runtime.map" ${VINE_SHARED_LINK_OPTIONS})
target_link_libraries(vine_runtime_shared PRIVATE vine_flags ${vine_runtime_libraries})

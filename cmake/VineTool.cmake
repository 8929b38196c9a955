# SPDX-License-Identifier: Apache-2.0
#
# The `vine` command, and the procedures that its appliance ships.

set(vine_tool_modules jansson libzstd libisal libxxhash libcrypto libb2 liblz4 ext2fs)
set(vine_tool_missing)
foreach(module IN LISTS vine_tool_modules)
    vine_find(${module})
    if(NOT vine_found_${module})
        list(APPEND vine_tool_missing ${module})
    endif()
endforeach()

if(CMAKE_CROSSCOMPILING)
    set(vine_tool_missing "libraries in a cross build")
endif()

if(vine_tool_missing)
    vine_dropped("the vine command" ${vine_tool_missing})
else()
    # Apart from the command, so that tests link them too.
    if(VINE_PROCEDURE_SOURCES)
        add_library(vine_procedures OBJECT ${VINE_PROCEDURE_SOURCES})
        target_include_directories(vine_procedures PRIVATE procedures src PUBLIC include)
        target_link_libraries(vine_procedures PRIVATE vine_flags)
        set_target_properties(vine_procedures PROPERTIES POSITION_INDEPENDENT_CODE ON)
        foreach(module libzstd libisal libxxhash libcrypto libb2)
            target_link_libraries(vine_procedures PUBLIC vine_pkg::${module})
        endforeach()
    endif()

    # And those of them that have streams, which want the runtime.
    if(TARGET vine_runtime AND TARGET vine_procedures)
        file(GLOB vine_stream_sources CONFIGURE_DEPENDS
            "${PROJECT_SOURCE_DIR}/procedures/streams/*.c")
        add_library(vine_streams OBJECT ${vine_stream_sources})
        target_include_directories(vine_streams PRIVATE procedures src PUBLIC include)
        target_link_libraries(vine_streams PRIVATE vine_flags)
        set_target_properties(vine_streams PROPERTIES POSITION_INDEPENDENT_CODE ON)
        foreach(module libzstd libisal libcrypto)
            target_link_libraries(vine_streams PUBLIC vine_pkg::${module})
        endforeach()
    endif()

    set(vine_tool_parts ${VINE_TOOL_SOURCES})
    list(FILTER vine_tool_parts EXCLUDE REGEX "/tools/main\\.c$")
    if(vine_tool_parts)
        add_library(vine_tool_objects OBJECT ${vine_tool_parts})
        target_include_directories(vine_tool_objects PRIVATE tools PUBLIC include src)
        target_link_libraries(vine_tool_objects PRIVATE vine_flags PUBLIC vine_engine)
        foreach(module IN LISTS vine_tool_modules)
            target_link_libraries(vine_tool_objects PUBLIC vine_pkg::${module})
        endforeach()
        target_link_libraries(vine_tool_objects PUBLIC vine_image vine_pool vine_server)
        # `vine guest build` puts it into its guests.
        add_dependencies(vine_tool_objects vine-init)
        if(TARGET vine-serve)
            add_dependencies(vine_tool_objects vine-serve) # which `vine serve` becomes
        endif()
        if(TARGET vine-keys)
            add_dependencies(vine_tool_objects vine-keys) # which `vine appliance --keys` starts
        endif()
        target_compile_definitions(vine_tool_objects PRIVATE VINE_VERSION="${PROJECT_VERSION}")
    endif()

    if(EXISTS "${PROJECT_SOURCE_DIR}/tools/main.c")
        # Procedure libraries call back into the command, so it shows every vine_* that there is:
        # the whole archive is in it, and its table of dynamic symbols.
        add_executable(vine tools/main.c)
        set_target_properties(vine PROPERTIES
            ENABLE_EXPORTS ON RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
        target_include_directories(vine PRIVATE include src tools)
        target_compile_definitions(vine PRIVATE VINE_VERSION="${PROJECT_VERSION}")
        foreach(part vine_tool_objects vine_procedures)
            if(TARGET ${part})
                target_link_libraries(vine PRIVATE ${part})
            endif()
        endforeach()
        target_link_libraries(vine PRIVATE vine_flags
            -Wl,--whole-archive libvine -Wl,--no-whole-archive
            vine_pkg::jansson vine_pkg::libzstd vine_pkg::libisal vine_pkg::libxxhash
            vine_pkg::libcrypto vine_pkg::libb2 vine_image vine_pool vine_server m ${CMAKE_DL_LIBS})

        # Man pages and completions come from the command's own tables: it writes them itself.
        set(share "${CMAKE_BINARY_DIR}/share")
        file(MAKE_DIRECTORY "${share}/man1")
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS tools/commands.h)
        # Not by file(STRINGS): the backslash at a line's end would join it with the next one.
        file(READ tools/commands.h table)
        string(REGEX MATCHALL "X\\([a-z_]+, \"" verbs "${table}")
        list(TRANSFORM verbs REPLACE "X\\(([a-z_]+),.*" "\\1")
        set(vine_documents "${share}/man1/vine.1")
        add_custom_command(OUTPUT "${share}/man1/vine.1" DEPENDS vine
            COMMAND vine help --man > "${share}/man1/vine.1")
        foreach(verb IN LISTS verbs)
            string(REPLACE "_" "-" page "${share}/man1/vine-${verb}.1")
            string(REPLACE "_" ";" words "${verb}")
            # The page of a verb that becomes a program has that program's options.
            set(vine_page_of vine)
            if(verb STREQUAL "serve")
                if(NOT TARGET vine-serve)
                    continue()
                endif()
                list(APPEND vine_page_of vine-serve)
            endif()
            list(APPEND vine_documents "${page}")
            add_custom_command(OUTPUT "${page}" DEPENDS ${vine_page_of}
                COMMAND vine help --man ${words} > "${page}")
        endforeach()
        foreach(shell bash zsh fish)
            list(APPEND vine_documents "${share}/vine.${shell}")
            add_custom_command(OUTPUT "${share}/vine.${shell}" DEPENDS vine
                COMMAND vine help --completion ${shell} > "${share}/vine.${shell}")
        endforeach()
        add_custom_target(vine_docs ALL DEPENDS ${vine_documents})
    endif()
endif()

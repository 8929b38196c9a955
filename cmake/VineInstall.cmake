# SPDX-License-Identifier: Apache-2.0
#
# `cmake --install`: headers, libraries, pkg-config file, command, man pages, completions.
include(GNUInstallDirs)

# The pkg-config file finds the prefix from where it lies itself, so that a tree can be moved.
file(RELATIVE_PATH vine_way_to_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
string(REGEX REPLACE "/$" "" vine_way_to_prefix "${vine_way_to_prefix}")
configure_file(cmake/vine.pc.in vine.pc @ONLY)

install(TARGETS libvine ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS libvine_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/vine DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/vine.pc"
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(TARGET vine_runtime)
    configure_file(cmake/vine-runtime.pc.in vine-runtime.pc @ONLY)
    install(TARGETS vine_runtime ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(TARGETS vine_runtime_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/vine-runtime.pc"
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
if(TARGET vine-serve)
    install(TARGETS vine-serve RUNTIME DESTINATION lib/vine) # where the command looks for it
endif()
if(TARGET vine-appliance)
    install(TARGETS vine-appliance RUNTIME DESTINATION lib/vine) # the same
endif()
if(TARGET vine-server)
    install(TARGETS vine-server RUNTIME DESTINATION lib/vine) # the same
endif()
if(TARGET vine-keys)
    install(TARGETS vine-keys RUNTIME DESTINATION lib/vine) # the same
endif()
if(TARGET vine)
    install(TARGETS vine RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(TARGETS vine-init RUNTIME DESTINATION lib/vine) # where the command looks for it
endif()

if(TARGET vine)
    # The command writes its own man pages and completions.
    install(DIRECTORY "${CMAKE_BINARY_DIR}/share/man1" DESTINATION ${CMAKE_INSTALL_MANDIR})
    install(FILES "${CMAKE_BINARY_DIR}/share/vine.bash" RENAME vine
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES "${CMAKE_BINARY_DIR}/share/vine.zsh" RENAME _vine
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES "${CMAKE_BINARY_DIR}/share/vine.fish"
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

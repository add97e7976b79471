# cmake --install build --prefix DIR: the program with its man page and completion, what makes its report a page, its jobs, the
# templates for Slurm, a modulefile, and the documentation. The prefix may be moved.
#
# LibTorch, NCCL, Open MPI and HDF5 are not copied. The installed program looks for them in lib/eidolon of its prefix, and then
# where it was linked with them.
include(GNUInstallDirs)
set_target_properties(eidolon PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}/eidolon"
                      INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS eidolon RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY jobs slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/eidolon USE_SOURCE_PERMISSIONS)
install(DIRECTORY share/eidolon/report DESTINATION ${CMAKE_INSTALL_DATADIR}/eidolon
        PATTERN venv EXCLUDE PATTERN __pycache__ EXCLUDE)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md LICENSE CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR})

configure_file(packaging/modulefile.in ${CMAKE_BINARY_DIR}/packaging/modulefile @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/packaging/modulefile DESTINATION ${CMAKE_INSTALL_DATADIR}/modulefiles/eidolon
        RENAME ${PROJECT_VERSION})

# The program writes its own man page and completion, so they say what it does.
install(CODE "set(program \"$<TARGET_FILE:eidolon>\")
set(share \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}\")")
install(SCRIPT cmake/InstallPages.cmake)

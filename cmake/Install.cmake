# cmake --install build --prefix DIR: the program, what makes its report a page, its jobs, the templates for Slurm, and the documentation.
#
# LibTorch, NCCL, Open MPI and HDF5 are not copied. The installed program finds them where it was linked with them.
include(GNUInstallDirs)
set_target_properties(eidolon PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS eidolon RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY jobs slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/eidolon USE_SOURCE_PERMISSIONS)
install(DIRECTORY share/eidolon/report DESTINATION ${CMAKE_INSTALL_DATADIR}/eidolon
        PATTERN venv EXCLUDE PATTERN __pycache__ EXCLUDE)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

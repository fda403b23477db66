# The Debian package: `cpack --config build/CPackConfig.cmake -G DEB`.
set(debian ${CMAKE_CURRENT_LIST_DIR}/debian)
set(documents ${CMAKE_BINARY_DIR}/debian)
configure_file(${debian}/changelog.in ${documents}/changelog @ONLY)
execute_process(COMMAND ${GZIP} -9nkf ${documents}/changelog COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${debian}/copyright ${documents}/changelog.gz DESTINATION share/doc/peernet)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME peernet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "PeerNet developers <peernet@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Distribute files between machines without a server")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"PeerNet shares files and directories between machines: encrypted, verified
block by block, resumable, and found through a distributed hash table, so
that nobody needs a server or a tracker.
.
peernetd is the daemon, with units for systemd; peernet asks it.")
set(CPACK_STRIP_FILES ON)
# Units and manual name the places after installation, so that the prefix must be the real one.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${debian}/postinst ${debian}/prerm ${debian}/postrm)
# Of what was built: whoever makes a package builds first.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
include(CPack)

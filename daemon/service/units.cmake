# Run at installation, when it is known where the programs will be: PEERNET_BINDIR, below the prefix.
set(PEERNET_BIN ${CMAKE_INSTALL_PREFIX}/${PEERNET_BINDIR})
set(made ${PEERNET_MADE})

set(PEERNET_SOCKET /run/peernet/peernet.sock)
set(PEERNET_SOCKET_USER "SocketUser=peernet\nSocketGroup=peernet\n")
configure_file(${CMAKE_CURRENT_LIST_DIR}/peernetd.socket.in ${made}/system/peernetd.socket @ONLY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/peernetd.system.service.in
  ${made}/system/peernetd.service @ONLY)
set(PEERNET_SOCKET %t/peernet/peernet.sock)
set(PEERNET_SOCKET_USER "")
configure_file(${CMAKE_CURRENT_LIST_DIR}/peernetd.socket.in ${made}/user/peernetd.socket @ONLY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/peernetd.user.service.in
  ${made}/user/peernetd.service @ONLY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/net.peernet.peernetd.plist.in
  ${made}/net.peernet.peernetd.plist @ONLY)

if(CMAKE_HOST_APPLE)
  file(INSTALL ${made}/net.peernet.peernetd.plist DESTINATION ${CMAKE_INSTALL_PREFIX}/share/peernet)
else()
  # systemd looks for units in lib, whatever the architecture's library directory is.
  file(INSTALL ${made}/system ${made}/user DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd)
  file(INSTALL ${CMAKE_CURRENT_LIST_DIR}/peernet.sysusers
    DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/sysusers.d RENAME peernet.conf)
endif()

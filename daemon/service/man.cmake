# The manual, which the programs write themselves from the tables that they work by.
find_program(GZIP gzip REQUIRED)
set(manual)
function(peernet_man_page name section)  # name, section, command...
  set(page ${CMAKE_BINARY_DIR}/${name}.${section})
  add_custom_command(OUTPUT ${page}.gz
    COMMAND ${ARGN} > ${page}
    COMMAND ${GZIP} -9nkf ${page}
    DEPENDS peernet peernetd
    VERBATIM)
  install(FILES ${page}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  set(manual ${manual} ${page}.gz PARENT_SCOPE)
endfunction()
peernet_man_page(peernet 1 peernet --man-page)
peernet_man_page(peernetd 8 peernetd --man-page peernetd)
peernet_man_page(peernet-config 5 peernetd --man-page peernet-config)
peernet_man_page(peernet-rpc 7 peernetd --man-page peernet-rpc)
add_custom_target(manual ALL DEPENDS ${manual})

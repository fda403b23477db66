# The manual and the completions, which the programs write themselves from the tables that they work by.
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

function(peernet_completion shell name place)
  set(script ${CMAKE_BINARY_DIR}/completion/${shell}/${name})
  add_custom_command(OUTPUT ${script}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/completion/${shell}
    COMMAND peernet completion ${shell} > ${script}
    DEPENDS peernet
    VERBATIM)
  install(FILES ${script} DESTINATION ${CMAKE_INSTALL_DATADIR}/${place})
  set(manual ${manual} ${script} PARENT_SCOPE)
endfunction()
peernet_completion(bash peernet bash-completion/completions)
peernet_completion(zsh _peernet zsh/vendor-completions)
peernet_completion(fish peernet.fish fish/vendor_completions.d)
add_custom_target(manual ALL DEPENDS ${manual})

add_executable(peernet-dhtnode ${CMAKE_CURRENT_LIST_DIR}/dhtnode.cpp)
target_link_libraries(peernet-dhtnode PRIVATE peernet_dht peernet_shell)

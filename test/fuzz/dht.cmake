peernet_fuzz(krpc peernet_dht)
peernet_fuzz(dht_node peernet_dht)

add_executable(dht_storm dht_storm.cpp)
target_link_libraries(dht_storm PRIVATE peernet_dht)
add_test(NAME dht_storm COMMAND dht_storm 100000)

peernet_fuzz(krpc peernet_dht)
peernet_fuzz(dht_node peernet_dht)

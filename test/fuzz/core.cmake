peernet_fuzz(bencode peernet_core)
peernet_fuzz(noise peernet_core)
peernet_fuzz(channel peernet_core)
peernet_fuzz(text peernet_core)

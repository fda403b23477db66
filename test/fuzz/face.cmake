peernet_fuzz(rpc_line peernet_face)
peernet_fuzz(config peernet_face)

#pragma once

// libuv's handles begin with the members of the kind they are a case of; in C a cast says so.

#include <uv.h>

namespace peernet::daemon {

template <class Handle>
uv_handle_t* as_handle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

// Handle: uv_tcp_t or uv_pipe_t.
template <class Handle>
uv_stream_t* as_stream(Handle* handle) {
  return reinterpret_cast<uv_stream_t*>(handle);
}

}  // namespace peernet::daemon

#pragma once

// Result<T> is a value or an Error; Errc is the closed list of ways to fail. The members are a
// subset of std::expected's, so that C++23 makes it an alias. One table maps Errc to the exit codes
// of the command line (cli), one to the error codes of JSON-RPC (daemon/rpc).

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "core/check.h"

namespace peernet {

enum class Errc {
  malformed,  // input that breaks its format
  too_large,  // over a named limit
  refused,    // understood and not wanted
  timed_out,
  closed,   // the other side went away
  corrupt,  // a hash, tag or signature does not match
  not_found,
  exists,
  no_space,
  denied,
  unavailable,  // the network or a service cannot be reached
  cancelled,
  io,  // the disk or the system said no
};

// `what` is a sentence for people and is never parsed; `hint` says what to do about it, or is
// empty. Names from outside stand in both as they came: escape() before a terminal or a log.
struct Error {
  Errc code = Errc::io;
  std::string what;
  std::string hint;
};

template <class T>
class [[nodiscard]] Result {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Requires: has_value().
  T& operator*() & { return checked(); }
  const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &**this; }

  // Requires: !has_value().
  const Error& error() const {
    PN_CHECK(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  T& checked() {
    PN_CHECK(has_value());
    return *std::get_if<0>(&state_);
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }

  // Requires: !has_value().
  const Error& error() const {
    PN_CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace peernet

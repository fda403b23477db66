#pragma once

// A daemon that has said everything beforehand: what it will answer stands in the socket already,
// and what it was asked is read afterwards. Nothing is a terminal.

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli/session.h"

namespace peernet::cli {

// A stream into memory.
class Stream {
 public:
  Stream() : file_(open_memstream(&text_, &size_)) {}
  ~Stream() {
    std::fclose(file_);
    std::free(text_);  // NOLINT(cppcoreguidelines-no-malloc): what open_memstream asks for
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* file_;
};

class Stage {
 public:
  explicit Stage(bool is_json = false)
      : screen_(out.file(), err.file(), {is_json, true}), session_(make_session()) {}
  ~Stage() { ::close(daemon_); }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // Answers are numbered in the order in which they are asked for.
  void will_answer(const std::string& result) {
    say(R"({"jsonrpc":"2.0","id":)" + std::to_string(++answers_) + R"(,"result":)" + result + "}");
  }
  void will_refuse(const std::string& error) {
    say(R"({"jsonrpc":"2.0","id":)" + std::to_string(++answers_) + R"(,"error":)" + error + "}");
  }
  void will_tell(const std::string& params) {
    say(R"({"jsonrpc":"2.0","method":"event","params":)" + params + "}");
  }
  void will_go_away() const { ::shutdown(daemon_, SHUT_WR); }

  std::vector<Json> asked() const {
    std::array<char, 65'536> bytes{};
    const ssize_t size = ::recv(daemon_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    std::vector<Json> requests;
    std::string line;
    for (ssize_t i = 0; i < size; ++i) {
      const char c = bytes.at(static_cast<std::size_t>(i));
      if (c != '\n') {
        line += c;
        continue;
      }
      requests.push_back(Json::parse(line));
      line.clear();
    }
    return requests;
  }

  Session& session() { return session_; }

  Stream out;
  Stream err;

 private:
  Session make_session() {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
    daemon_ = pair[0];
    return {screen_, Paths{}, Client(pair[1])};
  }
  void say(const std::string& line) const {
    const std::string text = line + "\n";
    REQUIRE(::send(daemon_, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }

  Screen screen_;
  int daemon_ = -1;
  int answers_ = 0;
  Session session_;
};

}  // namespace peernet::cli

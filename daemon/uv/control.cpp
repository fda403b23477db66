#include "daemon/uv/control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/check.h"
#include "daemon/uv/address.h"
#include "daemon/uv/handles.h"

namespace peernet::daemon {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;
constexpr int kBacklog = 64;

// Only this user, and root, who can do all this anyway.
bool is_ours(uv_pipe_t& pipe) {
  uv_os_fd_t fd = -1;
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (uv_fileno(as_handle(&pipe), &fd) != 0) return false;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return false;
  return credentials.uid == geteuid() || credentials.uid == 0;
}

bool is_listened_on(const std::string& path) {
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
         errno == EAGAIN;  // its queue is full
}

// A socket of a daemon that is gone is removed; anything else is not ours to touch.
Result<void> remove_stale(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return system_error(errno, "cannot look at " + path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error{Errc::exists, path + " is there and is not a socket", "move it away"};
  }
  if (is_listened_on(path)) {
    return Error{Errc::exists, "something listens on " + path + " already",
                 "is it peernetd.socket? then: systemctl --user start peernetd"};
  }
  if (unlink(path.c_str()) != 0) return system_error(errno, "cannot remove the old socket " + path);
  return {};
}

}  // namespace

struct Control::Client {
  explicit Client(const ControlLimits& limits) : lines(limits.requests, 2 * limits.requests) {}
  uv_pipe_t handle{};
  Control* control = nullptr;
  ClientId id{};
  std::string received;      // not yet a whole line, or waiting for its turn
  std::size_t searched = 0;  // of `received`: no newline before this
  TokenBucket lines;
  bool is_paused = false;
  bool is_ending = false;  // closes once its replies have left
  bool is_doomed = false;
};

struct Control::SentLine {
  uv_write_t request{};
  std::string text;
  Bytes payload;
};

Control::Control(uv_loop_t* loop, const MonotonicClock& clock, Inputs& inputs,
                 const ControlLimits& limits)
    : loop_(loop),
      clock_(clock),
      inputs_(inputs),
      limits_(limits),
      dooming_(std::make_unique<uv_idle_t>()),
      read_buffer_(kReadSize) {
  PN_CHECK(uv_idle_init(loop, dooming_.get()) == 0);
  dooming_->data = this;
  ++handles_count_;
}

Control::~Control() {
  PN_CHECK(handles_count_ == 0);
}

// ---- Listening
// ----------------------------------------------------------------------------------

Result<void> Control::listen(const std::string& path) {
  if (path.size() > kSocketPathMax) {
    return Error{Errc::too_large, "the path of the control socket is too long: " + path,
                 "use a state directory with a shorter name"};
  }
  auto directory = make_private_directory(split_path(path).first);
  if (!directory) return directory;
  auto removed = remove_stale(path);
  if (!removed) return removed;
  make_listener();
  const mode_t before = umask(S_IRWXG | S_IRWXO | S_IXUSR);
  int status = uv_pipe_bind(listener_.get(), path.c_str());
  umask(before);
  if (status == 0) status = uv_listen(as_stream(listener_.get()), kBacklog, on_connection);
  if (status != 0) return network_error(status, "cannot listen on " + path);
  path_ = path;
  return {};
}

Result<std::string> Control::adopt(Fd listening) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return system_error(errno, "cannot look at the socket that was handed over");
  }
  const std::string path = address.sun_path[0] == '/' ? address.sun_path : "";
  if (path.empty()) {
    return Error{Errc::denied, "the socket that was handed over is not a file",
                 "peernetd.socket needs ListenStream= with a path"};
  }
  auto directory = make_private_directory(split_path(path).first);
  if (!directory) return directory.error();
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return system_error(errno, "cannot look at " + path);
  const bool is_owner_right = status.st_uid == geteuid() || status.st_uid == 0;
  if (!S_ISSOCK(status.st_mode) || !is_owner_right || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error{Errc::denied, "other users can reach the socket " + path,
                 "peernetd.socket needs SocketMode=0600"};
  }
  make_listener();
  int fault = uv_pipe_open(listener_.get(), listening.get());
  if (fault == 0) {
    static_cast<void>(listening.release());
    fault = uv_listen(as_stream(listener_.get()), kBacklog, on_connection);
  }
  if (fault != 0) return network_error(fault, "cannot listen on " + path);
  return path;
}

void Control::make_listener() {
  listener_ = std::make_unique<uv_pipe_t>();
  uv_pipe_init(loop_, listener_.get(), 0);
  ++handles_count_;
  listener_->data = this;
}

Result<void> make_private_directory(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (mkdir(part.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
      return system_error(errno, "cannot make the directory " + part);
    }
    if (end == std::string::npos) break;
  }
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return system_error(errno, "cannot look at " + path);
  if (!S_ISDIR(status.st_mode)) return Error{Errc::denied, path + " is not a directory", ""};
  if (status.st_uid != geteuid()) {
    return Error{Errc::denied, "the directory " + path + " belongs to another user",
                 "use another one, or chown it"};
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error{Errc::denied, "other users can reach the directory " + path, "chmod 700 " + path};
  }
  return {};
}

void Control::on_connection(uv_stream_t* server, int status) noexcept {
  auto& self = *static_cast<Control*>(server->data);
  if (status == 0) self.accept(server);
}

void Control::accept(uv_stream_t* server) {
  auto client = std::make_unique<Client>(limits_);
  client->control = this;
  uv_pipe_init(loop_, &client->handle, 0);
  client->handle.data = client.get();
  ++handles_count_;
  const bool is_accepted = uv_accept(server, as_stream(&client->handle)) == 0;
  const bool has_room = clients_.size() < limits_.clients;
  const bool is_user = is_accepted && is_ours(client->handle);
  if (is_accepted && !is_user) {
    count(ControlReject::user);
  } else if (!has_room) {
    count(ControlReject::clients_limit);
  }
  const bool is_welcome =
      has_room && is_user && uv_read_start(as_stream(&client->handle), on_alloc, on_read) == 0;
  if (!is_welcome) {
    discard(std::move(client));
    return;
  }
  client->id = ClientId{clients_next_++};
  touch(clock_.now(), *client);
  clients_.emplace(client->id, std::move(client));
  inputs_.carry_out();  // sets the loop's timer
}

// ---- Lines in
// -----------------------------------------------------------------------------------

void Control::on_alloc(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) noexcept {
  auto& shared = static_cast<Client*>(handle->data)->control->read_buffer_;
  *buffer = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
}

void Control::on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept {
  auto& client = *static_cast<Client*>(stream->data);
  Control& self = *client.control;
  const ClientId id = client.id;
  if (size == 0 || client.is_doomed) return;
  if (size > 0 && client.is_ending) return;
  if (size < 0) {
    self.drop(id);
  } else {
    client.received.append(buffer->base, static_cast<std::size_t>(size));
    self.take_lines(self.clock_.now(), id);
  }
  self.inputs_.carry_out();
}

void Control::take_lines(Time now, ClientId id) {
  Client* client = find(id);
  while (client != nullptr && !client->is_ending && !client->is_doomed) {
    const std::size_t end = client->received.find('\n', client->searched);
    if (end == std::string::npos) {
      client->searched = client->received.size();
      if (client->received.size() <= kLineSizeMax) return;
      count(ControlReject::line);
      drop(id);
      return;
    }
    if (!client->lines.may_take(now)) {
      pause(*client, client->lines.ready_at(now));
      return;
    }
    client->lines.take(now, 1);
    std::string line = client->received.substr(0, end);
    client->received.erase(0, end + 1);
    client->searched = 0;
    touch(now, *client);
    if (line.size() > kLineSizeMax) {
      count(ControlReject::line);
      drop(id);
      return;
    }
    if (!line.empty()) inputs_.on_line(id, line);
    client = find(id);
  }
}

void Control::touch(Time now, Client& client) {
  timers_.set({Wait::idle, client.id}, now + kClientIdleMax);
}

// What the client says meanwhile waits in its socket.
void Control::pause(Client& client, Time until) {
  timers_.set({Wait::lines, client.id}, until);
  if (std::exchange(client.is_paused, true)) return;
  uv_read_stop(as_stream(&client.handle));
}

void Control::on_time(Time now) {
  while (auto key = timers_.pop_expired(now)) {
    Client* client = find(key->second);
    if (client == nullptr) continue;
    if (key->first == Wait::idle) {
      if (inputs_.is_idle_allowed(client->id)) {
        touch(now, *client);
      } else {
        count(ControlReject::idle);
        drop(client->id);
      }
      continue;
    }
    take_lines(now, key->second);
    client = find(key->second);
    if (client == nullptr || client->is_doomed || timers_.contains(*key)) continue;
    client->is_paused = false;
    if (uv_read_start(as_stream(&client->handle), on_alloc, on_read) != 0) drop(client->id);
  }
}

// ---- Lines out
// ----------------------------------------------------------------------------------

void Control::send(Time now, Rpc::Reply reply) {
  Client* client = find(reply.client);
  if (client == nullptr || client->is_doomed) return;
  touch(now, *client);
  auto line = std::make_unique<SentLine>();
  line->text = std::move(reply.line);
  line->text += '\n';
  line->payload = std::move(reply.payload);
  const std::size_t queued = uv_stream_get_write_queue_size(as_stream(&client->handle));
  if (queued + line->text.size() + line->payload.size() > kRepliesSizeMax) {
    count(ControlReject::unread);
    doom(*client);
    return;
  }
  line->request.data = line.get();
  const std::array buffers{uv_buf_init(line->text.data(), static_cast<unsigned>(line->text.size())),
                           uv_buf_init(reinterpret_cast<char*>(line->payload.data()),
                                       static_cast<unsigned>(line->payload.size()))};
  const unsigned count = line->payload.empty() ? 1 : 2;
  if (uv_write(&line->request, as_stream(&client->handle), buffers.data(), count, on_sent) != 0) {
    doom(*client);
    return;
  }
  static_cast<void>(line.release());  // comes back in on_sent
  client->is_ending = client->is_ending || reply.is_closing;
}

void Control::on_sent(uv_write_t* request, int status) noexcept {
  uv_stream_t* stream = request->handle;
  const std::unique_ptr<SentLine> line(static_cast<SentLine*>(request->data));
  if (uv_is_closing(as_handle(stream)) != 0) return;
  auto& client = *static_cast<Client*>(stream->data);
  Control& self = *client.control;
  const bool is_over = client.is_ending && uv_stream_get_write_queue_size(stream) == 0;
  if (status == 0 && !is_over) return;
  self.drop(client.id);
  self.inputs_.carry_out();
}

bool Control::is_flushed() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) {
    return uv_stream_get_write_queue_size(as_stream(&client.second->handle)) == 0;
  });
}

// ---- Ending
// -------------------------------------------------------------------------------------

// Drops the client in the next turn: a command must not lead to an input.
void Control::doom(Client& client) {
  client.is_doomed = true;
  doomed_.push_back(client.id);
  uv_idle_start(dooming_.get(), on_doomed);
}

void Control::on_doomed(uv_idle_t* handle) noexcept {
  auto& self = *static_cast<Control*>(handle->data);
  uv_idle_stop(handle);
  std::vector<ClientId> doomed;
  doomed.swap(self.doomed_);
  for (const ClientId id : doomed) self.drop(id);
  self.inputs_.carry_out();
}

void Control::drop(ClientId id) {
  auto found = clients_.find(id);
  if (found == clients_.end()) return;
  auto client = std::move(found->second);
  clients_.erase(found);
  timers_.cancel({Wait::idle, id});
  timers_.cancel({Wait::lines, id});
  discard(std::move(client));
  inputs_.on_client_gone(id);
}

void Control::discard(std::unique_ptr<Client> client) {
  Client* closing = client.release();
  uv_close(as_handle(&closing->handle), [](uv_handle_t* handle) {
    const std::unique_ptr<Client> gone(static_cast<Client*>(handle->data));
    --gone->control->handles_count_;
  });
}

void Control::close_all() {
  while (!clients_.empty()) {
    auto client = std::move(clients_.begin()->second);
    clients_.erase(clients_.begin());
    discard(std::move(client));
  }
  if (listener_ != nullptr) {
    uv_close(as_handle(listener_.release()), [](uv_handle_t* handle) {
      auto* pipe = reinterpret_cast<uv_pipe_t*>(handle);
      --static_cast<Control*>(pipe->data)->handles_count_;
      delete pipe;
    });
    if (!path_.empty()) unlink(path_.c_str());
  }
  if (dooming_ == nullptr) return;
  uv_close(as_handle(dooming_.release()), [](uv_handle_t* handle) {
    auto* idle = reinterpret_cast<uv_idle_t*>(handle);
    --static_cast<Control*>(idle->data)->handles_count_;
    delete idle;
  });
}

Control::Client* Control::find(ClientId id) {
  auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : found->second.get();
}

}  // namespace peernet::daemon

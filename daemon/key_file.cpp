#include "daemon/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace peernet::daemon {
namespace {

constexpr mode_t kOwnerOnly = S_IRUSR | S_IWUSR;
constexpr mode_t kPermissions = S_IRWXU | S_IRWXG | S_IRWXO;

Error key_error(const std::string& path, const std::string& verb, int error_number) {
  Errc code = Errc::io;
  if (error_number == ENOENT) code = Errc::not_found;
  if (error_number == EACCES || error_number == EPERM || error_number == EROFS) code = Errc::denied;
  if (error_number == ENOSPC || error_number == EDQUOT) code = Errc::no_space;
  if (error_number == EEXIST) {
    return {Errc::exists, "something stands at " + path + " already",
            "a key is never overwritten; give another name"};
  }
  if (error_number == ELOOP) {
    return {Errc::denied, "the key file " + path + " is a symbolic link",
            "put the file itself there"};
  }
  return {code,
          "cannot " + verb + " the key file " + path + ": " +
              std::generic_category().message(error_number),
          ""};
}

// Nothing of what stands at the path is trusted before its owner and mode were seen on the
// descriptor that is read.
Result<void> check(int fd, const std::string& path) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return key_error(path, "look at", errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{Errc::denied, "the key file " + path + " is not a regular file", ""};
  }
  if (status.st_uid != geteuid()) {
    return Error{Errc::denied, "the key file " + path + " belongs to another user",
                 "chown it to the user that runs peernetd"};
  }
  if ((status.st_mode & kPermissions & ~kOwnerOnly) != 0) {
    return Error{Errc::denied, "the key file " + path + " can be reached by other users",
                 "chmod 600 " + path + ", and make a new key if somebody may have read it"};
  }
  if (status.st_nlink != 1) {
    return Error{Errc::denied, "the key file " + path + " has a second name (a hard link)",
                 "remove the other name"};
  }
  if (status.st_size != static_cast<off_t>(Hash::kSize)) {
    return Error{Errc::malformed, "the key file " + path + " is not 32 bytes long",
                 "put the right file back from a copy"};
  }
  return {};
}

class OpenFile {
 public:
  explicit OpenFile(int fd) : fd_(fd) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> write_all(int fd, const std::string& path, BytesView bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return key_error(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  if (fsync(fd) != 0) return key_error(path, "sync", errno);
  return {};
}

Result<void> sync_directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const OpenFile fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || fsync(fd.get()) != 0) return key_error(path, "sync the directory of", errno);
  return {};
}

// Under a name of its own first: a crash leaves a whole key or none.
Result<void> write_key(const std::string& path, BytesView key) {
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());
  {
    const OpenFile fd(
        open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOwnerOnly));
    if (fd.get() < 0) return key_error(path, "make", errno);
    auto written = write_all(fd.get(), path, key);
    if (!written) return written;
  }
  // link() would leave two names for a moment, and this directory is ours alone.
  if (rename(fresh.c_str(), path.c_str()) != 0) return key_error(path, "name", errno);
  return sync_directory_of(path);
}

}  // namespace

Result<Key> load_key(const std::string& path) {
  const OpenFile fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) return key_error(path, "open", errno);
  auto checked = check(fd.get(), path);
  if (!checked) return checked.error();
  Key key;
  std::size_t size = 0;
  while (size < key.view().size()) {
    const ssize_t got = read(fd.get(), key.mutable_view().data() + size, key.view().size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return key_error(path, "read", errno);
    if (got == 0) return Error{Errc::malformed, "the key file " + path + " became shorter", ""};
    size += static_cast<std::size_t>(got);
  }
  return key;
}

Result<void> make_key_file(const std::string& path, const Key& key) {
  Result<void> written;
  {
    const OpenFile fd(
        open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOwnerOnly));
    if (fd.get() < 0) return key_error(path, "make", errno);
    written = write_all(fd.get(), path, key.view());
  }
  if (written) return sync_directory_of(path);
  unlink(path.c_str());
  return written;
}

Result<Identity> load_or_make_identity(const std::string& path, Rng& rng) {
  auto key = load_key(path);
  if (key) return Identity(*key);
  if (key.error().code != Errc::not_found) return key.error();
  Identity identity = Identity::make(rng);
  auto written = write_key(path, identity.seed().view());
  if (!written) return written.error();
  return identity;
}

}  // namespace peernet::daemon

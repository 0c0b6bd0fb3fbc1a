#include "engine/distributed/listener.h"

#include "ckpt/base/file.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <cerrno>
#include <cstring>

#include <algorithm>
#include <memory>
#include <thread>

namespace reprise::engine {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Between two tries: at first as ranks come that are started together, then as machines do.
constexpr milliseconds kFirstPause{10};
constexpr milliseconds kLongestPause{500};

std::string reason(int error) { return std::strerror(error); }

int left_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max(left, milliseconds(0)).count());
}

std::optional<std::string> try_once(const addrinfo& at, Clock::time_point deadline) {
  const File socket(
      ::socket(at.ai_family, at.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at.ai_protocol),
      "a socket");
  if (socket.descriptor() < 0) return reason(errno);
  if (::connect(socket.descriptor(), at.ai_addr, at.ai_addrlen) == 0) return std::nullopt;
  if (errno != EINPROGRESS) return reason(errno);
  pollfd way{socket.descriptor(), POLLOUT, 0};
  if (::poll(&way, 1, left_until(deadline)) <= 0) return reason(ETIMEDOUT);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return reason(error);
  return std::nullopt;
}

std::optional<std::string> try_all(const std::string& address, std::uint16_t port,
                                   Clock::time_point deadline) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error =
          ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &wanted, &found);
      error != 0) {
    return ::gai_strerror(error);
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  std::optional<std::string> failure;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    failure = try_once(*at, deadline);
    if (!failure) break;
  }
  return failure;
}

}  // namespace

std::optional<std::string> wait_for_listener(const std::string& address, std::uint16_t port,
                                             milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  for (milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    std::optional<std::string> failure = try_all(address, port, deadline);
    if (!failure || Clock::now() >= deadline) return failure;
    std::this_thread::sleep_for(std::min(pause, milliseconds(left_until(deadline))));
  }
}

}  // namespace reprise::engine

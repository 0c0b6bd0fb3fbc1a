// Whether a meeting point is there yet.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace reprise::engine {

// Tries until somebody accepts a connection at address:port, which is closed again, or `timeout` is
// over. A name that nobody knows yet is tried again too: a job's first machine may come last.
// Returns why the last try failed, nothing when one succeeded. The system may take longer to
// resolve a name.
std::optional<std::string> wait_for_listener(const std::string& address, std::uint16_t port,
                                             std::chrono::milliseconds timeout);

}  // namespace reprise::engine

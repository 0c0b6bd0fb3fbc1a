// Data-parallel loops over a bounded number of threads.
#pragma once

#include <cstddef>
#include <functional>

namespace reprise {

// Cores this process may use (its affinity mask), at least 1.
unsigned available_cores();

// Threads for reading or writing a disk, where `jobs` of 0 leaves it open: such calls block theirs,
// and while some wait, others hash.
unsigned disk_threads(unsigned jobs);

// The most threads that are ever asked for, whatever the machine: more is a slip of the keyboard.
inline constexpr unsigned kMostJobs = 1024;

// Calls body(0) .. body(count - 1), each once, on at most `jobs` threads (0: one a core), the
// calling thread among them, in increasing order of start; on fewer where the system starts no
// more. Returns when all are done. If a call throws, no further ones start and the first exception
// is rethrown. Cost: one thread start per extra job, so give it work of >= 100 us.
void parallel_for(std::size_t count, unsigned jobs, const std::function<void(std::size_t)>& body);

}  // namespace reprise

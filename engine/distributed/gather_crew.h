// The processes of a run on the first one's machine, as a crew that writes files together.
#pragma once

#include "ckpt/container/crew.h"
#include "engine/distributed/communicator.h"

#include <memory>

namespace reprise::engine {

// Connects rank 0 with each rank that shares its machine and its network namespace, by local
// sockets of their own: what goes over them disturbs no exchange of `communicator`, and the end of
// a process closes them. Only processes of one user meet. Every rank calls it, once.
// Null on a rank that is no part of it, and on rank 0 where nobody else is.
// Errors: those of Communicator.
std::unique_ptr<container::Crew> gather_crew(Communicator& communicator);

}  // namespace reprise::engine

#include "ckpt/base/version.h"

namespace reprise {

std::string_view version() { return REPRISE_VERSION; }

}  // namespace reprise

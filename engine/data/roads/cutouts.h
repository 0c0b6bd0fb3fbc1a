// Flat objects that face the camera: people, trees, posts, lamps. See objects.h.
#pragma once

#include "engine/data/roads/objects.h"

namespace reprise::engine::roads {

// Pure functions; no errors. `object` must be of such a kind.
std::optional<Hit> look_at_cutout(const World& world, const Object& object, Sight sight);

}  // namespace reprise::engine::roads

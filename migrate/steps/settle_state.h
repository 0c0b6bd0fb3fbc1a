// The parts that version 5 stores as state dicts, brought into that form.
#pragma once

#include "migrate/steps/draft.h"

#include <string_view>

namespace reprise::migrate {

// Optimizer objects become state dicts, numpy numbers in them plain ones. What is
// neither object nor state dict goes to unmapped: the checkpoint loads, but cannot
// be resumed. Does nothing without an optimizer.
void settle_optimizer(Draft& draft);

// A loss object becomes the state dict of its buffers and parameters; its other
// attributes (temperatures, numpy schedules) are kept as details.
void settle_loss(Draft& draft);

// A dict of `key` becomes an ordered dict of dense tensors without "module." in
// front; pickled modules become their state dicts; other entries go to unmapped.
void settle_state_dict(Draft& draft, std::string_view key);

// config and metrics become JSON text; absent ones are marked unknown.
void settle_json(Draft& draft);

}  // namespace reprise::migrate

// What marks the statement in fingerprint.json. DO NOT CHANGE: files hold these texts.
#pragma once

#include <string_view>

namespace reprise::fingerprint {

inline constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
inline constexpr std::string_view kPredicateType = "https://slsa.dev/provenance/v1";
// Followed by the version of what stands in externalParameters and internalParameters.
inline constexpr std::string_view kBuildTypePrefix = "urn:reprise:run:v";
inline constexpr int kVersion = 1;

}  // namespace reprise::fingerprint

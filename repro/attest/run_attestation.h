// A signed statement about a run: every file in it by digest, and the provenance of the whole.
#pragma once

#include "ckpt/base/json.h"
#include "repro/attest/file_digests.h"
#include "repro/attest/key.h"

#include <filesystem>
#include <string>

namespace reprise::attest {

// The name of the envelope in a run directory. It does not cover itself.
inline constexpr const char* kRunAttestation = "attestation.dsse.json";

// The envelope for RUN: an in-toto statement whose subjects are all files of the run and whose
// predicate is `predicate` (that of its fingerprint). Reads every byte.
// Errors: those of digest_files(); kUnsupported for a link that leads out of the run.
Json sign_run(const std::filesystem::path& run, const std::string& predicate_type,
              const Json& predicate, const PrivateKey& key, unsigned jobs, bool progress);

// How RUN deviates from what `envelope` signed; a link out of it counts as an unsigned file.
// Errors: kNo when no signature is `key`'s; kCorrupt for a malformed envelope or statement.
Deviations verify_run(const std::filesystem::path& run, const Json& envelope, const PublicKey& key,
                      unsigned jobs, bool progress);

}  // namespace reprise::attest

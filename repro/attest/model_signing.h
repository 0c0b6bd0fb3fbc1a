// Signatures over a directory of checkpoints in the bundle of OpenSSF model-signing v1.0: what the
// `model_signing` tool signs and verifies with a key.
#pragma once

#include "ckpt/base/json.h"
#include "repro/attest/file_digests.h"
#include "repro/attest/key.h"

#include <filesystem>
#include <string>

namespace reprise::attest {

struct ModelOptions {
  unsigned jobs = 0;
  bool progress = false;
};

// The bundle for every file below `directory`, git's own files and `signature` (where the bundle
// will be written, if that is inside) left out. Reads every byte.
// Errors: kUsage for an Ed25519 key, which the format does not have; those of digest_files().
Json sign_model(const std::filesystem::path& directory, const std::filesystem::path& signature,
                const PrivateKey& key, const ModelOptions& options = {});

// How `directory` deviates from what `bundle` (the content of file `signature`) signed.
// Errors: kNo when the signature is not `key`'s over this content; kCorrupt for a malformed or
// inconsistent bundle; kUnsupported for certificates, shards, and digests other than SHA-256.
Deviations verify_model(const std::filesystem::path& directory, const Json& bundle,
                        const std::filesystem::path& signature, const PublicKey& key,
                        const ModelOptions& options = {});

}  // namespace reprise::attest

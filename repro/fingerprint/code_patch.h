// The difference between a commit and its working copy, as a patch that git applies.
#pragma once

#include "repro/fingerprint/code_state.h"
#include "repro/fingerprint/git_repository.h"

namespace reprise::fingerprint {

struct CodePatch {
  std::string text;
  std::vector<Omission> omitted;
};

// From the leaves of the commit's tree (none: no commit yet) to those of the working copy; both
// sorted by path. The form is that of `git diff --binary --full-index --no-renames`, untracked
// files included. Files over the limits and files that hold secrets are left out, and named.
// Cost: reads what differs.
CodePatch write_patch(const GitRepository& repository, const std::vector<TreeEntry>& before,
                      const std::vector<TreeEntry>& after, const CodeOptions& options);

}  // namespace reprise::fingerprint

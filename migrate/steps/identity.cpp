#include "migrate/steps/identity.h"

#include "ckpt/base/error.h"
#include "ckpt/base/uuid.h"
#include "ckpt/state/checkpoint.h"

namespace reprise::migrate {

void give_derived_uuid(Draft& draft, const UpgradeOptions& options) {
  if (!options.file_digest) {
    fail(Code::kUsage, "the document has no uuid, and without its file none can be derived");
  }
  const Digest digest = options.file_digest();
  const std::string uuid = Uuid::from_url_name("sha256:" + digest.hex()).text();
  draft.set("uuid", uuid);
  draft.set_source("sha256", draft.arena().string(digest.hex()));

  const Value parent = draft.arena().dict();
  parent.as_dict().append(draft.arena(), "uuid", draft.arena().string(uuid));
  parent.as_dict().append(draft.arena(), "relation",
                          draft.arena().string(to_string(Relation::kMigratedFrom)));
  draft.additions().set(draft.arena(), "parents", draft.arena().list({&parent, 1}));
  draft.note("uuid: none in the file; derived from its SHA-256: " + uuid);
}

}  // namespace reprise::migrate

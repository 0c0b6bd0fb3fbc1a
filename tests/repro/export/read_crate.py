"""What rocrate, the library of the RO-Crate community, reads of a crate: read_crate.py DIR

Fails on what RO-Crate 1.1 asks of every crate: members of the root, and files that are there.
"""

import hashlib
import json
import pathlib
import sys

from rocrate.rocrate import ROCrate

folder = pathlib.Path(sys.argv[1])
crate = ROCrate(folder)
for member in ("name", "description", "datePublished", "license", "hasPart"):
    assert crate.root_dataset.get(member), member
graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
known = {entity["@id"] for entity in graph}
assert len(known) == len(graph), "an @id stands there twice"


def references(value):
    if isinstance(value, list):
        return [r for v in value for r in references(v)]
    return [value["@id"]] if isinstance(value, dict) else []


for entity in graph:
    assert "@type" in entity, entity
    for key, value in entity.items():
        for target in references(value):
            assert target in known or target.startswith("https://w3id.org/ro/crate/"), target
files = {}
for entity in crate.get_entities():
    if entity.type == "File":
        data = (folder / entity.id).read_bytes()
        assert str(len(data)) == entity["contentSize"], entity.id
        assert hashlib.sha256(data).hexdigest() == entity["sha256"], entity.id
        files[entity.id] = len(data)
action = crate.dereference("#run")
print(json.dumps({"name": crate.name, "files": sorted(files), "action": action.type,
                  "instrument": action["instrument"].id, "results": len(action["result"]),
                  "license": crate.license.id}))

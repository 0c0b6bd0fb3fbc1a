"""What packages that others wrote make of a statement, or of a signed envelope around one.

Usage: read_statement.py STATEMENT.json
       read_statement.py ENVELOPE.dsse.json PUBLIC.pem

in-toto-attestation reads the statement, and the predicate by its message type, which refuses fields
that the predicate does not have; securesystemslib verifies the envelope. Prints what they found;
ends with an exception where they refuse.
"""

import json
import pathlib
import sys

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement, statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

PREDICATES = {
    "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
    "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
}


def without_extensions(fields):
    """SLSA: producers may add fields, named with a prefix of their own."""
    if isinstance(fields, dict):
        return {k: without_extensions(v) for k, v in fields.items() if not k.startswith("reprise_")}
    return fields


def read(text):
    read = statement.Statement.copy_from_pb(json_format.Parse(text, statement_pb2.Statement()))
    read.validate()
    kind = read.pb.predicate_type
    plain = without_extensions(json.loads(text)["predicate"])
    predicate = json_format.ParseDict(plain, PREDICATES[kind]())
    out = {"type": kind, "subject": {s.name: s.digest["sha256"] for s in read.pb.subject}}
    if kind == "https://slsa.dev/provenance/v1":
        parts = [*predicate.build_definition.resolved_dependencies, *predicate.run_details.byproducts]
        for part in parts:
            ResourceDescriptor.copy_from_pb(part).validate()
        out["build_type"] = predicate.build_definition.build_type
        out["dependencies"] = [d.name for d in predicate.build_definition.resolved_dependencies]
        out["byproducts"] = [b.name for b in predicate.run_details.byproducts]
        out["started"] = predicate.run_details.metadata.started_on.ToJsonString()
        assert predicate.run_details.builder.id
    else:
        out["result"] = predicate.result
        out["passed"] = list(predicate.passed_tests)
        out["configuration"] = [c.name for c in predicate.configuration]
    return out


def opened(envelope, pem):
    """The payload, after its signature was found good."""
    document = json.loads(envelope)
    key_id = document["signatures"][0]["keyid"]
    key = SSlibKey.from_crypto(load_pem_public_key(pem), keyid=key_id)
    envelope = Envelope.from_dict(document)
    assert list(envelope.verify([key], 1)) == [key_id]
    assert envelope.payload_type == "application/vnd.in-toto+json"
    return envelope.payload.decode()


content = pathlib.Path(sys.argv[1]).read_text()
if len(sys.argv) > 2:
    content = opened(content, pathlib.Path(sys.argv[2]).read_bytes())
print(json.dumps(read(content)))

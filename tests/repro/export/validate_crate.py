"""What roc-validator, the validator of the RO-Crate community, finds in a crate: validate_crate.py DIR

Checks what RO-Crate 1.1 and Process Run Crate 0.5 require and recommend; prints the findings. Needs
no network: the one document that it would fetch, the context, comes from the library rocrate, which
brings the context of RO-Crate 1.3 along: that of 1.1 and more terms.
"""

import email.message
import importlib.resources
import io
import json
import sys

import rdflib.parser
import requests
from rocrate_validator import models, services

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
content = importlib.resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()


def refuse_others(url):
    if url != CONTEXT:
        raise ConnectionError(f"a test asks for {url}")


class OpenedContext(io.BytesIO):
    """As urllib answers."""

    status = code = 200

    def __init__(self):
        super().__init__(content)
        self.headers = email.message.Message()
        self.headers["Content-Type"] = "application/ld+json"

    def info(self):
        return self.headers

    def geturl(self):
        return CONTEXT


def open_url(request):
    refuse_others(request.full_url)
    return OpenedContext()


def send(_adapter, request, **_options):
    refuse_others(request.url)
    response = requests.Response()
    response.status_code, response.url, response.request = 200, request.url, request
    response.headers["Content-Type"] = "application/ld+json"
    response.raw = io.BytesIO(content)
    return response


rdflib.parser._urlopen = open_url
requests.adapters.HTTPAdapter.send = send

result = services.validate(services.ValidationSettings(
    rocrate_uri=sys.argv[1], profile_identifier="process-run-crate",
    requirement_severity=models.Severity.RECOMMENDED, no_cache=True))
print(json.dumps([{"severity": issue.severity.name, "check": issue.check.identifier,
                   "message": issue.message} for issue in result.get_issues()]))

"""The python-scim project's conformance checks against the simulated SCIM server.

`scim2-tester` reads what the server says about itself, and creates, reads, lists, searches, replaces, changes and deletes users with every
attribute that the schemas name. `scim2-client` validates every answer against the schemas. No check may fail, and none may be skipped.

Usage: judge.py '{"scim": URL, "control": URL, ...}'
"""

import json
import sys
import unittest
import urllib.request

from httpx2 import Auth, BasicAuth, Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import EnterpriseUser, Error, PatchOp, PatchOperation, SearchRequest, User
from scim2_tester import Status, check_server
from scim2_tester.checkers import core_schemas_validation
from scim2_tester.utils import CheckConfig, CheckContext

ADDRESSES = json.loads(sys.argv.pop())
GOOD = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}
PERSON = User[EnterpriseUser]


def control(method, path, body=None):
    """Calls the simulators' control API. Loopback only, even if the environment names a proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADDRESSES["control"] + path, data=data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.loads(response.read() or "null")


class Bearer(Auth):
    """A bearer token."""

    def __init__(self, token):
        self.token = token

    def auth_flow(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        yield request


def client(auth):
    """Returns a client that knows nothing of the server."""
    return SyncSCIMClient(Client(base_url=ADDRESSES["scim"] + "/scim/v2", auth=auth, trust_env=False, timeout=30))


class Judge(unittest.TestCase):
    def setUp(self):
        control("DELETE", "/scim/users")
        control("DELETE", "/scim/quirks")

    def check(self, auth):
        """Runs all checks, and returns how many there were by title."""
        asked = client(auth)
        self.addCleanup(asked.client.close)
        results = check_server(asked)
        bad = [f"{result.title}: {result.status.name}: {result.reason}" for result in results if result.status not in GOOD]
        self.assertEqual(bad, [])
        counts = {}
        for result in results:
            counts[result.title] = counts.get(result.title, 0) + 1
        return counts

    def test_every_check_passes(self):
        counts = self.check(Bearer("scim-token-1"))
        print(f"scim2-tester: {sum(counts.values())} checks passed, none skipped: {counts}", file=sys.stderr)
        # The attributes of users and of two extensions.
        for title in ("check_add_attribute", "check_remove_attribute", "check_replace_attribute"):
            self.assertGreater(counts[title], 20, title)
        self.assertEqual(len(control("GET", "/scim/users")), 0, "the checks delete what they made")

    def test_the_mandatory_schemas_are_there(self):
        asked = client(Bearer("scim-token-1"))
        self.addCleanup(asked.client.close)
        for result in core_schemas_validation(CheckContext(asked, CheckConfig())):
            self.assertIn(result.status, GOOD, result.reason)

    def test_every_check_passes_with_each_way_of_authentication(self):
        self.check(BasicAuth("scim-user", "scim-password-1"))
        form = {"grant_type": "client_credentials", "scope": "scim"}
        with Client(trust_env=False) as plain:
            answer = plain.post(ADDRESSES["scim"] + "/oauth/token", data=form, auth=("scim-client", "scim-secret-1"))
        self.check(Bearer(answer.json()["access_token"]))

    def test_a_check_can_fail(self):
        control("PUT", "/scim/quirks", {"writes": {"changeNothing": True}})
        asked = client(Bearer("scim-token-1"))
        self.addCleanup(asked.client.close)
        results = check_server(asked)
        failed = {result.title for result in results if result.status not in GOOD}
        self.assertEqual(failed, {"check_add_attribute", "check_remove_attribute", "check_replace_attribute"})

    def test_the_client_pages_filters_and_understands_refusals(self):
        asked = client(Bearer("scim-token-1"))
        self.addCleanup(asked.client.close)
        asked.discover()
        person = asked.get_resource_model("User")
        for number in range(5):
            asked.create(person(user_name=f"ann{number}@example.com", external_id=str(number)))
        found = asked.query(person, query_parameters=SearchRequest(filter='externalId eq "3"'))
        self.assertEqual([user.user_name for user in found.resources], ["ann3@example.com"])
        pages, cursor = [], ""
        while cursor is not None:
            page = asked.query(person, query_parameters=SearchRequest(cursor=cursor, count=2))
            pages.append([user.external_id for user in page.resources])
            cursor = page.next_cursor
        self.assertEqual(pages, [["0", "1"], ["2", "3"], ["4"]])
        taken = asked.create(person(user_name="ANN3@example.com"), raise_scim_errors=False)
        self.assertIsInstance(taken, Error)
        self.assertEqual((taken.status, taken.scim_type), (409, "uniqueness"))
        change = PatchOp[person](operations=[PatchOperation(op=PatchOperation.Op.replace_, path='emails[type eq "work"].value', value="x@example.com")])
        missed = asked.modify(person, found.resources[0].id, change, raise_scim_errors=False)
        self.assertEqual((missed.status, missed.scim_type), (400, "noTarget"))


if __name__ == "__main__":
    unittest.main(verbosity=1)

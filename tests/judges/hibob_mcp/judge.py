"""HiBob's own client against the simulated Bob: its calls for people and for fields get the expected answers.

The client is an MCP server. The judge calls its tools as functions, and changes the one address that it knows.

Usage: judge.py '{"bob": URL, "oneLogin": URL, "control": URL}'
"""

import base64
import json
import os
import sys
import unittest
import urllib.request
from unittest import mock

import requests
from hibob_public_mcp import mcp_server

ADDRESSES = json.loads(sys.argv.pop())
VENDOR = "https://api.hibob.com/"


def control(method, path, body=None):
    """Calls the simulators' control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADDRESSES["control"] + path, data=data, method=method)
    # Loopback only, even if the environment names a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.loads(response.read() or b"null")


def redirected(call):
    """Makes the same call of `requests` to the simulator, without a proxy."""

    def send(url, **named):
        assert url.startswith(VENDOR), url
        with requests.Session() as session:
            session.trust_env = False
            return getattr(session, call)(ADDRESSES["bob"] + "/" + url.removeprefix(VENDOR), timeout=30, **named)

    return send


def tool(name):
    """Returns the function of a tool of the server."""
    made = getattr(mcp_server, name)
    return getattr(made, "fn", made)


class Judge(unittest.TestCase):
    """Every test begins with a company of its own, all rights and a fresh minute."""

    def setUp(self):
        control("PUT", "/bob/company", {"employees": 120, "seed": 7})
        control("PUT", "/bob/permissions", {})
        control("PUT", "/bob/limits", {"limit": 50})
        control("DELETE", "/bob/calls")
        for call in ("get", "post"):
            patched = mock.patch.object(mcp_server.requests, call, redirected(call))
            patched.start()
            self.addCleanup(patched.stop)
        self.sign_in("SERVICE-1", "bob-token-1")

    @staticmethod
    def sign_in(user, token):
        os.environ["HIBOB_API_TOKEN"] = base64.b64encode(f"{user}:{token}".encode()).decode()

    def status_of(self, call, *arguments, **named):
        with self.assertRaises(requests.HTTPError) as caught:
            call(*arguments, **named)
        return caught.exception.response.status_code

    def test_it_looks_people_up_as_its_own_text_says(self):
        search = tool("hibob_people_search")
        truth = {person["root.id"]: person for person in control("GET", "/bob/employees")}
        found = search(fields=["root.id", "root.email", "work.title"])["employees"]
        # The client never asks for inactive people.
        active = [person for person in truth.values() if person["internal.status"] == "Active"]
        self.assertEqual({person["id"] for person in found}, {person["root.id"] for person in active})
        one = found[0]
        self.assertEqual(one["email"], truth[one["id"]]["root.email"])
        self.assertEqual(one["/root/email"], {"value": one["email"]})
        for path, value in (("root.id", one["id"]), ("root.email", one["email"])):
            filters = [{"fieldPath": path, "operator": "equals", "values": [value]}]
            answer = search(fields=["root.id"], filters=filters)["employees"]
            self.assertEqual([person["id"] for person in answer], [one["id"]], path)
        other = [{"fieldPath": "work.title", "operator": "equals", "values": ["x"]}]
        self.assertEqual(self.status_of(search, filters=other), 400)

    def test_without_fields_there_is_a_default_set(self):
        person = tool("hibob_people_search")()["employees"][0]
        self.assertTrue({"id", "email", "firstName", "surname", "work"} <= person.keys(), person.keys())

    def test_the_fields_that_it_is_told_of_can_be_asked_for(self):
        fields = tool("hibob_get_employee_fields")()
        self.assertIsInstance(fields, list)
        ids = [field["id"] for field in fields]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertTrue({"root.id", "root.email", "work.department", "internal.lifecycleStatus"} <= set(ids))
        for field in fields:
            self.assertTrue({"id", "name", "category", "type", "jsonPath"} <= field.keys(), field)
        found = tool("hibob_people_search")(fields=ids[:400])["employees"]
        self.assertTrue(found)
        self.assertEqual(control("GET", "/bob/calls")["unknownBodyKeys"], 0)

    def test_refusals_reach_it_as_statuses(self):
        search = tool("hibob_people_search")
        self.sign_in("SERVICE-1", "another-token")
        self.assertEqual(self.status_of(search), 401)
        self.sign_in("SERVICE-1", "bob-token-1")
        control("PUT", "/bob/permissions", {"status": 403})
        self.assertEqual(self.status_of(search), 403)
        control("PUT", "/bob/permissions", {})
        control("PUT", "/bob/limits", {"limit": 50, "remaining": 0})
        self.assertEqual(self.status_of(search), 429)


unittest.main()

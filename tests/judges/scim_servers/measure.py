#!/usr/bin/env python3
"""Measures what a SCIM server does in the cases in which servers differ, and prints one line a case.

Usage: measure.py BASE [TOKEN]     (such as the address that `start` prints)
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

BASE = sys.argv[1].rstrip("/")
TOKEN = sys.argv[2] if len(sys.argv) > 2 else "scim-token-1"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(method, path, body=None, headers=None):
    """Returns status, JSON (or text) and headers. Loopback only, even if the environment names a proxy."""
    data = None if body is None else json.dumps(body).encode()
    all_headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/scim+json", **(headers or {})}
    if data is not None:
        all_headers.setdefault("Content-Type", "application/scim+json")
    request = urllib.request.Request(BASE + path, data=data, method=method, headers=all_headers)
    try:
        with OPENER.open(request, timeout=30) as response:
            status, text, got = response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        status, text, got = error.code, error.read().decode(), error.headers
    try:
        return status, json.loads(text), got
    except ValueError:
        return status, text, got


def say(case, result):
    print(f"{case}: {result}", flush=True)


def refusal(answer):
    status, body, _ = answer
    if status < 400:
        return str(status)
    if not isinstance(body, dict):
        return f"{status} {body[:60]!r}"
    kind = body.get("scimType")
    return f"{status}{f' {kind}' if kind else ''}, status {body.get('status')!r}"


def user(name, **more):
    schemas = [USER] + [key for key in more if key.startswith("urn:")]
    return {"schemas": schemas, "userName": name, **more}


def listed(query):
    return call("GET", "/Users?" + urllib.parse.urlencode(query))


def names(answer):
    status, body, _ = answer
    if status >= 400:
        return refusal(answer)
    return [one["userName"] for one in body.get("Resources", [])]


def patch(key, *operations, headers=None):
    return call("PATCH", f"/Users/{key}", {"schemas": [PATCH], "Operations": list(operations)}, headers)


def read(key):
    return call("GET", f"/Users/{key}")[1]


def main():
    config = call("GET", "/ServiceProviderConfig")
    say("ServiceProviderConfig", json.dumps({key: value for key, value in config[1].items() if key in ("patch", "filter", "etag", "sort", "bulk", "pagination")}))
    say("ServiceProviderConfig without a token", call("GET", "/ServiceProviderConfig", headers={"Authorization": ""})[0])
    say("a wrong token", refusal(call("GET", "/Users", headers={"Authorization": "Bearer wrong"})))
    empty = listed({})
    say("an empty listing", json.dumps(empty[1]))
    say("content type", empty[2]["Content-Type"])
    boss = call("POST", "/Users", user("boss@example.com", displayName="Boss"))[1]["id"]
    more = {ENTERPRISE: {"department": "Ops", "employeeNumber": "7", "manager": {"value": boss}}}
    emails = [{"type": "work", "value": "ann@example.com", "primary": True}, {"type": "home", "value": "ann@home.example.com"}]
    phones = [{"type": "mobile", "value": "+44 1"}]
    made = call("POST", "/Users", user("Ann@example.com", externalId="Key-1", active=False, emails=emails, phoneNumbers=phones, nickName="Annie", **more))
    ann = made[1]["id"]
    say("create", f"{made[0]}, Location {bool(made[2]['Location'])}, ETag {made[2]['ETag']}")
    say("created user", json.dumps(made[1]))
    say("a taken name in another case", refusal(call("POST", "/Users", user("ANN@example.com"))))
    say("no userName", refusal(call("POST", "/Users", {"schemas": [USER], "active": True})))
    say("a text for a boolean", refusal(call("POST", "/Users", user("b1@example.com", active="False"))))
    say("an unknown attribute", refusal(call("POST", "/Users", user("b2@example.com", nothing=1))))
    say("an extension that schemas does not name", refusal(call("POST", "/Users", {**user("b3@example.com"), ENTERPRISE: {"department": "Ops"}})))
    say("a manager who does not exist", refusal(call("POST", "/Users", user("b4@example.com", **{ENTERPRISE: {"manager": {"value": "nothing"}}}))))
    say("a password", refusal(call("POST", "/Users", user("b5@example.com", password="Secret-1-Secret"))))
    for filter_ in ['userName eq "ann@EXAMPLE.com"', 'externalId eq "Key-1"', 'externalId eq "key-1"', 'emails[type eq "work" and value co "ann"]',
                    f'{ENTERPRISE}:employeeNumber eq "7"', 'userName eq "nothing"', 'nothing eq "x"', "userName is 1"]:
        say(f"filter {filter_}", names(listed({"filter": filter_})))
    for number in range(30):
        call("POST", "/Users", user(f"u{number:02}@example.com"))
    total = listed({})[1]
    say("pages", f"{len(total.get('Resources', []))} of {total.get('totalResults')} without count, itemsPerPage {total.get('itemsPerPage')}")
    page = listed({"startIndex": 5, "count": 3})
    say("startIndex 5, count 3", f"{names(page)}, itemsPerPage {page[1].get('itemsPerPage')}")
    large = listed({"count": 100000})
    say("count 100000", f"{len(large[1].get('Resources', []))}" if large[0] == 200 else refusal(large))
    say("count 0", json.dumps({key: value for key, value in listed({"count": 0})[1].items() if key != "schemas"})[:120])
    beyond = listed({"startIndex": 1000, "count": 3})
    say("beyond the end", json.dumps(beyond[1])[:200])
    cursor = listed({"cursor": "", "count": 2})
    say("cursor", f"{names(cursor)}, nextCursor {bool(cursor[0] == 200 and cursor[1].get('nextCursor'))}, totalResults {cursor[0] == 200 and cursor[1].get('totalResults')}")
    say("attributes", json.dumps(listed({"attributes": "userName", "filter": 'externalId eq "Key-1"'})[1].get("Resources")))
    for case, operation, name in [
        ("replace active", {"op": "replace", "path": "active", "value": True}, "active"),
        ("Replace active", {"op": "Replace", "path": "active", "value": False}, "active"),
        ("a text for a boolean in PATCH", {"op": "replace", "path": "active", "value": "True"}, "active"),
        ("a path into the extension", {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "Sales"}, ENTERPRISE),
        ("without a path", {"op": "replace", "value": {"title": "Chef", ENTERPRISE: {"division": "North"}}}, ENTERPRISE),
        ("a dotted key without a path", {"op": "replace", "value": {"name.givenName": "Ann"}}, "name"),
        ("a filter in the path", {"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@example.com"}, "emails"),
        ("a filter without a match, replace", {"op": "replace", "path": 'emails[type eq "other"].value', "value": "o@example.com"}, "emails"),
        ("a filter without a match, add", {"op": "add", "path": 'phoneNumbers[type eq "work"].value', "value": "2"}, "phoneNumbers"),
        ("add a value", {"op": "add", "path": "phoneNumbers", "value": [{"type": "fax", "value": "3"}]}, "phoneNumbers"),
        ("remove by filter", {"op": "remove", "path": 'phoneNumbers[type eq "fax"]'}, "phoneNumbers"),
        ("remove an extension's attribute", {"op": "remove", "path": f"{ENTERPRISE}:department"}, ENTERPRISE),
        ("remove the manager", {"op": "remove", "path": f"{ENTERPRISE}:manager"}, ENTERPRISE),
        ("remove what is not there", {"op": "remove", "path": "profileUrl"}, "profileUrl"),
        ("replace with null", {"op": "replace", "path": "nickName", "value": None}, "nickName"),
        ("remove userName", {"op": "remove", "path": "userName"}, "userName"),
        ("replace id", {"op": "replace", "path": "id", "value": "1"}, "id"),
        ("externalId", {"op": "replace", "path": "externalId", "value": "Key-2"}, "externalId"),
    ]:
        answer = patch(ann, operation)
        say(f"PATCH {case}", f"{refusal(answer)}, then {name.rsplit(':')[-1]} = {json.dumps(read(ann).get(name))}")
    two = patch(ann, {"op": "replace", "path": "title", "value": "A"}, {"op": "replace", "path": "nothing", "value": "B"})
    say("PATCH, the second operation refused", f"{refusal(two)}, then title = {read(ann).get('title')}")
    say("PATCH without a change", refusal(patch(ann, {"op": "replace", "path": "title", "value": read(ann).get("title") or "A"})))
    say("PATCH to a taken name", refusal(patch(ann, {"op": "replace", "path": "userName", "value": "boss@example.com"})))
    say("PATCH with another If-Match", refusal(patch(ann, {"op": "replace", "path": "title", "value": "C"}, headers={"If-Match": 'W/"other"'})))
    say("PUT with another If-Match", refusal(call("PUT", f"/Users/{ann}", user("Ann@example.com", title="D"), {"If-Match": 'W/"other"'})))
    put = call("PUT", f"/Users/{ann}", user("Ann@example.com", title="D"))
    after = read(ann)
    say("PUT", f"{refusal(put)}, then emails {after.get('emails')}, active {after.get('active')}, externalId {after.get('externalId')}")
    say("PUT of a user who is not there", refusal(call("PUT", "/Users/nothing", user("x@example.com"))))
    say("DELETE", call("DELETE", f"/Users/{ann}")[0])
    say("then GET", refusal(call("GET", f"/Users/{ann}")))
    say("then DELETE", refusal(call("DELETE", f"/Users/{ann}")))
    say("then the same name", call("POST", "/Users", user("Ann@example.com"))[0])


main()

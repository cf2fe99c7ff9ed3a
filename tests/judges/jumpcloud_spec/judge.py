"""JumpCloud's published specification against the simulated JumpCloud.

The simulator must accept what the specification allows, refuse what it forbids, and answer in its form.
systemusers.json holds the names, types, lengths and enumerations of JumpCloud's own Swagger file. Every case below comes from it.

Usage: judge.py '{"jumpCloud": URL, "control": URL, ...}'
"""

import json
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from jsonschema import Draft4Validator

ADDRESSES = json.loads(sys.argv.pop())
SPEC = json.loads((Path(__file__).parent / "systemusers.json").read_text())
KEY = "jumpcloud-key-1"
NOBODY = "5f0c1b2c0000000000000000"

# Members that are missing in the specification and present in answers: both ids of a user, and the
# ids of custom attributes.
BEYOND = {"systemuserreturn": {"id"}, "systemuserSearchReturn": {"id"}, "attribute": {"_id"}}


def send(url, method, body=None, headers=None):
    """Returns status and parsed answer. Loopback only, even if the environment names a proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            status, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode()


def control(method, path, body=None):
    """Calls the simulators' control API."""
    status, answer = send(ADDRESSES["control"] + path, method, body)
    assert status < 300, answer
    return answer


def schema(name):
    """Returns a definition with everything it refers to, which allows no other members."""

    def closed(node, name=None):
        if isinstance(node, list):
            return [closed(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            referred = node["$ref"].rsplit("/", 1)[1]
            return closed(SPEC["definitions"][referred], referred)
        made = {key: closed(value) for key, value in node.items() if key not in ("properties", "x-nullable", "format")}
        if "properties" in node:
            made["properties"] = {key: closed(value) for key, value in node["properties"].items()}
            made["properties"].update({key: {"type": "string"} for key in BEYOND.get(name, ())})
            made["additionalProperties"] = False
        if node.get("x-nullable"):
            made = {"anyOf": [made, {"type": "null"}]}
        return made

    return closed(SPEC["definitions"][name], name)


# A further rule for a value, in addition to its type.
SAMPLES = {"email": "mia@example.com", "alternateEmail": "mia@home.example", "managedAppleId": "mia@apple.example", "username": "mia",
           "state": "ACTIVATED", "password": "Correct-Horse-7", "suspended": False}


def sample(name, rule, boss):
    """Returns a value of a member that the specification allows."""
    if name == "manager":
        return boss
    if name in SAMPLES:
        return SAMPLES[name]
    if "$ref" in rule:
        rule = SPEC["definitions"][rule["$ref"].rsplit("/", 1)[1]]
    kind = rule["type"]
    if kind == "string":
        return rule["enum"][0] if "enum" in rule else "text"
    if kind == "object":
        return {}
    return {"boolean": True, "integer": 7, "array": []}[kind]


class Judge(unittest.TestCase):
    """Every test begins with one user, who can be a manager."""

    def setUp(self):
        control("DELETE", "/jumpcloud/users")
        control("DELETE", "/jumpcloud/quirks")
        control("PUT", "/jumpcloud/limits", {"limit": 100_000})
        control("PUT", "/jumpcloud/credentials", {"apiKey": KEY, "rights": "manage", "several": False})
        control("PUT", "/jumpcloud/quirks", {"searchLagSeconds": 0})
        self.boss = control("POST", "/jumpcloud/users", {"email": "boss@example.com", "username": "boss"})["_id"]

    def call(self, method, path, body=None, query=None, **headers):
        url = ADDRESSES["jumpCloud"] + SPEC["basePath"].rstrip("/") + path + ("?" + urllib.parse.urlencode(query) if query else "")
        given = {SPEC["header"]: KEY, "Accept": "application/json", "Content-Type": "application/json"}
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        return send(url, method, body, {name: value for name, value in given.items() if value is not None})

    def granted(self, method, path, body=None, query=None, template=None):
        """Returns the answer to an accepted call, after checking it against the schema of the route."""
        status, answer = self.call(method, path, body, query)
        self.assertEqual(status, 200, answer)
        declared = SPEC["paths"][template or path][method.lower()]["responses"]["200"].get("schema")
        if declared:
            Draft4Validator(schema(declared["$ref"].rsplit("/", 1)[1])).validate(answer)
        return answer

    def refused(self, status, method, path, body=None, query=None, **headers):
        got, answer = self.call(method, path, body, query, **headers)
        self.assertEqual(got, status, answer)
        self.assertIsInstance(answer["message"], str)

    def create(self, name, **more):
        return self.granted("POST", "/systemusers", {"email": f"{name}@example.com", "username": name, **more})

    def update(self, user, body):
        return self.granted("PUT", f"/systemusers/{user}", body, template="/systemusers/{id}")

    def test_every_member_is_taken_in_its_type_and_no_other(self):
        for definition, path, method in [("systemuserputpost", "/systemusers", "POST"), ("systemuserput", None, "PUT")]:
            rules = SPEC["definitions"][definition]["properties"]
            for name, rule in sorted(rules.items()):
                with self.subTest(definition=definition, member=name):
                    self.setUp()
                    path_now = path or "/systemusers/" + self.create("mia")["_id"]
                    whole = {"email": "mia@example.com", "username": "mia"} if method == "POST" else {}
                    value = sample(name, rule, self.boss)
                    for wrong in (7.5, {"odd": 1} if not isinstance(value, dict) else 7, [7] if not isinstance(value, list) else "x"):
                        if name == "unix_uid" or name == "unix_guid" or not isinstance(wrong, type(value)):
                            self.refused(400, method, path_now, {**whole, name: wrong})
                    if "maxLength" in rule and name not in ("email", "username", "managedAppleId"):
                        self.refused(400, method, path_now, {**whole, name: "x" * (rule["maxLength"] + 1)})
                        longest = {**whole, name: "x" * rule["maxLength"]}
                        self.granted(method, path_now, longest, template=None if method == "POST" else "/systemusers/{id}")
                        if method == "POST":
                            continue
                    self.granted(method, path_now, {**whole, name: value}, template=None if method == "POST" else "/systemusers/{id}")

    def test_members_that_are_not_in_it_are_refused(self):
        mia = self.create("mia")["_id"]
        whole = {"email": "bo@example.com", "username": "bo"}
        create, update = (set(SPEC["definitions"][name]["properties"]) for name in ("systemuserputpost", "systemuserput"))
        read = set(SPEC["definitions"]["systemuserreturn"]["properties"])
        for name in sorted((read | update | {"shoeSize"}) - create):
            self.refused(400, "POST", "/systemusers", {**whole, name: True})
        for name in sorted((read | create | {"shoeSize"}) - update):
            self.refused(400, "PUT", f"/systemusers/{mia}", {name: True})
        for name in ("phoneNumbers", "addresses", "attributes", "relationships"):
            known = SPEC["definitions"]["systemuserput"]["properties"][name]["items"]["properties"]
            self.update(mia, {name: [{key: "work" for key in known}]})
            for entry in ({"id": "7"}, {"odd": "x"}, {sorted(known)[0]: 7}):
                self.refused(400, "PUT", f"/systemusers/{mia}", {name: [entry]})

    def test_what_is_required(self):
        for name in SPEC["definitions"]["systemuserputpost"]["required"]:
            whole = {"email": "mia@example.com", "username": "mia"}
            del whole[name]
            self.refused(400, "POST", "/systemusers", whole)

    def test_states(self):
        states = {name: SPEC["definitions"][name]["properties"]["state"]["enum"] for name in ("systemuserputpost", "systemuserput")}
        for number, state in enumerate(states["systemuserputpost"]):
            self.assertEqual(self.create(f"mia{number}", state=state)["state"], state)
        mia = self.create("mia", state="STAGED")["_id"]
        self.refused(400, "PUT", f"/systemusers/{mia}", {"state": "STAGED"})
        for state in states["systemuserput"]:
            read = self.update(mia, {"state": state})
            self.assertEqual((read["state"], read["suspended"]), (state, state == "SUSPENDED"))
        self.refused(400, "PUT", f"/systemusers/{mia}", {"state": "SUSPENDED", "suspended": False})
        staged = self.create("bo", state="STAGED")["_id"]
        self.assertEqual(self.call("POST", f"/systemusers/{staged}/state/activate", {"email": "bo@home.example"})[0], 200)
        self.assertEqual(self.granted("GET", f"/systemusers/{staged}", template="/systemusers/{id}")["state"], "ACTIVATED")
        self.refused(400, "POST", f"/systemusers/{staged}/state/activate", {})

    def test_members_stay_and_arrays_are_replaced_whole(self):
        phones = [{"type": "work", "number": "1"}, {"type": "home", "number": "2"}]
        mia = self.create("mia", firstname="Mia", phoneNumbers=phones, manager=self.boss)["_id"]
        read = self.update(mia, {"lastname": "Lang"})
        self.assertEqual((read["firstname"], read["lastname"], len(read["phoneNumbers"]), read["manager"]), ("Mia", "Lang", 2, self.boss))
        read = self.update(mia, {"phoneNumbers": phones[:1], "firstname": ""})
        self.assertEqual(([phone["number"] for phone in read["phoneNumbers"]], read["firstname"]), (["1"], ""))
        self.assertNotIn("manager", self.update(mia, {"manager": None, "phoneNumbers": []}))
        self.refused(400, "PUT", f"/systemusers/{mia}", {"manager": mia})
        self.refused(400, "PUT", f"/systemusers/{mia}", {"manager": NOBODY})

    def test_email_username_and_employee_identifier_are_unique(self):
        self.create("mia", employeeIdentifier="E-1")
        bo = self.create("bo", employeeIdentifier="E-2")["_id"]
        for same in ({"email": "MIA@example.com"}, {"username": "mia"}, {"employeeIdentifier": "E-1"}):
            self.refused(400, "POST", "/systemusers", {"email": "new@example.com", "username": "new", **same})
            self.refused(400, "PUT", f"/systemusers/{bo}", same)
        self.update(bo, {"email": "bo@example.com", "username": "bo", "employeeIdentifier": "E-2"})

    def test_passwords(self):
        mia = self.create("mia", password="Correct-Horse-7")
        self.assertNotIn("password", mia)
        self.assertEqual(self.call("POST", f"/systemusers/{mia['_id']}/expire")[0], 200)
        self.assertTrue(self.granted("GET", f"/systemusers/{mia['_id']}", template="/systemusers/{id}")["password_expired"])
        query = {"fullValidationDetails": "password"}
        status, answer = self.call("POST", "/systemusers", {"email": "bo@example.com", "username": "bo", "password": "short"}, query)
        self.assertEqual((status, answer["status"]), (400, "INVALID_ARGUMENT"))
        self.assertEqual(answer["details"][0]["fieldViolationsList"][0]["field"], "password")

    def test_listing(self):
        self.assertEqual(control("POST", "/jumpcloud/users", [{"email": f"u{n}@example.com", "username": f"u{n}"} for n in range(149)])[0].keys(), {"_id"})
        pages = [self.granted("GET", "/systemusers", query={"limit": 100, "skip": skip, "sort": "_id"}) for skip in (0, 100, 200)]
        self.assertEqual([(page["totalCount"], len(page["results"])) for page in pages], [(150, 100), (150, 50), (150, 0)])
        ids = [user["_id"] for page in pages for user in page["results"]]
        self.assertEqual((len(set(ids)), ids), (150, sorted(ids)))
        default = {each["name"]: each.get("default") for each in SPEC["paths"]["/systemusers"]["get"]["parameters"]}["limit"]
        self.assertEqual(len(self.granted("GET", "/systemusers")["results"]), default)
        thin = self.granted("GET", "/systemusers", query={"fields": "email username", "filter": "username:$eq:u7"})
        self.assertEqual((thin["totalCount"], thin["results"][0].keys()), (1, {"_id", "email", "username"}))
        self.assertEqual(self.granted("GET", "/systemusers", query={"filter": "username:$eq:U7"})["totalCount"], 0)
        for query in ({"limit": 101}, {"filter": "username:eq:u7"}, {"filter": "odd:$eq:u7"}, {"page": 2}):
            self.refused(400, "GET", "/systemusers", query=query)

    def test_search(self):
        self.create("mia", department="IT")
        self.create("bo", department="Sales")
        search = lambda body: {user["username"] for user in self.granted("POST", "/search/systemusers", body)["results"]}
        self.assertEqual(search({"filter": [{"department": "IT"}], "fields": "email username sudo"}), {"mia"})
        self.assertEqual(search({"filter": {"or": [{"department": "IT"}, {"department": "Sales"}]}}), {"mia", "bo"})
        self.assertEqual(search({"filter": {"and": [{"department": "IT"}, {"username": "bo"}]}}), set())
        self.assertEqual(search({"searchFilter": {"searchTerm": ["MI", "os"], "fields": ["username"]}}), {"mia", "boss"})
        both = {"searchFilter": {"searchTerm": "@example", "fields": ["email"]}, "filter": {"or": [{"department": "IT"}]}, "limit": 10, "skip": 0}
        self.assertEqual(search(both), {"mia"})
        self.refused(400, "POST", "/search/systemusers", {"odd": 1})

    def test_delete_and_not_found(self):
        mia = self.create("mia", manager=self.boss)["_id"]
        self.refused(409, "DELETE", f"/systemusers/{self.boss}")
        self.granted("DELETE", f"/systemusers/{self.boss}", query={"cascade_manager": "null"}, template="/systemusers/{id}")
        self.granted("DELETE", f"/systemusers/{mia}", template="/systemusers/{id}")
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/expire")):
            self.refused(404, method, f"/systemusers/{mia}{path}", {"firstname": "x"} if method == "PUT" else None)

    def test_keys_organizations_and_limits(self):
        self.refused(401, "GET", "/systemusers", **{"x-api-key": "another"})
        self.refused(401, "GET", "/systemusers", **{"x-api-key": None})
        self.refused(404, "GET", "/systemusers", **{"x-org-id": NOBODY})
        self.refused(400, "GET", "/systemusers", **{"x-org-id": "acme"})
        control("PUT", "/jumpcloud/credentials", {"several": True})
        self.refused(401, "GET", "/systemusers")
        control("PUT", "/jumpcloud/credentials", {"several": False, "rights": "read"})
        self.granted("GET", "/systemusers")
        self.refused(403, "POST", "/systemusers", {"email": "mia@example.com", "username": "mia"})
        control("PUT", "/jumpcloud/limits", {"limit": 10, "remaining": 0})
        self.refused(429, "GET", "/systemusers")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

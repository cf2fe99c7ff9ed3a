"""Google's official Python client against the simulated Google Workspace.

The simulator must accept its requests, and it must be able to parse the answers.
The client contains its own description of the Directory API, so paths, parameters and bodies are Google's.

Usage: judge.py '{"google": URL, "control": URL, ...}'
"""

import json
import sys
import unittest
import urllib.request

import google_auth_httplib2
import httplib2
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

ADDRESSES = json.loads(sys.argv.pop())
USER = "https://www.googleapis.com/auth/admin.directory.user"
SCHEMAS = "https://www.googleapis.com/auth/admin.directory.userschema.readonly"


def control(method, path, body=None):
    """Calls the simulators' control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADDRESSES["control"] + path, data=data, method=method)
    # Loopback only, even if the environment names a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.loads(response.read() or b"null")


class Judge(unittest.TestCase):
    """Every test begins with an empty directory, the sample service account and a fresh minute."""

    def setUp(self):
        control("DELETE", "/google/users")
        control("DELETE", "/google/quirks")
        # Another second, because new users are counted by the second.
        control("PUT", "/clock", {"advanceSeconds": 2})
        control("PUT", "/google/limits", {"limit": 2400})
        control("PUT", "/google/refuse", {"rules": []})
        control("PUT", "/google/schemas", {"Work": {"cell": "STRING", "remote": "BOOL"}})
        control("PUT", "/google/directory", {"orgUnits": ["/", "/Staff"], "groups": ["sales@example.com"], "protected": [], "suspendedByGoogle": []})
        delegation = {"scopes": ["admin.directory.user", "admin.directory.userschema.readonly"], "admins": {"admin@example.com": "manage"}}
        control("PUT", "/google/delegation", delegation)
        self.users = self.connect().users()

    @staticmethod
    def connect(scopes=(USER, SCHEMAS), subject="admin@example.com", **changes):
        key = control("GET", "/google/service-account")
        # The one change in the key file: the address of the token service.
        key["token_uri"] = ADDRESSES["google"] + "/token"
        key.update(changes)
        credentials = service_account.Credentials.from_service_account_info(key, scopes=list(scopes), subject=subject)
        http = google_auth_httplib2.AuthorizedHttp(credentials, http=httplib2.Http(proxy_info=None, timeout=30))
        return build("admin", "directory_v1", http=http, client_options={"api_endpoint": ADDRESSES["google"]}, static_discovery=True)

    def create(self, name, **more):
        body = {
            "primaryEmail": f"{name}@example.com", "name": {"givenName": name.title(), "familyName": "Lang"}, "password": "Correct-Horse-7",
        }
        body.update(more)
        return self.users.insert(body=body).execute()

    def refusal(self, call):
        """Returns status, reason and message of a call that must be refused."""
        with self.assertRaises(HttpError) as caught:
            call.execute()
        error = json.loads(caught.exception.content)["error"]
        self.assertEqual(error["code"], caught.exception.resp.status)
        return caught.exception.resp.status, error["errors"][0]["reason"], error["message"]

    def test_create_and_get(self):
        made = self.create(
            "mia", suspended=True, orgUnitPath="/Staff", changePasswordAtNextLogin=True,
            phones=[{"type": "mobile", "value": "+49170"}, {"type": "custom", "customType": "desk", "value": "17"}],
            organizations=[{"type": "work", "primary": True, "title": "Engineer", "department": "Platform", "description": "Full time"}],
            relations=[{"type": "manager", "value": "boss@example.com"}],
            externalIds=[{"type": "custom", "customType": "bobsync", "value": "3332883894235038486"}],
        )
        self.assertNotIn("password", made)
        self.assertEqual((made["kind"], made["suspended"], made["orgUnitPath"]), ("admin#directory#user", True, "/Staff"))
        for key in (made["id"], "mia@example.com", "MIA@example.com"):
            read = self.users.get(userKey=key).execute()
            self.assertEqual(read, made)
        self.assertEqual(read["name"]["fullName"], "Mia Lang")

    def test_list_pages(self):
        people = [{"primaryEmail": f"u{n}@example.com", "name": {"givenName": "U", "familyName": str(n)}} for n in range(230)]
        control("POST", "/google/users", people)
        request, seen = self.users.list(customer="my_customer", maxResults=100), []
        while request is not None:
            answer = request.execute()
            seen.append([user["id"] for user in answer["users"]])
            request = self.users.list_next(request, answer)
        self.assertEqual([len(page) for page in seen], [100, 100, 30])
        self.assertEqual(len({user for page in seen for user in page}), 230)
        thin = self.users.list(domain="example.com", fields="users(id,name/givenName)").execute()
        self.assertEqual(set(thin["users"][0]), {"id", "name"})
        self.assertEqual(set(thin["users"][0]["name"]), {"givenName"})

    def test_what_a_listing_refuses(self):
        self.assertEqual(self.refusal(self.users.list())[:2], (400, "badRequest"))
        self.assertEqual(self.refusal(self.users.list(customer="my_customer", maxResults=501))[0], 400)
        self.assertEqual(self.refusal(self.users.list(customer="my_customer", pageToken="nonsense"))[0], 400)
        self.assertEqual(self.refusal(self.users.list(customer="my_customer", query="nonsense"))[0], 400)

    def test_searches_lag_and_reads_do_not(self):
        made = self.create("mia", externalIds=[{"type": "custom", "customType": "bobsync", "value": "7"}])
        search = lambda: self.users.list(customer="my_customer", query="externalId=7").execute().get("users", [])
        self.assertEqual(search(), [])
        self.assertEqual(self.users.get(userKey=made["id"]).execute()["id"], made["id"])
        control("PUT", "/google/quirks", {"searchLagSeconds": 0})
        bo = self.create("bo", externalIds=[{"type": "custom", "customType": "bobsync", "value": "7"}])
        self.assertEqual([user["id"] for user in search()], [bo["id"]])
        self.assertEqual(len(self.users.list(customer="my_customer", query="email:bo*").execute()["users"]), 1)

    def test_update_is_partial_and_arrays_are_whole(self):
        mia = self.create("mia", phones=[{"type": "work", "value": "1"}, {"type": "home", "value": "2"}], recoveryEmail="mia@home.example")
        changed = self.users.update(userKey=mia["id"], body={"name": {"familyName": "Kurz"}}).execute()
        self.assertEqual((changed["name"]["givenName"], changed["name"]["familyName"]), ("Mia", "Kurz"))
        self.assertEqual(len(changed["phones"]), 2)
        changed = self.users.update(userKey=mia["id"], body={"phones": [{"type": "work", "value": "3"}], "recoveryEmail": None}).execute()
        self.assertEqual(changed["phones"], [{"type": "work", "value": "3"}])
        self.assertNotIn("recoveryEmail", changed)
        # A patch does not empty a repeated field, an update does.
        self.assertIn("phones", self.users.patch(userKey=mia["id"], body={"phones": []}).execute())
        self.assertNotIn("phones", self.users.update(userKey=mia["id"], body={"phones": []}).execute())

    def test_suspend_and_reactivate(self):
        mia = self.create("mia")
        for suspended in (True, False):
            self.assertEqual(self.users.update(userKey=mia["id"], body={"suspended": suspended}).execute()["suspended"], suspended)
        self.users.signOut(userKey=mia["id"]).execute()

    def test_rename_leaves_an_alias(self):
        mia = self.create("mia")
        renamed = self.users.update(userKey=mia["id"], body={"primaryEmail": "mia.lang@example.com"}).execute()
        self.assertEqual((renamed["id"], renamed["aliases"]), (mia["id"], ["mia@example.com"]))
        self.assertEqual(self.users.get(userKey="mia@example.com").execute()["primaryEmail"], "mia.lang@example.com")
        self.assertEqual(self.refusal(self.users.insert(body=dict(mia, password="Correct-Horse-7")))[:2], (409, "duplicate"))

    def test_custom_schemas(self):
        mia = self.create("mia", customSchemas={"Work": {"cell": "B-8", "remote": True}})
        self.assertNotIn("customSchemas", self.users.get(userKey=mia["id"]).execute())
        read = self.users.get(userKey=mia["id"], projection="custom", customFieldMask="Work").execute()
        self.assertEqual(read["customSchemas"], {"Work": {"cell": "B-8", "remote": True}})
        self.users.update(userKey=mia["id"], body={"customSchemas": {"Work": {"cell": None}}}).execute()
        self.assertEqual(self.users.get(userKey=mia["id"], projection="full").execute()["customSchemas"], {"Work": {"remote": True}})
        schemas = self.connect().schemas().list(customerId="my_customer").execute()["schemas"]
        self.assertEqual([(one["schemaName"], len(one["fields"])) for one in schemas], [("Work", 2)])
        bad = self.users.update(userKey=mia["id"], body={"customSchemas": {"Work": {"shoe": "46"}}})
        self.assertEqual(self.refusal(bad), (400, "invalid", "Invalid Input: custom_schema"))

    def test_what_a_write_refuses(self):
        whole = {"primaryEmail": "mia@example.com", "name": {"givenName": "Mia", "familyName": "Lang"}, "password": "Correct-Horse-7"}
        for change, status, reason in [
            ({"password": None}, 400, "required"),
            ({"password": "short"}, 400, "invalid"),
            ({"name": {"givenName": "Mia"}}, 400, "invalid"),
            ({"primaryEmail": "mia"}, 400, "invalid"),
            ({"primaryEmail": "mia@elsewhere.example"}, 404, "notFound"),
            ({"primaryEmail": "sales@example.com"}, 409, "duplicate"),
            ({"orgUnitPath": "/Nowhere"}, 400, "invalid"),
            ({"phones": [{"type": "carrier pigeon", "value": "1"}]}, 400, "invalid"),
            ({"phones": [{"type": "work", "value": "1" * 1100}]}, 400, "invalid"),
            ({"externalIds": [{"type": "custom", "value": "1"}]}, 400, "invalid"),
            ({"suspended": "yes"}, 400, "invalid"),
            ({"shoeSize": 46}, 400, "badRequest"),
        ]:
            with self.subTest(change=change):
                self.assertEqual(self.refusal(self.users.insert(body={**whole, **change}))[:2], (status, reason))
        self.assertEqual(control("GET", "/google/users"), [])

    def test_delete_undelete_and_not_found(self):
        mia = self.create("mia")
        self.users.delete(userKey=mia["id"]).execute()
        for call in (self.users.get(userKey=mia["id"]), self.users.update(userKey=mia["id"], body={"suspended": True})):
            self.assertEqual(self.refusal(call)[:2], (412, "conditionNotMet"))
        listed = self.users.list(customer="my_customer", showDeleted="true").execute()["users"]
        self.assertEqual([user["id"] for user in listed], [mia["id"]])
        self.users.undelete(userKey=mia["id"], body={"orgUnitPath": "/"}).execute()
        self.assertEqual(self.users.get(userKey=mia["id"]).execute()["id"], mia["id"])

    def test_an_unfinished_user(self):
        control("PUT", "/google/quirks", {"updateLagSeconds": 60, "flagLagSeconds": 60})
        mia = self.create("mia")
        self.assertEqual(self.refusal(self.users.update(userKey=mia["id"], body={"suspended": True}))[:2], (412, "conditionNotMet"))
        listed = self.users.list(customer="my_customer").execute()["users"][0]
        self.assertTrue("suspended" not in listed and "name" not in listed)

    def test_limits(self):
        control("PUT", "/google/limits", {"limit": 2400, "remaining": 0})
        for throttle, status, reason in [
            ("forbidden", 403, "userRateLimitExceeded"), ("tooMany", 429, "rateLimitExceeded"), ("unavailable", 503, "backendError"),
        ]:
            control("PUT", "/google/quirks", {"throttle": throttle})
            self.assertEqual(self.refusal(self.users.list(customer="my_customer"))[:2], (status, reason))
        control("PUT", "/google/limits", {"limit": 2400})
        made = 0
        with self.assertRaises(HttpError) as caught:
            for number in range(200):
                self.create(f"u{number}")
                made += 1
        self.assertGreaterEqual(made, 10)
        self.assertIn(caught.exception.resp.status, (403, 429, 503))

    def test_credentials(self):
        listing = lambda **how: self.connect(**how).users().list(customer="my_customer").execute()
        for how, error in [
            ({"scopes": [USER + ".security"]}, "unauthorized_client"),
            ({"subject": "nobody@example.com"}, "invalid_grant"),
            ({"client_email": "other@sample-project.iam.gserviceaccount.com"}, "invalid_grant"),
            ({"private_key_id": "other"}, "invalid_grant"),
        ]:
            with self.subTest(how=how), self.assertRaises(RefreshError) as caught:
                listing(**how)
            self.assertIn(error, str(caught.exception))
        for how, reason in [({"scopes": [SCHEMAS]}, "insufficientPermissions"), ({"subject": None}, "forbidden")]:
            refused = self.connect(**how).users().list(customer="my_customer")
            self.assertEqual(self.refusal(refused)[:2], (403, reason))
        control("PUT", "/google/delegation", {"admins": {"admin@example.com": "read"}})
        self.assertNotIn("users", listing())
        insert = {"primaryEmail": "mia@example.com", "name": {"givenName": "M", "familyName": "L"}, "password": "Correct-Horse-7"}
        self.assertEqual(self.refusal(self.users.insert(body=insert))[:2], (403, "forbidden"))
        # The client itself replaces an expired token.
        control("POST", "/google/tokens/revoke", {})
        self.assertNotIn("users", self.users.list(customer="my_customer").execute())


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

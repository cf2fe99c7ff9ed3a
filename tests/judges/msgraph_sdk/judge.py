"""Microsoft's official Python clients against the simulated Entra ID.

The simulator must accept their requests, and they must be able to parse its answers.
`msgraph-sdk` is generated from Microsoft's own description of Graph, so paths, parameters, bodies and types are Microsoft's.
`msal` asks for the tokens, with a secret and with assertions that it signs itself.

Usage: judge.py '{"entra": URL, "control": URL, ...}'
"""

import asyncio
import json
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request

import httpx
import msal
from kiota_abstractions.authentication import AuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.on_premises_extension_attributes import OnPremisesExtensionAttributes
from msgraph.generated.models.password_profile import PasswordProfile
from msgraph.generated.models.reference_update import ReferenceUpdate
from msgraph.generated.models.user import User
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph_core import PageIterator
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

ADDRESSES = json.loads(sys.argv.pop())
AUTHORITY = "https://login.microsoftonline.com"
CELL = "extension_0123456789abcdef0123456789abcdef_cell"


def call(method, url, data=None, headers=None):
    """Returns status and text of a call. Loopback only, even if the environment names a proxy."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, response.read().decode(), dict(response.headers)
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(), dict(refused.headers)


def control(method, path, body=None):
    """Calls the simulators' control API."""
    status, text, _ = call(method, ADDRESSES["control"] + path, None if body is None else json.dumps(body).encode())
    assert status < 300, f"{method} {path}: {status} {text}"
    return json.loads(text or "null")


class SignIn:
    """Sends to the simulator what `msal` sends to Microsoft's sign-in service, which must be https."""

    class Response:
        def __init__(self, status_code, text, headers):
            self.status_code, self.text, self.headers = status_code, text, headers

        def raise_for_status(self):
            assert self.status_code < 400, self.text

    def get(self, url, **_):
        tenant = url.removeprefix(AUTHORITY + "/").split("/")[0]
        document = {
            "issuer": f"{AUTHORITY}/{tenant}/v2.0",
            "authorization_endpoint": f"{AUTHORITY}/{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{AUTHORITY}/{tenant}/oauth2/v2.0/token",
        }
        return self.Response(200, json.dumps(document), {})

    def post(self, url, data=None, headers=None, **_):
        assert url.startswith(AUTHORITY), url
        body = urllib.parse.urlencode(data).encode()
        headers = dict(headers or {}, **{"Content-Type": "application/x-www-form-urlencoded"})
        return self.Response(*call("POST", ADDRESSES["entra"] + url.removeprefix(AUTHORITY), body, headers))

    def close(self):
        pass


def token(credential=None, client_id=None, tenant="example.com", scope="https://graph.microsoft.com/.default"):
    app = control("GET", "/entra/app")
    client = msal.ConfidentialClientApplication(
        client_id or app["clientId"], client_credential=credential or app["clientSecret"], authority=f"{AUTHORITY}/{tenant}",
        instance_discovery=False, http_client=SignIn(),
    )
    return client.acquire_token_for_client([scope])


class Bearer(AuthenticationProvider):
    """Gives a token of `msal`; the clients' own providers require https."""

    def __init__(self):
        self.text = token()["access_token"]

    async def authenticate_request(self, request, additional_authentication_context=None):
        request.headers.try_add("Authorization", f"Bearer {self.text}")


def selecting(*names, **more):
    parameters = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(select=list(names), **more)
    return RequestConfiguration(query_parameters=parameters)


def listing(**how):
    return RequestConfiguration(query_parameters=UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(**how))


class Judge(unittest.IsolatedAsyncioTestCase):
    """Every test begins with an empty tenant, the sample app and a fresh window."""

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)
        control("DELETE", "/entra/users")
        control("DELETE", "/entra/quirks")
        control("PUT", "/clock", {"advanceSeconds": 151})
        control("PUT", "/entra/limits", {"limit": 3000})
        control("PUT", "/entra/refuse", {"rules": []})
        control("PUT", "/entra/directory", {"extensions": [CELL], "administrators": [], "restricted": []})
        control("PUT", "/entra/app", {"permissions": ["User.ReadWrite.All", "User.RevokeSessions.All"], "graph": "graph.microsoft.com"})
        # Without the middleware that waits and tries again, so that a refusal is visible.
        self.http = httpx.AsyncClient(trust_env=False, timeout=30)
        self.bearer = Bearer()
        self.adapter = GraphRequestAdapter(self.bearer, client=self.http)
        self.adapter.base_url = ADDRESSES["entra"] + "/v1.0"
        self.graph = GraphServiceClient(request_adapter=self.adapter)
        # The constructor sets Microsoft's own address again.
        self.adapter.base_url = ADDRESSES["entra"] + "/v1.0"
        self.graph.path_parameters["base_url"] = self.adapter.base_url

    async def asyncTearDown(self):
        await self.http.aclose()

    @staticmethod
    def person(name, **more):
        profile = PasswordProfile(password="Correct-Horse-7", force_change_password_next_sign_in=True)
        whole = dict(
            account_enabled=True, display_name=f"{name.title()} Lang", mail_nickname=name, user_principal_name=f"{name}@example.com",
            password_profile=profile,
        )
        return User(**{**whole, **more})

    async def create(self, name, **more):
        return await self.graph.users.post(self.person(name, **more))

    def one(self, key):
        return self.graph.users.by_user_id(key)

    async def refusal(self, awaited):
        """Returns status, code, message and the first detail of a call that must be refused."""
        with self.assertRaises(ODataError) as caught:
            await awaited
        error = caught.exception.error
        detail = (error.details[0].code, error.details[0].target) if error.details else None
        return caught.exception.response_status_code, error.code, error.message, detail

    async def test_create_and_get(self):
        made = await self.create(
            "mia", account_enabled=False, given_name="Mia", surname="Lang", job_title="Engineer", department="Platform", mail="mia@example.org",
            business_phones=["+49 30 1"], mobile_phone="+49 170", office_location="Berlin", employee_id="bob0pbkwqjurh15i", usage_location="DE",
            additional_data={CELL: "B-8"},
        )
        self.assertEqual((made.display_name, made.job_title, made.business_phones), ("Mia Lang", "Engineer", ["+49 30 1"]))
        self.assertIsNone(made.account_enabled, "not among the eleven")
        self.assertIsNone(made.employee_id)
        for key in (made.id, "mia@example.com", "MIA@example.com"):
            thin = await self.one(key).get()
            self.assertEqual((thin.id, thin.department, thin.account_enabled), (made.id, None, None))
        read = await self.one(made.id).get(selecting("id", "accountEnabled", "employeeId", "department", "usageLocation", "userType", "mail", CELL))
        self.assertEqual(
            (read.account_enabled, read.employee_id, read.department, read.usage_location, read.user_type, read.mail),
            (False, "bob0pbkwqjurh15i", "Platform", "DE", "Member", "mia@example.org"),
        )
        self.assertEqual(read.additional_data[CELL], "B-8")

    async def test_pages(self):
        control("POST", "/entra/users", [{"userPrincipalName": f"u{n}@example.com", "displayName": str(n), "mailNickname": "u"} for n in range(230)])
        for how, pages in [({"top": 999}, 1), ({"top": 150, "select": ["id"]}, 2), ({"expand": ["manager($select=id)"], "top": 999}, 3), ({}, 3)]:
            seen, before = set(), control("GET", "/entra/calls")["total"]
            first = await self.graph.users.get(listing(**how))
            await PageIterator(first, self.adapter).iterate(lambda user: seen.add(user.id) or True)
            self.assertEqual((len(seen), control("GET", "/entra/calls")["total"] - before), (230, pages), how)

    async def test_what_a_list_refuses(self):
        self.assertEqual((await self.refusal(self.graph.users.get(listing(top=1000))))[0], 400)
        self.assertEqual((await self.refusal(self.graph.users.get(listing(select=["aboutMe"]))))[0], 501)
        self.assertEqual((await self.refusal(self.graph.users.get(listing(select=["shoeSize"]))))[0], 400)
        code = (await self.refusal(self.graph.users.get(listing(filter="companyName eq 'x'"))))[1]
        self.assertEqual(code, "Request_UnsupportedQuery")
        unknown = await self.refusal(self.graph.users.get(listing(filter=f"{CELL}2 eq 'x'")))
        self.assertIn("does not exist as a declared property or extension property", unknown[2])

    async def test_filters_lag_and_reads_do_not(self):
        made = await self.create("mia", employee_id="bob1")
        search = lambda text: self.graph.users.get(listing(filter=text, select=["id", "employeeId"]))
        self.assertEqual((await search("employeeId eq 'bob1'")).value, [])
        self.assertEqual((await self.one(made.id).get()).id, made.id)
        control("PUT", "/clock", {"advanceSeconds": 31})
        for text in ("employeeId eq 'bob1'", "startsWith(userPrincipalName,'mia')", "userPrincipalName eq 'MIA@example.com'", "accountEnabled eq true"):
            self.assertEqual([user.id for user in (await search(text)).value], [made.id], text)
        await self.create("bo'x")
        control("PUT", "/clock", {"advanceSeconds": 31})
        self.assertEqual(len((await search("userPrincipalName eq 'bo''x@example.com'")).value), 1)

    async def test_update_is_partial_and_null_clears(self):
        made = await self.create("mia", job_title="Engineer", department="Platform", business_phones=["1"])
        change = User(job_title="Lead", on_premises_extension_attributes=OnPremisesExtensionAttributes(extension_attribute3="three"))
        self.assertIsNone(await self.one(made.id).patch(change), "nothing is answered")
        await self.one(made.id).patch(User(business_phones=[], additional_data={"department": None}))
        read = await self.one(made.id).get(selecting("jobTitle", "department", "businessPhones", "onPremisesExtensionAttributes"))
        self.assertEqual((read.job_title, read.department, read.business_phones), ("Lead", None, []))
        self.assertEqual(read.on_premises_extension_attributes.extension_attribute3, "three")
        control("PUT", "/entra/quirks", {"answersChanges": True})
        self.assertEqual((await self.one(made.id).patch(User(job_title="Boss"))).id, made.id)

    async def test_manager(self):
        mia, boss = await self.create("mia"), await self.create("boss")
        self.assertEqual((await self.refusal(self.one(mia.id).manager.get()))[0], 404)
        for root in ("https://graph.microsoft.com", ADDRESSES["entra"]):
            await self.one(mia.id).manager.ref.put(ReferenceUpdate(odata_id=f"{root}/v1.0/users/{boss.id}"))
            self.assertEqual((await self.one(mia.id).manager.get()).id, boss.id)
        read = await self.one(mia.id).get(selecting("id", expand=["manager($select=id,displayName)"]))
        self.assertEqual((type(read.manager), read.manager.id, read.manager.display_name), (User, boss.id, "Boss Lang"))
        await self.one(mia.id).manager.ref.delete()
        self.assertEqual((await self.refusal(self.one(mia.id).manager.ref.delete()))[0], 404)
        for root, status in [("https://graph.microsoft.us", 400), ("https://elsewhere.example", 400)]:
            put = self.one(mia.id).manager.ref.put(ReferenceUpdate(odata_id=f"{root}/v1.0/users/{boss.id}"))
            self.assertEqual((await self.refusal(put))[0], status, root)

    async def test_disable_and_end_sessions(self):
        mia = await self.create("mia")
        for enabled in (False, True):
            await self.one(mia.id).patch(User(account_enabled=enabled))
            self.assertEqual((await self.one(mia.id).get(selecting("accountEnabled"))).account_enabled, enabled)
        self.assertTrue((await self.one(mia.id).revoke_sign_in_sessions.post()).value)
        self.assertEqual(control("GET", "/entra/sessions")[-1], mia.id)

    async def test_delete_and_restore(self):
        mia = await self.create("mia")
        await self.one(mia.id).delete()
        for awaited in (self.one(mia.id).get(), self.one(mia.id).patch(User(job_title="x"))):
            self.assertEqual((await self.refusal(awaited))[:2], (404, "Request_ResourceNotFound"))
        deleted = (await self.graph.directory.deleted_items.graph_user.get()).value
        self.assertEqual([user.user_principal_name for user in deleted], [mia.id.replace("-", "") + "mia@example.com"])
        again = await self.create("mia")
        refused = await self.refusal(self.graph.directory.deleted_items.by_directory_object_id(mia.id).restore.post())
        self.assertEqual((refused[0], refused[3]), (400, ("ObjectConflict", "userPrincipalName")))
        await self.one(again.id).delete()
        self.assertEqual((await self.graph.directory.deleted_items.by_directory_object_id(mia.id).restore.post()).id, mia.id)

    async def test_what_a_write_refuses(self):
        await self.create("bo", mail="sales@example.com")
        for change, detail in [
            ({"password_profile": None}, ("InvalidValue", "passwordProfile")),
            ({"mail_nickname": None}, ("InvalidValue", "mailNickname")),
            ({"mail_nickname": "m i a"}, ("InvalidValue", "mailNickname")),
            ({"password_profile": PasswordProfile(password="swordfish")}, None),
            ({"user_principal_name": "mia"}, ("InvalidValue", "userPrincipalName")),
            ({"user_principal_name": "m(i)a@example.com"}, ("InvalidValue", "userPrincipalName")),
            ({"user_principal_name": "mia@elsewhere.example"}, ("InvalidValue", "userPrincipalName")),
            ({"user_principal_name": "BO@example.com"}, ("ObjectConflict", "userPrincipalName")),
            ({"mail": "SALES@example.com"}, ("ObjectConflict", "proxyAddresses")),
            ({"employee_id": "12345678901234567"}, ("InvalidValue", "employeeId")),
            ({"usage_location": "Germany"}, ("InvalidValue", "usageLocation")),
            ({"business_phones": ["1", "2"]}, ("InvalidValue", "businessPhones")),
            ({"job_title": "x" * 129}, ("InvalidValue", "jobTitle")),
            ({"on_premises_extension_attributes": OnPremisesExtensionAttributes(extension_attribute1="x")}, ("InvalidValue", "onPremisesExtensionAttributes")),
            ({"additional_data": {"shoeSize": 46}}, None),
            ({"additional_data": {CELL + "2": "x"}}, None),
            ({"additional_data": {"accountEnabled": "yes"}, "account_enabled": None}, ("InvalidValue", "accountEnabled")),
        ]:
            with self.subTest(change=change):
                status, code, _, found = await self.refusal(self.create("mia", **change))
                self.assertEqual((status, code, found), (400, "Request_BadRequest", detail))
        self.assertEqual(len(control("GET", "/entra/users")), 1)

    async def test_administrators_and_synchronised_users(self):
        mia = await self.create("mia")
        control("PUT", "/entra/directory", {"administrators": [mia.id]})
        for change in (User(account_enabled=False), User(job_title="x", mobile_phone="1"), User(user_principal_name="m@example.com")):
            self.assertEqual((await self.refusal(self.one(mia.id).patch(change)))[:2], (403, "Authorization_RequestDenied"))
        await self.one(mia.id).patch(User(job_title="Lead"))
        control("PUT", "/entra/directory", {"administrators": []})
        control("PATCH", f"/entra/users/{mia.id}", {"onPremisesSyncEnabled": True})
        self.assertTrue((await self.one(mia.id).get(selecting("onPremisesSyncEnabled"))).on_premises_sync_enabled)
        self.assertEqual((await self.refusal(self.one(mia.id).patch(User(job_title="x"))))[0], 400)

    def item(self, id, method, url, body=None):
        request = RequestInformation(Method[method], ADDRESSES["entra"] + "/v1.0" + url, {})
        if body is not None:
            request.set_content_from_parsable(self.adapter, "application/json", body)
        item = BatchRequestItem(request, id)
        item.url = url
        return item

    async def batch(self, *items):
        content = BatchRequestContent()
        for item in items:
            content.add_request(item.id, item)
        return await BatchRequestBuilder(self.adapter).post(content)

    async def test_batch(self):
        # This client reads the statuses of the answers, and drops bodies that are objects.
        mia, boss = await self.create("mia"), await self.create("boss")
        answer = await self.batch(
            self.item("a", "PATCH", f"/users/{mia.id}", User(job_title="Lead")),
            self.item("b", "GET", f"/users/{boss.id}?$select=id,accountEnabled"),
            self.item("c", "GET", "/users/nobody@example.com"),
            self.item("d", "POST", "/users", self.person("mia")),
            self.item("e", "POST", "/users", self.person("bo")),
        )
        self.assertEqual(answer.get_response_status_codes(), {"a": 204, "b": 200, "c": 404, "d": 400, "e": 201})
        self.assertEqual((await self.one(mia.id).get()).job_title, "Lead")
        # The client writes `depends_on` where Microsoft's documentation has `dependsOn`, so this one is written by hand.
        refused = {"id": "1", "method": "GET", "url": "/users/nobody@example.com"}
        waiting = {"id": "2", "method": "DELETE", "url": f"/users/{boss.id}", "dependsOn": ["1"]}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token()['access_token']}"}
        body = json.dumps({"requests": [refused, waiting]}).encode()
        status, text, _ = call("POST", ADDRESSES["entra"] + "/v1.0/$batch", body, headers)
        self.assertEqual((status, {one["id"]: one["status"] for one in json.loads(text)["responses"]}), (200, {"1": 404, "2": 424}))

    async def test_limits(self):
        mia = await self.create("mia")
        control("PUT", "/entra/limits", {"limit": 3000, "remaining": 0})
        status, code, _, _ = await self.refusal(self.one(mia.id).patch(User(job_title="x")))
        self.assertEqual((status, code), (429, "TooManyRequests"))
        self.assertEqual((await self.one(mia.id).get()).id, mia.id, "reads are counted otherwise")
        answer = await self.batch(self.item("a", "PATCH", f"/users/{mia.id}", User(job_title="x")), self.item("b", "GET", f"/users/{mia.id}"))
        self.assertEqual(answer.get_response_status_codes(), {"a": 429, "b": 200})
        control("PUT", "/clock", {"advanceSeconds": 151})
        await self.one(mia.id).patch(User(job_title="x"))

    async def test_credentials(self):
        app = control("GET", "/entra/app")
        certificate = {"private_key": app["clientKey"], "public_certificate": app["clientCertificate"]}
        for credential in (app["clientSecret"], certificate):
            answer = token(credential)
            self.assertEqual((answer.get("token_type"), answer.get("expires_in")), ("Bearer", 3599), answer)
        foreign = dict(certificate, private_key=control("GET", "/google/service-account")["private_key"])
        for how, error, number in [
            ({"credential": "wrong"}, "invalid_client", 7000215),
            ({"credential": foreign}, "invalid_client", 700027),
            # The older way: RS256 and SHA-1.
            ({"credential": {"private_key": app["clientKey"], "thumbprint": "00" * 20}}, "invalid_client", 5002723),
            ({"client_id": "c11e0000-0000-4000-8000-0000000000ff"}, "unauthorized_client", 700016),
            ({"tenant": "elsewhere.example"}, "invalid_request", 90002),
            ({"scope": "https://graph.microsoft.us/.default"}, "invalid_scope", 1002012),
        ]:
            with self.subTest(how=how):
                refused = token(**how)
                self.assertEqual((refused.get("error"), refused.get("error_codes")), (error, [number]))

    async def test_permissions_and_tokens(self):
        control("PUT", "/entra/app", {"permissions": ["User.Read.All"]})
        # A token contains the permissions of the moment when it was issued.
        self.bearer.text = token()["access_token"]
        self.assertEqual((await self.graph.users.get()).value, [])
        self.assertEqual((await self.refusal(self.create("mia")))[:2], (403, "Authorization_RequestDenied"))
        control("PUT", "/entra/app", {"permissions": []})
        self.bearer.text = token()["access_token"]
        self.assertEqual((await self.refusal(self.graph.users.get()))[0], 403)
        control("POST", "/entra/tokens/revoke", {})
        self.assertEqual((await self.refusal(self.graph.users.get()))[:2], (401, "InvalidAuthenticationToken"))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")

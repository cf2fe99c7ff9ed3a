"""Okta's official Python SDK against the simulated Okta.

The simulator must accept its requests, and it must be able to parse the answers. The SDK signs the assertions and the
proofs of possession itself, so the token endpoint is judged, too. It signs with RSA keys only; PyJWT and jwcrypto, which
the SDK brings with it, sign with elliptic curves.

Usage: judge.py '{"okta": URL, "control": URL, ...}'
"""

import base64
import hashlib
import json
import logging
import os
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

import jwt
from jwcrypto.jwk import JWK
from okta.client import Client
from okta.models import CreateUserRequest, PasswordCredential, UpdateUserRequest, UserCredentialsWritable, UserProfile, UserSchema
from okta.pagination import paginate_all

ADDRESSES = json.loads(sys.argv.pop())
# The simulators speak plain HTTP.
os.environ["OKTA_TESTING_TESTINGDISABLEHTTPSCHECK"] = "true"
SCOPES = ["okta.users.manage", "okta.users.read", "okta.schemas.read"]


def control(method, path, body=None):
    """Calls the simulators' control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADDRESSES["control"] + path, data=data, method=method)
    # Loopback only, even if the environment names a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.loads(response.read() or b"null")


def connect(**more):
    """Returns a client: with the API token, or with what `more` says."""
    settings = {
        "orgUrl": ADDRESSES["okta"],
        "token": "okta-token-1",
        "cache": {"enabled": False},
        "rateLimit": {"maxRetries": 0},
        "logging": {"enabled": False},
    }
    settings.update(more)
    return Client(settings)


def app(**more):
    """Returns a client of the service app. The SDK signs assertions with RSA keys only."""
    known = control("GET", "/okta/app")
    key = known["keys"]["rsa"]
    settings = {
        "authorizationMode": "PrivateKey", "clientId": known["clientId"], "scopes": SCOPES, "privateKey": key["privateKey"], "kid": key["keyId"],
    }
    return connect(**(settings | more))


def send(method, url, headers, form=None):
    """Makes one request; returns status, headers and text."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


class Judge(unittest.IsolatedAsyncioTestCase):
    """Every test begins with an empty org, the sample app and a fresh minute."""

    def setUp(self):
        control("DELETE", "/okta/users")
        control("DELETE", "/okta/quirks")
        control("PUT", "/okta/quirks", {"searchLagSeconds": 0})
        control("DELETE", "/okta/mails")
        control("PUT", "/okta/app", {"dpop": False, "rights": "manage", "scopes": SCOPES})
        control("PUT", "/okta/org", {"readOnly": False, "protected": []})
        control("PUT", "/okta/limits", {"bucket": "users", "limit": 300})
        self.client = connect()

    def accepted(self, answer):
        """Returns what an accepted call answered."""
        *rest, error = answer
        self.assertIsNone(error, error)
        return rest[0]

    def refusal(self, answer):
        """Returns status, code and the first cause of a call that must be refused."""
        *_, error = answer
        self.assertIsNotNone(error)
        causes = [cause["errorSummary"] for cause in error.error_causes or []]
        return error.status, error.error_code, causes[0] if causes else None

    async def create(self, name, client=None, password="Correct-Horse-7", profile=None, **query):
        profile = UserProfile(login=f"{name}@example.com", email=f"{name}@example.com", firstName=name.title(), lastName="Lang", **(profile or {}))
        credentials = UserCredentialsWritable(password=PasswordCredential(value=password)) if password else None
        body = CreateUserRequest(profile=profile, credentials=credentials)
        return self.accepted(await (client or self.client).create_user(body, **query))

    async def status(self, user):
        return self.accepted(await self.client.get_user(user.id)).status.value

    async def test_create_and_get(self):
        made = await self.create("mia", profile={"title": "Engineer", "department": "Platform", "managerId": "boss@example.com"})
        self.assertEqual((made.status.value, made.profile.title), ("ACTIVE", "Engineer"))
        self.assertIsNotNone(made.activated)
        for key in (made.id, "mia@example.com", "MIA@example.com", "mia"):
            read = self.accepted(await self.client.get_user(key))
            self.assertEqual((read.id, read.profile, read.last_updated), (made.id, made.profile, made.last_updated))
        self.assertEqual(read.credentials.provider.type.value, "OKTA")
        self.assertEqual(self.refusal(await self.client.get_user("00u0"))[:2], (404, "E0000007"))

    async def test_ways_to_create(self):
        for name, password, query, status, mails in (
            ("ann", None, {"activate": False}, "STAGED", 0),
            ("bo", None, {"activate": True}, "PROVISIONED", 1),
            ("cy", "Correct-Horse-7", {"activate": False}, "STAGED", 1),
            ("di", "Correct-Horse-7", {"next_login": "changePassword", "activate": True}, "PASSWORD_EXPIRED", 1),
        ):
            made = await self.create(name, password=password, **query)
            self.assertEqual((made.status.value, len(control("GET", "/okta/mails"))), (status, mails), name)

    async def test_list_pages(self):
        people = [
            {"profile": {"login": f"u{n}@example.com", "email": "u@example.com", "firstName": "U", "lastName": str(n)}} for n in range(430)
        ]
        control("POST", "/okta/users", people)
        data, answer, error = await self.client.list_users(limit=200)
        self.assertIsNone(error)
        self.assertEqual((len(data), answer.headers["x-rate-limit-limit"]), (200, "300"))
        seen = [user.id async for user in paginate_all(self.client.list_users, limit=200)]
        self.assertEqual((len(seen), len(set(seen))), (430, 430))

    async def test_searches(self):
        mia = await self.create("mia", profile={"employeeNumber": "17"})
        bo = await self.create("bo", profile={"employeeNumber": "18"})
        self.accepted(await self.client.deactivate_user(bo.id))
        for query, found in (
            ({"search": 'profile.employeeNumber eq "17"'}, [mia.id]),
            ({"search": 'profile.employeeNumber eq "18"'}, [bo.id]),
            ({"search": '(status lt "STAGED" or status gt "STAGED")', "sort_by": "profile.login"}, [bo.id, mia.id]),
            ({"filter": 'profile.login eq "mia@example.com"'}, [mia.id]),
            ({"q": "mi"}, [mia.id]),
            ({}, [mia.id]),
        ):
            users = self.accepted(await self.client.list_users(**query))
            self.assertEqual([user.id for user in users], found, query)
        thin = self.accepted(await self.client.list_users(search='status eq "ACTIVE"', fields="status,profile:(login)"))
        self.assertEqual((thin[0].status.value, thin[0].profile.login, thin[0].created), ("ACTIVE", "mia@example.com", None))
        self.assertEqual(self.refusal(await self.client.list_users(search='profile.login ne "x"'))[:2], (400, "E0000031"))

    async def test_update_and_replace(self):
        mia = await self.create("mia", profile={"title": "Engineer", "department": "Platform"})
        changed = self.accepted(await self.client.update_user(mia.id, UpdateUserRequest(profile=UserProfile(title="Director"))))
        self.assertEqual((changed.profile.title, changed.profile.department), ("Director", "Platform"))
        whole = UserProfile(login="mia@example.com", email="mia@example.com", firstName="Mia", lastName="Lang")
        replaced = self.accepted(await self.client.replace_user(mia.id, UpdateUserRequest(profile=whole)))
        self.assertEqual((replaced.profile.title, replaced.profile.department), (None, None))

    async def test_life_cycle(self):
        mia = await self.create("mia")
        for step, status in (
            ("suspend_user", "SUSPENDED"), ("unsuspend_user", "ACTIVE"), ("expire_password", "PASSWORD_EXPIRED"),
            ("deactivate_user", "DEPROVISIONED"), ("activate_user", "PROVISIONED"), ("reactivate_user", "PROVISIONED"),
        ):
            self.accepted(await getattr(self.client, step)(mia.id))
            self.assertEqual(await self.status(mia), status, step)
        # The two links: `activate` mails by default, `reactivate` does not.
        self.assertEqual([mail["about"] for mail in control("GET", "/okta/mails")], ["activation"])
        link = self.accepted(await self.client.reactivate_user(mia.id, send_email=False))
        self.assertIn(link.activation_token, link.activation_url)
        control("PATCH", f"/okta/users/{mia.id}", {"status": "LOCKED_OUT", "password": True})
        self.accepted(await self.client.unlock_user(mia.id))
        self.accepted(await self.client.revoke_user_sessions(mia.id))
        self.assertEqual(control("GET", "/okta/sessions")[-1], mia.id)
        self.accepted(await self.client.delete_user(mia.id))
        self.assertEqual(await self.status(mia), "DEPROVISIONED")
        self.accepted(await self.client.delete_user(mia.id))
        self.assertEqual(self.refusal(await self.client.get_user(mia.id))[:2], (404, "E0000007"))

    async def test_steps_that_are_refused(self):
        mia = await self.create("mia", password=None)
        refused = await self.client.suspend_user(mia.id)
        self.assertEqual(self.refusal(refused), (400, "E0000001", "Cannot suspend a user that is not active"))
        self.assertEqual(self.refusal(await self.client.activate_user(mia.id))[:2], (403, "E0000016"))
        self.assertEqual(self.refusal(await self.client.unlock_user(mia.id))[:2], (403, "E0000032"))
        control("PUT", "/okta/quirks", {"transitionSeconds": 30})
        self.accepted(await self.client.deactivate_user(mia.id))
        read = self.accepted(await self.client.get_user(mia.id))
        self.assertEqual((read.status.value, read.transitioning_to_status), ("PROVISIONED", "DEPROVISIONED"))
        self.assertEqual(self.refusal(await self.client.reactivate_user(mia.id))[:2], (409, "E0000112"))

    async def test_duplicates_and_mistakes(self):
        await self.create("mia")
        profile = UserProfile(login="MÍA@example.com", email="x@example.com", firstName="M", lastName="L")
        refused = self.refusal(await self.client.create_user(CreateUserRequest(profile=profile)))
        self.assertEqual(refused, (400, "E0000001", "login: An object with this field already exists in the current organization"))
        profile = UserProfile(login="bo@example.com", email="bo@example.com", firstName="B", lastName="L", additional_properties={"badge": "17"})
        refused = self.refusal(await self.client.create_user(CreateUserRequest(profile=profile)))
        self.assertEqual(refused, (400, "E0000001", "Property name 'badge' is not defined in profile"))

    async def test_schema(self):
        schema = self.accepted(await self.client.get_user_schema("default"))
        self.assertTrue(schema.definitions.base.properties.login.required)
        self.assertEqual(schema.definitions.base.properties.first_name.max_length, 50)
        badge = {"title": "Badge", "type": "string", "maxLength": 20, "permissions": [{"principal": "SELF", "action": "READ_WRITE"}]}
        change = UserSchema.from_dict({"definitions": {"custom": {"id": "#custom", "type": "object", "properties": {"badge": badge}}}})
        changed = self.accepted(await self.client.update_user_profile("default", change))
        badge = changed.definitions.custom.properties["badge"]
        self.assertEqual((badge.max_length, badge.master.type.value), (20, "PROFILE_MASTER"))
        made = await self.create("mia", profile={"additional_properties": {"badge": "17"}})
        read = self.accepted(await self.client.get_user(made.id))
        self.assertEqual(read.profile.additional_properties["badge"], "17")
        self.assertEqual(self.accepted(await self.client.get_org_settings()).subdomain, "sample")
        control("PUT", "/okta/schema", {"custom": {"badge": None}})

    async def test_private_key(self):
        client = app()
        made = await self.create("mia", client)
        self.assertEqual([user.id for user in self.accepted(await client.list_users())], [made.id])
        self.assertTrue(self.accepted(await client.get_user_schema("default")).definitions.base)
        self.assertEqual(self.refusal(await app(kid="other").list_users())[1], "invalid_client")
        self.assertEqual(self.refusal(await app(scopes=["okta.apps.read"]).list_users())[1], "consent_required")
        # The refusal of an access token has a header and no body; the SDK then reports neither data nor an error.
        data, answer, error = await app(scopes=["okta.users.read"]).get_user_schema("default")
        self.assertEqual((data, answer.status_code, error), (None, 403, None))
        self.assertIn("insufficient_scope", answer.headers["WWW-Authenticate"])
        control("PUT", "/okta/quirks", {"bareTokenRefusals": False})
        refused = self.refusal(await app(scopes=["okta.users.read"]).get_user_schema("default"))
        self.assertEqual(refused[:2], (403, "E0000006"))

    async def test_proof_of_possession(self):
        control("PUT", "/okta/app", {"dpop": True})
        self.assertEqual(self.refusal(await app().list_users())[1], "invalid_dpop_proof")
        client = app(dpopEnabled=True)
        made = await self.create("mia", client)
        self.accepted(await client.suspend_user(made.id))
        users = self.accepted(await client.list_users(search='status eq "SUSPENDED"'))
        self.assertEqual([user.id for user in users], [made.id])
        log = [entry for entry in control("GET", "/okta/log") if entry["path"] == "/oauth2/v1/token"]
        # Without a nonce, with it, and no other token for the three calls.
        self.assertEqual([entry["status"] for entry in log[-2:]], [400, 200])
        control("POST", "/okta/nonce", {"forget": True})
        self.accepted(await client.list_users())
        self.accepted(await app(dpopEnabled=True).list_users())

    def test_elliptic_curves(self):
        control("PUT", "/okta/app", {"dpop": True})
        known = control("GET", "/okta/app")
        endpoint = ADDRESSES["okta"] + "/oauth2/v1/token"
        owner = JWK.generate(kty="EC", crv="P-256")

        def proof(method, uri, **more):
            claims = {"htm": method, "htu": uri, "iat": int(time.time()), "jti": str(uuid.uuid4())} | more
            head = {"typ": "dpop+jwt", "jwk": owner.export_public(as_dict=True)}
            return jwt.encode(claims, owner.export_to_pem(private_key=True, password=None), "ES256", head)

        def ask(**more):
            now, key = int(time.time()), known["keys"]["ec"]
            claims = {"iss": known["clientId"], "sub": known["clientId"], "aud": endpoint, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
            form = {
                "grant_type": "client_credentials", "scope": " ".join(SCOPES),
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": jwt.encode(claims, key["privateKey"], "ES256", {"kid": key["keyId"]}),
            }
            return send("POST", endpoint, {"DPoP": proof("POST", endpoint, **more)}, form)

        status, headers, text = ask()
        self.assertEqual((status, json.loads(text)["error"]), (400, "use_dpop_nonce"))
        status, _, text = ask(nonce=headers["DPoP-Nonce"])
        self.assertEqual((status, json.loads(text)["token_type"]), (200, "DPoP"), text)
        token = json.loads(text)["access_token"]
        users = ADDRESSES["okta"] + "/api/v1/users"
        ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        status, _, text = send("GET", users, {"Authorization": f"DPoP {token}", "DPoP": proof("GET", users, ath=ath)})
        self.assertEqual((status, json.loads(text)), (200, []))
        status, headers, _ = send("GET", users, {"Authorization": f"DPoP {token}", "DPoP": proof("GET", users)})
        self.assertEqual(status, 400)
        self.assertIn("'ath' claim", headers["WWW-Authenticate"])

    async def test_limits_and_maintenance(self):
        control("PUT", "/okta/limits", {"bucket": "users", "limit": 1})
        self.accepted(await self.client.list_users())
        _, answer, error = await self.client.list_users()
        self.assertEqual((error.status, error.error_code), (429, "E0000047"))
        control("PUT", "/okta/limits", {"bucket": "users", "limit": 300})
        control("PUT", "/okta/org", {"readOnly": True})
        profile = UserProfile(login="bo@example.com", email="bo@example.com", firstName="B", lastName="L")
        refused = self.refusal(await self.client.create_user(CreateUserRequest(profile=profile)))
        self.assertEqual(refused[:2], (503, "E0000010"))

    async def test_the_client_waits_for_the_next_minute(self):
        control("PUT", "/okta/limits", {"bucket": "users", "limit": 1})
        self.accepted(await self.client.list_users())
        # The rest of the minute is two seconds.
        control("PUT", "/clock", {"advanceSeconds": 58})
        waiting = connect(rateLimit={"maxRetries": 1})
        self.accepted(await waiting.list_users())

    async def test_wrong_token(self):
        self.assertEqual(self.refusal(await connect(token="other").list_users())[:2], (401, "E0000011"))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    unittest.main(verbosity=1)

"""OneLogin's official Python SDK against the simulated OneLogin.

The simulator must accept its requests, and it must be able to parse the answers.

Usage: judge.py '{"bob": URL, "oneLogin": URL, "control": URL}'
"""

import json
import sys
import unittest
import urllib.request

import onelogin
from onelogin.exceptions import ApiException, ForbiddenException, NotFoundException, UnauthorizedException
from onelogin.models import GenerateTokenRequest, User
from onelogin.models.set_user_state_request import SetUserStateRequest

ADDRESSES = json.loads(sys.argv.pop())


def control(method, path, body=None):
    """Calls the simulators' control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADDRESSES["control"] + path, data=data, method=method)
    # Loopback only, even if the environment names a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.loads(response.read() or b"null")


class Judge(unittest.TestCase):
    """Every test begins with an empty tenant, the default credential and a fresh hour."""

    def setUp(self):
        control("DELETE", "/onelogin/users")
        control("DELETE", "/onelogin/quirks")
        control("PUT", "/onelogin/limits", {"limit": 5000})
        control("PUT", "/onelogin/custom-attributes", {"shortnames": ["work_cell", "badge"]})
        self.scope("Manage users")
        self.client = self.connect("client-1", "secret-1")
        self.users = onelogin.UsersV2Api(self.client)

    @staticmethod
    def scope(scope):
        credential = {"clientId": "client-1", "clientSecret": "secret-1", "scope": scope}
        control("PUT", "/onelogin/credentials", credential)

    @staticmethod
    def connect(client_id, client_secret):
        configuration = onelogin.Configuration(host=ADDRESSES["oneLogin"], username=client_id, password=client_secret)
        client = onelogin.ApiClient(configuration)
        token = onelogin.OAuth2Api(client).generate_token(GenerateTokenRequest(grant_type="client_credentials"))
        assert token.token_type == "bearer" and token.expires_in == 36000, token
        configuration.access_token = token.access_token
        return client

    def create(self, name, **more):
        user = User(username=name, email=f"{name}@example.com", firstname=name.title(), lastname="Lang", status=1, **more)
        return self.users.create_user2(user=user)

    def refusal(self, kind, call, *arguments, **named):
        """Returns the status and the parsed body of a call that must be refused."""
        with self.assertRaises(kind) as caught:
            call(*arguments, **named)
        return caught.exception.status, json.loads(caught.exception.body)

    def test_create_and_get(self):
        boss = self.create("boss")
        made = self.create(
            "mia", title="Engineer", department="Platform", phone="(206) 555-0101", external_id="3332883894235038486",
            manager_user_id=str(boss.id), custom_attributes={"work_cell": "+49170"},
        )
        read = self.users.get_user2(made.id)
        self.assertEqual(read, made)
        self.assertEqual((read.title, read.department, read.phone), ("Engineer", "Platform", "(206) 555-0101"))
        self.assertEqual((read.status, read.state, read.company), (1, 1, None))
        self.assertEqual(read.external_id, "3332883894235038486")
        self.assertEqual(read.manager_user_id, str(boss.id))
        self.assertEqual(read.custom_attributes, {"work_cell": "+49170", "badge": None})
        self.assertTrue(read.created_at.endswith("Z"), read.created_at)

    def test_create_without_a_status_is_password_pending(self):
        made = self.users.create_user2(mappings="sync", validate_policy=False, user=User(username="a", email="a@example.com"))
        self.assertEqual(made.status, 7)

    def test_list_is_thin_and_pages(self):
        control("POST", "/onelogin/users", [{"username": f"u{n}", "email": f"u{n}@example.com", "title": "T"} for n in range(230)])
        answer = self.users.list_users2_with_http_info(limit=100, page=1)
        self.assertEqual((len(answer.data), answer.headers["Total-Count"], answer.headers["Total-Pages"]), (100, "230", "3"))
        self.assertIsNone(answer.data[0].title)
        named = self.users.list_users2(limit=100, page=3, fields="id,title")
        self.assertEqual((len(named), named[0].title, named[0].email), (30, "T", None))
        seen = [user.id for user in answer.data]
        cursor = answer.headers["After-Cursor"]
        while cursor:
            answer = self.users.list_users2_with_http_info(cursor=cursor)
            seen += [user.id for user in answer.data]
            cursor = answer.headers.get("After-Cursor")
        self.assertEqual((len(seen), len(set(seen))), (230, 230))
        status, body = self.refusal(ApiException, self.users.list_users2, limit=10, cursor="bGltaXQ9MTAw")
        self.assertEqual((status, body["error"]), (400, "BadRequestError"))

    def test_filters(self):
        mia = self.create("mia", external_id="7")
        self.create("bo", external_id="8")
        self.assertEqual([user.id for user in self.users.list_users2(external_id="7")], [mia.id])
        self.assertEqual([user.id for user in self.users.list_users2(email="mia@example.com")], [mia.id])
        self.assertEqual([user.id for user in self.users.list_users2(user_ids=f"{mia.id}")], [mia.id])
        self.assertEqual(len(self.users.list_users2(email="*@example.com")), 2)
        self.assertEqual(self.users.list_users2(created_since="2090-01-01T00:00:00Z"), [])

    def test_update_is_partial(self):
        mia = self.create("mia", title="Engineer", department="Platform")
        changed = self.users.update_user2(mia.id, user=User(title="Director"))
        self.assertEqual((changed.title, changed.department, changed.email), ("Director", "Platform", "mia@example.com"))
        self.assertEqual(self.users.get_user2(mia.id), changed)

    def test_suspend_and_reactivate(self):
        mia = self.create("mia")
        self.assertEqual(self.users.update_user2(mia.id, user=User(status=2)).status, 2)
        self.assertEqual(self.users.get_user2(mia.id).status, 2)
        self.assertEqual(self.users.update_user2(mia.id, user=User(status=1)).status, 1)
        self.users.update_user2(mia.id, user=User(status=0))
        self.assertEqual(self.users.get_user2(mia.id).status, 7)

    def test_duplicates(self):
        self.create("mia")
        status, body = self.refusal(ApiException, self.users.create_user2, user=User(username="mia", email="other@example.com"))
        self.assertEqual((status, body["name"]), (422, "UnprocessableEntityError"))
        self.assertEqual(body["message"], "Validation failed: Username must be unique within acme")
        status, body = self.refusal(ApiException, self.users.create_user2, user=User(username="other", email="MIA@example.com"))
        self.assertEqual((status, body["message"]), (422, "Validation failed: Email must be unique within acme"))

    def test_delete_and_not_found(self):
        mia = self.create("mia")
        self.assertIsNone(self.users.delete_user2(mia.id))
        for call in (self.users.get_user2, self.users.delete_user2):
            status, body = self.refusal(NotFoundException, call, mia.id)
            self.assertEqual((status, body["name"]), (404, "NotFoundError"))
        self.refusal(NotFoundException, self.users.update_user2, mia.id, user=User(title="x"))

    def test_read_only_scope(self):
        mia = self.create("mia")
        self.scope("Read Users")
        self.assertEqual(self.users.get_user2(mia.id).id, mia.id)
        status, body = self.refusal(ForbiddenException, self.users.update_user2, mia.id, user=User(title="x"))
        self.assertEqual((status, body["statusCode"]), (403, 403))
        self.refusal(ForbiddenException, self.users.delete_user2, mia.id)

    def test_wrong_secret_and_dead_token(self):
        status, body = self.refusal(UnauthorizedException, self.connect, "client-1", "wrong")
        self.assertEqual((status, body["status"]["code"]), (401, 401))
        control("POST", "/onelogin/tokens/revoke", {})
        status, body = self.refusal(UnauthorizedException, self.users.list_users2)
        self.assertEqual((status, body["name"]), (401, "UnauthorizedError"))

    def test_rate_limit(self):
        control("PUT", "/onelogin/limits", {"limit": 5000, "remaining": 1})
        answer = self.users.list_users2_with_http_info()
        self.assertEqual((answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]), ("5000", "0"))
        status, _ = self.refusal(ApiException, self.users.list_users2)
        self.assertEqual(status, 429)

    def test_version_one_calls(self):
        mia = self.create("mia")
        old = onelogin.UsersV1Api(self.client)
        self.assertEqual(old.get_custom_attributes().data, [["work_cell", "badge"]])
        # The SDK's model of this answer lacks the envelope of OneLogin's pages, so the judge reads
        # the bytes.
        answer = old.log_out_user_with_http_info(mia.id, _preload_content=False)
        self.assertEqual(json.loads(answer.raw_data)["status"]["code"], 200)
        request = SetUserStateRequest(state=2)
        self.refusal(ForbiddenException, old.set_user_state_with_http_info, mia.id, request)
        self.scope("Manage All")
        old.set_user_state_with_http_info(mia.id, request, _preload_content=False)
        self.assertEqual(self.users.get_user2(mia.id).state, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)

//! The providers of the map, as far as the map needs them: which accounts exist, their titles, and
//! whether they are open.

use serde_json::{Value, json};

use crate::support::Story;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant {
    OneLogin,
    Google,
    Entra,
    JumpCloud,
}

/// An account as the map sees it.
#[derive(Clone, Debug)]
pub struct Account {
    /// As it is written in a path.
    pub id: String,
    /// Bob's id by the mark.
    pub employee: String,
    pub open: bool,
    pub title: String,
    pub department: String,
}

impl Tenant {
    /// Makes the Secret, and returns the provider's part of a spec.
    pub async fn prepare(self, story: &Story) -> Value {
        let simulated = &story.simulated;
        match self {
            Self::OneLogin => {
                json!({"oneLogin": {"region": "US", "endpoint": simulated.one_login, "credentialsSecretRef": {"name": "onelogin"}}})
            }
            Self::Google => {
                let (key, url) =
                    (simulated.get("/google/service-account").await, &simulated.google);
                story.secret("google", &[("serviceAccount.json", &key.to_string())]).await;
                let secret = json!({"name": "google"});
                json!({"googleWorkspace": {
                    "credentialsSecretRef": secret, "adminEmail": "admin@example.com", "endpoint": url, "tokenEndpoint": url,
                }})
            }
            Self::Entra => {
                let (app, url) = (simulated.get("/entra/app").await, &simulated.entra);
                let word = |key: &str| app[key].as_str().expect("a text").to_owned();
                story
                    .secret(
                        "entra",
                        &[("clientId", &word("clientId")), ("clientSecret", &word("clientSecret"))],
                    )
                    .await;
                let secret = json!({"name": "entra"});
                json!({"entraID": {"tenantId": "example.com", "credentialsSecretRef": secret, "endpoint": url, "tokenEndpoint": url}})
            }
            Self::JumpCloud => {
                story.secret("jumpcloud", &[("apiKey", "jumpcloud-key-1")]).await;
                json!({"jumpCloud": {"credentialsSecretRef": {"name": "jumpcloud"}, "endpoint": simulated.jumpcloud}})
            }
        }
    }

    /// Returns its name in the control API.
    pub const fn service(self) -> &'static str {
        match self {
            Self::OneLogin => "onelogin",
            Self::Google => "google",
            Self::Entra => "entra",
            Self::JumpCloud => "jumpcloud",
        }
    }

    /// Returns the path where its users are listed and made. One user is below it.
    pub const fn users(self) -> &'static str {
        match self {
            Self::OneLogin => "/api/2/users",
            Self::Google => "/admin/directory/v1/users",
            Self::Entra => "/v1.0/users",
            Self::JumpCloud => "/api/systemusers",
        }
    }

    /// Returns every account that bears a mark.
    pub async fn accounts(self, story: &Story) -> Vec<Account> {
        let all = story.simulated.get(&format!("/{}/users", self.service())).await;
        all.as_array().into_iter().flatten().filter_map(|user| self.account(user)).collect()
    }

    fn account(self, user: &Value) -> Option<Account> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let entry = |array: &str, key: &str, of: &str| {
            let entries = user[array].as_array().map(Vec::as_slice).unwrap_or_default();
            entries.iter().find(|entry| entry[key] == of).map(|entry| text(&entry["value"]))
        };
        let (id, employee, open, title) = match self {
            Self::OneLogin => {
                let usable = user["status"] == 1 && user["state"] == 1;
                (
                    &user["id"],
                    user["external_id"].as_str().map(str::to_owned),
                    usable,
                    &user["title"],
                )
            }
            Self::Google => {
                let mark = entry("externalIds", "customType", "bobsync");
                (&user["id"], mark, user["suspended"] == false, &user["organizations"][0]["title"])
            }
            Self::Entra => {
                let digits = user["employeeId"].as_str().and_then(|mark| mark.strip_prefix("bob"));
                let mark = digits
                    .and_then(|digits| u64::from_str_radix(digits, 36).ok())
                    .map(|id| id.to_string());
                (&user["id"], mark, user["accountEnabled"] == true, &user["jobTitle"])
            }
            Self::JumpCloud => {
                let mark = entry("attributes", "name", "bobsyncEmployeeId");
                let id = if user["_id"].is_null() { &user["id"] } else { &user["_id"] };
                (id, mark, user["state"] == "ACTIVATED", &user["jobTitle"])
            }
        };
        let organization = if self == Self::Google { &user["organizations"][0] } else { user };
        Some(Account {
            id: text(id),
            employee: employee?,
            open,
            title: text(title),
            department: text(&organization["department"]),
        })
    }
}

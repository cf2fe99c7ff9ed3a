//! The cost of only parsing the two payloads of a pass, with the product's parsers: Bob's stream
//! into compact rows, OneLogin's pages into typed accounts. The payloads are fetched first;
//! fetching does not count.

use anyhow::{Context as _, Result};
use bobsync::{
    bob::Reader,
    domain::employee::Fields,
    engine::settings::{endpoints::AllowedEndpoints, validate::validate},
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{process, scene::Scene};

/// A typed account of the listing: the result of a parse.
#[derive(Deserialize)]
struct Account<'a> {
    id: u64,
    #[serde(borrow)]
    external_id: Option<std::borrow::Cow<'a, str>>,
    email: Option<std::borrow::Cow<'a, str>>,
    username: Option<std::borrow::Cow<'a, str>>,
    firstname: Option<std::borrow::Cow<'a, str>>,
    lastname: Option<std::borrow::Cow<'a, str>>,
    phone: Option<std::borrow::Cow<'a, str>>,
    title: Option<std::borrow::Cow<'a, str>>,
    department: Option<std::borrow::Cow<'a, str>>,
    manager_user_id: Option<u64>,
    status: i64,
    custom_attributes: Option<&'a RawValue>,
}

/// Both payloads of a pass.
pub struct Payloads {
    fields: Fields,
    bob: Vec<u8>,
    pages: Vec<Vec<u8>>,
}

impl Payloads {
    /// Fetches them as a pass does.
    pub async fn fetch(scene: &Scene) -> Result<Self> {
        let fields = fields()?;
        let bob = bob_payload(scene, &fields).await?;
        Ok(Self { bob, pages: one_login_payload(scene).await?, fields })
    }

    /// Returns the CPU seconds of one parse, averaged over `rounds`.
    pub fn cpu_seconds(&self, rounds: u32) -> Result<f64> {
        let me = std::process::id();
        let before = process::cpu_seconds(me)?;
        for _ in 0..rounds {
            self.parse()?;
        }
        Ok((process::cpu_seconds(me)? - before) / f64::from(rounds))
    }

    fn parse(&self) -> Result<()> {
        let mut reader = Reader::new(&self.fields);
        for chunk in self.bob.chunks(16 << 10) {
            reader.feed(chunk).map_err(|e| anyhow::anyhow!("{e}"))?;
        }
        let mut seen = reader.finish().map_err(|e| anyhow::anyhow!("{e}"))?.employees.len();
        for page in &self.pages {
            let accounts: Vec<Account<'_>> = serde_json::from_slice(page)?;
            seen += accounts.iter().filter(|account| account.is_somebody()).count();
        }
        anyhow::ensure!(seen > 0, "nothing was parsed");
        Ok(())
    }
}

impl Account<'_> {
    /// Reads every field, so that the parse leaves none out.
    fn is_somebody(&self) -> bool {
        let texts = [
            &self.external_id,
            &self.email,
            &self.username,
            &self.firstname,
            &self.lastname,
            &self.phone,
            &self.title,
            &self.department,
        ];
        self.id > 0
            && self.status >= 0
            && (texts.iter().any(|text| text.is_some())
                || self.manager_user_id.is_some()
                || self.custom_attributes.is_some())
    }
}

/// Returns the fields that the default map asks for.
fn fields() -> Result<Fields> {
    let spec = serde_json::from_value(json!({
        "mode": "Enforce",
        "bob": {"credentialsSecretRef": {"name": "bob"}},
        "provider": {"oneLogin": {"region": "US", "credentialsSecretRef": {"name": "onelogin"}}},
    }))?;
    let validated = validate(&spec, &AllowedEndpoints::default())
        .map_err(|stop| anyhow::anyhow!(stop.message))?;
    Ok(validated.settings.mapping.fields)
}

async fn bob_payload(scene: &Scene, fields: &Fields) -> Result<Vec<u8>> {
    let body = json!({"fields": fields.ids(), "showInactive": true, "humanReadable": "APPEND"});
    let request = reqwest::Client::new()
        .post(format!("{}/v1/people/search", scene.world.bob_url()))
        .basic_auth("SERVICE-1", Some("bob-token-1"));
    Ok(request.json(&body).send().await?.error_for_status()?.bytes().await?.to_vec())
}

async fn one_login_payload(scene: &Scene) -> Result<Vec<Vec<u8>>> {
    let base = scene.world.onelogin_url();
    let http = reqwest::Client::new();
    let token: Value = http
        .post(format!("{base}/auth/oauth2/v2/token"))
        .basic_auth("client-1", Some("secret-1"))
        .json(&json!({"grant_type": "client_credentials"}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let token = token["access_token"].as_str().context("a token")?;
    let fields = "id,external_id,email,username,firstname,lastname,phone,title,department,manager_user_id,status,custom_attributes";
    let mut pages = Vec::new();
    for page in 1.. {
        let url = format!("{base}/api/2/users?limit=100&page={page}&fields={fields}");
        let answer = http.get(url).bearer_auth(token).send().await?.error_for_status()?;
        let total: u32 = answer
            .headers()
            .get("total-pages")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .unwrap_or(0);
        pages.push(answer.bytes().await?.to_vec());
        if page >= total {
            break;
        }
    }
    Ok(pages)
}

//! Every request that the server answered, read from its audit log.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde::Deserialize;

/// The testbed's own requests, which show how far the log is; never among the results.
const PROBE: &str = "testbed-audit-probe-";
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// One answered request (a watch: one accepted request). Requests for something that is not
/// a resource, such as `/readyz`, have an empty `resource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, such as `employeesyncs`.
    pub resource: String,
    /// The subresource, such as `status`, or empty.
    pub subresource: String,
    /// Empty for a kind without a namespace, and for requests over all of them.
    pub namespace: String,
    /// Empty if the request names no object.
    pub name: String,
    /// The user, such as `admin` or `system:serviceaccount:people:bobsync`.
    pub user: String,
    /// The user agent.
    pub user_agent: String,
    /// The HTTP status of the answer.
    pub code: u16,
}

impl AuditEvent {
    /// Returns whether the request asked to change something, with success or without.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

/// The log file and the place up to which it has been read.
#[derive(Debug)]
pub(crate) struct AuditLog {
    path: PathBuf,
    mark: Mutex<u64>,
    probes: AtomicU64,
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, mark: Mutex::new(0), probes: AtomicU64::new(0) }
    }

    /// Forgets everything up to now.
    pub(crate) async fn mark(&self, client: Client) -> Result<()> {
        let (_, end) = self.caught_up(client, self.position()).await?;
        *self.mark.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = end;
        Ok(())
    }

    /// Returns everything since the mark, in the order of the answers.
    pub(crate) async fn events(&self, client: Client) -> Result<Vec<AuditEvent>> {
        let (text, _) = self.caught_up(client, self.position()).await?;
        parse(&text)
    }

    fn position(&self) -> u64 {
        *self.mark.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Returns the log from `start`, once it has everything that was answered before this call, and
    /// the position after it. The server writes an event a moment after the answer, so this sends a
    /// request of its own after the others and waits for its event.
    async fn caught_up(&self, client: Client, start: u64) -> Result<(String, u64)> {
        let probe = format!("{PROBE}{}", self.probes.fetch_add(1, Ordering::Relaxed));
        let needle = format!("\"name\":\"{probe}\"");
        Api::<ConfigMap>::namespaced(client, "default").get_opt(&probe).await?;
        let began = Instant::now();
        let (mut text, mut searched) = (Vec::new(), 0);
        loop {
            read_on(&self.path, start, &mut text)?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let fresh = std::str::from_utf8(&text[searched..whole])?;
            if fresh.contains(&needle) {
                text.truncate(whole);
                return Ok((String::from_utf8(text)?, start + whole as u64));
            }
            searched = whole;
            if began.elapsed() > WRITTEN_WITHIN {
                bail!("the audit log did not catch up within {WRITTEN_WITHIN:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Appends the text of the file after `start` and the text read so far.
fn read_on(path: &Path, start: u64, text: &mut Vec<u8>) -> Result<()> {
    let mut file =
        std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.seek(SeekFrom::Start(start + text.len() as u64))?;
    file.read_to_end(text)?;
    Ok(())
}

/// The fields of an `audit.k8s.io/v1` Event that are used here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
}

fn parse(text: &str) -> Result<Vec<AuditEvent>> {
    let mut events = Vec::new();
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).context("a line of the audit log")?;
        // A long-running request is logged twice. It counts when it begins, because its end may be
        // hours away. Every other request counts when it is answered.
        let counts = if line.verb == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        let ours = line.object_ref.name.starts_with(PROBE);
        // A refused watch has no beginning.
        let refused_watch = line.verb == "watch" && line.response_status.code >= 400;
        if ours || !(line.stage == counts || refused_watch) {
            continue;
        }
        events.push(AuditEvent {
            verb: line.verb,
            group: line.object_ref.api_group,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            user: line.user.username,
            user_agent: line.user_agent,
            code: line.response_status.code,
        });
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn line(stage: &str, verb: &str, code: u16) -> String {
        format!(
            r#"{{"stage":"{stage}","verb":"{verb}","user":{{"username":"u"}},"objectRef":{{"resource":"pods","name":"p"}},"responseStatus":{{"code":{code}}}}}"#
        )
    }

    #[test]
    fn a_watch_counts_once_and_when_it_begins() {
        let text = [line("ResponseStarted", "watch", 200), line("ResponseComplete", "watch", 200)]
            .join("\n");
        assert_eq!(parse(&text).expect("parses").len(), 1);
    }

    #[test]
    fn a_refused_watch_counts() {
        let events = parse(&line("ResponseComplete", "watch", 403)).expect("parses");
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].code, 403);
    }

    #[test]
    fn other_requests_count_when_they_are_answered() {
        let events = parse(&line("ResponseComplete", "patch", 200)).expect("parses");
        assert!(events[0].is_write());
        assert_eq!(
            (events[0].resource.as_str(), events[0].name.as_str(), events[0].code),
            ("pods", "p", 200)
        );
    }

    #[test]
    fn our_own_probes_are_left_out() {
        let text =
            line("ResponseComplete", "get", 404).replace("\"p\"", "\"testbed-audit-probe-7\"");
        assert!(parse(&text).expect("parses").is_empty());
    }
}

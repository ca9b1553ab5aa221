//! Recordings, as they were written down.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::member::Received;
use crate::support::caller::Caller;
use crate::support::world::World;

/// One exchange.
pub(super) struct Recording {
    pub(super) file: String,
    /// From `upstream/`: with what the member received, and without the member's body.
    pub(super) upstream: bool,
    caller: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    pub(super) received: Option<Received>,
    pub(super) answer: Answer,
    pub(super) answered_by_member: bool,
}

/// An answer; names in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    /// All values of a header; ids that nobody can foresee are `<uuid>`.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let named = self.headers.iter().filter(|(own, _)| own == name);
        named
            .map(
                |(_, value)| {
                    if uuid::Uuid::parse_str(value).is_ok() { "<uuid>".to_owned() } else { value.clone() }
                },
            )
            .collect()
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// All recordings that need the whole server.
pub(super) fn all() -> Vec<Recording> {
    let mut all = Vec::new();
    for (name, upstream) in [("transcripts", false), ("upstream", true)] {
        let mut folders = vec![directory(name)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let recording = read(&path, upstream);
                all.extend(recording.needs_server().then_some(recording));
            }
        }
    }
    all.sort_by(|one, other| one.file.cmp(&other.file));
    all
}

fn read(path: &Path, upstream: bool) -> Recording {
    let bytes = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let mark = if upstream { "# the caller got\n" } else { "# curl exit 0\n" };
    let (asked, answered) = text.split_once(mark).unwrap();
    let (asked, received) = match asked.split_once("# the member received\n") {
        Some((asked, received)) => (asked, Some(read_received(received))),
        None => (asked, None),
    };
    let caller = asked.lines().next().unwrap().trim_start_matches("# caller: ").to_owned();
    let mut lines = asked
        .lines()
        .filter_map(|line| line.strip_prefix('>'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let headers = lines.by_ref().take_while(|line| !line.is_empty()).filter_map(header).collect();
    let body = lines.next().map(str::to_owned);
    let answer = read_answer(answered);
    let own = answer.headers.iter().filter(|(name, _)| name == "audit-id").count() == 1
        && answer.body.contains("\"kind\": \"Status\"");
    Recording {
        file: path.file_name().unwrap().to_str().unwrap().to_owned(),
        upstream,
        caller,
        method: method.to_owned(),
        path: target.replace('…', "/apis/cluster.core.oam.dev/v1alpha1"),
        headers,
        body,
        received,
        answered_by_member: !own && answer.status != 301,
        answer,
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

fn read_received(text: &str) -> Received {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let mut line = lines.next().unwrap().split(' ');
    Received {
        method: line.next().unwrap().to_owned(),
        target: line.next().unwrap().to_owned(),
        headers: lines.filter_map(header).collect(),
        body: body.trim_end_matches('\n').to_owned(),
    }
}

fn read_answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
}

impl Recording {
    /// The rest is replayed by the unit tests of `api`.
    fn needs_server(&self) -> bool {
        let open = ["/healthz", "/livez", "/readyz"].contains(&self.path.as_str());
        self.path.contains("/proxy") || !(self.caller.starts_with("admin") || open)
    }

    /// Whether the answer is a failure of the gateway's own.
    pub(super) fn is_own_status(&self) -> bool {
        !self.answered_by_member && self.answer.body.starts_with('{')
    }

    /// What the member said: of what came twice the second, and nothing that belongs to one connection.
    pub(super) fn member_answer(&self) -> Answer {
        if !self.answered_by_member {
            return Answer { status: 200, ..Answer::default() };
        }
        let mut answer = self.answer.clone();
        let twice = |name: &str| self.answer.all(name).len() == 2;
        let from_gateway =
            |name: &str| ["audit-id", "cache-control"].contains(&name) && !twice(name) && !self.upstream;
        let mut seen = std::collections::BTreeSet::new();
        answer.headers.retain(|(name, _)| {
            let first_of_two = twice(name) && seen.insert(name.clone());
            !first_of_two && !from_gateway(name) && !["content-length", "date"].contains(&name.as_str())
        });
        answer
    }

    fn caller(&self, world: &World) -> Caller {
        if self.caller.starts_with("nobody") {
            return world.nobody();
        }
        let (name, rest) = self.caller.split_once(' ').unwrap();
        let groups = rest.split([']', ')']).next().unwrap().trim_start_matches(['[', '(']);
        let caller = world.user(name, &groups.split(", ").collect::<Vec<_>>());
        match rest.split_once("X-Remote-Uid: ") {
            Some((_, uid)) => caller.header("x-remote-uid", uid),
            None => caller,
        }
    }

    /// Sends what curl sent, byte for byte but for the host.
    pub(super) async fn replay(&self, world: &World) -> Answer {
        let caller = self.caller(world);
        let mut head = caller.head(&format!("{} {} HTTP/1.1", self.method, self.path));
        let given = |name: &str| self.headers.iter().any(|(own, _)| own == name);
        if !given("user-agent") {
            head.push_str("user-agent: curl/7.88.1\r\n");
        }
        head.push_str("accept: */*\r\n");
        for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_empty()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let chunked = given("transfer-encoding");
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() && !given("content-type") {
            head.push_str("content-type: application/x-www-form-urlencoded\r\n");
        }
        if self.body.is_some() && !chunked {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        let body = if chunked { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body.to_owned() };
        let mut stream = caller.connect().await;
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        read_from(&mut stream).await
    }
}

/// Reads one answer with a `Content-Length`, behind whatever is informational.
async fn read_from(stream: &mut (impl AsyncReadExt + Unpin)) -> Answer {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        let mut answer = read_answer(&String::from_utf8(head).unwrap().replace("\r\n", "\n"));
        if answer.status < 200 {
            continue;
        }
        let length = answer.all("content-length").first().map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
        return answer;
    }
}

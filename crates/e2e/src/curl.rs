//! Single requests by curl, for what kubectl would not send or would not show.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::access::{Access, Credential};
use crate::process;
use crate::running::Running;

const TIMEOUT: Duration = Duration::from_secs(30);

/// One request, being put together.
#[derive(Clone, Debug)]
pub struct Curl {
    args: Vec<String>,
    timeout: Duration,
    // The files that the arguments name live as long as this.
    _access: Access,
}

impl Curl {
    pub(crate) fn new(access: &Access, method: &str, path: &str) -> Self {
        let url = format!("{}{path}", access.server());
        let mut curl = Self { args: Vec::new(), timeout: TIMEOUT, _access: access.clone() };
        // --path-as-is: what a test writes is what is sent, dots included.
        curl = curl.args(["--silent", "--show-error", "--noproxy", "*", "--path-as-is", "--globoff"]);
        curl = curl.args(["--cacert", &access.ca_file().to_string_lossy(), "--request", method, "--url", &url]);
        match (access.credential(), access.identity_files()) {
            (Credential::Token(token), _) => curl.header(&format!("Authorization: Bearer {token}")),
            (_, Some((certificate, key))) => {
                curl.args(["--cert", &certificate.to_string_lossy(), "--key", &key.to_string_lossy()])
            }
            (_, None) => curl,
        }
    }

    /// Adds arguments of curl's own.
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds a header, as `Name: value`.
    pub fn header(self, header: &str) -> Self {
        self.args(["--header", header])
    }

    /// Sends a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", &body.to_string())
    }

    /// Sends a body.
    pub fn body(self, content_type: &str, body: &str) -> Self {
        self.header(&format!("Content-Type: {content_type}")).args(["--data-binary", body])
    }

    /// Allows more (or less) than half a minute.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends the request and reads the whole response; no response at all is an error.
    pub fn send(self) -> Result<Response> {
        let timeout = self.timeout;
        let output = self.args(["--write-out", "\n%{response_code} %{content_type}"]).spawn()?.finish(timeout)?;
        let text = output.success()?;
        let (body, trailer) = text.rsplit_once('\n').context("curl wrote no trailer")?;
        let (code, content_type) = trailer.split_once(' ').context("curl wrote half a trailer")?;
        let code = code.parse().with_context(|| format!("a status code: {code:?}"))?;
        Ok(Response { code, content_type: content_type.to_owned(), body: body.to_owned() })
    }

    /// Sends the request and leaves it running: for watches.
    pub fn spawn(self) -> Result<Running> {
        let mut command = process::command("curl");
        command.args(["--no-buffer"]).args(self.args);
        Running::start(command)
    }
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub code: u16,
    /// The content type, as sent.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Response {
    /// The body of a response with this status code; any other is an error that shows it.
    pub fn expect(self, code: u16) -> Result<String> {
        ensure!(self.code == code, "expected {code}: {self:?}");
        Ok(self.body)
    }

    /// The body of a response with this status code, as JSON.
    pub fn json(self, code: u16) -> Result<Value> {
        let body = self.expect(code)?;
        serde_json::from_str(&body).with_context(|| format!("not JSON: {body}"))
    }

    /// The `message` of the Status that has this code, both in its head and in its body.
    pub fn status_message(self, code: u16) -> Result<String> {
        let status = self.json(code)?;
        ensure!(status["kind"] == "Status" && status["code"] == code, "not a Status {code}: {status}");
        status["message"].as_str().map(str::to_owned).with_context(|| format!("no message: {status}"))
    }
}

//! Asking an API over HTTP until it answers, or until there is no time left.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use contract::redact;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::HeaderMap;
use ureq::{Agent, Body, RequestBuilder, http};

use crate::trail::Trail;

/// For one answer, its body included; less where there is less time, but enough for one try.
const PATIENCE: Duration = Duration::from_secs(30);
const ONE_TRY: Duration = Duration::from_secs(10);
/// The first pause is a random part of this, each later one of twice as much ("full jitter"), up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// No answer of an API is larger, in bytes.
const LARGEST: u64 = 64 << 20;
const BUSY: &str = "the API has had too many requests";

/// An API, and the right to use it.
#[derive(Clone)]
pub(crate) struct Access {
    agent: Agent,
    base: String,
    token: String,
    /// What comes with every request, beside the token.
    headers: &'static [(&'static str, &'static str)],
}

/// The same, with patience.
pub(crate) struct Api<'t> {
    pub(crate) access: Access,
    trail: &'t Trail,
    deadline: Cell<Instant>,
}

/// What changes something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    Post,
    Patch,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The API says no: status and what it says.
    Refused(u16, String),
    /// It could not be asked, and the time is over.
    Unseen(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(status, text) => write!(f, "{status}: {text}"),
            Self::Unseen(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

/// What came instead of an answer.
enum Missed {
    Refused(u16, String),
    /// It may go better next time; after so long, if the API says so.
    Again(String, Option<Duration>),
}

impl Access {
    /// Asks for something to be done, and does not insist.
    ///
    /// # Errors
    /// The API refuses, or does not answer at once.
    pub(crate) fn try_once(&self, method: Method, path: &str, body: &str) -> Result<(), Failure> {
        match read(self.send(method, path, body, ONE_TRY)) {
            Ok(_) => Ok(()),
            Err(Missed::Refused(status, text)) => Err(Failure::Refused(status, text)),
            Err(Missed::Again(why, _)) => Err(Failure::Unseen(why)),
        }
    }

    fn get(&self, path: &str, patience: Duration) -> Result<http::Response<Body>, ureq::Error> {
        self.authorized(in_time(self.agent.get(format!("{}{path}", self.base)), patience)).call()
    }

    fn send(&self, method: Method, path: &str, body: &str, patience: Duration) -> Result<http::Response<Body>, ureq::Error> {
        let url = format!("{}{path}", self.base);
        let request = match method {
            Method::Post => self.agent.post(url),
            Method::Patch => self.agent.patch(url),
        };
        self.authorized(in_time(request, patience)).content_type("application/json").send(body)
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        // What has moved is asked for where it is now by whoever knows that it is the same: a redirected POST becomes a GET.
        let request = request.config().max_redirects(0).build().header("authorization", format!("Bearer {}", self.token));
        self.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }
}

fn in_time<B>(request: RequestBuilder<B>, patience: Duration) -> RequestBuilder<B> {
    request.config().timeout_global(Some(patience.clamp(ONE_TRY, PATIENCE))).build()
}

impl<'t> Api<'t> {
    pub(crate) fn new(base: &str, token: String, trail: &'t Trail, deadline: Instant) -> Self {
        let access = Access { agent: agent(), base: base.to_owned(), token, headers: &[] };
        Self { access, trail, deadline: Cell::new(deadline) }
    }

    /// The same with headers that the API asks for.
    pub(crate) fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { access: Access { headers, ..self.access }, ..self }
    }

    /// From here on there is time until then.
    pub(crate) fn until(&self, deadline: Instant) {
        self.deadline.set(deadline);
    }

    fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Asks for what is at a path, again and again while there is none to blame but the network, the load or the clock.
    ///
    /// # Errors
    /// The API refuses, or the time is over.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let bytes = self.patiently(|| self.access.get(path, self.left()))?;
        read_as(path, &bytes)
    }

    /// Asks for something that may be asked for twice, as [`Api::get`] does.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub(crate) fn insist(&self, method: Method, path: &str, body: &str) -> Result<(), Failure> {
        self.patiently(|| self.access.send(method, path, body, self.left())).map(drop)
    }

    /// Asks for something to be done, once: whether it was where no answer came is for the caller to find out.
    ///
    /// # Errors
    /// The API refuses, or does not answer.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &str) -> Result<T, Failure> {
        loop {
            match read(self.access.send(Method::Post, path, body, self.left())) {
                // It was done, whatever is said of it.
                Ok(bytes) => return read_as(path, &bytes).map_err(|e| Failure::Unseen(e.to_string())),
                Err(Missed::Refused(status, text)) => return Err(Failure::Refused(status, text)),
                // Too many requests are refused before anything is done.
                Err(Missed::Again(why, Some(pause))) if why == BUSY && Instant::now() + pause < self.deadline() => thread::sleep(pause),
                Err(Missed::Again(why, _)) => return Err(Failure::Unseen(why)),
            }
        }
    }

    /// What is behind a URL that is signed itself: whoever sends the token along is refused, and has told it to somebody.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub(crate) fn signed(&self, url: &str) -> Result<Vec<u8>, Failure> {
        self.patiently(|| in_time(self.access.agent.get(url), self.left()).call())
    }

    fn left(&self) -> Duration {
        self.deadline().saturating_duration_since(Instant::now())
    }

    fn patiently(&self, ask: impl Fn() -> Result<http::Response<Body>, ureq::Error>) -> Result<Vec<u8>, Failure> {
        let mut tries = 0;
        loop {
            let (why, asked_for) = match read(ask()) {
                Ok(bytes) => return Ok(bytes),
                Err(Missed::Refused(status, text)) => return Err(Failure::Refused(status, text)),
                Err(Missed::Again(why, after)) => (why, after),
            };
            let pause = asked_for.unwrap_or_else(|| pause(tries));
            tries += 1;
            if Instant::now() + pause >= self.deadline() {
                return Err(Failure::Unseen(why));
            }
            self.trail.say(&format!("{}: {why}; trying again in {} s", self.access.base, pause.as_secs_f32().ceil()));
            thread::sleep(pause);
        }
    }
}

/// Where an API is, as somebody says it.
///
/// # Errors
/// The token would go there in plain text.
pub(crate) fn base(url: &str) -> anyhow::Result<String> {
    let base = url.trim_end_matches('/').to_owned();
    let is_loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .any(|start| base.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])));
    anyhow::ensure!(
        base.starts_with("https://") || is_loopback && !base.contains('@'),
        "it is no https:// URL, and the token would go there in plain text"
    );
    Ok(base)
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        // The body of a refusal says why.
        .http_status_as_error(false)
        .user_agent(concat!("mendline-deploy-watch/", env!("CARGO_PKG_VERSION")));
    config.build().new_agent()
}

fn read(answer: Result<http::Response<Body>, ureq::Error>) -> Result<Vec<u8>, Missed> {
    let mut answer = answer.map_err(|e| missed(&e))?;
    let (status, after) = (answer.status().as_u16(), asked_for(answer.headers()));
    let to = answer.headers().get("location").and_then(|to| to.to_str().ok()).map(redact::excerpt);
    // A body that is cut off is an error of the reader.
    let body = answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|e| missed(&e))?;
    match status {
        200..300 => Ok(body),
        300..400 => Err(Missed::Refused(status, format!("it has moved{}", to.map_or_else(String::new, |to| format!(" to {to}"))))),
        429 => Err(Missed::Again(BUSY.to_owned(), after)),
        // GitHub's limits ("Rate limits for the REST API"); a refusal does not say when to come back.
        403 if after.is_some() => Err(Missed::Again(BUSY.to_owned(), after)),
        408 | 500.. => Err(Missed::Again(format!("the API answers {status}: {}", message(&body)), after)),
        _ => Err(Missed::Refused(status, message(&body))),
    }
}

fn read_as<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|e| Failure::Refused(200, format!("the answer to {path} is not what it should be: {e}")))
}

fn missed(e: &ureq::Error) -> Missed {
    let why = redact::excerpt(&format!("the API cannot be reached: {e}"));
    match e {
        ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl | ureq::Error::BodyExceedsLimit(_) => Missed::Refused(0, why),
        _ => Missed::Again(why, None),
    }
}

/// "Error" of DigitalOcean's API, and of GitHub's.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

fn message(body: &[u8]) -> String {
    let refusal: Option<Refusal> = serde_json::from_slice(body).ok();
    redact::excerpt(
        &refusal.map_or_else(|| String::from_utf8_lossy(body).lines().next().unwrap_or_default().to_owned(), |said| said.message),
    )
}

/// How long the API wants us to wait: `retry-after` in seconds (RFC 9110, 10.2.3), else until `ratelimit-reset`, in seconds since the epoch.
fn asked_for(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds).max(SHORTEST));
    }
    let is_spent = number("ratelimit-remaining").or_else(|| number("x-ratelimit-remaining")) == Some(0);
    let reset = number("ratelimit-reset").or_else(|| number("x-ratelimit-reset")).filter(|_| is_spent)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Duration::from_secs(reset).checked_sub(now)
}

/// How long to wait after so many tries: a random part, so that many who were refused at once do not come back at once.
pub(crate) fn pause(tries: u32) -> Duration {
    let most = SHORTEST.saturating_mul(2u32.saturating_pow(tries)).min(LONGEST);
    let random = RandomState::new().hash_one(0) % 1000;
    most.mul_f64(0.001 + f64::from(u32::try_from(random).unwrap_or(0)) / 1000.0)
}

/// The first of some variables that is set.
///
/// # Errors
/// None is.
pub(crate) fn token(names: &[&str]) -> anyhow::Result<String> {
    let mut values = names.iter().filter_map(|name| std::env::var(name).ok());
    let token = values.find(|value| !value.trim().is_empty()).map(|value| value.trim().to_owned()).with_context(|| {
        let (last, others) = names.split_last().unwrap_or((&"", &[]));
        format!("no token: set {} or {last}", others.join(", "))
    })?;
    anyhow::ensure!(token.bytes().all(|byte| byte.is_ascii_graphic()), "the token has characters that no token has; is it more than one?");
    Ok(token)
}

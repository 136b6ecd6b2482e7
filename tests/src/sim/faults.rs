//! What can go wrong with a request, how often in a run, and what the caller then gets to see. Adding a fault
//! is a variant here, its name, and its odds.

use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::result::ConnectorError;
use axum::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use fastrand::Rng;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;

use super::turnstile::Answer;

/// How long a client waits before it calls a request timed out.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It takes effect, and its answer arrives.
    None,
    /// The caller learns that it failed. Whether it did is another matter.
    Fails(Failure, Effect),
    /// It takes effect, but the answer is on its way for so long.
    Slow(Duration),
    /// It takes effect, but the answer's body is not what was sent.
    Answer(Damage),
    /// Its body is not what the caller sent.
    Request,
}

/// What the caller gets in place of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// 503 SlowDown
    SlowDown,
    /// 500 InternalError
    Internal,
    /// 403 AccessDenied
    Forbidden,
    /// The connection ends.
    Reset,
    /// The client's patience ends.
    Timeout,
    /// Nothing, ever.
    Silence,
    /// Its own end.
    Killed,
}

/// Whether a failed request took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Never,
    Now,
    /// It is still on its way, and arrives after others that were sent later.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The connection ends in the middle.
    Cut,
    /// It ends in the middle as if it were whole.
    Short,
    /// One bit is another. Only where the answer has a checksum by which the client can tell.
    Flipped,
}

impl Fault {
    /// For the log and the figures.
    pub fn name(self) -> String {
        match self {
            Self::None => "ok".to_owned(),
            Self::Slow(_) => "slow answer".to_owned(),
            Self::Request => "corrupted request".to_owned(),
            Self::Answer(Damage::Cut) => "answer cut off".to_owned(),
            Self::Answer(Damage::Short) => "short answer".to_owned(),
            Self::Answer(Damage::Flipped) => "corrupted answer".to_owned(),
            Self::Fails(failure, effect) => {
                let failure = match failure {
                    Failure::SlowDown => "503 SlowDown",
                    Failure::Internal => "500",
                    Failure::Forbidden => "403",
                    Failure::Reset => "reset",
                    Failure::Timeout => "timeout",
                    Failure::Silence => "no answer",
                    Failure::Killed => "KILLED",
                };
                match effect {
                    Effect::Never => failure.to_owned(),
                    Effect::Now => format!("{failure}, yet done"),
                    Effect::Later => format!("{failure}, done later"),
                }
            }
        }
    }

    /// Whether the request reaches S3 or SQS at its turn.
    pub fn takes_effect(self) -> bool {
        !matches!(self, Self::Fails(_, Effect::Never | Effect::Later))
    }
}

/// Which faults a run has, and how often. Runs differ: in some nearly everything fails, in others one kind of
/// fault is met again and again, which finds more than a little of everything. By default, none has any.
#[derive(Debug, Clone, Default)]
pub struct Odds {
    /// Of a request, percent.
    fault_percent: u32,
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SlowDown,
    Internal,
    Reset,
    Timeout,
    Silence,
    Kill,
    Slow,
    Damage,
    Request,
}

const KINDS: [Kind; 9] = [
    Kind::SlowDown,
    Kind::Internal,
    Kind::Reset,
    Kind::Timeout,
    Kind::Silence,
    Kind::Kill,
    Kind::Slow,
    Kind::Damage,
    Kind::Request,
];

impl Odds {
    pub fn draw(rng: &mut Rng) -> Self {
        let fault_percent = *pick(rng, &[0, 5, 10, 20, 40]);
        let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|_| rng.bool()).collect();
        if kinds.is_empty() {
            kinds.push(*pick(rng, &KINDS));
        }
        Self { fault_percent, kinds }
    }

    /// What becomes of this request.
    pub fn fault(&self, rng: &mut Rng, request: &Request<Bytes>) -> Fault {
        if self.kinds.is_empty() || rng.u32(0..100) >= self.fault_percent {
            return Fault::None;
        }
        let effect = *pick(rng, &[Effect::Never, Effect::Now, Effect::Now, Effect::Later]);
        match pick(rng, &self.kinds) {
            Kind::SlowDown => Fault::Fails(Failure::SlowDown, Effect::Never),
            Kind::Internal => Fault::Fails(Failure::Internal, *pick(rng, &[Effect::Never, Effect::Now])),
            Kind::Reset => Fault::Fails(Failure::Reset, effect),
            Kind::Timeout => Fault::Fails(Failure::Timeout, effect),
            Kind::Silence => Fault::Fails(Failure::Silence, effect),
            Kind::Kill => Fault::Fails(Failure::Killed, effect),
            Kind::Slow => Fault::Slow(Duration::from_millis(rng.u64(2..20_000))),
            Kind::Damage => Fault::Answer(*pick(rng, &[Damage::Cut, Damage::Short, Damage::Flipped])),
            Kind::Request if request.method() == Method::PUT && !request.body().is_empty() => Fault::Request,
            Kind::Request => Fault::None,
        }
    }
}

pub fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(0..from.len())]
}

impl Failure {
    /// What the caller gets to see of a request of this method, where it gets anything.
    pub fn answer(self, method: &Method) -> Option<Answer> {
        match self {
            Self::SlowDown => Some(refused(method, StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
            Self::Internal => Some(refused(method, StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
            Self::Forbidden => Some(refused(method, StatusCode::FORBIDDEN, "AccessDenied")),
            Self::Reset => Some(reset()),
            Self::Timeout => Some(Err(ConnectorError::timeout("timed out by the simulator".into()))),
            Self::Silence | Self::Killed => None,
        }
    }
}

fn reset() -> Answer {
    Err(ConnectorError::io("connection reset by the simulator".into()))
}

/// As S3 words it; SQS's errors are known by their status.
fn refused(method: &Method, status: StatusCode, code: &str) -> Answer {
    let body = match *method {
        Method::HEAD => String::new(),
        _ => format!("<Error><Code>{code}</Code><Message>By the simulator.</Message></Error>"),
    };
    let mut response = Response::new(SdkBody::from(body));
    *response.status_mut() = status;
    Ok(response)
}

/// An answer as it was sent, or damaged on its way.
pub fn delivered(response: Response<Bytes>, damage: Option<Damage>) -> Answer {
    let has_checksum = response.headers().keys().any(|name| name.as_str().starts_with("x-amz-checksum-"));
    let (parts, body) = response.into_parts();
    let half = body.slice(..body.len() / 2);
    let body = match damage {
        None => SdkBody::from(body),
        Some(_) if body.is_empty() => return reset(),
        Some(Damage::Cut) => pieces(vec![Ok(half), Err("connection reset in the middle of a body".into())]),
        Some(Damage::Short) => pieces(vec![Ok(half)]),
        Some(Damage::Flipped) if has_checksum => SdkBody::from(flipped(&body)),
        Some(Damage::Flipped) => SdkBody::from(body),
    };
    Ok(Response::from_parts(parts, body))
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn pieces(pieces: Vec<Result<Bytes, BoxError>>) -> SdkBody {
    let frames = pieces.into_iter().map(|piece| piece.map(Frame::data));
    SdkBody::from_body_1_x(StreamBody::new(stream::iter(frames)))
}

/// With one bit in the middle another.
pub fn flipped(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x10;
    }
    bytes.into()
}

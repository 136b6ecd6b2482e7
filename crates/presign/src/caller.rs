//! Who calls: the subject that the gateway's authorizer has verified, or else the one of a token verified
//! here. Never trusts a header by itself, and never logs one.

use contract::{KeySecrets, UploadKey};
use lambda_http::http::header::AUTHORIZATION;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

use crate::problem::Problem;
use crate::token::{Refusal, Verifier};

/// Whoever calls, as far as it is known.
#[derive(Debug, PartialEq, Eq)]
pub enum Caller {
    /// By the `sub` of a verified token.
    Known(String),
    /// Without a token, where the deployment allows it.
    Anonymous,
}

impl Caller {
    /// The owner that keys are bound to. No token's subject is empty, so nobody else is this one.
    pub fn owner(&self) -> &str {
        match self {
            Self::Known(sub) => sub,
            Self::Anonymous => "",
        }
    }

    /// The upload of this key, where it is the caller's: told by the key alone, without a call to S3.
    pub fn upload(&self, key: &str, secrets: &KeySecrets) -> Result<UploadKey, Problem> {
        let upload = UploadKey::parse(key).filter(|upload| upload.is_owned_by(secrets, self.owner()));
        upload.ok_or_else(Problem::no_such_upload)
    }
}

pub async fn identify(
    request: &Request,
    verifier: Option<&Verifier>,
    allow_anonymous: bool,
) -> Result<Caller, Problem> {
    if let Some(sub) = verified_by_gateway(request) {
        return Ok(Caller::Known(sub));
    }
    match (bearer(request), verifier) {
        (Some(token), Some(verifier)) => match verifier.sub(token).await {
            Ok(sub) => Ok(Caller::Known(sub)),
            Err(Refusal::Invalid(reason)) => Err(Problem::unauthorized(reason)),
            Err(Refusal::Unavailable) => Err(Problem::internal()),
        },
        _ if allow_anonymous => Ok(Caller::Anonymous),
        _ => Err(Problem::unauthorized("A valid token is needed, as `Authorization: Bearer ...`.")),
    }
}

fn verified_by_gateway(request: &Request) -> Option<String> {
    let context = request.request_context_ref()?;
    let authorizer = context.authorizer()?;
    let sub = match context {
        // HTTP API: requestContext.authorizer.jwt.claims
        RequestContext::ApiGatewayV2(_) => authorizer.jwt.as_ref()?.claims.get("sub").cloned(),
        // REST API: requestContext.authorizer.claims
        RequestContext::ApiGatewayV1(_) => {
            authorizer.fields.get("claims")?.get("sub")?.as_str().map(str::to_owned)
        }
        _ => None,
    };
    sub.filter(|sub| !sub.trim().is_empty())
}

/// The scheme's name is not case-sensitive. RFC 9110, 11.1.
fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

//! Who calls: the subject that the gateway's authorizer has verified. Never reads a token itself, and
//! never trusts a header.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};

/// The caller's `sub`; `None` when nobody has verified one.
pub fn sub(request: &Request) -> Option<String> {
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

//! Presign as a process: settings, client, runtime. No decisions.

use std::convert::Infallible;

use lambda_http::{Request, service_fn};

use crate::{Config, Presign};

/// Serves Lambda's Runtime API until the process is told to end.
///
/// # Errors
/// A bad setting, by name, or no credentials.
pub async fn serve() -> Result<(), lambda_http::Error> {
    telemetry::init();
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let config = Config::load(&aws).await.map_err(|error| error.to_string())?; // told in words, not as a struct
    let credentials = aws.credentials_provider().ok_or("no credentials are configured")?;
    let presign = Presign::new(config, aws_sdk_s3::Client::new(&aws), credentials);
    let presign = &presign;
    lambda_http::run(service_fn(move |request: Request| async move {
        Ok::<_, Infallible>(presign.handle(request).await)
    }))
    .await
}

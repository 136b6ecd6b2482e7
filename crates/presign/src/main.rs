//! The presign function's binary: settings, client, runtime. No decisions.

use std::convert::Infallible;

use lambda_http::{Request, service_fn};
use presign::{Config, Presign};

// One request at a time is all that Lambda hands over: a second thread would only have to be woken.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
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

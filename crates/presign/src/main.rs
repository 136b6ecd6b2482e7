//! The presign function's binary: settings, client, runtime. No decisions.

use std::convert::Infallible;

use lambda_http::{Request, service_fn, tracing};
use presign::{Config, Presign};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    tracing::init_default_subscriber();
    let config = Config::from_env().map_err(|error| error.to_string())?; // told in words, not as a struct
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let presign = Presign::new(config, aws_sdk_s3::Client::new(&aws));
    let presign = &presign;
    lambda_http::run(service_fn(move |request: Request| async move {
        Ok::<_, Infallible>(presign.handle(request).await)
    }))
    .await
}

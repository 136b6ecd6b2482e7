//! The worker function's binary: settings, client, runtime. No decisions.

use lambda_runtime::{LambdaEvent, service_fn};
use worker::{Config, Worker};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    let config = Config::from_env().map_err(|error| error.to_string())?; // told in words, not as a struct
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let worker = Worker::new(config, aws_sdk_s3::Client::new(&aws));
    let worker = &worker;
    let handle =
        async move |event: LambdaEvent<_>| worker.handle(event).await.map_err(lambda_runtime::Error::from);
    lambda_runtime::run(service_fn(handle)).await
}

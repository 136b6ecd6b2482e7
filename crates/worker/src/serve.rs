//! The worker as a process: settings, clients, and either Lambda's runtime or the poller. No decisions.

use lambda_runtime::{Error, LambdaEvent, service_fn};

use crate::poller::{Poller, stop_signal};
use crate::{Clients, Config, Worker};

/// Serves Lambda's Runtime API, or polls the queue where there is none, until the process is told to end.
///
/// # Errors
/// A bad setting, by name, or no credentials.
pub async fn serve() -> Result<(), Error> {
    telemetry::init();
    let config = Config::from_env().map_err(|error| error.to_string())?; // told in words, not as a struct
    let (is_lambda, health_port) = (config.is_lambda, config.health_port);
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let clients = Clients::new(&aws, &config);
    let worker = Worker::new(config, clients);
    if is_lambda {
        return serve_lambda(worker).await;
    }
    let stop = stop_signal()?;
    let poller = Poller::new(worker).ok_or("QUEUE_URL: is not set, and this is not Lambda")?;
    tracing::info!("polls the queue");
    poller.run(stop, health_port).await;
    Ok(())
}

async fn serve_lambda(worker: Worker) -> Result<(), Error> {
    let worker = &worker;
    let handle = async move |event: LambdaEvent<_>| worker.handle(event).await.map_err(Error::from);
    lambda_runtime::run(service_fn(handle)).await
}

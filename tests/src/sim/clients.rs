//! The real AWS clients of the worker and of the operator's commands, made as they make them, but for the
//! network, chance and time, which are the simulator's.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedAsyncSleep, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime::client::retries::RetryPartition;
use darkroom::local::queue::Role;
use darkroom::local::sqs;
use darkroom::operate::{self, Pace, Place};
use worker::clients::Clients;

use super::turnstile::Gate;
use super::world::{BUCKET, ENDPOINT, KEY};

/// For the worker.
pub fn of_worker(gate: Gate, signs_at: impl TimeSource + 'static, config: &worker::Config) -> Clients {
    let clients = Clients::new(&settings(gate, signs_at), config);
    let sqs = clients.sqs.map(|sqs| {
        let own = sqs.config().to_builder().retry_partition(own_retries()).build();
        aws_sdk_sqs::Client::from_conf(own)
    });
    Clients { s3: s3(clients.s3.config().to_builder()), sqs, ..clients }
}

/// For the operator's commands.
pub fn of_operator(gate: Gate, signs_at: impl TimeSource + 'static) -> Place {
    let aws = operate::patient(&settings(gate, signs_at));
    let sqs = aws_sdk_sqs::config::Builder::from(&aws).retry_partition(own_retries()).build();
    let sqs = aws_sdk_sqs::Client::from_conf(sqs);
    let queue = |role| operate::Queue::new(sqs.clone(), sqs::queue_url(ENDPOINT, role), Pace::FREE);
    Place {
        name: "the simulator".to_owned(),
        bucket: operate::Bucket::new(s3(aws_sdk_s3::config::Builder::from(&aws)), BUCKET, Pace::FREE),
        queue: Some(queue(Role::Source)),
        dead_letters: Some(queue(Role::DeadLetters)),
    }
}

fn settings(gate: Gate, signs_at: impl TimeSource + 'static) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(ENDPOINT)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(KEY, KEY, None, None, KEY)))
        .http_client(gate)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(signs_at)
        .build()
}

fn s3(config: aws_sdk_s3::config::Builder) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).retry_partition(own_retries()).build())
}

/// By default, all clients of a process share what they may spend on retries.
fn own_retries() -> RetryPartition {
    RetryPartition::custom("simulator").build()
}

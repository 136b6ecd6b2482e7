//! The clients of AWS that a worker has: the bucket's always, the others only where the settings name what they
//! are for. Hands each to the one module that may use it.

use aws_config::SdkConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use std::time::Duration;

use crate::cdn::Cdn;
use crate::config::Config;
use crate::queue::Queue;
use crate::store::Store;
use crate::tell::Tell;

/// How long one try of one request may take until its answer begins: a body may take longer, as long as it
/// moves.
const TRY_TIME: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Clients {
    pub s3: aws_sdk_s3::Client,
    pub sqs: Option<aws_sdk_sqs::Client>,
    pub sns: Option<aws_sdk_sns::Client>,
    pub eventbridge: Option<aws_sdk_eventbridge::Client>,
    pub cloudfront: Option<aws_sdk_cloudfront::Client>,
}

/// What the worker is made of.
pub(crate) struct Services {
    pub(crate) store: Store,
    pub(crate) queue: Option<Queue>,
    pub(crate) tell: Tell,
    pub(crate) cdn: Cdn,
}

impl Clients {
    /// Those that the settings ask for: a client costs time at the start.
    pub fn new(aws: &SdkConfig, config: &Config) -> Self {
        let limits = TimeoutConfig::builder().operation_attempt_timeout(TRY_TIME).build();
        let aws = aws.to_builder().timeout_config(limits).build();
        Self {
            s3: aws_sdk_s3::Client::new(&aws),
            sqs: config.queue_url.is_some().then(|| aws_sdk_sqs::Client::new(&aws)),
            sns: config.event_topic_arn.is_some().then(|| aws_sdk_sns::Client::new(&aws)),
            eventbridge: config.event_bus.is_some().then(|| aws_sdk_eventbridge::Client::new(&aws)),
            cloudfront: config.distribution_id.is_some().then(|| aws_sdk_cloudfront::Client::new(&aws)),
        }
    }

    pub(crate) fn services(self, config: &Config) -> Services {
        Services {
            store: Store::new(self.s3, &config.bucket),
            queue: self.sqs.zip(config.queue_url.clone()).map(|(client, url)| Queue::new(client, url)),
            tell: Tell {
                bucket: config.bucket.clone(),
                topic: self.sns.zip(config.event_topic_arn.clone()),
                bus: self.eventbridge.zip(config.event_bus.clone()),
            },
            cdn: Cdn(self.cloudfront.zip(config.distribution_id.clone())),
        }
    }
}

/// The bucket alone.
impl From<aws_sdk_s3::Client> for Clients {
    fn from(s3: aws_sdk_s3::Client) -> Self {
        Self { s3, sqs: None, sns: None, eventbridge: None, cloudfront: None }
    }
}

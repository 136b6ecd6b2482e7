//! The worker's binary. No decisions.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    worker::serve().await
}

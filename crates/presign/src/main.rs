//! The presign function's binary. No decisions.

// One request at a time is all that Lambda hands over: a second thread would only have to be woken.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    presign::serve().await
}

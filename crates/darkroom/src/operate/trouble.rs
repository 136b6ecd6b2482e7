//! What went wrong, for the person at the terminal: one line that names what could not be done, why, and
//! the way out where there is one. Owns the wording; decides nothing but when to give up.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use worker::store::StoreError;

/// Failures in a row after which it is not the objects that are at fault.
const MAX_IN_A_ROW: u32 = 20;

/// A request that came to nothing.
pub fn explain<E>(error: &SdkError<E>, what: &str) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let cause = match error {
        SdkError::ServiceError(refused) => {
            let said = refused.err().meta();
            let status = refused.raw().status().as_u16();
            match (said.code(), said.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, _) => format!("HTTP status {status}"),
            }
        }
        other => telemetry::chain(other),
    };
    let way_out = way_out(error, &cause);
    anyhow::anyhow!("could not {what}: {}{way_out}", cause.trim_end_matches('.'))
}

fn way_out<E>(error: &SdkError<E>, cause: &str) -> &'static str {
    match error {
        SdkError::ServiceError(refused) if refused.raw().status().as_u16() == 403 => {
            ". The credentials in use do not allow it"
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            ". Nothing answers there: is the endpoint right?"
        }
        SdkError::DispatchFailure(_) if cause.contains("redential") => {
            ". AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, say who asks; --local needs neither"
        }
        _ => "",
    }
}

/// A read of the worker's own store that came to nothing.
pub fn of_store(error: &StoreError) -> anyhow::Error {
    match error {
        StoreError::Forbidden { what } => {
            anyhow::anyhow!("may not {what}. The credentials in use do not allow it")
        }
        other => anyhow::anyhow!("{}", telemetry::chain(other)),
    }
}

/// Keeps the trouble with one object from ending a run over millions, and a run from going on where
/// nothing works.
#[derive(Debug, Default)]
pub struct Patience {
    in_a_row: u32,
    /// All of them.
    pub total: u64,
}

impl Patience {
    /// After something has worked.
    pub fn renew(&mut self) {
        self.in_a_row = 0;
    }

    /// After something has not; fails when it is time to give up.
    pub fn spend(&mut self, error: &anyhow::Error) -> anyhow::Result<()> {
        self.in_a_row += 1;
        self.total += 1;
        anyhow::ensure!(
            self.in_a_row < MAX_IN_A_ROW,
            "given up after {MAX_IN_A_ROW} failures in a row: {error:#}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_outlives_single_failures_and_ends_when_nothing_works() {
        let broken = anyhow::anyhow!("could not read processed/a");
        let mut patience = Patience::default();
        for _ in 0..100 {
            patience.spend(&broken).unwrap();
            patience.renew();
        }
        let given_up = (0..MAX_IN_A_ROW).find_map(|_| patience.spend(&broken).err()).unwrap();
        assert_eq!(given_up.to_string(), "given up after 20 failures in a row: could not read processed/a");
        assert_eq!(patience.total, 120);
    }
}

//! What an owner may do with an upload's source besides asking after it: read it again, delete it. The
//! renditions follow when the worker hears of a deletion.

use std::time::Duration;

use lambda_http::http::StatusCode;
use lambda_http::{Request, RequestExt};
use serde::Serialize;

use crate::Answer;
use crate::caller::Caller;
use crate::config::Config;
use crate::objects::Objects;
use crate::problem::Problem;

const DOWNLOAD_EXPIRY: Duration = Duration::from_secs(300);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DownloadUrl {
    download_url: String,
    expires_in: u64,
}

/// `GET /download-url?key=`.
pub async fn download(
    config: &Config,
    objects: &Objects,
    request: &Request,
    caller: &Caller,
) -> Result<Answer, Problem> {
    must_be_known(caller)?; // before a word about the key
    let query = request.query_string_parameters_ref();
    let key = query.and_then(|query| query.first("key"));
    let key = key.ok_or_else(|| Problem::invalid_field("key", "the key of an upload, in the query"))?;
    let upload = caller.upload(key, &config.key_secrets)?;
    if objects.source(upload.source()).await?.is_none() {
        return Err(Problem::no_such_upload());
    }
    let (download_url, expires_in) = objects.sign_download(&upload, DOWNLOAD_EXPIRY).await?;
    let told = DownloadUrl { download_url, expires_in: expires_in.as_secs() };
    Ok(Answer::json(StatusCode::OK, &told))
}

/// `DELETE /uploads/{key+}`; deleting what is not there is no mistake.
pub async fn delete(
    config: &Config,
    objects: &Objects,
    key: &str,
    caller: &Caller,
) -> Result<Answer, Problem> {
    must_be_known(caller)?;
    objects.delete(caller.upload(key, &config.key_secrets)?.source()).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// An anonymous upload is nobody's: its key is in the public manifest, so that whoever sees a picture could
/// take it away.
fn must_be_known(caller: &Caller) -> Result<(), Problem> {
    match caller {
        Caller::Known(_) => Ok(()),
        Caller::Anonymous => {
            Err(Problem::unauthorized("Uploads are read again and deleted with a token only."))
        }
    }
}

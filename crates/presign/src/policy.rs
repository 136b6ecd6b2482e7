//! The form of a POST upload: a policy that says what S3 may take, and its signature. The SDK has none.
//! Owns both, byte for byte as boto3 makes them (`tests/interop` compares); never decides the terms.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html>

use std::collections::BTreeMap;
use std::io;
use std::time::SystemTime;

use aws_sdk_s3::config::Credentials;
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Serializer, Value, json};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Both in UTC.
const DATE_TIME: &str = "%Y%m%dT%H%M%SZ";
const EXPIRATION: &str = "%Y-%m-%dT%H:%M:%SZ";

/// What a form may do: put one object, of one type, with a length within the range.
pub struct Terms<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub content_type: &'a str,
    /// Least and most bytes.
    pub length_range: [u64; 2],
    /// Base64.
    pub checksum_sha256: Option<&'a str>,
}

/// The fields of the form, by name; the file comes after them.
pub type Fields = BTreeMap<&'static str, String>;

pub fn sign(
    terms: &Terms,
    credentials: &Credentials,
    region: &str,
    signed_at: Timestamp,
    expires_at: Timestamp,
) -> Fields {
    let date_time = signed_at.strftime(DATE_TIME).to_string();
    let scope = format!("{}/{region}/s3/aws4_request", &date_time[..8]);
    let mut conditioned = vec![("Content-Type", terms.content_type.to_owned())];
    conditioned.push(("success_action_status", "201".to_owned()));
    if let Some(checksum) = terms.checksum_sha256 {
        conditioned.push(("x-amz-checksum-algorithm", "SHA256".to_owned()));
        conditioned.push(("x-amz-checksum-sha256", checksum.to_owned()));
    }
    let mut signing = vec![("key", terms.key.to_owned()), ("x-amz-algorithm", ALGORITHM.to_owned())];
    signing.push(("x-amz-credential", format!("{}/{scope}", credentials.access_key_id())));
    signing.push(("x-amz-date", date_time));
    if let Some(token) = credentials.session_token() {
        signing.push(("x-amz-security-token", token.to_owned()));
    }

    let exactly = |fields: &[(&'static str, String)]| {
        fields.iter().map(|(name, value)| json!({ *name: value })).collect::<Vec<_>>()
    };
    let [least, most] = terms.length_range;
    let conditions = [
        exactly(&conditioned),
        vec![json!(["content-length-range", least, most]), json!({ "bucket": terms.bucket })],
        exactly(&signing),
    ]
    .concat();
    let policy = encoded(expires_at, &conditions);
    let key =
        generate_signing_key(credentials.secret_access_key(), SystemTime::from(signed_at), region, "s3");
    let signature = calculate_signature(key, policy.as_bytes());

    let mut fields: Fields = conditioned.into_iter().chain(signing).collect();
    fields.insert("policy", policy);
    fields.insert("x-amz-signature", signature);
    fields
}

#[derive(Serialize)]
struct Policy<'a> {
    expiration: String,
    conditions: &'a [Value],
}

fn encoded(expires_at: Timestamp, conditions: &[Value]) -> String {
    let policy = Policy { expiration: expires_at.strftime(EXPIRATION).to_string(), conditions };
    let mut json = Vec::new();
    // Into memory, and with nothing in it that JSON cannot say: this never fails.
    let _ = policy.serialize(&mut Serializer::with_formatter(&mut json, AsPython));
    STANDARD.encode(json)
}

/// A space after each comma and colon, so that signatures can be compared with boto3's.
struct AsPython;

impl Formatter for AsPython {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/interop/golden.py` has written these.
    const BOTO3: &str = include_str!("../../../fixtures/interop/post_policies.json");

    #[test]
    fn fields_policy_and_signature_are_boto3s_for_the_same_inputs_and_clock() {
        let cases: Vec<Value> = serde_json::from_str(BOTO3).unwrap();
        assert!(cases.iter().any(|case| case["given"].get("sessionToken").is_some()));
        for case in &cases {
            let given = &case["given"];
            let text = |name: &str| given[name].as_str();
            let number = |value: &Value| value.as_u64().unwrap();
            let signed_at: Timestamp = text("signedAt").unwrap().parse().unwrap();
            let terms = Terms {
                bucket: text("bucket").unwrap(),
                key: text("key").unwrap(),
                content_type: text("contentType").unwrap(),
                length_range: [0, 1].map(|end| number(&given["lengthRange"][end])),
                checksum_sha256: text("checksumSha256"),
            };
            let expires_at = signed_at + std::time::Duration::from_secs(number(&given["expiresIn"]));
            let secret = text("secretAccessKey").unwrap();
            let token = text("sessionToken").map(str::to_owned);
            let credentials =
                Credentials::new(text("accessKeyId").unwrap(), secret, token, None, "boto3's inputs");
            let fields = sign(&terms, &credentials, text("region").unwrap(), signed_at, expires_at);
            assert_eq!(serde_json::to_value(fields).unwrap(), case["fields"]);
        }
    }
}

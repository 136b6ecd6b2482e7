//! How configuration is read: by name through a lookup, so that a test, a file or the environment can
//! stand behind it. Owns the one error that a bad setting gives. Never reads the environment itself.

use std::fmt::Display;
use std::str::FromStr;

/// Where a setting's text comes from: its name in, its value out.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A setting that cannot be used. The text names the setting and says what is wrong with it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name}: {problem}")]
pub struct SettingError {
    pub name: String,
    pub problem: String,
}

impl SettingError {
    pub fn new(name: impl Into<String>, problem: impl Display) -> Self {
        Self { name: name.into(), problem: problem.to_string() }
    }
}

/// One row of the README's environment table; a test keeps the two equal.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    pub name: &'static str,
    /// As the table prints it; `required` where there is none.
    pub default: &'static str,
    pub meaning: &'static str,
}

/// The one setting that both functions need.
pub const BUCKET: Variable =
    Variable { name: "BUCKET", default: "required", meaning: "the bucket of sources and renditions" };

/// Where it is not set, each function says what it is.
pub const FUNCTION_NAME: Variable = Variable {
    name: "AWS_LAMBDA_FUNCTION_NAME",
    default: "`presign` or `worker`",
    meaning: "set by Lambda; tells this function's metrics from others'",
};

/// The text of a setting; a blank one counts as absent, as SAM templates pass "" for "not set".
pub fn text(lookup: &Lookup, name: &str) -> Option<String> {
    lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The text of a setting that must be there.
pub fn required(lookup: &Lookup, name: &str) -> Result<String, SettingError> {
    text(lookup, name).ok_or_else(|| SettingError::new(name, "is not set"))
}

/// A whole number within `range`, or `default` where the setting is absent.
pub fn number<T>(
    lookup: &Lookup,
    name: &str,
    default: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, SettingError>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    let Some(text) = text(lookup, name) else { return Ok(default) };
    let (low, high) = (*range.start(), *range.end());
    match text.parse::<T>() {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => Err(SettingError::new(name, format!("`{text}` is not a whole number from {low} to {high}"))),
    }
}

/// `true` or `false`; absent is `false`.
pub fn flag(lookup: &Lookup, name: &str) -> Result<bool, SettingError> {
    match text(lookup, name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(SettingError::new(name, format!("`{other}` is neither `true` nor `false`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |_| Some(value.to_owned())
    }

    #[test]
    fn a_blank_setting_counts_as_absent() {
        assert_eq!(number(&with("  "), "N", 7, 1..=9), Ok(7));
        assert_eq!(required(&with(""), "N").unwrap_err().to_string(), "N: is not set");
    }

    #[test]
    fn a_flag_is_true_or_false_and_false_when_absent() {
        assert_eq!(flag(&with(" true "), "F"), Ok(true));
        assert_eq!([flag(&with("false"), "F"), flag(&with(""), "F")], [Ok(false), Ok(false)]);
        let error = flag(&with("yes"), "F").unwrap_err().to_string();
        assert_eq!(error, "F: `yes` is neither `true` nor `false`");
    }

    #[test]
    fn a_number_outside_its_range_is_refused_with_name_and_range() {
        assert_eq!(number(&with("9"), "N", 7, 1..=9), Ok(9));
        for bad in ["10", "0", "-1", "1e3", "nine", "99999999999999999999"] {
            let error = number(&with(bad), "N", 7, 1..=9).unwrap_err().to_string();
            assert_eq!(error, format!("N: `{bad}` is not a whole number from 1 to 9"));
        }
    }
}

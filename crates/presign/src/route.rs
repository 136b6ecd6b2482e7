//! Which path is which call. A stage or base path (`/prod/upload-url`) and `%2F` in keys are accepted;
//! anything else that does not fit is no route.

use lambda_http::http::Method;
use percent_encoding::percent_decode_str;

#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /upload-url`. `base` is what stands before it: empty, or `/prod`.
    UploadUrl { base: String },
    /// `GET /uploads/{key+}`, the key decoded.
    Upload { key: String },
}

impl Route {
    /// The call without its key, for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::UploadUrl { .. } => "POST /upload-url",
            Self::Upload { .. } => "GET /uploads/{key+}",
        }
    }
}

pub fn find(method: &Method, path: &str) -> Option<Route> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let stage_end = path.get(1..)?.find('/').map(|at| at + 1);
    let bases = [Some(0), stage_end];
    bases.into_iter().flatten().find_map(|at| {
        let (base, rest) = path.split_at(at);
        if *method == Method::POST && rest.trim_end_matches('/') == "/upload-url" {
            return Some(Route::UploadUrl { base: base.to_owned() });
        }
        let key = rest.strip_prefix("/uploads/").filter(|key| !key.is_empty() && *method == Method::GET)?;
        Some(Route::Upload { key: key.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_encoded_slashes_are_accepted() {
        for (path, base) in [("/upload-url", ""), ("/upload-url/", ""), ("/prod/upload-url", "/prod")] {
            assert_eq!(find(&Method::POST, path), Some(Route::UploadUrl { base: base.into() }));
        }
        for path in ["/uploads/raw/a.jpg", "/prod/uploads/raw/a.jpg", "/uploads/raw%2Fa.jpg"] {
            assert_eq!(find(&Method::GET, path), Some(Route::Upload { key: "raw/a.jpg".into() }), "{path}");
        }
    }

    #[test]
    fn anything_else_is_no_route() {
        for path in
            ["", "/", "/uploads", "/uploads/", "/a/b/upload-url", "/upload-urls", "/%FF", "upload-url"]
        {
            assert_eq!(find(&Method::POST, path), None, "{path}");
            assert_eq!(find(&Method::GET, path), None, "{path}");
        }
        assert_eq!(find(&Method::GET, "/upload-url"), None);
        assert_eq!(find(&Method::POST, "/uploads/raw/a.jpg"), None);
    }
}

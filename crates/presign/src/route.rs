//! Which path and method are which call. A stage or base path (`/prod/upload-url`) and `%2F` in keys are
//! accepted; anything else that does not fit is no route.

use lambda_http::http::Method;
use percent_encoding::percent_decode_str;

#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /upload-url`. `base` is what stands before it: empty, or `/prod`.
    UploadUrl { base: String },
    /// `GET /uploads/{key+}`, the key decoded.
    Status { key: String },
    /// `DELETE /uploads/{key+}`, the key decoded.
    Delete { key: String },
    /// `GET /download-url`.
    DownloadUrl,
}

/// Why a request is no call.
#[derive(Debug, PartialEq, Eq)]
pub enum NoRoute {
    NoSuchPath,
    /// The path has calls by these methods only.
    OnlyBy(&'static str),
}

impl Route {
    /// The call without its key, for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::UploadUrl { .. } => "POST /upload-url",
            Self::Status { .. } => "GET /uploads/{key+}",
            Self::Delete { .. } => "DELETE /uploads/{key+}",
            Self::DownloadUrl => "GET /download-url",
        }
    }
}

pub fn find(method: &Method, path: &str) -> Result<Route, NoRoute> {
    let path = percent_decode_str(path).decode_utf8().map_err(|_| NoRoute::NoSuchPath)?;
    let stage_end = path.get(1..).and_then(|rest| rest.find('/')).map(|at| at + 1);
    let bases = [Some(0), stage_end];
    let found = bases.into_iter().flatten().find_map(|at| {
        let (base, rest) = path.split_at(at);
        at_base(method, base, rest)
    });
    found.unwrap_or(Err(NoRoute::NoSuchPath))
}

/// `None` where nothing is at this path, whatever the method.
fn at_base(method: &Method, base: &str, path: &str) -> Option<Result<Route, NoRoute>> {
    if let Some(key) = path.strip_prefix("/uploads/").filter(|key| !key.is_empty()) {
        let key = key.to_owned();
        return Some(match *method {
            Method::GET => Ok(Route::Status { key }),
            Method::DELETE => Ok(Route::Delete { key }),
            _ => Err(NoRoute::OnlyBy("GET, DELETE")),
        });
    }
    let (only, route, allowed) = match path.trim_end_matches('/') {
        "/upload-url" => (Method::POST, Route::UploadUrl { base: base.to_owned() }, "POST"),
        "/download-url" => (Method::GET, Route::DownloadUrl, "GET"),
        _ => return None,
    };
    Some(if *method == only { Ok(route) } else { Err(NoRoute::OnlyBy(allowed)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_encoded_slashes_are_accepted() {
        for (path, base) in [("/upload-url", ""), ("/upload-url/", ""), ("/prod/upload-url", "/prod")] {
            assert_eq!(find(&Method::POST, path), Ok(Route::UploadUrl { base: base.into() }));
        }
        for path in ["/uploads/raw/a.jpg", "/prod/uploads/raw/a.jpg", "/uploads/raw%2Fa.jpg"] {
            let key = || "raw/a.jpg".to_owned();
            assert_eq!(find(&Method::GET, path), Ok(Route::Status { key: key() }), "{path}");
            assert_eq!(find(&Method::DELETE, path), Ok(Route::Delete { key: key() }), "{path}");
        }
        for path in ["/download-url", "/prod/download-url"] {
            assert_eq!(find(&Method::GET, path), Ok(Route::DownloadUrl));
        }
    }

    #[test]
    fn anything_else_is_no_route() {
        for path in
            ["", "/", "/uploads", "/uploads/", "/a/b/upload-url", "/upload-urls", "/%FF", "upload-url"]
        {
            assert_eq!(find(&Method::POST, path), Err(NoRoute::NoSuchPath), "{path}");
            assert_eq!(find(&Method::GET, path), Err(NoRoute::NoSuchPath), "{path}");
        }
    }

    #[test]
    fn a_known_path_says_which_methods_it_has() {
        assert_eq!(find(&Method::GET, "/upload-url"), Err(NoRoute::OnlyBy("POST")));
        assert_eq!(find(&Method::POST, "/prod/uploads/raw/a.jpg"), Err(NoRoute::OnlyBy("GET, DELETE")));
        assert_eq!(find(&Method::PUT, "/download-url"), Err(NoRoute::OnlyBy("GET")));
    }
}

//! CloudFront's function, run here as it runs there: `deploy/cdn.js`, unchanged. Owns the events that it is
//! handed, as CloudFront shapes them; what becomes of a request is the file's to decide.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use contract::Recipe;
use contract::recipe::Encoding;
use rquickjs::{CatchResultExt, Context, Ctx, Function, Runtime, Value};
use serde_json::json;

const CODE: &str = include_str!("../../../../deploy/cdn.js");
/// What template.yaml fills in.
const FORMATS: &str = "${Formats}";

/// What CloudFront answers with an error, too.
#[derive(Debug, thiserror::Error)]
#[error("deploy/cdn.js: {0}")]
pub struct FunctionError(String);

/// The function, with a recipe's formats filled in.
#[derive(Clone)]
pub struct CdnFunction {
    code: String,
}

impl CdnFunction {
    pub fn new(recipe: &Recipe) -> Self {
        Self { code: CODE.replace(FORMATS, &formats(recipe)) }
    }

    /// The path to look for in place of `path`.
    pub fn on_request(&self, path: &str, headers: &HeaderMap) -> Result<String, FunctionError> {
        let made = self.call("viewer-request", json!({"request": request(path, headers)}))?;
        made["uri"].as_str().map(str::to_owned).ok_or_else(|| FunctionError("no `uri` came back".to_owned()))
    }

    /// What an answer's headers become.
    pub fn on_response(&self, path: &str, headers: &HeaderMap) -> Result<HeaderMap, FunctionError> {
        let request = request(path, &HeaderMap::new());
        let response = json!({"statusCode": 200, "headers": to_event(headers), "cookies": {}});
        let made = self.call("viewer-response", json!({"request": request, "response": response}))?;
        from_event(&made["headers"]).ok_or_else(|| FunctionError("no headers came back".to_owned()))
    }

    /// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html>
    fn call(
        &self,
        event_type: &str,
        mut event: serde_json::Value,
    ) -> Result<serde_json::Value, FunctionError> {
        event["version"] = json!("1.0");
        event["context"] = json!({"eventType": event_type});
        event["viewer"] = json!({"ip": "127.0.0.1"});
        let failed = |error: &dyn std::fmt::Display| FunctionError(error.to_string());
        let context =
            Runtime::new().and_then(|runtime| Context::full(&runtime)).map_err(|error| failed(&error))?;
        let made = context
            .with(|js| self.handle(&js, &event.to_string()).catch(&js).map_err(|error| failed(&error)))?;
        serde_json::from_str(&made).map_err(|error| failed(&error))
    }

    /// JSON in and out.
    fn handle<'js>(&self, js: &Ctx<'js>, event: &str) -> rquickjs::Result<String> {
        js.eval::<(), _>(self.code.as_str())?;
        let handler: Function = js.globals().get("handler")?;
        let made: Value = handler.call((js.json_parse(event)?,))?;
        js.json_stringify(made)?.map_or_else(|| Ok("null".to_owned()), |text| text.to_string())
    }
}

/// As the template's parameter `RenditionFormats` has it: the common list, and renditions with lists of their own.
fn formats(recipe: &Recipe) -> String {
    let list = |formats: &[Encoding]| {
        let names: Vec<String> = formats.iter().map(|encoding| encoding.format.to_string()).collect();
        names.join(",")
    };
    let own = recipe.renditions.iter().filter_map(|spec| {
        spec.formats.as_deref().map(|formats| format!(" {}={}", spec.name, list(formats)))
    });
    std::iter::once(list(&recipe.formats)).chain(own).collect()
}

fn request(path: &str, headers: &HeaderMap) -> serde_json::Value {
    json!({"method": "GET", "uri": path, "headers": to_event(headers), "querystring": {}, "cookies": {}})
}

/// Of several lines of one name `value` is the first, and `multiValue` has all.
fn to_event(headers: &HeaderMap) -> serde_json::Value {
    let pairs = headers.keys().filter_map(|name| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let lines: Vec<_> = values.map(|value| json!({"value": value})).collect();
        let mut header = lines.first()?.clone();
        if lines.len() > 1 {
            header["multiValue"] = json!(lines);
        }
        Some((name.to_string(), header))
    });
    serde_json::Value::Object(pairs.collect())
}

fn from_event(headers: &serde_json::Value) -> Option<HeaderMap> {
    let mut made = HeaderMap::new();
    for (name, header) in headers.as_object()? {
        let name: HeaderName = name.parse().ok()?;
        let lines = header["multiValue"].as_array().map_or(std::slice::from_ref(header), Vec::as_slice);
        for line in lines {
            made.append(&name, HeaderValue::from_str(line["value"].as_str()?).ok()?);
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};

    const FOLDER: &str = "/processed/articles/a/u.jpg/3f9a0c12be77";

    fn chosen(recipe: &str, path: &str, accept: &'static str) -> String {
        let function = CdnFunction::new(&Recipe::parse(recipe).unwrap());
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        function.on_request(path, &headers).unwrap()
    }

    #[test]
    fn a_path_without_a_format_gets_the_recipes_first_that_the_browser_names() {
        let recipe = "formats = [{ format = \"avif\" }, { format = \"webp\" }, { format = \"jpeg\" }]\n\
                      [[rendition]]\nname = \"a\"\nwidth = 32\n\
                      [[rendition]]\nname = \"b\"\nwidth = 16\nformats = [{ format = \"png\" }]";
        for (name, accept, expected) in [
            ("a", "image/avif,image/webp,*/*", "a.avif"),
            ("a", "image/webp,*/*;q=0.8", "a.webp"),
            ("a", "*/*", "a.jpg"),
            ("b", "image/avif,*/*", "b.png"),
            ("a.jpg", "image/avif", "a.jpg"),
        ] {
            let made = chosen(recipe, &format!("{FOLDER}/{name}"), accept);
            assert_eq!(made, format!("{FOLDER}/{expected}"), "{name} {accept}");
        }
        assert_eq!(chosen(recipe, "/raw/a/u", "image/avif"), "/raw/a/u");
    }

    #[test]
    fn headers_of_several_lines_come_and_go_whole() {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/html"))]);
        let mut several = headers.clone();
        several.append(ACCEPT, HeaderValue::from_static("image/avif"));
        assert_eq!(from_event(&to_event(&several)), Some(several.clone()));
        assert_eq!(from_event(&to_event(&headers)), Some(headers));
        let recipe = "formats = [{ format = \"avif\" }, { format = \"jpeg\" }]\n\
                      [[rendition]]\nname = \"a\"\nwidth = 32";
        let function = CdnFunction::new(&Recipe::parse(recipe).unwrap());
        assert_eq!(
            function.on_request(&format!("{FOLDER}/a"), &several).unwrap(),
            format!("{FOLDER}/a.avif")
        );
    }

    #[test]
    fn its_answers_vary_by_accept_and_keep_their_headers() {
        let function = CdnFunction::new(&Recipe::default());
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("image/avif"))]);
        let made = function.on_response(&format!("{FOLDER}/w640"), &headers).unwrap();
        assert_eq!(
            (&made[VARY], &made[CONTENT_TYPE], made.len()),
            (&"Accept".parse().unwrap(), &headers[CONTENT_TYPE], 2)
        );
    }

    #[test]
    fn the_templates_default_formats_are_those_of_the_default_recipe_with_avif() {
        let template = include_str!("../../../../template.yaml");
        let expected = "avif,jpeg";
        assert!(
            template.contains(&format!("  RenditionFormats:\n    Type: String\n    Default: {expected}\n"))
        );
        if cfg!(feature = "avif") {
            assert_eq!(formats(&Recipe::default()), expected);
        }
    }
}

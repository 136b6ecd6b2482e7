//! What must hold of any input, one function a target. Owns the limits and recipes that keep one input
//! cheap; never knows who calls: a fuzzer, or the tests that replay what fuzzers found.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use contract::key::MAX_KEY_BYTES;
use contract::recipe::RenditionSpec;
use contract::{
    ArticleId, Fingerprint, Format, KeyError, KeySecrets, Layout, Limits, ManifestKey, MediaType, Recipe,
    RenditionKey, Revision, SourceKey, UploadKey,
};
use imaging::{Encoded, Error, Probe, Sniffed, sniff};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use uuid::Builder;

use super::notification::{self, Body};

/// Low enough that the costliest picture takes a fraction of a second, with sanitizers: resizing a
/// megapixel under them takes more than one. Still several of every codec's largest blocks and tiles.
static LIMITS: LazyLock<Limits> = LazyLock::new(|| Limits {
    max_source_bytes: 1024 * 1024,
    max_pixels: 512 * 512,
    max_side_px: 4096,
    max_frames: 60,
    max_job_bytes: 256 * 1024 * 1024,
});

/// For the targets of one format each. The first lets a decoder reduce while it decodes, the second not
/// below some hundred pixels.
static DECODING: LazyLock<Vec<Recipe>> = LazyLock::new(|| {
    recipes(&[
        "formats = [{ format = \"png\" }]\n[[rendition]]\nname = \"a\"\nwidth = 16",
        "formats = [{ format = \"jpeg\" }]\n[[rendition]]\nname = \"a\"\nwidth = 256",
    ])
});

const ALL_FORMATS: &str = "formats = [{ format = \"avif\" }, { format = \"webp\" }, { format = \"jpeg\" }, \
                           { format = \"png\" }]\n";

/// For the target of the whole pipeline: every format, fit and option.
static EVERYTHING: LazyLock<Vec<Recipe>> = LazyLock::new(|| {
    let every = |renditions: &str| format!("{ALL_FORMATS}{renditions}");
    let texts = [
        every("[[rendition]]\nname = \"a\"\nwidth = 64\n[[rendition]]\nname = \"b\"\nheight = 9"),
        every("[[rendition]]\nname = \"a\"\nwidth = 40\nheight = 24\nfit = \"cover\""),
        every("[[rendition]]\nname = \"a\"\nwidth = 24\nheight = 40\nfit = \"cover\"\ngravity = \"attention\""),
        "background = \"#102030\"\nkeep_copyright = true\nformats = [{ format = \"jpeg\", progressive = true }, \
         { format = \"webp\", lossless = true, method = 0 }]\n[[rendition]]\nname = \"a\"\nwidth = 48"
            .to_owned(),
        "formats = [{ format = \"webp\", animated = true }]\n[[rendition]]\nname = \"a\"\nwidth = 32".to_owned(),
        "formats = [{ format = \"jpeg\" }, { format = \"webp\", lossless = false }]\n\
         [[rendition]]\nname = \"a\"\nwidth = 64\nmax_bytes = 600"
            .to_owned(),
    ];
    recipes(&texts.each_ref().map(String::as_str))
});

/// Without the formats that this build has no encoder for.
fn recipes(texts: &[&str]) -> Vec<Recipe> {
    let parsed = texts.iter().map(|text| Recipe::parse(text).expect("recipes here are valid"));
    parsed
        .map(|mut recipe| {
            if imaging::check_recipe(&recipe).is_err() {
                recipe.formats.retain(|encoding| encoding.format != Format::Avif);
            }
            recipe
        })
        .collect()
}

/// Imaging's two calls, and nothing else of it, are made here.
fn probed(bytes: &[u8], recipe: &Recipe) -> Result<Probe, Error> {
    imaging::probe(bytes, &LIMITS, recipe)
}

fn rendered(bytes: &[u8], probe: &Probe, recipe: &Recipe) -> Result<Vec<Encoded>, Error> {
    let mut files = Vec::new();
    imaging::render(bytes, probe, recipe, 1, &mut |file| {
        files.push(file);
        ControlFlow::Continue(())
    })?;
    Ok(files)
}

/// A header is refused, by the file's fault, or within all limits and of the type that its magic bytes say.
pub fn probe(bytes: &[u8]) {
    match probed(bytes, &DECODING[0]) {
        Ok(probe) => {
            let (width_px, height_px) = (probe.width_px, probe.height_px);
            assert_eq!(sniff(bytes), Sniffed::Known(probe.media_type));
            assert!((1..=LIMITS.max_side_px).contains(&width_px), "{width_px}");
            assert!((1..=LIMITS.max_side_px).contains(&height_px), "{height_px}");
            assert!(u64::from(width_px) * u64::from(height_px) <= LIMITS.max_pixels);
            assert!(probe.cost.memory_bytes <= LIMITS.max_job_bytes);
        }
        Err(error) => assert_files_fault(&error),
    }
}

/// A file of this type, and of no other, whatever its first bytes were, decodes or is refused.
pub fn decode(bytes: &[u8], media_type: MediaType) {
    let magic: &[u8] = match media_type {
        MediaType::Jpeg => b"\xff\xd8\xff",
        MediaType::Png => b"\x89PNG\r\n\x1a\n",
        MediaType::Gif => b"GIF89a",
        MediaType::Webp => b"RIFF\0\x10\0\0WEBP",
        MediaType::Avif => b"\0\0\0\x18ftypavif\0\0\0\0avifmif1",
    };
    let recipe = &DECODING[bytes.len() % DECODING.len()];
    if sniff(bytes) == Sniffed::Known(media_type) {
        picture(bytes, recipe);
    } else {
        picture(&[magic, bytes].concat(), recipe);
    }
}

/// The first byte chooses a recipe, the rest is a file.
pub fn pipeline(bytes: &[u8]) {
    if let Some((choice, bytes)) = bytes.split_first() {
        picture(bytes, &EVERYTHING[usize::from(*choice) % EVERYTHING.len()]);
    }
}

/// A file is refused, by its own fault, or becomes all that the recipe asks for.
fn picture(bytes: &[u8], recipe: &Recipe) {
    let probe = match probed(bytes, recipe) {
        Ok(probe) => probe,
        Err(error) => return assert_files_fault(&error),
    };
    match rendered(bytes, &probe, recipe) {
        Ok(files) => assert_whole_set(&files, &probe, recipe),
        Err(error) => assert_files_fault(&error),
    }
}

fn assert_files_fault(error: &Error) {
    assert!(error.rejection().is_some(), "our fault: {error}");
}

fn assert_whole_set(files: &[Encoded], probe: &Probe, recipe: &Recipe) {
    let mut expected = 0;
    for spec in &recipe.renditions {
        for encoding in recipe.formats_of(spec) {
            let found = files.iter().filter(|file| file.name == spec.name && file.format == encoding.format);
            assert_eq!(found.clone().count(), 1, "{} as {}", spec.name, encoding.format);
            found.for_each(|file| assert_fits(file, spec, probe));
            expected += 1;
        }
    }
    assert_eq!(files.len(), expected);
}

/// Within its box, never enlarged, and a file that says the same of itself.
fn assert_fits(file: &Encoded, spec: &RenditionSpec, probe: &Probe) {
    let (width_px, height_px) = (file.width_px, file.height_px);
    let (most_wide, most_high) = (spec.width.unwrap_or(u32::MAX), spec.height.unwrap_or(u32::MAX));
    assert!((1..=most_wide.min(probe.width_px)).contains(&width_px), "{width_px} wide: {spec:?}");
    assert!((1..=most_high.min(probe.height_px)).contains(&height_px), "{height_px} high: {spec:?}");
    match (sniff(&file.bytes), probed(&file.bytes, &DECODING[0])) {
        (Sniffed::Known(media_type), Ok(own)) => {
            assert_eq!(media_type.content_type(), file.format.content_type());
            assert_eq!((own.width_px, own.height_px), (width_px, height_px));
        }
        other => panic!("a rendition that we would refuse: {other:?}"),
    }
}

/// A recipe is refused on one line, or says the same once it was written and read again.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let recipe = match Recipe::parse(text) {
        Ok(recipe) => recipe,
        Err(error) => {
            let told = error.to_string();
            return assert!(told.starts_with("recipe: ") && !told.contains('\n'), "{told}");
        }
    };
    let json = serde_json::to_string(&recipe).expect("a recipe has a JSON form");
    assert_eq!(Recipe::parse(&json).as_ref(), Ok(&recipe), "{json}");
    for (index, spec) in recipe.renditions.iter().enumerate() {
        for (place, encoding) in recipe.formats_of(spec).iter().enumerate() {
            assert_eq!(recipe.place(&spec.name, encoding.format), Some((index, place)));
        }
    }
    let _ = imaging::check_recipe(&recipe);
    Fingerprint::of(&recipe, &LIMITS, imaging::ENCODERS);
}

/// Any text is a key of one kind or of none; what is made of a source leads back to it; and a key comes
/// out of an event as S3 put it in.
pub fn keys(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    key(text);
    // As the functions do with a path.
    if let Ok(decoded) = percent_decode_str(text).decode_utf8() {
        key(&decoded);
    }
    if let Some(article_id) = ArticleId::parse(text) {
        issued(article_id, bytes);
    }
    let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string().replace("%20", "+");
    let event = serde_json::json!({"Records": [{"eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b"}, "object": {"key": encoded}}}]});
    match notification::parse(&event.to_string()) {
        Ok(Body::Notifications(list)) => assert_eq!(list[0].key, text),
        other => panic!("{other:?}"),
    }
}

fn key(text: &str) {
    if let Ok(source) = SourceKey::parse(text) {
        assert_eq!(source.as_str(), text);
        assert_leads_back(&source);
    }
    if let Ok(manifest) = ManifestKey::parse(text) {
        assert_eq!(manifest.source().map(|source| source.manifest()), Ok(manifest));
        assert_eq!(SourceKey::parse(text), Err(KeyError::NotASource));
    }
    if let Ok(rendition) = RenditionKey::parse(text) {
        let source = rendition.source().expect("parse has seen it");
        let manifest = source.manifest();
        let folder = manifest.as_str().strip_suffix("manifest.json").expect("its name");
        assert!(text.starts_with(folder), "{text} of {source}");
        assert_eq!(SourceKey::parse(text), Err(KeyError::NotASource));
    }
    if let Some(upload) = UploadKey::parse(text) {
        assert_eq!(upload.source().as_str(), text);
        assert!(upload.issued_at().to_string().ends_with('Z'), "a time that can be told");
        assert!(!upload.is_owned_by(&secrets(), "nobody"), "a mac was guessed");
    }
}

fn assert_leads_back(source: &SourceKey) {
    let manifest = source.manifest();
    assert_eq!(manifest.source().as_ref(), Ok(source));
    assert_eq!(SourceKey::parse(manifest.as_str()), Err(KeyError::NotASource));
    let revision = Revision::parse("3f9a0c12be77").expect("12 hex digits");
    for format in Format::ALL {
        let rendition = source.rendition(&revision, "w640", format);
        assert!(rendition.as_str().starts_with(&source.revision_prefix(&revision)));
        assert!(rendition.as_str().len() <= MAX_KEY_BYTES);
        assert_eq!(rendition.source().as_ref(), Ok(source));
        assert_eq!(SourceKey::parse(rendition.as_str()), Err(KeyError::NotASource));
    }
}

/// What the API issues, it knows again, for its owner alone.
fn issued(article_id: ArticleId, bytes: &[u8]) {
    let mut random = [0; 10];
    random.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    let uuid = Builder::from_unix_timestamp_millis(1_700_000_000_000, &random).into_uuid();
    for layout in [Layout::Flat, Layout::Nested] {
        let issued = UploadKey::issue(layout, &secrets(), "ann", article_id.clone(), uuid, MediaType::Jpeg)
            .expect("a key");
        assert_eq!(UploadKey::parse(issued.source().as_str()).as_ref(), Some(&issued));
        assert!(issued.is_owned_by(&secrets(), "ann") && !issued.is_owned_by(&secrets(), "bob"));
    }
}

fn secrets() -> KeySecrets {
    KeySecrets::from_settings(&|_| Some("fuzz".repeat(8))).expect("32 bytes")
}

/// A body is refused, or has records; what SNS wraps says what it says without.
pub fn events(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(body) = notification::parse(text) else { return };
    if let Body::Notifications(list) = &body {
        assert!(!list.is_empty());
        list.iter().for_each(|notification| key(&notification.key));
    }
    // What SNS has wrapped once is not wrapped again. Fields that nobody reads may hold what is no text.
    let json = serde_json::from_str::<serde_json::Value>(text);
    if json.is_ok_and(|json| json.is_object() && json["Type"] != "Notification") {
        let wrapped = serde_json::json!({"Type": "Notification", "Message": text}).to_string();
        assert_eq!(notification::parse(&wrapped).ok(), Some(body));
    }
}

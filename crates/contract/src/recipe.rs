//! The recipe: which renditions to make of every source. Owns its grammar (TOML or JSON), its default
//! and every rule on its fields; an invalid one is refused with the field's path. Never says how
//! pixels are made, nor which encoders a build has: imaging does.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::key::MAX_NAME_BYTES;
use crate::media_type::Format;

/// Most renditions times formats of one recipe: every upload pays for each.
const MAX_OUTPUTS: usize = 64;
/// Longest side of a rendition, px: what WebP can hold.
const MAX_SIDE_PX: u32 = 16_383;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What shows through transparent pixels in formats without alpha.
    #[serde(default)]
    pub background: Color,
    /// Whether files keep the source's copyright notice, the one piece of metadata that they can.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_copyright: bool,
    /// The common list, for renditions without one of their own.
    #[serde(default = "default_formats")]
    pub formats: Vec<Encoding>,
    #[serde(default, rename = "rendition")]
    pub renditions: Vec<RenditionSpec>,
}

/// One rendition: a name, a box and, where it differs from the common list, its formats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenditionSpec {
    /// `[a-z0-9_-]{1,32}`, unique in the recipe.
    pub name: String,
    /// Px; at least one of width and height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    #[serde(default)]
    pub fit: Fit,
    #[serde(default)]
    pub gravity: Gravity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats: Option<Vec<Encoding>>,
    /// Most bytes of each of its files: the highest quality that fits is taken, and no higher than the
    /// format's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// How a source meets the box. Never enlarged either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Whole picture, within the box.
    #[default]
    Inside,
    /// The box filled, what is over cut off as `gravity` says.
    Cover,
}

/// Which part `cover` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    #[default]
    Centre,
    /// Where there is detail, skin and saturation.
    Attention,
}

/// A format and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    pub format: Format,
    /// 1 to 100, as the format's own encoder understands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// WebP only: effort, 0 (fast) to 6 (small).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<u8>,
    /// JPEG only: several passes, each finer than the last. Some 4 % smaller, for twice the work.
    #[serde(default, skip_serializing_if = "is_false")]
    pub progressive: bool,
    /// WebP only. Where it is not said, graphics with few colours are lossless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lossless: Option<bool>,
    /// WebP only: of an animation, all frames rather than the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub animated: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Encoding {
    pub const fn new(format: Format) -> Self {
        Self { format, quality: None, method: None, progressive: false, lossless: None, animated: false }
    }

    /// The quality asked for, or the format's default.
    pub fn quality(&self) -> u8 {
        self.quality.unwrap_or(match self.format {
            Format::Avif => 75,
            Format::Jpeg => 78,
            Format::Webp => 80,
            Format::Png => 100,
        })
    }

    /// WebP's method asked for, or libwebp's own default.
    pub fn method(&self) -> u8 {
        self.method.unwrap_or(4)
    }
}

/// AVIF costs less than WebP and is smaller, but needs libaom: a build that has it says so with the
/// feature `avif`.
fn default_formats() -> Vec<Encoding> {
    let modern = if cfg!(feature = "avif") { Format::Avif } else { Format::Webp };
    vec![Encoding::new(modern), Encoding::new(Format::Jpeg)]
}

impl Default for Recipe {
    /// `w320`, `w640`, `w1280`, `w1920` and a square `thumb`, each as AVIF and JPEG; as WebP and JPEG in
    /// a build without AVIF.
    fn default() -> Self {
        let wide = |width: u32| RenditionSpec {
            name: format!("w{width}"),
            width: Some(width),
            height: None,
            fit: Fit::Inside,
            gravity: Gravity::Centre,
            formats: None,
            max_bytes: None,
        };
        let thumb = RenditionSpec {
            name: "thumb".to_owned(),
            width: Some(256),
            height: Some(256),
            fit: Fit::Cover,
            gravity: Gravity::Centre,
            formats: None,
            max_bytes: None,
        };
        Self {
            background: Color::default(),
            keep_copyright: false,
            formats: default_formats(),
            renditions: [320, 640, 1280, 1920].map(wide).into_iter().chain([thumb]).collect(),
        }
    }
}

/// A recipe that cannot be used: the field's path, and what is wrong with it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("recipe: {field}: {problem}")]
pub struct RecipeError {
    pub field: String,
    pub problem: String,
}

impl RecipeError {
    pub fn new(field: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { field: on_one_line(&field.into()), problem: on_one_line(&problem.to_string()) }
    }
}

/// Names and fields come from the recipe's own text, which may hold anything; what is told of them is
/// one line of a log.
fn on_one_line(text: &str) -> String {
    text.split(|letter: char| letter.is_control()).collect::<Vec<_>>().join(" ")
}

impl Recipe {
    /// Reads TOML, or JSON where the text starts with `{`, and checks every field.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe: Self = if text.trim_start().starts_with('{') {
            let mut json = serde_json::Deserializer::from_str(text);
            let recipe = serde_path_to_error::deserialize(&mut json).map_err(field_error)?;
            json.end().map_err(|error| RecipeError::new("text", error))?;
            recipe
        } else {
            let toml = toml::Deserializer::parse(text).map_err(|e| RecipeError::new("text", one_line(&e)))?;
            serde_path_to_error::deserialize(toml).map_err(field_error)?
        };
        recipe.check()?;
        Ok(recipe)
    }

    /// The formats of one rendition: its own, or the common list.
    pub fn formats_of<'a>(&'a self, spec: &'a RenditionSpec) -> &'a [Encoding] {
        spec.formats.as_deref().unwrap_or(&self.formats)
    }

    /// Where a rendition stands in the recipe: manifests list them in its order.
    pub fn place(&self, name: &str, format: Format) -> Option<(usize, usize)> {
        let index = self.renditions.iter().position(|spec| spec.name == name)?;
        let formats = self.formats_of(&self.renditions[index]);
        Some((index, formats.iter().position(|encoding| encoding.format == format)?))
    }

    /// Where there is no quality to lower, and where many frames would be encoded again and again, a file
    /// is as large as it is.
    fn check_max_bytes(
        &self,
        spec: &RenditionSpec,
        field: &dyn Fn(&str) -> String,
    ) -> Result<(), RecipeError> {
        if spec.max_bytes == Some(0) {
            return Err(RecipeError::new(field("max_bytes"), "must be at least 1"));
        }
        let kind = |e: &Encoding| match e {
            Encoding { format: Format::Png, .. } | Encoding { lossless: Some(true), .. } => Some("lossless"),
            Encoding { animated: true, .. } => Some("animated"),
            _ => None,
        };
        let fixed = self.formats_of(spec).iter().find_map(|e| Some((e.format, kind(e)?)));
        match (spec.max_bytes, fixed) {
            (Some(_), Some((format, kind))) => {
                let problem = format!("its {format} is {kind}, and as large as it is");
                Err(RecipeError::new(field("max_bytes"), problem))
            }
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), RecipeError> {
        check_formats("formats", &self.formats)?;
        if self.renditions.is_empty() {
            return Err(RecipeError::new("rendition", "at least one is needed"));
        }
        let mut names = HashSet::new();
        for (index, spec) in self.renditions.iter().enumerate() {
            let field = |name: &str| format!("rendition[{index}].{name}");
            spec.check(&field)?;
            self.check_max_bytes(spec, &field)?;
            if !names.insert(&spec.name) {
                return Err(RecipeError::new(field("name"), format!("`{}` is there twice", spec.name)));
            }
        }
        let outputs: usize = self.renditions.iter().map(|spec| self.formats_of(spec).len()).sum();
        if outputs > MAX_OUTPUTS {
            let problem = format!("{outputs} files for each upload; at most {MAX_OUTPUTS}");
            return Err(RecipeError::new("rendition", problem));
        }
        Ok(())
    }
}

impl RenditionSpec {
    fn check(&self, field: &dyn Fn(&str) -> String) -> Result<(), RecipeError> {
        let plain = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=MAX_NAME_BYTES).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            let problem = format!("`{}` is not 1 to {MAX_NAME_BYTES} of a-z, 0-9, `_`, `-`", self.name);
            return Err(RecipeError::new(field("name"), problem));
        }
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if side.is_some_and(|side| !(1..=MAX_SIDE_PX).contains(&side)) {
                return Err(RecipeError::new(field(name), format!("must be from 1 to {MAX_SIDE_PX} px")));
            }
        }
        match (self.fit, self.width, self.height) {
            (_, None, None) => Err(RecipeError::new(field("width"), "width or height is needed")),
            (Fit::Cover, None, _) => Err(RecipeError::new(field("width"), "`cover` needs width and height")),
            (Fit::Cover, _, None) => Err(RecipeError::new(field("height"), "`cover` needs width and height")),
            _ => self.formats.as_deref().map_or(Ok(()), |list| check_formats(&field("formats"), list)),
        }
    }
}

fn check_formats(field: &str, list: &[Encoding]) -> Result<(), RecipeError> {
    if list.is_empty() {
        return Err(RecipeError::new(field, "at least one format is needed"));
    }
    for (index, encoding) in list.iter().enumerate() {
        let field = |name: &str| format!("{field}[{index}].{name}");
        if list[..index].iter().any(|earlier| earlier.format == encoding.format) {
            return Err(RecipeError::new(field("format"), format!("`{}` is there twice", encoding.format)));
        }
        if encoding.quality.is_some_and(|quality| !(1..=100).contains(&quality)) {
            return Err(RecipeError::new(field("quality"), "must be from 1 to 100"));
        }
        if encoding.quality.is_some() && encoding.format == Format::Png {
            return Err(RecipeError::new(field("quality"), "png is lossless and has none"));
        }
        match encoding.method {
            Some(_) if encoding.format != Format::Webp => {
                return Err(RecipeError::new(field("method"), "only webp has one"));
            }
            Some(7..) => return Err(RecipeError::new(field("method"), "must be from 0 to 6")),
            _ => {}
        }
        for (name, given, format) in [
            ("progressive", encoding.progressive, Format::Jpeg),
            ("lossless", encoding.lossless.is_some(), Format::Webp),
            ("animated", encoding.animated, Format::Webp),
        ] {
            if given && encoding.format != format {
                return Err(RecipeError::new(field(name), format!("only {format} has one")));
            }
        }
    }
    Ok(())
}

fn field_error<E: fmt::Display>(error: serde_path_to_error::Error<E>) -> RecipeError {
    let path = error.path().to_string();
    let field = if path == "." { "text".to_owned() } else { path };
    RecipeError::new(field, one_line(&error.into_inner()))
}

/// TOML's errors draw the offending line over several lines; settings are reported on one.
fn one_line(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines[..] {
        [place, .., message] if place.starts_with("TOML parse error at ") => {
            format!("{message} (at {})", place.trim_start_matches("TOML parse error at "))
        }
        _ => lines.join(" "),
    }
}

/// An opaque sRGB colour, `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
}

impl Default for Color {
    fn default() -> Self {
        Self { red: 255, green: 255, blue: 255 }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

impl FromStr for Color {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let hex =
            text.strip_prefix('#').filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let [_, red, green, blue] =
            value.ok_or_else(|| format!("`{text}` is not a colour like #ffffff"))?.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

impl TryFrom<String> for Color {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Color> for String {
    fn from(color: Color) -> Self {
        color.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = r##"
        background = "#102030"
        formats = [{ format = "webp", quality = 60, method = 2 }, { format = "jpeg", quality = 80 }]
        [[rendition]]
        name = "w640"
        width = 640
        [[rendition]]
        name = "thumb"
        width = 256
        height = 256
        fit = "cover"
        formats = [{ format = "png" }]
    "##;

    #[test]
    fn toml_and_json_say_the_same_recipe() {
        let toml = Recipe::parse(DOCUMENTED).unwrap();
        let json = Recipe::parse(&serde_json::to_string(&toml).unwrap()).unwrap();
        assert_eq!(toml, json);
        assert_eq!(toml.background.to_string(), "#102030");
        assert_eq!(toml.formats_of(&toml.renditions[0]).len(), 2);
        assert_eq!(toml.formats_of(&toml.renditions[1]), [Encoding::new(Format::Png)]);
    }

    #[test]
    fn the_default_recipe_obeys_its_own_rules() {
        let recipe = Recipe::default();
        recipe.check().unwrap();
        let names: Vec<_> = recipe.renditions.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, ["w320", "w640", "w1280", "w1920", "thumb"]);
    }

    #[test]
    fn every_invalid_field_is_refused_by_its_path() {
        let one = |fields: &str| format!("[[rendition]]\nname = \"a\"\nwidth = 1\n{fields}");
        for (text, expected) in [
            ("", "recipe: rendition: "),
            ("rendition = []", "recipe: rendition: at least one is needed"),
            ("x = ", "recipe: text: "),
            ("{\"rendition\": []} x", "recipe: text: "),
            ("colour = 1", "recipe: colour: unknown field"),
            ("[[rendition]]\nname = \"A\"\nwidth = 1", "recipe: rendition[0].name: `A` is not"),
            ("[[rendition]]\nname = \"a\"", "recipe: rendition[0].width: width or height is needed"),
            (
                "[[rendition]]\nname = \"a\"\nwidth = 0",
                "recipe: rendition[0].width: must be from 1 to 16383 px",
            ),
            ("[[rendition]]\nname = \"a\"\nwidth = -1", "recipe: rendition[0].width: "),
            (&one("fit = \"cover\""), "recipe: rendition[0].height: `cover` needs"),
            (&one("fit = \"fill\""), "recipe: rendition[0].fit: unknown variant `fill`"),
            (&one("gravity = \"east\""), "recipe: rendition[0].gravity: unknown variant `east`"),
            (&one("hight = 1"), "recipe: rendition[0].hight: unknown field"),
            (&one("formats = []"), "recipe: rendition[0].formats: at least one format"),
            (
                &one("formats = [{format = \"bmp\"}]"),
                "recipe: rendition[0].formats[0].format: unknown variant",
            ),
            (
                &one("formats = [{format = \"jpeg\", quality = 0}]"),
                "recipe: rendition[0].formats[0].quality: must",
            ),
            (
                &one("formats = [{format = \"jpeg\", quality = 300}]"),
                "recipe: rendition[0].formats[0].quality: ",
            ),
            (
                &one("formats = [{format = \"png\", quality = 9}]"),
                "recipe: rendition[0].formats[0].quality: png is",
            ),
            (
                &one("formats = [{format = \"jpeg\", method = 4}]"),
                "recipe: rendition[0].formats[0].method: only webp",
            ),
            (
                &one("formats = [{format = \"webp\", method = 7}]"),
                "recipe: rendition[0].formats[0].method: must be",
            ),
            (
                &one("formats = [{format = \"webp\"}, {format = \"webp\"}]"),
                "recipe: rendition[0].formats[1].format: `webp` is there twice",
            ),
            (&(one("") + &one("")), "recipe: rendition[1].name: `a` is there twice"),
            (
                &one("formats = [{format = \"webp\", progressive = true}]"),
                "recipe: rendition[0].formats[0].progressive: only jpeg",
            ),
            (
                &one("formats = [{format = \"jpeg\", lossless = false}]"),
                "recipe: rendition[0].formats[0].lossless: only webp",
            ),
            (
                &one("formats = [{format = \"avif\", animated = true}]"),
                "recipe: rendition[0].formats[0].animated: only webp",
            ),
            (&one("max_bytes = 0"), "recipe: rendition[0].max_bytes: must be at least 1"),
            (&one("max_bytes = -1"), "recipe: rendition[0].max_bytes: "),
            (
                &one("max_bytes = 9\nformats = [{format = \"png\"}]"),
                "recipe: rendition[0].max_bytes: its png is lossless",
            ),
            (&format!("background = \"red\"\n{}", one("")), "recipe: background: `red` is not a colour"),
            ("[[rendition]]\nname = \"a\\nb\"\nwidth = 1", "recipe: rendition[0].name: `a b` is not"),
            ("\"a\\nb\" = 1", "recipe: a b: "),
        ] {
            let error = Recipe::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}\n  gave: {error}\n  not:  {expected}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_recipe_of_too_many_files_is_refused() {
        let renditions: Vec<String> =
            (0..33).map(|i| format!("[[rendition]]\nname = \"r{i}\"\nwidth = 1\n")).collect();
        let error = Recipe::parse(&renditions.concat()).unwrap_err().to_string();
        assert_eq!(error, "recipe: rendition: 66 files for each upload; at most 64");
    }
}

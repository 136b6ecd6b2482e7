//! Bar charts as SVG, readable on light and dark pages. Owns their looks; knows nothing of what they show.

use std::fmt::Write;

const WIDTH_PX: f64 = 720.0;
/// Where bars begin, and how long the longest is.
const BARS_FROM_PX: f64 = 190.0;
const LONGEST_PX: f64 = 400.0;
const ROW_PX: f64 = 22.0;
const BAR_PX: f64 = 15.0;
const HEAD_PX: f64 = 34.0;
const GROUP_PX: f64 = 28.0;

/// Ours, others; or the parts of a bar.
const COLOURS: [&str; 3] = ["#2f81f7", "#8b949e", "#d29922"];

const STYLE: &str = "<style>text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}\
     .group{font-weight:600}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>";

pub struct Bar {
    pub label: String,
    /// Each in the colour of its place, one after the other.
    pub parts: Vec<f64>,
    /// What is written behind the bar.
    pub value: String,
}

impl Bar {
    /// Of one part, told from others by its colour where it is ours.
    pub fn plain(label: impl Into<String>, is_ours: bool, length: f64, value: String) -> Self {
        let parts = if is_ours { vec![length] } else { vec![0.0, length] };
        Self { label: label.into(), parts, value }
    }

    fn length(&self) -> f64 {
        self.parts.iter().sum()
    }
}

pub struct Group {
    pub title: String,
    pub bars: Vec<Bar>,
}

pub struct Chart {
    pub title: String,
    /// What the parts of each bar are; none where there is one. A part that is never there has no name.
    pub legend: Vec<&'static str>,
    pub groups: Vec<Group>,
}

impl Chart {
    pub fn svg(&self) -> String {
        let all = || self.groups.iter().flat_map(|group| &group.bars);
        let longest = all().map(Bar::length).fold(f64::MIN_POSITIVE, f64::max);
        let mut svg = String::new();
        let mut y_px = HEAD_PX;
        self.head(&mut svg);
        if !self.legend.is_empty() {
            self.legend(&mut svg, y_px);
            y_px += ROW_PX;
        }
        for group in &self.groups {
            if !group.title.is_empty() {
                text(&mut svg, 12.0, y_px + 20.0, "class=\"group\"", &group.title);
                y_px += GROUP_PX;
            }
            for bar in &group.bars {
                row(&mut svg, bar, y_px, LONGEST_PX / longest);
                y_px += ROW_PX;
            }
        }
        let height_px = y_px + 10.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH_PX} {height_px}\" \
             width=\"{WIDTH_PX}\" height=\"{height_px}\" role=\"img\">{STYLE}\n{svg}</svg>\n"
        )
    }

    fn head(&self, svg: &mut String) {
        let _ = writeln!(svg, "<title>{}</title>", escaped(&self.title));
        text(svg, 12.0, 22.0, "class=\"title\"", &self.title);
    }

    fn legend(&self, svg: &mut String, y_px: f64) {
        let mut x_px = BARS_FROM_PX;
        for (name, colour) in self.legend.iter().zip(COLOURS).filter(|(name, _)| !name.is_empty()) {
            rectangle(svg, (x_px, y_px + 4.0), (12.0, 12.0), colour);
            text(svg, x_px + 18.0, y_px + 15.0, "", name);
            x_px += 40.0 + 7.5 * name.len() as f64;
        }
    }
}

fn row(svg: &mut String, bar: &Bar, y_px: f64, scale: f64) {
    let baseline_px = y_px + BAR_PX - 1.0;
    text(svg, BARS_FROM_PX - 10.0, baseline_px, "text-anchor=\"end\"", &bar.label);
    let mut x_px = BARS_FROM_PX;
    for (part, colour) in bar.parts.iter().zip(COLOURS) {
        rectangle(svg, (x_px, y_px + 1.0), (part * scale, BAR_PX), colour);
        x_px += part * scale;
    }
    text(svg, x_px + 8.0, baseline_px, "", &bar.value);
}

fn rectangle(svg: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    if width > 0.0 {
        let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
        let _ = writeln!(svg, "<rect {place} rx=\"2\" fill=\"{colour}\"/>");
    }
}

fn text(svg: &mut String, x: f64, y: f64, attributes: &str, content: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{}</text>", escaped(content));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_chart_and_text_is_escaped() {
        let bars =
            vec![Bar::plain("a < b", true, 10.0, "10".into()), Bar::plain("c", false, 20.0, "20".into())];
        let groups = vec![Group { title: String::new(), bars }];
        let svg = Chart { title: "t".into(), legend: Vec::new(), groups }.svg();
        assert!(svg.contains("width=\"400.0\"") && svg.contains("width=\"200.0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
    }
}

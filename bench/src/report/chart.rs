//! Bar charts as SVG: what the page is drawn with. Every bar carries its value as data, so that a test can read it back.

use std::fmt::Write;

/// Pixels of the drawing; the page scales it.
const WIDTH: f64 = 1000.0;
const LABEL: f64 = 300.0;
const VALUE: f64 = 200.0;
const BAR: f64 = 16.0;
const GAP: f64 = 6.0;

/// Bars below one label.
pub(super) struct Group {
    pub label: String,
    pub bars: Vec<Bar>,
}

/// One bar, of one or several pieces.
pub(super) struct Bar {
    /// Written behind it.
    pub text: String,
    pub pieces: Vec<Piece>,
}

pub(super) struct Piece {
    /// A class of the page's style, which is its colour; also what the piece is called.
    pub class: &'static str,
    pub value: f64,
    /// Shown when pointed at.
    pub title: String,
}

/// How values become lengths.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// In proportion.
    Linear,
    /// By powers of ten, from this value on.
    Logarithmic(f64),
}

impl Scale {
    fn length(self, value: f64, greatest: f64) -> f64 {
        let share = match self {
            Self::Linear => value / greatest,
            Self::Logarithmic(least) => (value / least).ln() / (greatest / least).ln(),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) * (WIDTH - LABEL - VALUE) } else { 0.0 }
    }
}

/// A horizontal bar chart with this name for who cannot see it.
pub(super) fn bars(name: &str, groups: &[Group], scale: Scale) -> String {
    let total = |bar: &Bar| bar.pieces.iter().map(|piece| piece.value).sum::<f64>();
    let greatest = groups.iter().flat_map(|group| &group.bars).map(total).fold(f64::MIN_POSITIVE, f64::max);
    let mut drawing = String::new();
    let mut y = GAP;
    for group in groups {
        let middle = y + group.bars.len() as f64 * BAR / 2.0;
        text(&mut drawing, ("label", LABEL - 8.0, middle), &group.label);
        for bar in &group.bars {
            let mut x = LABEL;
            for piece in &bar.pieces {
                let width = scale.length(piece.value, greatest);
                let Piece { class, value, title } = piece;
                let title = escaped(title);
                writeln!(
                    drawing,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" \
                     data-value=\"{value}\"><title>{title}</title></rect>",
                    BAR - 2.0
                )
                .expect("a string takes all");
                x += width;
            }
            text(&mut drawing, ("value", x + 6.0, y + BAR / 2.0), &bar.text);
            y += BAR;
        }
        y += GAP;
    }
    let name = escaped(name);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {y}\" role=\"img\" aria-label=\"{name}\" xmlns=\"http://www.w3.org/2000/svg\">\n\
         <line class=\"axis\" x1=\"{LABEL}\" y1=\"0\" x2=\"{LABEL}\" y2=\"{y}\"/>\n{drawing}</svg>\n"
    )
}

fn text(drawing: &mut String, (class, x, y): (&str, f64, f64), content: &str) {
    let content = escaped(content);
    writeln!(drawing, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>")
        .expect("a string takes all");
}

/// As text of a page, or as a value of an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

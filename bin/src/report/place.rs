//! Where something stands in a text, as people count and as a terminal shows it.

use std::ops::Range;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of the terminal that a line of SQL takes at most; more of it is left out on both sides of the place.
pub(super) const LINE_WIDTH_MAX: usize = 140;

/// Columns kept ahead of the place in a line that is too long.
const WIDTH_BEFORE: usize = 60;

/// A span in terms of lines and of what a terminal shows.
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// The line that its end is on, from 1.
    pub(super) end_line: usize,
    /// The character behind its end, from 1.
    pub(super) end_column: usize,
    /// The line, tabs expanded, perhaps cut.
    pub(super) shown: String,
    /// Columns of the terminal before the caret.
    pub(super) indent: usize,
    /// Carets, at least one.
    pub(super) width: usize,
}

impl Place {
    /// The place of `span`, a range of bytes of `text`. Any range will do.
    pub(super) fn find(text: &str, span: &Range<usize>) -> Self {
        let mut start = boundary(text, span.start);
        if start == text.len() {
            // The end of the text: what is missing there is missed behind the last word.
            start = text.trim_end().len();
        }
        let end = boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |index| index + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |index| start + index);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let (before, after) = line.split_at((start - line_start).min(line.len()));
        let marked = &after[..boundary(after, end - start)];
        let mut place = Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            end_line: text[..end].matches('\n').count() + 1,
            end_column: text[text[..end].rfind('\n').map_or(0, |index| index + 1)..end].chars().count() + 1,
            shown: expanded(line),
            indent: expanded(before).width(),
            width: expanded(marked.trim_end()).width().max(1),
        };
        place.cut();
        place
    }

    /// Leaves out what is far from the place in a line that is too long.
    fn cut(&mut self) {
        if self.shown.width() <= LINE_WIDTH_MAX {
            return;
        }
        let first = self.indent.saturating_sub(WIDTH_BEFORE);
        let (mut column, mut kept, mut skipped) = (0, String::new(), 0);
        for character in self.shown.chars() {
            let width = character.width().unwrap_or(0);
            if column < first {
                skipped = column + width;
            } else if column + width <= first + LINE_WIDTH_MAX {
                kept.push(character);
            } else {
                kept.push('…');
                break;
            }
            column += width;
        }
        let lead = if skipped > 0 { "…" } else { "" };
        self.indent = self.indent - skipped + lead.width();
        self.shown = format!("{lead}{kept}");
        self.width = self.width.min(self.shown.width().saturating_sub(self.indent)).max(1);
    }
}

/// The greatest boundary between characters that is not after `index`.
fn boundary(text: &str, index: usize) -> usize {
    text.floor_char_boundary(index.min(text.len()))
}

/// Tabs as four spaces, other control characters as one.
fn expanded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => out.push_str("    "),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

//! Drawing: shapes and texts into an SVG that takes its colours from the page.
//!
//! Knows points, classes of the style sheet and how wide a text may be; knows nothing of what is drawn.

use std::fmt::Write;

use super::axis::Axis;

/// About how wide a character of the page's font is, as a share of its size. On the safe side.
const CHARACTER_WIDTH: f64 = 0.58;

/// How much wider bold text is.
const BOLD: f64 = 1.15;

/// Text made safe for HTML and SVG, inside elements and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            // Characters that XML does not allow, and those that would turn the text around.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}') =>
            {
                safe.push('\u{fffd}');
            }
            c => safe.push(c),
        }
    }
    safe
}

/// About how wide a text is at a font size.
pub(crate) fn text_width(text: &str, font_size: f64) -> f64 {
    text.chars().count() as f64 * font_size * CHARACTER_WIDTH
}

/// What a mark looks like; the shape alone tells the kinds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Circle,
    Ring,
    Square,
    Diamond,
    Cross,
    Down,
}

/// Where a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG being drawn.
pub(crate) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

impl Drawing {
    pub fn new(width: f64, height: f64) -> Self {
        Drawing {
            width,
            height,
            body: String::new(),
        }
    }

    /// The finished element; `description` is for who cannot see it.
    pub fn finish(self, description: &str) -> String {
        // Wider than that it grows no more, narrower than that it scrolls.
        format!(
            "<svg viewBox=\"0 0 {:.0} {:.0}\" style=\"max-width:{:.0}px;min-width:{:.0}px\" role=\"img\" aria-label=\"{}\">{}</svg>\n",
            self.width,
            self.height,
            self.width * 1.15,
            self.width * 0.75,
            escape(description),
            self.body
        )
    }

    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// A line through points; nothing for fewer than two.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        if points.len() < 2 {
            return;
        }
        let mut d = String::new();
        for (place, (x, y)) in points.iter().enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            self::push(&mut d, format_args!("{command}{x:.1} {y:.1}"));
        }
        self.push(format_args!("<path class=\"{class}\" d=\"{d}\"/>"));
    }

    pub fn rect(
        &mut self,
        class: &str,
        opacity: f64,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        title: &str,
    ) {
        self.push(format_args!(
            "<rect class=\"{class}\" fill-opacity=\"{opacity:.3}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">{}</rect>",
            title_of(title)
        ));
    }

    /// A picture of pixels, stretched to a size; `source` is its data.
    pub fn image(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), source: &str) {
        self.push(format_args!(
            "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" href=\"{}\"/>",
            escape(source)
        ));
    }

    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        ));
    }

    /// A text turned around its start; `full` is shown when it is pointed at.
    pub fn turned_text(
        &mut self,
        class: &str,
        (x, y): (f64, f64),
        degrees: f64,
        text: &str,
        full: &str,
    ) {
        self.push(format_args!(
            "<text class=\"{class}\" transform=\"translate({x:.1} {y:.1}) rotate({degrees:.0})\">{}{}</text>",
            title_of(full),
            escape(text)
        ));
    }

    /// A mark of about `size` pixels; `title` is shown when it is pointed at.
    pub fn mark(&mut self, mark: Mark, class: &str, (x, y): (f64, f64), size: f64, title: &str) {
        let r = size / 2.0;
        let title = title_of(title);
        match mark {
            Mark::Circle => self.push(format_args!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\">{title}</circle>")),
            Mark::Ring => self.push(format_args!("<circle class=\"{class} ring\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\">{title}</circle>")),
            Mark::Square => self.push(format_args!(
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{size:.1}\" height=\"{size:.1}\" rx=\"1\">{title}</rect>",
                x - r,
                y - r
            )),
            Mark::Diamond => {
                let r = r * 1.25;
                let (left, right, top, bottom) = (x - r, x + r, y - r, y + r);
                self.push(format_args!(
                    "<path class=\"{class}\" d=\"M{x:.1} {top:.1}L{right:.1} {y:.1}L{x:.1} {bottom:.1}L{left:.1} {y:.1}Z\">{title}</path>"
                ));
            }
            Mark::Cross => {
                let (left, right, top, bottom) = (x - r, x + r, y - r, y + r);
                self.push(format_args!(
                    "<path class=\"{class} cross\" d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{right:.1} {top:.1}L{left:.1} {bottom:.1}\">{title}</path>"
                ));
            }
            Mark::Down => {
                let (left, right, top, bottom) = (x - r, x + r, y - r, y + r);
                self.push(format_args!("<path class=\"{class}\" d=\"M{left:.1} {top:.1}L{right:.1} {top:.1}L{x:.1} {bottom:.1}Z\">{title}</path>"));
            }
        }
    }

    /// Marks with names in a row from the left at a height; what does not fit goes to a next row. Returns the rows used.
    pub fn legend(
        &mut self,
        (left, y): (f64, f64),
        right: f64,
        entries: &[(Option<Mark>, &str, &str)],
    ) -> usize {
        let (mut x, mut row) = (left, 0);
        for (mark, class, name) in entries {
            let width = 22.0 + text_width(name, 12.0) + 10.0;
            if x > left && x + width > right {
                (x, row) = (left, row + 1);
            }
            let y = y + row as f64 * 17.0;
            match mark {
                Some(mark) => self.mark(*mark, class, (x + 8.0, y - 4.0), 8.0, ""),
                None => self.line(class, (x, y - 4.0), (x + 16.0, y - 4.0)),
            }
            self.text("legend", (x + 21.0, y), Anchor::Start, name);
            x += width;
        }
        row + 1
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        self::push(&mut self.body, arguments);
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string does not fail");
}

fn title_of(title: &str) -> String {
    if title.is_empty() {
        String::new()
    } else {
        format!("<title>{}</title>", escape(title))
    }
}

/// The rectangle inside the axes, and how values come to lie in it.
pub(crate) struct Plot {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Plot {
    /// The point of a pair of values, kept inside the rectangle.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (
            self.x.place(x).clamp(0.0, 1.0),
            self.y.place(y).clamp(0.0, 1.0),
        );
        (
            self.left + x * (self.right - self.left),
            self.bottom - y * (self.bottom - self.top),
        )
    }

    /// Grid lines, tick labels and the names of the axes.
    pub fn draw_axes(
        &self,
        drawing: &mut Drawing,
        (x_name, x_label): (&str, &dyn Fn(f64) -> String),
        (y_name, y_label): (&str, &dyn Fn(f64) -> String),
    ) {
        for tick in self.y.ticks(5) {
            let y = self.bottom - tick.place * (self.bottom - self.top);
            drawing.line("grid", (self.left, y), (self.right, y));
            drawing.text(
                "tick",
                (self.left - 7.0, y + 4.0),
                Anchor::End,
                &y_label(tick.value),
            );
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in self.x.ticks(6) {
            let (x, label) = (
                self.left + tick.place * (self.right - self.left),
                x_label(tick.value),
            );
            if label.is_empty() {
                continue;
            }
            let half = text_width(&label, 11.0) / 2.0;
            drawing.line("tickmark", (x, self.bottom), (x, self.bottom + 4.0));
            if x - half > free_from {
                drawing.text("tick", (x, self.bottom + 17.0), Anchor::Middle, &label);
                free_from = x + half + 6.0;
            }
        }
        drawing.line("axis", (self.left, self.bottom), (self.right, self.bottom));
        drawing.text(
            "axis-name",
            ((self.left + self.right) / 2.0, self.bottom + 36.0),
            Anchor::Middle,
            x_name,
        );
        drawing.text("axis-name", (8.0, self.top - 10.0), Anchor::Start, y_name);
    }
}

/// Places names beside points so that they cover neither one another nor the points.
pub(crate) struct Labels {
    taken: Vec<(f64, f64, f64, f64)>,
}

impl Labels {
    /// Points that may not be covered, with their sizes.
    pub fn around(points: impl Iterator<Item = ((f64, f64), f64)>) -> Self {
        let boxes = points.map(|((x, y), size)| {
            (
                x - size / 2.0,
                y - size / 2.0,
                x + size / 2.0,
                y + size / 2.0,
            )
        });
        Labels {
            taken: boxes.collect(),
        }
    }

    /// Writes a name near a point where there is room: right, left, above, below; not at all where there is none.
    pub fn write(&mut self, drawing: &mut Drawing, plot: &Plot, (x, y): (f64, f64), text: &str) {
        let width = text_width(text, 12.0) * BOLD;
        let places = [
            (x + 11.0, y + 4.0),
            (x - 11.0 - width, y + 4.0),
            (x - width / 2.0, y - 10.0),
            (x - width / 2.0, y + 19.0),
            (x + 7.0, y - 8.0),
            (x + 7.0, y + 16.0),
            (x - 7.0 - width, y - 8.0),
            (x - 7.0 - width, y + 16.0),
        ];
        let room = places.into_iter().find(|&(left, base)| {
            let (right, top, bottom) = (left + width, base - 11.0, base + 3.0);
            let inside = left >= plot.left
                && right <= plot.right + 4.0
                && top >= plot.top - 16.0
                && bottom <= plot.bottom;
            inside
                && self
                    .taken
                    .iter()
                    .all(|&(l, t, r, b)| right < l || r < left || bottom < t || b < top)
        });
        if let Some((left, base)) = room {
            self.taken
                .push((left, base - 11.0, left + width, base + 3.0));
            drawing.text("label", (left, base), Anchor::Start, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_name_things_cannot_leave_its_place() {
        assert_eq!(
            escape("<b>\"a\" & 'b'</b>"),
            "&lt;b&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/b&gt;"
        );
        assert_eq!(
            escape("a\u{0}b\u{1b}[31m\u{202e}c"),
            "a\u{fffd}b\u{fffd}[31m\u{fffd}c"
        );
        assert_eq!(escape("да 右 ñ"), "да 右 ñ");
    }
}

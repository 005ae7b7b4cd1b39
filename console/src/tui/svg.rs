//! A screen as a picture in SVG, with its colours.

use std::fmt::Write;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr;

/// Width and height of a cell, in pixels.
const CELL: (usize, usize) = (8, 17);
/// Distance of the letters' base line from the top of their cell.
const BASE_LINE: usize = 13;
/// Space around the screen.
const MARGIN: usize = 8;
/// Text and ground.
const TEXT: &str = "#d3d7cf";
const GROUND: &str = "#1c1f22";

/// Returns a screen as SVG.
pub(crate) fn svg(screen: &Buffer) -> String {
    let (columns, rows) = (usize::from(screen.area.width), usize::from(screen.area.height));
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, rows * CELL.1 + 2 * MARGIN);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13.2">"#
    );
    let _ = writeln!(svg, r#"<rect width="{width}" height="{height}" rx="6" fill="{GROUND}"/>"#);
    for (y, row) in screen.content.chunks(columns.max(1)).enumerate() {
        let mut x = 0;
        while x < row.len() {
            let length = row[x..].iter().take_while(|cell| has_style_of(cell, &row[x])).count().max(1);
            run(&mut svg, &row[x..x + length], x, y);
            x += length;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn has_style_of(cell: &Cell, other: &Cell) -> bool {
    (cell.fg, cell.bg, cell.modifier) == (other.fg, other.bg, other.modifier)
}

/// Writes cells of one style.
fn run(svg: &mut String, cells: &[Cell], x: usize, y: usize) {
    let modifier = cells[0].modifier;
    let (left, top) = (x * CELL.0 + MARGIN, y * CELL.1 + MARGIN);
    let (mut text, mut ground) = (colour(cells[0].fg), None);
    if modifier.contains(Modifier::REVERSED) {
        (text, ground) = (GROUND, Some(text));
    }
    if let Some(ground) = ground {
        let width = cells.len() * CELL.0;
        let _ = writeln!(svg, r#"<rect x="{left}" y="{top}" width="{width}" height="{}" fill="{ground}"/>"#, CELL.1);
    }
    let style = style_of(modifier);
    // Bars are drawn, and words have places of their own: fonts differ in the widths of their letters.
    let mut x = x;
    let mut rest = cells;
    while let Some(first) = rest.first() {
        if let Some((eighths, opacity)) = bar(first.symbol()) {
            let same = rest.iter().take_while(|cell| cell.symbol() == first.symbol()).count();
            let (left, height) = (x * CELL.0 + MARGIN, CELL.1 * eighths / 8);
            let (y, width) = (top + CELL.1 - height, same * CELL.0);
            let opacity = if modifier.contains(Modifier::DIM) { opacity * 0.6 } else { opacity };
            let _ = writeln!(
                svg,
                r#"<rect x="{left}" y="{y}" width="{width}" height="{height}" fill="{text}" opacity="{opacity}"/>"#
            );
            (x, rest) = (x + same, &rest[same..]);
            continue;
        }
        let blanks = rest.iter().take_while(|cell| cell.symbol() == " ").count();
        (x, rest) = (x + blanks, &rest[blanks..]);
        let ends = |at: &usize| {
            let is_blank = |at: usize| rest.get(at).is_none_or(|cell| cell.symbol() == " ");
            bar(rest[*at].symbol()).is_some() || is_blank(*at) && is_blank(*at + 1)
        };
        let length = (0..rest.len()).find(ends).unwrap_or(rest.len());
        if length > 0 {
            let words: String = rest[..length].iter().map(Cell::symbol).collect();
            let (left, base) = (x * CELL.0 + MARGIN, top + BASE_LINE);
            let columns = words.width() * CELL.0;
            let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let _ = writeln!(
                svg,
                r#"<text x="{left}" y="{base}" fill="{text}" textLength="{columns}" lengthAdjust="spacingAndGlyphs"{style}>{escaped}</text>"#
            );
            (x, rest) = (x + length, &rest[length..]);
        }
    }
}

/// Returns the attributes of a text.
fn style_of(modifier: Modifier) -> String {
    let mut style = String::new();
    for (part, attribute) in [
        (Modifier::BOLD, r#" font-weight="bold""#),
        (Modifier::DIM, r#" opacity="0.6""#),
        (Modifier::UNDERLINED, r#" text-decoration="underline""#),
    ] {
        if modifier.contains(part) {
            style.push_str(attribute);
        }
    }
    style
}

/// Returns the height of a bar in eighths of a row, and its opacity.
fn bar(symbol: &str) -> Option<(usize, f64)> {
    const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    match symbol {
        "░" => Some((8, 0.45)),
        "▒" => Some((8, 0.7)),
        symbol => BARS.iter().position(|bar| *bar == symbol).map(|eighths| (eighths + 1, 1.0)),
    }
}

/// Returns the colour of a terminal with a widely used palette.
fn colour(colour: Color) -> &'static str {
    match colour {
        Color::Red => "#ef5350",
        Color::Green => "#8bc34a",
        Color::Yellow => "#f2c94c",
        Color::Magenta => "#c586c0",
        Color::Cyan => "#4fc1d6",
        Color::Indexed(_) => "#949494",
        _ => TEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::{layout::Rect, style::Style};

    #[test]
    fn a_picture_has_the_text_and_the_styles_of_the_screen() {
        let mut screen = Buffer::empty(Rect::new(0, 0, 20, 2));
        screen.set_string(0, 0, "a<b & c", Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD));
        screen.set_string(2, 1, "here", Style::new().add_modifier(Modifier::REVERSED));
        screen.set_string(10, 1, "▄▄", Style::new());
        let svg = svg(&screen);
        assert!(svg.contains(">a&lt;b &amp; c<") && svg.contains("font-weight=\"bold\""), "{svg}");
        assert!(svg.contains("width=\"16\" height=\"8\""), "two bars of half a row are one: {svg}");
        assert!(svg.contains(&format!("fill=\"{GROUND}\" textLength=\"32\"")), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}

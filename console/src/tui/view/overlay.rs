//! Drawing over the screen.

use ratatui::{buffer::Buffer, layout::Rect};

/// Empties an area.
pub(super) fn clear(buffer: &mut Buffer, area: Rect) {
    for y in area.top()..area.bottom().min(buffer.area.bottom()) {
        for x in area.left()..area.right().min(buffer.area.right()) {
            buffer[(x, y)].reset();
        }
    }
}

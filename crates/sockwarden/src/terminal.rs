//! What is known of the terminal.

/// Gives the terminal's width, from `COLUMNS` or the terminal itself: 40 to 100 columns, 80 where nobody knows.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns
        .or_else(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)))
        .unwrap_or(80)
        .clamp(40, 100)
}

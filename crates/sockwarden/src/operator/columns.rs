//! Text in columns.

use sockwarden_model::printable;

/// The widest cell, in characters.
const WIDEST: usize = 60;

/// Sets rows below their headings, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let cells: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| printable(cell.as_bytes(), WIDEST))).collect();
    let mut widths = headings.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(headings.map(str::to_owned)).chain(cells) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_and_cells_are_harmless() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long\u{1b}[2J".to_owned(), String::new()]];
        assert_eq!(columns(["NAME", "N"], &rows), "NAME         N\na            1\nlong\\x1b[2J\n");
        assert_eq!(columns(["NAME", "N"], &[]), "NAME  N\n");
    }
}

//! Tables that are readable in a terminal and are Markdown.

use crate::relay::Cell;

/// The proxy that the others are compared with.
const OURS: &str = "sockwarden";

/// Rows of text below a heading.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, heading: Vec<String>) -> Self {
        Self { title: title.to_owned(), rows: vec![heading] }
    }

    pub(crate) fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Processor time per round trip, and ours as a ratio of each other's.
    pub(crate) fn of_cpu(cells: &[Cell]) -> Self {
        let proxies = names(cells);
        let others: Vec<&str> = proxies.iter().copied().filter(|name| *name != OURS).collect();
        let has_ours = others.len() < proxies.len();
        let mut heading = vec!["case".to_owned()];
        heading.extend(proxies.iter().map(|name| (*name).to_owned()));
        if has_ours {
            heading.extend(others.iter().map(|name| format!("/ {name}")));
        }
        let title = "Processor time of the proxy per round trip, µs; then ours as a ratio of theirs";
        let mut table = Self::new(title, heading);
        for row in cells.chunk_by(|a, b| a.case == b.case) {
            let of = |name: &str| row.iter().find(|cell| cell.proxy == name);
            let mut words = vec![row[0].case.to_string()];
            words.extend(proxies.iter().map(|name| {
                of(name).map_or(String::new(), |cell| match &cell.failure {
                    Some(_) => "failed".to_owned(),
                    None => number(cell.cpu),
                })
            }));
            if has_ours {
                words.extend(others.iter().map(|name| match (of(OURS), of(name)) {
                    (Some(ours), Some(theirs)) => ratio(ours.cpu / theirs.cpu),
                    _ => String::new(),
                }));
            }
            table.row(words);
        }
        table
    }

    /// Messages each second and how long a round trip takes.
    pub(crate) fn of_speed(cells: &[Cell]) -> Self {
        let proxies = names(cells);
        let mut heading = vec!["case".to_owned()];
        heading.extend(proxies.iter().map(|name| format!("{name} k/s")));
        heading.extend(proxies.iter().map(|name| format!("{name} p50 / p99")));
        let mut table = Self::new("Thousands of round trips a second, and how long one takes, µs", heading);
        for row in cells.chunk_by(|a, b| a.case == b.case) {
            let mut words = vec![row[0].case.to_string()];
            let of = |name: &&str| row.iter().find(|cell| cell.proxy == **name);
            words.extend(
                proxies.iter().map(|name| of(name).map_or(String::new(), |c| number(c.per_second / 1e3))),
            );
            words.extend(proxies.iter().map(|name| {
                of(name).map_or(String::new(), |cell| format!("{} / {}", number(cell.p50), number(cell.p99)))
            }));
            table.row(words);
        }
        table
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|word| word.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).max(3)).collect();
        writeln!(out, "{}\n", self.title)?;
        for (index, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let word = row.get(column).map_or("", String::as_str);
                // Names to the left, numbers to the right.
                if column == 0 {
                    write!(out, "| {word:<width$} ")?
                } else {
                    write!(out, "| {word:>width$} ")?
                }
            }
            out.write_str("|\n")?;
            if index == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let dashes = "-".repeat(*width);
                    if column == 0 {
                        write!(out, "| {dashes} ")?
                    } else {
                        write!(out, "| {}: ", &dashes[1..])?
                    }
                }
                out.write_str("|\n")?;
            }
        }
        Ok(())
    }
}

/// The proxies in the order in which they were measured.
fn names(cells: &[Cell]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for cell in cells {
        if !names.contains(&cell.proxy.as_str()) {
            names.push(&cell.proxy);
        }
    }
    names
}

/// Three digits that count.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        "–".to_owned()
    } else if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn ratio(value: f64) -> String {
    if value.is_nan() { "–".to_owned() } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_word() {
        let mut table = Table::new("Things", vec!["case".into(), "a".into()]);
        table.row(vec!["x".into(), number(1234.5)]);
        table.row(vec!["longer".into(), number(f64::NAN)]);
        let expected =
            "Things\n\n| case   |    a |\n| ------ | ---: |\n| x      | 1234 |\n| longer |    – |\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, text) in [(0.256, "0.26"), (8.5, "8.50"), (38.04, "38.0"), (537.2, "537")] {
            assert_eq!(number(value), text);
        }
    }
}

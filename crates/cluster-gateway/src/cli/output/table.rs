//! Tables as kubectl prints them.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

/// Blanks between columns.
const GAP: usize = 3;

/// A column of a [`Table`].
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Column {
    heading: &'static str,
    wide: bool,
}

impl Column {
    /// One that is always shown.
    pub(in crate::cli) const fn new(heading: &'static str) -> Self {
        Self { heading, wide: false }
    }

    /// One that only `-o wide` shows.
    pub(in crate::cli) const fn wide(heading: &'static str) -> Self {
        Self { heading, wide: true }
    }
}

/// How a cell is meant; on a terminal, its colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::cli) enum Mood {
    /// Nothing about it.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Soon to be looked at.
    Warning,
    /// Wrong.
    Bad,
    /// Of less weight than the rest.
    Faint,
}

/// A cell of a [`Table`].
#[derive(Debug, Clone)]
pub(in crate::cli) struct Cell {
    text: String,
    mood: Mood,
}

impl Cell {
    /// A cell with a mood.
    pub(in crate::cli) fn with(mood: Mood, text: impl Into<String>) -> Self {
        Self { text: printable(&text.into()), mood }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::with(Mood::Plain, text)
    }
}

/// Rows under headings.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
    empty: &'static str,
}

impl Table {
    /// A table without rows, which is shown as the sentence `empty`.
    pub(in crate::cli) fn new(columns: &'static [Column], empty: &'static str) -> Self {
        Self { columns, rows: Vec::new(), empty }
    }

    /// Adds a row: one cell for each column, also for the wide ones.
    pub(in crate::cli) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// The table as text, each line with its end.
    pub(in crate::cli) fn render(&self, wide: bool, colour: bool) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", self.empty);
        }
        let shown: Vec<_> =
            (0..self.columns.len()).filter(|index| wide || !self.columns[*index].wide).collect();
        let heading = self.columns.iter().map(|column| Cell::from(column.heading)).collect();
        let lines: Vec<&Vec<Cell>> = std::iter::once(&heading).chain(&self.rows).collect();
        let width = |index: usize| {
            lines.iter().filter_map(|cells| cells.get(index)).map(|cell| cell.text.width()).max().unwrap_or(0)
        };
        let widths: Vec<_> = shown.iter().map(|index| width(*index)).collect();
        lines.iter().fold(String::new(), |mut text, cells| {
            line(&mut text, &shown, &widths, cells, colour);
            text
        })
    }
}

/// Nothing stands behind the last cell that has a text, so that what is copied has no blanks at its end.
fn line(text: &mut String, shown: &[usize], widths: &[usize], cells: &[Cell], colour: bool) {
    let mut owed = 0;
    for (index, width) in shown.iter().zip(widths) {
        let Some(cell) = cells.get(*index) else { continue };
        if !cell.text.is_empty() {
            let (on, off) = if colour { paint(cell.mood) } else { ("", "") };
            // Writing to a String cannot fail.
            let _ = write!(text, "{:owed$}{on}{}{off}", "", cell.text);
            owed = 0;
        }
        owed += width - cell.text.width() + GAP;
    }
    text.push('\n');
}

fn paint(mood: Mood) -> (&'static str, &'static str) {
    const OFF: &str = "\x1b[0m";
    match mood {
        Mood::Plain => ("", ""),
        Mood::Good => ("\x1b[32m", OFF),
        Mood::Warning => ("\x1b[33m", OFF),
        Mood::Bad => ("\x1b[31m", OFF),
        Mood::Faint => ("\x1b[2m", OFF),
    }
}

/// A text on one line that cannot steer a terminal: it may come from whoever may write an annotation. Invisible
/// characters that turn the direction of writing are taken out, too.
pub(in crate::cli) fn printable(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\r' | '\t' => ' ',
        character if character.is_control() => '\u{fffd}',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        character => character,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] =
        &[Column::new("NAME"), Column::new("ALIAS"), Column::wide("ENDPOINT"), Column::new("AGE")];

    fn table(rows: &[[&str; 4]]) -> Table {
        let mut table = Table::new(COLUMNS, "There is nothing.");
        for row in rows {
            table.row(row.iter().map(|text| Cell::from(*text)).collect());
        }
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_have_no_blanks_at_their_end() {
        let table = table(&[["a", "", "https://a", "5s"], ["a-longer-name", "x", "b", ""]]);
        assert_eq!(
            table.render(false, false),
            "NAME            ALIAS   AGE\na                       5s\na-longer-name   x\n"
        );
        assert_eq!(
            table.render(true, false),
            "NAME            ALIAS   ENDPOINT    AGE\na                       https://a   5s\na-longer-name   x       b\n"
        );
    }

    #[test]
    fn wide_characters_count_as_two_columns_and_combining_ones_as_none() {
        let text = table(&[["a", "北京", "", "1d"], ["b", "Zu\u{308}rich", "", "2d"]]).render(false, false);
        assert_eq!(text, "NAME   ALIAS    AGE\na      北京     1d\nb      Zu\u{308}rich   2d\n");
    }

    #[test]
    fn no_cell_can_steer_the_terminal_or_break_its_line() {
        let text = table(&[["a", "\x1b]0;x\x07\nb\u{202e}c", "", "1d"]]).render(false, false);
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
        assert!(text.contains("]0;x\u{fffd} b\u{fffd}c"), "{text:?}");
    }

    #[test]
    fn colours_follow_moods_and_do_not_move_columns() {
        const TWO: &[Column] = &[Column::new("A"), Column::new("B")];
        let mut table = Table::new(TWO, "");
        table.row(vec![Cell::with(Mood::Bad, "no"), "x".into()]);
        assert_eq!(table.render(false, true), "A    B\n\x1b[31mno\x1b[0m   x\n");
        assert_eq!(table.render(false, false), "A    B\nno   x\n");
    }

    #[test]
    fn without_rows_there_is_a_sentence() {
        assert_eq!(table(&[]).render(false, true), "There is nothing.\n");
    }
}

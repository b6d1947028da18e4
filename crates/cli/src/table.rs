//! How tables and texts look here: no frames, one line under the header, numbers to the right, few colours.
//!
//! Everything is made with colours; whoever prints takes them out where they are not wanted (see `output`).

use std::io::IsTerminal;

use anstyle::{AnsiColor, Effects, Style};
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

/// Characters in a line where there is no terminal to ask.
const WIDTH: u16 = 110;

/// One line under the header.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How a piece of text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As any.
    Plain,
    /// For those who look closer.
    Dim,
    /// Above what follows.
    Heading,
    /// As it should be.
    Good,
    /// Worth a thought.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    /// As a style to write with: `{style}text{style:#}`.
    pub fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Dim => Style::new().effects(Effects::DIMMED),
            Self::Heading => Style::new().effects(Effects::BOLD),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().effects(Effects::BOLD),
        }
    }

    fn cell(self, text: &str) -> Cell {
        let cell = Cell::new(text);
        match self {
            Self::Plain => cell,
            Self::Dim => cell.add_attribute(Attribute::Dim),
            Self::Heading => cell.add_attribute(Attribute::Bold),
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Warn => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Text, broken into lines where there is not enough room.
    Text,
    /// Words that stay in one line.
    Word,
    /// Numbers, which stay in one line.
    Number,
}

/// A table being made.
pub struct Grid {
    table: Table,
    headings: Vec<String>,
}

/// Stands in the table for the first heading, which is wider than any column; the next characters for the next ones.
/// They are in private use: no text has them.
const MARK: u32 = 0xe000;

impl Grid {
    /// A table with these columns.
    pub fn new(columns: &[(&str, Column)]) -> Self {
        let mut table = Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).enforce_styling();
        // So that the spaces at the end of a line can be taken off.
        table.style_text_only();
        if !std::io::stdout().is_terminal() {
            table.set_width(WIDTH);
        }
        table.set_header(columns.iter().map(|(name, _)| Tone::Plain.cell(name)));
        for (column, (_, kind)) in table.column_iter_mut().zip(columns) {
            // The table adds a space between columns.
            column.set_padding((1, 0));
            match kind {
                Column::Text => {}
                Column::Word => {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
                Column::Number => {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        Self { table, headings: Vec::new() }
    }

    /// Adds a line of text across the columns, and an empty one before it.
    pub fn heading(&mut self, text: &str) {
        let mark = char::from_u32(MARK + self.headings.len() as u32).expect("fewer headings than private characters");
        self.table.add_row([mark]);
        self.headings.push(text.to_owned());
    }

    /// Adds a row.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = (&'a str, Tone)>) {
        let cells: Vec<_> = cells.into_iter().map(|(text, tone)| tone.cell(text)).collect();
        self.table.add_row(cells);
    }

    /// The whole table, with a line end.
    pub fn text(&self) -> String {
        let (heading, dim) = (Tone::Heading.style(), Tone::Dim.style());
        let mut text = String::new();
        for line in self.table.lines() {
            let line = line.trim_end();
            let mark = line.trim_start().chars().next().and_then(|first| u32::from(first).checked_sub(MARK));
            match mark.and_then(|number| self.headings.get(number as usize)) {
                Some(title) => text.extend(["\n", &format!(" {heading}{title}{heading:#}")]),
                None if line.starts_with('─') => text.push_str(&format!("{dim}{line}{dim:#}")),
                None => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }
}

/// A number with a comma between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, as in `1 page` and `1,234 pages`.
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// Bytes in the largest unit that leaves a whole number or one of at least 10.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    let mut number = bytes;
    while unit + 1 < UNITS.len() && number >= 1024 && (number.is_multiple_of(1024) || number >= 10 * 1024) {
        number /= 1024;
        unit += 1;
    }
    format!("{} {}", count(number), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(["0", "999", "1,000", "1,234,567"], [0, 999, 1000, 1_234_567].map(count).as_slice());
        assert_eq!(["0 pages", "1 page", "2,000 pages"], [0, 1, 2000].map(|n| counted(n, "page")).as_slice());
        let sizes = [0, 1023, 4096, 5000, 20_000, 4 << 40, (3 << 30) / 2, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1,023 B", "4 KiB", "5,000 B", "19 KiB", "4 TiB", "1,536 MiB", "15 EiB"]);
    }

    #[test]
    fn columns_line_up_and_lines_end_where_the_text_does() {
        let mut grid = Grid::new(&[("Step", Column::Text), ("Pages", Column::Number), ("", Column::Word)]);
        grid.row([("one", Tone::Plain), ("7", Tone::Plain), ("ok", Tone::Plain)]);
        grid.heading("more than fits a column");
        grid.row([("two", Tone::Bad), ("1234567", Tone::Dim)]);
        let lines: Vec<_> =
            grid.text().lines().map(anstream::adapter::strip_str).map(|line| line.to_string()).collect();
        let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
        let rule = "─".repeat(lines[1].chars().count());
        let expected =
            [" Step    Pages", &rule, " one         7  ok", "", " more than fits a column", " two   1234567"];
        assert_eq!(lines, expected);
    }
}

//! One report, as tables.

use super::report::{Map, Report, What};
use crate::table::{Column, Grid, Tone, count, size};

impl Report {
    /// What is told, as tables for people.
    pub fn text(&self) -> String {
        [self.figures(), self.vmo_table(), self.tree_table()].join("\n")
    }

    fn figures(&self) -> String {
        let mut grid = Grid::new(&[("Process", Column::Word), ("", Column::Text)]);
        let memory = &self.memory;
        let mut row = |what: &str, value: String, tone| grid.row([(what, Tone::Plain), (value.as_str(), tone)]);
        row("name", format!("{} ({})", self.name, self.pid), Tone::Plain);
        row("engine up", clock(self.uptime_ns), Tone::Plain);
        match &self.pressure {
            Some(pressure) => {
                let tone = level_tone(&pressure.level);
                let (left, total) = (size(pressure.left), size(pressure.total));
                row("pressure", format!("{}, {left} of {total} left", pressure.level), tone);
            }
            None => row("pressure", "not told".to_owned(), Tone::Dim),
        }
        row("budget", memory.budget.map_or_else(|| "none".to_owned(), size), Tone::Plain);
        row("of pagers' memory", format!("{}, {} dirty", size(memory.resident), size(memory.dirty)), Tone::Plain);
        row("faults", count(memory.faults), Tone::Plain);
        row("supplied", format!("{}, of that {} again", size(memory.supplied), size(memory.refaulted)), Tone::Plain);
        row("evicted", size(memory.evicted), Tone::Plain);
        let tone = if memory.starved == 0 { Tone::Plain } else { Tone::Warn };
        row("waits for room", count(memory.starved), tone);
        grid.text()
    }

    fn vmo_table(&self) -> String {
        let mut grid = Grid::new(&[
            ("Koid", Column::Number),
            ("VMO", Column::Text),
            ("Kind", Column::Word),
            ("Size", Column::Number),
            ("Committed", Column::Number),
            ("Dirty", Column::Number),
            ("Children", Column::Number),
            ("Mappings", Column::Number),
            ("Handles", Column::Number),
        ]);
        for vmo in &self.vmos {
            let numbers = [vmo.children, vmo.mappings, vmo.handles].map(count);
            let bytes = [vmo.size, vmo.committed, vmo.dirty].map(size);
            let koid = vmo.koid.to_string();
            let cells = [&koid, &vmo.name, &vmo.kind].into_iter().chain(&bytes).chain(&numbers);
            grid.row(cells.map(|cell| (cell.as_str(), Tone::Plain)));
        }
        grid.text() + &left_out(self.vmos_left_out)
    }

    fn tree_table(&self) -> String {
        let mut grid = Grid::new(&[
            ("Address", Column::Word),
            ("", Column::Text),
            ("Size", Column::Number),
            ("Allows", Column::Word),
            ("Committed", Column::Number),
        ]);
        for map in &self.maps {
            let (allows, committed) = match &map.what {
                What::Vmar { .. } => (String::new(), String::new()),
                What::Mapping { prot, committed, .. } => (prot.clone(), size(*committed)),
            };
            // Spaces would be cut off.
            let place = "\u{b7} ".repeat(map.depth) + &map.title();
            let cells = [format!("{:#x}", map.base), place, size(map.size), allows, committed];
            grid.row(cells.iter().map(|cell| (cell.as_str(), Tone::Plain)));
        }
        grid.text() + &left_out(self.maps_left_out)
    }
}

impl Map {
    /// What it is, in words.
    pub fn title(&self) -> String {
        let (kind, koid) = match self.what {
            What::Vmar { koid } => ("VMAR", koid),
            What::Mapping { koid, .. } => ("VMO", Some(koid)),
        };
        let name = Some(self.name.clone()).filter(|name| !name.is_empty());
        let koid = koid.map(|koid| format!("({koid})"));
        [Some(kind.to_owned()), name, koid].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

fn left_out(more: u64) -> String {
    if more == 0 { String::new() } else { format!(" and {} more\n", count(more)) }
}

/// How a level of memory pressure is meant.
pub fn level_tone(level: &str) -> Tone {
    match level {
        "normal" => Tone::Good,
        "warning" => Tone::Warn,
        _ => Tone::Bad,
    }
}

/// Nanoseconds as hours, minutes and seconds.
pub fn clock(ns: u64) -> String {
    let s = ns / 1_000_000_000;
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::report::tests::TEXT;

    #[test]
    fn everything_is_in_the_tables() {
        let text = anstream::adapter::strip_str(&Report::read(TEXT).unwrap().text()).to_string();
        for part in [
            "prog (42)",
            "1:02:03",
            "warning, 256 MiB of 1 GiB left",
            "768 KiB, 256 KiB dirty",
            "VMAR root (1026)",
            "\u{b7} \u{b7} VMO little (1031)",
            "rw-",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        let row = text.lines().find(|line| line.contains("big")).unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        let expected = "1030 big\u{b7}[2J pager 4 MiB 768 KiB 256 KiB 0 1 1";
        assert_eq!(words.join(" "), expected);
        assert!(!text.contains(" more\n"), "{text}");
    }
}

//! The live view: what it remembers, and how that is drawn. It asks nobody and reads no keys; so tests draw it without a terminal.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, LineGauge, Paragraph, RenderDirection, Row, Sparkline, Table, TableState};

use super::once::{clock, level_tone};
use super::report::{Map, Rates, Report, Vmo, What};
use crate::table::{Tone, count, size};

/// How many rates are remembered.
const HISTORY: usize = 512;

/// By what VMOs are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The most committed first.
    Committed,
    /// The largest first.
    Size,
    /// The most dirty first.
    Dirty,
    /// By name.
    Name,
    /// The oldest first.
    Koid,
}

impl Order {
    fn compare(self, a: &Vmo, b: &Vmo) -> Ordering {
        let first = match self {
            Self::Committed => b.committed.cmp(&a.committed),
            Self::Size => b.size.cmp(&a.size),
            Self::Dirty => b.dirty.cmp(&a.dirty),
            Self::Name => a.name.cmp(&b.name),
            Self::Koid => Ordering::Equal,
        };
        first.then(a.koid.cmp(&b.koid))
    }
}

/// Which list the arrows move in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Vmos,
    Tree,
}

/// What a user may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// VMOs in another order; the same once more: the other way round.
    Sort(Order),
    /// The other list.
    Switch,
    /// So many lines down; up if negative.
    Move(isize),
    /// The region under the cursor shut, or open again.
    Fold,
}

/// See the module.
pub struct View {
    report: Report,
    rates: Rates,
    faults: VecDeque<u64>,
    evicted: VecDeque<u64>,
    order: Order,
    reversed: bool,
    focus: Focus,
    vmos: TableState,
    tree: TableState,
    /// Regions that are shut, by where they begin and how deep they are.
    folded: BTreeSet<(u64, usize)>,
}

impl View {
    /// With a first report.
    pub fn new(report: Report) -> Self {
        let at_top = || TableState::new().with_selected(0);
        let mut view = Self {
            report,
            rates: Rates::default(),
            faults: VecDeque::new(),
            evicted: VecDeque::new(),
            order: Order::Committed,
            reversed: false,
            focus: Focus::Vmos,
            vmos: at_top(),
            tree: at_top(),
            folded: BTreeSet::new(),
        };
        view.sort();
        view
    }

    /// A new report has come.
    pub fn take(&mut self, report: Report) {
        self.rates = report.rates_since(&self.report);
        for (history, rate) in [(&mut self.faults, self.rates.faults), (&mut self.evicted, self.rates.evicted)] {
            history.truncate(HISTORY - 1);
            history.push_front(rate);
        }
        self.report = report;
        self.sort();
    }

    /// The user wants this.
    pub fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Sort(order) => {
                self.reversed = order == self.order && !self.reversed;
                self.order = order;
                self.sort();
            }
            Wish::Switch => {
                self.focus = match self.focus {
                    Focus::Vmos => Focus::Tree,
                    Focus::Tree => Focus::Vmos,
                };
            }
            Wish::Move(lines) => {
                let (state, len) = match self.focus {
                    Focus::Vmos => (&mut self.vmos, self.report.vmos.len()),
                    Focus::Tree => {
                        let len = self.open().count();
                        (&mut self.tree, len)
                    }
                };
                let at = state.selected().unwrap_or(0).saturating_add_signed(lines);
                state.select(Some(at.min(len.saturating_sub(1))));
            }
            Wish::Fold => {
                let at = self.tree.selected().unwrap_or(0);
                let region = self.open().nth(at).filter(|map| matches!(map.what, What::Vmar { .. }));
                let Some(place) = region.map(|map| (map.base, map.depth)).filter(|_| self.focus == Focus::Tree) else {
                    return;
                };
                if !self.folded.remove(&place) {
                    self.folded.insert(place);
                }
            }
        }
    }

    fn sort(&mut self) {
        let (order, reversed) = (self.order, self.reversed);
        self.report.vmos.sort_by(|a, b| if reversed { order.compare(b, a) } else { order.compare(a, b) });
    }

    /// What of the tree is not inside of a region that is shut.
    fn open(&self) -> impl Iterator<Item = &Map> {
        let mut shut = None;
        self.report.maps.iter().filter(move |map| {
            if shut.is_some_and(|depth| map.depth > depth) {
                return false;
            }
            shut = self.is_folded(map).then_some(map.depth);
            true
        })
    }

    fn is_folded(&self, map: &Map) -> bool {
        matches!(map.what, What::Vmar { .. }) && self.folded.contains(&(map.base, map.depth))
    }

    /// Draws it all.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        let [header, budget, rates, vmos, tree, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(4),
            Constraint::Fill(3),
            Constraint::Fill(2),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        self.draw_header(frame, header);
        self.draw_budget(frame, budget);
        self.draw_rates(frame, rates);
        self.draw_vmos(frame, vmos);
        self.draw_tree(frame, tree);
        let text = " q quit  tab other list  \u{2191}\u{2193} move  space fold  sort by: c committed  s size  d dirty  n name  k koid";
        frame.render_widget(Paragraph::new(text).style(style(Tone::Dim)), keys);
    }

    fn draw_header(&self, frame: &mut Frame<'_>, area: Rect) {
        let report = &self.report;
        let (level, rest) = match &report.pressure {
            Some(pressure) => {
                let amounts = format!(", {} of {} left", size(pressure.left), size(pressure.total));
                (Span::styled(pressure.level.clone(), style(level_tone(&pressure.level))), amounts)
            }
            None => (Span::styled("not told", style(Tone::Dim)), String::new()),
        };
        let line = Line::from(vec![
            Span::styled(format!(" {} ({})", report.name, report.pid), style(Tone::Heading)),
            Span::raw(format!("  up {}  memory pressure: ", clock(report.uptime_ns))),
            level,
            Span::raw(rest),
        ]);
        frame.render_widget(Paragraph::new(line), area);
    }

    fn draw_budget(&self, frame: &mut Frame<'_>, area: Rect) {
        let memory = &self.report.memory;
        let (resident, dirty) = (size(memory.resident), size(memory.dirty));
        let Some(budget) = memory.budget else {
            let text = format!(" pagers' memory: {resident}, {dirty} dirty, no budget");
            frame.render_widget(Paragraph::new(text), area);
            return;
        };
        let part = if budget == 0 { 1.0 } else { (memory.resident as f64 / budget as f64).min(1.0) };
        let label = format!(" budget: {resident} of {}, {dirty} dirty, {} waits", size(budget), count(memory.starved));
        let tone = if memory.dirty >= budget / 2 { Tone::Warn } else { Tone::Good };
        frame.render_widget(LineGauge::default().ratio(part).label(label).filled_style(style(tone)), area);
    }

    fn draw_rates(&self, frame: &mut Frame<'_>, area: Rect) {
        let halves = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas::<2>(area);
        let titles = [
            format!(" faults/s {} (in all {}) ", count(self.rates.faults), count(self.report.memory.faults)),
            format!(" evicted/s {} (in all {}) ", size(self.rates.evicted), size(self.report.memory.evicted)),
        ];
        for ((history, title), area) in [&self.faults, &self.evicted].into_iter().zip(titles).zip(halves) {
            let bars = Sparkline::default().data(history.iter().copied()).direction(RenderDirection::RightToLeft);
            frame.render_widget(bars.block(Block::bordered().title(title)), area);
        }
    }

    fn draw_vmos(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let names = ["koid", "VMO", "kind", "size", "committed", "dirty", "children", "mapped", "handles"];
        let sorted = match self.order {
            Order::Koid => 0,
            Order::Name => 1,
            Order::Size => 3,
            Order::Committed => 4,
            Order::Dirty => 5,
        };
        let header = names.iter().enumerate().map(|(column, &name)| {
            let text = if column == sorted && self.reversed { format!("{name}\u{2191}") } else { name.to_owned() };
            let tone = if column == sorted { Tone::Heading } else { Tone::Dim };
            Cell::from(aligned(column, text)).style(style(tone))
        });
        let rows = self.report.vmos.iter().map(|vmo| {
            let numbers = [vmo.children, vmo.mappings, vmo.handles].map(count);
            let bytes = [vmo.size, vmo.committed, vmo.dirty].map(size);
            let cells = [vmo.koid.to_string(), vmo.name.clone(), vmo.kind.clone()].into_iter().chain(bytes);
            Row::new(cells.chain(numbers).enumerate().map(|(column, text)| aligned(column, text)))
        });
        let widths = [8, 0, 11, 10, 10, 10, 8, 6, 7];
        let widths = widths.map(|width| if width == 0 { Constraint::Fill(1) } else { Constraint::Length(width) });
        let title = title("VMOs", self.report.vmos.len(), self.report.vmos_left_out);
        let table = Table::new(rows, widths).header(Row::new(header)).block(Block::bordered().title(title));
        let table = table.row_highlight_style(cursor(self.focus == Focus::Vmos));
        frame.render_stateful_widget(table, area, &mut self.vmos);
    }

    fn draw_tree(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let rows: Vec<_> = self
            .open()
            .map(|map| {
                let (mark, allows, committed) = match &map.what {
                    What::Vmar { .. } if self.is_folded(map) => ("\u{25b8} ", String::new(), String::new()),
                    What::Vmar { .. } => ("\u{25be} ", String::new(), String::new()),
                    What::Mapping { prot, committed, .. } => ("  ", prot.clone(), size(*committed)),
                };
                let place = format!("{}{mark}{}", "  ".repeat(map.depth), map.title());
                let right = [size(map.size), committed].map(|text| Line::from(text).right_aligned());
                let [length, committed] = right;
                let base = Line::from(format!("{:#x}", map.base));
                Row::new([base, Line::from(place), length, Line::from(allows), committed])
            })
            .collect();
        let widths = [14, 0, 10, 3, 10];
        let widths = widths.map(|width| if width == 0 { Constraint::Fill(1) } else { Constraint::Length(width) });
        let title = title("VMARs", self.report.maps.len(), self.report.maps_left_out);
        let table = Table::new(rows, widths).block(Block::bordered().title(title));
        let table = table.row_highlight_style(cursor(self.focus == Focus::Tree));
        frame.render_stateful_widget(table, area, &mut self.tree);
    }
}

fn title(what: &str, shown: usize, left_out: u64) -> String {
    match left_out {
        0 => format!(" {what} "),
        more => format!(" {what}: {} of {} ", count(shown as u64), count((shown as u64).saturating_add(more))),
    }
}

/// Numbers to the right; the second and third columns are words.
fn aligned(column: usize, text: String) -> Line<'static> {
    let line = Line::from(text);
    if matches!(column, 1 | 2) { line } else { line.right_aligned() }
}

fn cursor(is_here: bool) -> Style {
    if is_here { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Dim => Style::new().add_modifier(Modifier::DIM),
        Tone::Heading => Style::new().add_modifier(Modifier::BOLD),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warn => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::top::report::tests::TEXT;

    fn view() -> View {
        View::new(Report::read(TEXT).unwrap())
    }

    /// The lines of a terminal.
    fn lines(view: &mut View) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(110, 30)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
        (0..buffer.area.height).map(line).collect()
    }

    /// The line that has the text.
    #[track_caller]
    fn line_of(lines: &[String], text: &str) -> usize {
        let found = lines.iter().position(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("{text} is not in\n{}", lines.join("\n")))
    }

    #[test]
    fn all_of_it_is_drawn() {
        let lines = lines(&mut view());
        assert!(lines[0].starts_with(" prog (42)  up 1:02:03  memory pressure: warning, 256 MiB of 1 GiB left"));
        assert!(lines[1].contains("budget: 768 KiB of 1 MiB, 256 KiB dirty, 0 waits"), "{}", lines[1]);
        for text in ["faults/s 0 (in all 500)", "evicted/s 0 B (in all 40 KiB)", "0x2000", "\u{25be} VMAR root (1026)"]
        {
            line_of(&lines, text);
        }
        let row = &lines[line_of(&lines, "big\u{b7}[2J")];
        assert!(row.contains("pager") && row.contains("4 MiB") && row.contains("768 KiB"), "{row}");
        assert!(lines[29].starts_with(" q quit"));
    }

    #[test]
    fn rates_are_of_the_time_between_two_reports() {
        let mut view = view();
        let mut next = Report::read(TEXT).unwrap();
        next.now_ns += 2_000_000_000;
        next.memory.faults += 4_000;
        next.memory.evicted += 16 << 20;
        view.take(next);
        let lines = lines(&mut view);
        line_of(&lines, "faults/s 2,000 (in all 4,500)");
        line_of(&lines, "evicted/s 8 MiB (in all");
        // A bar at the right end of each.
        let bars = &lines[line_of(&lines, "faults/s") + 1];
        assert_eq!(bars.matches('\u{2588}').count(), 2, "{bars}");
    }

    #[test]
    fn vmos_are_in_the_order_that_is_wanted() {
        let mut view = view();
        let is_big_first = |view: &mut View| {
            let lines = lines(view);
            line_of(&lines, "1030 big").cmp(&line_of(&lines, "1031 little")) == Ordering::Less
        };
        assert!(is_big_first(&mut view));
        for (order, big_first) in [
            (Order::Committed, false), // it was so already: the other way round
            (Order::Size, true),
            (Order::Dirty, true),
            (Order::Dirty, false),
            (Order::Name, true),
            (Order::Name, false),
            (Order::Koid, true),
        ] {
            view.wish(Wish::Sort(order));
            assert_eq!(is_big_first(&mut view), big_first, "{order:?}");
        }
    }

    #[test]
    fn regions_are_shut_and_opened() {
        let mut view = view();
        // Not while the cursor is in the other list.
        view.wish(Wish::Fold);
        line_of(&lines(&mut view), "VMO little (1031)");
        view.wish(Wish::Switch);
        view.wish(Wish::Move(1));
        view.wish(Wish::Fold);
        let shut = lines(&mut view);
        line_of(&shut, "\u{25b8} VMAR useralloc");
        line_of(&shut, "VMO big (1030)");
        assert!(!shut.iter().any(|line| line.contains("VMO little (1031)")));
        view.wish(Wish::Fold);
        line_of(&lines(&mut view), "VMO little (1031)");
        // Further than to the end it does not go, and a mapping has nothing to shut.
        view.wish(Wish::Move(100));
        view.wish(Wish::Fold);
        view.wish(Wish::Move(-100));
        view.wish(Wish::Fold);
        let shut = lines(&mut view);
        line_of(&shut, "\u{25b8} VMAR root");
        assert!(!shut.iter().any(|line| line.contains("VMO big (1030)")));
    }

    #[test]
    fn no_terminal_is_too_small() {
        for (width, height) in [(1, 1), (10, 3), (40, 8), (300, 100)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| view().draw(frame)).unwrap();
            let first = terminal.backend().buffer()[(width.min(2) - 1, 0)].symbol().to_owned();
            assert_eq!(first, if width == 1 { " " } else { "p" });
        }
    }
}

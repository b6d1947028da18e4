//! A run of cases: which ones, how often, and the table of how they came out.
//!
//! Arguments are filters. Without `--bench` (as in `cargo test`) every family runs once, on tiny inputs.

use comfy_table::{CellAlignment, Table, presets};

use crate::{Case, Outcome, Side, Target, Unit};

/// See the module.
#[derive(Debug)]
pub struct Run {
    /// Whether only to see that everything works.
    pub smoke: bool,
    samples: usize,
    filters: Vec<String>,
    outcomes: Vec<Outcome>,
}

impl Run {
    /// Runs the families and prints the table.
    pub fn main(name: &str, families: &[fn(&mut Self)]) {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let smoke = !args.iter().any(|arg| arg == "--bench");
        let filters = args.into_iter().filter(|arg| !arg.starts_with("--")).collect();
        let mut run = Self { smoke, samples: if smoke { 2 } else { 25 }, filters, outcomes: Vec::new() };
        for family in families {
            family(&mut run);
        }
        println!("{}", run.table());
        if smoke {
            println!("({name}: a smoke run: the figures mean nothing; `cargo bench` measures)");
        }
    }

    /// Whether a case of this name is to run.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// Fewer samples, for what takes long.
    pub fn samples(&mut self, most: usize) {
        self.samples = if self.smoke { 2 } else { most };
    }

    /// Runs a case if it is wanted.
    pub fn case(&mut self, name: String, per: u64, target: Target, ours: Side<'_>, raw: Option<Side<'_>>) {
        if self.wants(&name) {
            eprintln!("{name}");
            self.outcomes.push(Case { name, per, ours, raw, target }.run(self.samples));
        }
    }

    /// Takes down what was counted, not timed.
    pub fn count(&mut self, name: String, unit: Unit, ours: f64, raw: Option<f64>, target: Target) {
        self.outcomes.push(Outcome { name, ours, raw, target, unit });
    }

    /// Inputs to measure, or only the first in a smoke run.
    pub fn sizes<T: Copy>(&self, all: &[T]) -> Vec<T> {
        all[..if self.smoke { 1 } else { all.len() }].to_vec()
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header(["case", "zxvm", "raw Linux", "ratio", "to reach", ""]);
        for outcome in &self.outcomes {
            let say = |amount| outcome.unit.say(amount);
            let goal = match outcome.target {
                Target::Ratio(most) => format!("≤ {most}×"),
                Target::Over(most) => format!("≤ raw + {}", say(most)),
                Target::Most(most) => format!("≤ {}", say(most)),
                Target::None => String::new(),
            };
            table.add_row([
                outcome.name.clone(),
                say(outcome.ours),
                outcome.raw.map(say).unwrap_or_default(),
                outcome.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
                goal,
                outcome.reached().map(|yes| if yes { "yes" } else { "no" }).unwrap_or_default().into(),
            ]);
        }
        for column in 1..4 {
            table.column_mut(column).expect("six columns").set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

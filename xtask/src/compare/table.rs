//! Markdown tables: the best value of a row, and everybody's multiple of it.

use std::collections::BTreeMap;

use super::rows::Combined;

/// Shown with `--all` only: wall time is noise on a shared machine.
const HIDDEN: [&str; 2] = ["wall ns/op", "cycles/op"];

/// One table for every metric.
pub fn markdown(program: &str, rows: &[Combined], all: bool) -> String {
    let metrics = distinct(rows.iter().map(|row| row.metric.as_str()));
    let shown = metrics.into_iter().filter(|metric| all || !HIDDEN.contains(metric));
    shown.map(|metric| Table::new(metric, rows).markdown(program)).collect()
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut list = Vec::new();
    for name in names {
        if !list.contains(&name) {
            list.push(name);
        }
    }
    list
}

/// Limits are no allocators, and names in brackets are contrasts: neither counts for the best.
fn competes(contestant: &str) -> bool {
    !contestant.starts_with("limit") && !contestant.starts_with('(')
}

struct Table<'a> {
    metric: &'a str,
    workloads: Vec<&'a str>,
    contestants: Vec<&'a str>,
    values: BTreeMap<(&'a str, &'a str), f64>,
}

impl<'a> Table<'a> {
    fn new(metric: &'a str, rows: &'a [Combined]) -> Self {
        let rows: Vec<&Combined> = rows.iter().filter(|row| row.metric == metric).collect();
        let mut contestants = distinct(rows.iter().map(|row| row.contestant.as_str()));
        contestants.sort_by_key(|contestant| !competes(contestant));
        let cell =
            |row: &&'a Combined| ((row.workload.as_str(), row.contestant.as_str()), row.value);
        Table {
            metric,
            workloads: distinct(rows.iter().map(|row| row.workload.as_str())),
            contestants,
            values: rows.iter().map(cell).collect(),
        }
    }

    fn more_is_better(&self) -> bool {
        self.metric.starts_with("fill")
    }

    /// Whether values are shown as they are, without ratios.
    fn is_plain(&self) -> bool {
        self.is_count() || self.more_is_better() || self.metric.starts_with("smallest")
    }

    /// Whether values may well be zero, so that there is neither a best nor a mean.
    fn is_count(&self) -> bool {
        ["faults", "system calls", "RSS KiB grown"].contains(&self.metric)
    }

    /// The best value among those that compete; none if nobody does.
    fn best(&self, workload: &str) -> Option<f64> {
        let competitors = self.contestants.iter().filter(|contestant| competes(contestant));
        let values = competitors.filter_map(|contestant| self.values.get(&(workload, contestant)));
        let better = if self.more_is_better() { f64::max } else { f64::min };
        values.copied().reduce(better)
    }

    fn markdown(&self, program: &str) -> String {
        let note = match self.is_plain() {
            true => "plain values",
            false => "best value, then each one's multiple of it",
        };
        let mut text = format!("\n#### {program}: {} ({note})\n\n| workload |", self.metric);
        if !self.is_plain() {
            text += " best |";
        }
        for contestant in &self.contestants {
            text += &format!(" {contestant} |");
        }
        let columns = self.contestants.len() + usize::from(!self.is_plain());
        text += &format!("\n|---|{}\n", "---:|".repeat(columns));
        for workload in &self.workloads {
            text += &self.row(workload);
        }
        if !self.is_count() && self.workloads.len() > 1 {
            text += &self.means();
        }
        text
    }

    fn row(&self, workload: &str) -> String {
        let best = self.best(workload);
        let mut text = format!("| {workload} |");
        if !self.is_plain() {
            text += &best.map_or(" - |".to_string(), |best| format!(" {} |", short(best)));
        }
        for contestant in &self.contestants {
            let Some(&value) = self.values.get(&(workload, contestant)) else {
                text += " - |";
                continue;
            };
            let shown = match best {
                _ if self.is_count() => short(value),
                Some(best) if !self.is_plain() => format!("{:.2}", value / best),
                _ => format!("{value:.3}"),
            };
            let wins = best == Some(value) && competes(contestant) && !self.is_count();
            text += &if wins { format!(" **{shown}** |") } else { format!(" {shown} |") };
        }
        text + "\n"
    }

    /// The geometric mean of each contestant's multiples of the best.
    fn means(&self) -> String {
        let mut text = "| *geometric mean of multiples* |".to_string();
        if !self.is_plain() {
            text += " |";
        }
        for contestant in &self.contestants {
            let ratios = self.workloads.iter().filter_map(|workload| {
                let ratio = self.values.get(&(*workload, *contestant))? / self.best(workload)?;
                (ratio.is_finite() && ratio > 0.0).then_some(ratio)
            });
            let logarithms: Vec<f64> = ratios.map(f64::ln).collect();
            let (n, all) = (logarithms.len(), self.workloads.len());
            let mean = (logarithms.iter().sum::<f64>() / n as f64).exp();
            text += &match n {
                0 => " - |".to_string(),
                _ if n == all => format!(" {mean:.2} |"),
                _ => format!(" {mean:.2} ({n} of {all}) |"),
            };
        }
        text + "\n"
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e7 => format!("{:.1} M", value / 1e6),
        size if size >= 1e4 => format!("{:.1} k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(metric: &str, values: &[(&str, f64)]) -> Vec<Combined> {
        let row = |(contestant, value): &(&str, f64)| Combined {
            workload: "w".to_string(),
            metric: metric.to_string(),
            contestant: contestant.to_string(),
            value: *value,
        };
        values.iter().map(row).collect()
    }

    #[test]
    fn limits_and_contrasts_do_not_count_for_the_best() {
        let values = [("limit-x", 1.0), ("(contrast)", 2.0), ("a", 8.0), ("b", 4.0)];
        let text = markdown("p", &rows("instr/op", &values), false);
        assert!(text.contains("| workload | best | a | b | limit-x | (contrast) |"), "{text}");
        assert!(text.contains("| w | 4.00 | 2.00 | **1.00** | 0.25 | 0.50 |"), "{text}");
    }

    #[test]
    fn the_largest_fill_factor_is_the_best() {
        let text = markdown("p", &rows("fill factor", &[("a", 0.5), ("b", 0.9)]), false);
        assert!(text.contains("| w | 0.500 | **0.900** |"), "{text}");
    }

    #[test]
    fn wall_time_is_shown_on_request() {
        assert_eq!(markdown("p", &rows("wall ns/op", &[("a", 1.0)]), false), "");
        assert!(!markdown("p", &rows("wall ns/op", &[("a", 1.0)]), true).is_empty());
    }
}

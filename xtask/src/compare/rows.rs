//! Result lines, how rounds are combined, and the file of combined rows.
//!
//! A line is `program, workload, contestant, metric, value`, with tabs between. Several lines of
//! one key are rounds: instructions take their minimum, all else the median.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The result lines of one program.
#[derive(Debug, Default)]
pub struct Results {
    rows: Vec<(Combined, Vec<f64>)>,
    /// Workload, contestant and reason, where its kind keeps a contestant out.
    pub left_out: Vec<(String, String, String)>,
    /// Workload, contestant and reason, where a contestant should have taken part.
    pub missing: Vec<(String, String, String)>,
}

/// The figure of one contestant on one workload.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Combined {
    /// What it did.
    pub workload: String,
    /// What was measured.
    pub metric: String,
    /// Who did it.
    pub contestant: String,
    /// The combined value of all rounds.
    pub value: f64,
}

impl Combined {
    /// Whether this row counts instructions.
    pub fn counts_instructions(&self) -> bool {
        self.metric.starts_with("instr")
    }

    fn is_key(&self, other: &Combined) -> bool {
        (&self.workload, &self.metric, &self.contestant)
            == (&other.workload, &other.metric, &other.contestant)
    }
}

impl Results {
    /// Reads more lines.
    pub fn read(&mut self, lines: &str) {
        for line in lines.lines() {
            let [first, second, third, fourth, last] = line.split('\t').collect::<Vec<_>>()[..]
            else {
                println!("{line}");
                continue;
            };
            let named = || (third.to_string(), fourth.to_string(), last.to_string());
            match (first, last.parse()) {
                ("!left-out", _) => self.left_out.push(named()),
                ("!missing", _) => self.missing.push(named()),
                (_, Ok(value)) => self.add([second, third, fourth].map(str::to_string), value),
                _ => println!("{line}"),
            }
        }
    }

    fn add(&mut self, [workload, contestant, metric]: [String; 3], value: f64) {
        let row = Combined { workload, metric, contestant, value };
        match self.rows.iter_mut().find(|(known, _)| known.is_key(&row)) {
            Some((_, values)) => values.push(value),
            None => self.rows.push((row, vec![value])),
        }
    }

    /// One row for every key, in the order they came.
    pub fn combined(&self) -> Vec<Combined> {
        let rows = self.rows.iter();
        rows.map(|(row, values)| Combined { value: combine(row, values), ..row.clone() }).collect()
    }
}

fn combine(row: &Combined, values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    if row.counts_instructions() {
        return values[0];
    }
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}

/// The rows as a JSON list, one to a line.
pub fn json(rows: impl Iterator<Item = Combined>) -> String {
    let lines = rows.map(|row| serde_json::to_string(&row).expect("strings and a finite number"));
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}

/// The rows of a file that count no instructions; none if there is no such file.
pub fn other_than_instructions(file: &Path) -> Vec<Combined> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut rows: Vec<Combined> = serde_json::from_str(&text).unwrap_or_default();
    rows.retain(|row| !row.counts_instructions());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_take_the_minimum_and_all_else_the_median() {
        let mut results = Results::default();
        results.read("p\tw\tc\tinstr/op\t7.0\np\tw\tc\tinstr/op\t6.0\n");
        results.read("p\tw\tc\tcpu ns/op\t9.0\np\tw\tc\tcpu ns/op\t1.0\np\tw\tc\tcpu ns/op\t2.0\n");
        let values: Vec<f64> = results.combined().iter().map(|row| row.value).collect();
        assert_eq!(values, [6.0, 2.0]);
    }

    #[test]
    fn a_missing_contestant_is_named() {
        let mut results = Results::default();
        results.read("!missing\tp\tw\tc\tit ran out of memory\n");
        assert_eq!(results.missing, [("w".into(), "c".into(), "it ran out of memory".into())]);
        assert!(results.combined().is_empty());
    }

    #[test]
    fn a_file_is_read_back() {
        let mut results = Results::default();
        results.read("p\tw\tc \"x\"\tinstr/op\t7.25\np\tw\tc\tcpu ns/op\t9.5\n");
        let rows = results.combined();
        let text = json(rows.iter().cloned());
        assert_eq!(serde_json::from_str::<Vec<Combined>>(&text).unwrap(), rows);
    }
}

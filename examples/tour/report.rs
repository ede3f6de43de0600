//! What the strategies did, side by side.

use crate::job::Answer;
use crate::strategies::Run;

type Named<'t> = (&'static str, Run<'t>);

/// All find what the first finds.
pub fn compare<'r, 't: 'r>(runs: impl IntoIterator<Item = &'r Named<'t>>) -> Result<(), String> {
    let mut runs = runs.into_iter();
    let Some((reference, expected)) = runs.next() else { return Ok(()) };
    for (name, run) in runs {
        if run.answer.files != expected.answer.files {
            return Err(format!("\"{name}\" lists other files than \"{reference}\""));
        }
        if let Some(word) = first_difference(&run.answer, &expected.answer) {
            return Err(format!("\"{name}\" and \"{reference}\" disagree about \"{word}\""));
        }
    }
    Ok(())
}

fn first_difference<'a>(one: &'a Answer, other: &'a Answer) -> Option<&'a str> {
    let differing = one.words.iter().zip(&other.words).find(|(one, other)| one != other);
    let longer = if one.words.len() > other.words.len() { one } else { other };
    let extra = longer.words.get(one.words.len().min(other.words.len()));
    differing.map(|(one, _)| one).or(extra).map(|(word, _)| word.as_str())
}

/// The five most frequent words, and where the first of them stands.
pub fn most_frequent(answer: &Answer) -> String {
    let mut words: Vec<_> = answer.words.iter().collect();
    words.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.count));
    let counts = words.iter().take(5).map(|(word, summary)| format!("{word} {}", summary.count));
    let mut text = counts.collect::<Vec<_>>().join(", ");
    if let Some((word, summary)) = words.first() {
        let (first, last) = (summary.first, summary.last);
        text += &format!("\n\"{word}\" from {}:{}:{}", first.path, first.line, first.column + 1);
        text += &format!(" to {}:{}:{}", last.path, last.line, last.column + 1);
    }
    text
}

/// Prints a table of runs.
pub fn table<'r, 't: 'r>(title: &str, runs: impl IntoIterator<Item = &'r Named<'t>>) {
    println!(
        "\n  {title:28} {:>9} {:>10} {:>10} {:>10} {:>7} {:>12}",
        "time", "peak", "asked", "held", "waste", "largest free"
    );
    for (name, run) in runs {
        let time = format!("{:.2} ms", run.time.as_secs_f64() * 1e3);
        print!("  {name:28} {time:>9} {:>10} {:>10}", run.peak, run.asked);
        match &run.memory {
            Some(memory) => {
                let waste =
                    memory.held.saturating_sub(run.asked) as f64 / memory.held.max(1) as f64;
                let (held, free) = (memory.held, memory.largest_free_block);
                println!(" {held:>10} {:>5.1} % {free:>12}", waste * 100.0);
            }
            None => println!(" {:>10} {:>7} {:>12}", "-", "-", "-"),
        }
    }
}

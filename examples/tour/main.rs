//! A tour of the strategies: one real job, done with each of them, and what it costs.
//!
//! ```text
//! cargo run --release --example tour [-- DIR] [--buffer BYTES] [--threads COUNT]
//! ```
//!
//! The program reads a source tree and indexes its words (`job.rs`), once with containers
//! (`containers.rs`) and once with nodes of a few sizes (`nodes.rs`); each with the allocators that
//! are at home with it (`strategies.rs`, the file to read first). All have to find the same, or
//! the program fails.

mod containers;
mod counted;
mod job;
mod nodes;
mod options;
mod picture;
mod report;
mod strategies;
mod tree;

use std::env;
use std::process::ExitCode;

use options::{Options, USAGE};
use strategies::{self as with, Bytes, Failure, Run};
use tree::Tree;

/// How often each strategy does the job; its best time counts.
const ROUNDS: usize = 3;

const LEGEND: &str = "  \
  bytes: asked for at the same time at most (peak) and at the end (asked); what the latter cost
  in the buffer, rounding, bookkeeping and unused blocks of pools included (held); the difference
  (waste); and the largest block still to be had. Of the global allocator nothing is known.";

fn main() -> ExitCode {
    let options = match Options::read(env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("tour: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match tour(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("tour: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn tour(options: &Options) -> Result<(), String> {
    let tree = read(options)?;
    let threads = options.threads;

    // The global allocator first: it tells how much memory the job needs.
    let global = [
        ("containers, global allocator", repeat(|| with::global_containers(&tree))),
        ("nodes, global allocator", repeat(|| with::global_nodes(&tree))),
    ];
    let global_shared = [
        ("containers, global allocator", repeat(|| with::global_containers_shared(&tree, threads))),
        ("nodes, global allocator", repeat(|| with::global_nodes_shared(&tree, threads))),
    ];
    let global = succeeded(global)?;
    let global_shared = succeeded(global_shared)?;
    let needed = global.iter().chain(&global_shared).map(|(_, run)| run.peak).max().unwrap_or(0);

    let (size, in_buffer, in_buffer_shared) = in_a_buffer(&tree, options, needed)?;
    report::compare(
        global.iter().chain(&global_shared).chain(&in_buffer).chain(&in_buffer_shared),
    )?;

    let answer = &global[0].1.answer;
    println!("{} words; the most frequent: {}", answer.words.len(), report::most_frequent(answer));
    println!("all strategies find the same, and get all of their memory back\n");
    println!("a buffer of {size} bytes; the best of {ROUNDS} rounds");
    report::table("one thread", global.iter().chain(&in_buffer));
    report::table(&format!("{threads} threads"), global_shared.iter().chain(&in_buffer_shared));
    println!("\n{LEGEND}");
    for (name, run) in [&in_buffer[0], &in_buffer[2]] {
        if let Some(memory) = &run.memory {
            memory.picture.print(&format!("The buffer at the end of \"{name}\""));
        }
    }
    Ok(())
}

fn read(options: &Options) -> Result<Tree, String> {
    let root = options.directory.display();
    let tree = Tree::read(&options.directory).map_err(|error| format!("{root}: {error}"))?;
    if tree.files.is_empty() {
        return Err(format!("{root}: there is no text file to index"));
    }
    print!("{root}: {} text files, {} bytes", tree.files.len(), tree.bytes());
    println!(" ({} not text, {} not readable)", tree.binary, tree.unreadable);
    Ok(tree)
}

type Named<'t> = (&'static str, Run<'t>);
type Attempt<'t> = (&'static str, Result<Run<'t>, Failure>);

/// Does the job in a buffer of the size that was asked for, or of one that proves large enough.
fn in_a_buffer<'t>(
    tree: &'t Tree,
    options: &Options,
    needed: usize,
) -> Result<(usize, Vec<Named<'t>>, Vec<Named<'t>>), String> {
    // Tables that grow need the old and the new one at a time, pools whole chunks.
    let enough = (needed + needed / 4 + 256 * 1024).next_multiple_of(64 * 1024);
    let mut size = options.buffer.unwrap_or(enough);
    let mut storage: Vec<u8> = Vec::new();
    loop {
        storage
            .try_reserve_exact(size)
            .map_err(|_| format!("there are no {size} bytes to be had"))?;
        let bytes = &mut storage.spare_capacity_mut()[..size];
        let one = strategies_in(tree, bytes);
        let many = strategies_shared_in(tree, options.threads, bytes);
        let is_full = |(_, run): &Attempt| matches!(run, Err(Failure::Full));
        let Some((name, _)) = one.iter().chain(&many).find(|attempt| is_full(attempt)) else {
            return Ok((size, succeeded(one)?, succeeded(many)?));
        };
        if options.buffer.is_some() || size / 16 > enough {
            return Err(format!(
                "a buffer of {size} bytes is too small for \"{name}\": the job asks for up to \
                 {needed} bytes at a time; try --buffer {}",
                enough.max(size * 2)
            ));
        }
        size *= 2;
    }
}

fn strategies_in<'t>(tree: &'t Tree, bytes: &mut Bytes) -> Vec<Attempt<'t>> {
    vec![
        ("containers, best fit", repeat(|| with::best_fit_containers(tree, bytes))),
        ("nodes, best fit", repeat(|| with::best_fit_nodes(tree, bytes))),
        ("nodes, pools", repeat(|| with::pools(tree, bytes))),
        ("nodes, pools, object pool", repeat(|| with::pools_and_object_pool(tree, bytes))),
        ("containers, size classes", repeat(|| with::segregated_containers(tree, bytes))),
        ("nodes, size classes", repeat(|| with::segregated_nodes(tree, bytes))),
    ]
}

fn strategies_shared_in<'t>(tree: &'t Tree, threads: usize, bytes: &mut Bytes) -> Vec<Attempt<'t>> {
    vec![
        ("containers, best fit", repeat(|| with::best_fit_containers_shared(tree, threads, bytes))),
        ("nodes, pools", repeat(|| with::pools_shared(tree, threads, bytes))),
        ("nodes, lock-free pool", repeat(|| with::pool_shared(tree, threads, bytes))),
    ]
}

/// Does it a few times, each time anew, and keeps the fastest.
fn repeat<'t>(mut attempt: impl FnMut() -> Result<Run<'t>, Failure>) -> Result<Run<'t>, Failure> {
    let mut best = attempt()?;
    for _ in 1..ROUNDS {
        let run = attempt()?;
        if run.answer != best.answer {
            return Err(Failure::Wrong("a second run finds something else".into()));
        }
        if run.time < best.time {
            best = run;
        }
    }
    Ok(best)
}

fn succeeded<'t>(
    attempts: impl IntoIterator<Item = Attempt<'t>>,
) -> Result<Vec<Named<'t>>, String> {
    let attempts = attempts.into_iter().map(|(name, result)| match result {
        Ok(run) => Ok((name, run)),
        Err(Failure::Full) => Err(format!("{name}: memory is exhausted")),
        Err(Failure::Wrong(what)) => Err(format!("{name}: {what}")),
    });
    attempts.collect()
}

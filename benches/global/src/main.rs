//! One workload under this binary's global allocator:
//! `bench-global WORKLOAD [--quick] [--system-calls]`.
//!
//! `bench-global --list` names the workloads. The allocator is chosen by a feature, see
//! `Cargo.toml`. `--system-calls` is for workloads of one thread.

mod contestants;

use std::hint::black_box;

use bench_global_work as work;
use bench_kit::alone::Alone;
use bench_kit::args::Args;

use contestants::NAME;

fn main() {
    let args = Args::parse(1);
    let all = work::all();
    if args.rest.iter().any(|argument| argument == "--list") {
        all.iter().for_each(|(name, _)| println!("{name}"));
        return;
    }
    let mut names = args.rest.iter().filter(|argument| !argument.starts_with("--"));
    let wanted = names.next().expect("a workload; --list names them");
    let (workload, make) =
        all.into_iter().find(|(name, _)| name == wanted).expect("a known workload");
    let counts_system_calls = args.rest.iter().any(|argument| argument == "--system-calls");
    let alone = Alone { program: "global", workload, contestant: NAME, counts_system_calls };
    alone.run(&mut *make(&args), |size| drop(black_box(vec![0u8; size])));
}

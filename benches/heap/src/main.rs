//! One workload in one heap, by its handle: `bench-heap WORKLOAD [--quick] [--system-calls]`.
//!
//! `bench-heap --list` names the workloads. The heap is chosen by a feature, see `Cargo.toml`. It is
//! made for the workload, and lives until what is left of its memory was read.

mod contestants;

use std::hint::black_box;

use allocator_api2::vec::Vec as AVec;
use bench_global_work as work;
use bench_kit::alone::Alone;
use bench_kit::args::Args;

use contestants::{Contestant, Home};

fn main() {
    let args = Args::parse(1);
    let home = Contestant::new();
    let handle = home.handle();
    let all = work::by_handle();
    if args.rest.iter().any(|argument| argument == "--list") {
        all.iter().for_each(|(name, _)| println!("{name}"));
        return;
    }
    let mut names = args.rest.iter().filter(|argument| !argument.starts_with("--"));
    let wanted = names.next().expect("a workload; --list names them");
    let (workload, make) =
        all.into_iter().find(|(name, _)| name == wanted).expect("a known workload");
    let counts_system_calls = args.rest.iter().any(|argument| argument == "--system-calls");
    let contestant = Contestant::NAME;
    let alone = Alone { program: "heap", workload, contestant, counts_system_calls };
    alone.run(&mut *make(&args, handle), |size| {
        let mut block: AVec<u8, _> = AVec::new_in(handle);
        block.resize(size, 0);
        black_box(&block);
    });
}

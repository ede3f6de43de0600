//! What a comparison consists of: most are one program, `heap` is three.

use super::arguments::Arguments;

/// The comparisons that can be asked for.
pub const COMPARISONS: [&str; 6] = ["global", "heap", "arena", "fixedbuf", "pools", "collections"];

/// The workloads that `heap` asks of handles.
const HEAP_HANDLES: &[&str] =
    &["box-lifo", "box-fifo", "box-random", "mixed", "mid-blocks", "vec-push"];

/// Those that it asks of global allocators.
const HEAP_GLOBAL: &[&str] = &["hashmap-string", "btreemap", "json", "zeroed", "realloc"];

/// Of our allocators each table has one.
const NOT_IN_HEAP: &str = "allotrope-best-fit";

/// A program, and what it is asked.
#[derive(Debug)]
pub struct Part {
    /// What its tables are called.
    pub title: &'static str,
    /// Its package.
    pub package: &'static str,
    /// Its binary.
    pub binary: &'static str,
    /// How its contestants meet.
    pub meeting: Meeting,
}

/// How the contestants of a part meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meeting {
    /// In one process, built with this feature.
    OneProcess(&'static str),
    /// In processes that take turns; there is a binary for each, and a feature.
    Turns(Turns),
}

/// What processes that take turns are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turns {
    /// The workloads, unless it is all.
    pub workloads: Option<&'static [&'static str]>,
    /// A contestant that takes no part.
    pub without: Option<&'static str>,
    /// Whether system calls are counted.
    pub counts_system_calls: bool,
}

/// The parts of a comparison.
pub fn of(comparison: &str) -> Vec<Part> {
    let alone = |title, package| Part {
        title,
        package,
        binary: package,
        meeting: Meeting::OneProcess("c-peers"),
    };
    match comparison {
        "global" => {
            let meeting = Turns { workloads: None, without: None, counts_system_calls: false };
            vec![Part { meeting: Meeting::Turns(meeting), ..alone("global", "bench-global") }]
        }
        "heap" => heap(),
        "arena" => vec![alone("arena", "bench-arena")],
        "fixedbuf" => vec![alone("fixedbuf", "bench-fixedbuf")],
        "pools" => vec![alone("pools", "bench-pools")],
        _ => vec![alone("collections", "bench-collections")],
    }
}

fn heap() -> Vec<Part> {
    let turns = |workloads| {
        let without = Some(NOT_IN_HEAP);
        Meeting::Turns(Turns { workloads: Some(workloads), without, counts_system_calls: true })
    };
    vec![
        Part {
            title: "heap, handles",
            package: "bench-heap",
            binary: "bench-heap",
            meeting: turns(HEAP_HANDLES),
        },
        Part {
            title: "heap, GlobalAlloc",
            package: "bench-global",
            binary: "bench-global",
            meeting: turns(HEAP_GLOBAL),
        },
        Part {
            title: "heap, made and dropped",
            package: "bench-heap",
            binary: "bench-heap-lives",
            meeting: Meeting::OneProcess("lives"),
        },
    ]
}

impl Part {
    /// Whether there is anything to run, as far as that is known before it is built.
    pub fn is_wanted(&self, arguments: &Arguments) -> bool {
        let Meeting::Turns(Turns { workloads: Some(workloads), .. }) = self.meeting else {
            return true;
        };
        workloads.iter().any(|workload| arguments.wants(workload))
    }
}

impl Turns {
    /// Whether `workload` is to run.
    pub fn wants(&self, workload: &str, arguments: &Arguments) -> bool {
        arguments.wants(workload) && self.workloads.is_none_or(|some| some.contains(&workload))
    }

    /// The contestants.
    pub fn contestants<'a>(&self, arguments: &'a Arguments) -> Vec<&'a str> {
        let mut contestants = arguments.globals();
        contestants.retain(|name| self.without != Some(*name));
        contestants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comparison_has_parts_of_its_own() {
        for comparison in COMPARISONS {
            assert!(of(comparison).iter().all(|part| part.title.starts_with(comparison)));
        }
        assert_eq!(of("heap").len(), 3);
    }

    #[test]
    fn of_our_allocators_one_takes_part_in_heap() {
        let arguments = Arguments::parse(&["heap".to_string()]).unwrap();
        for part in of("heap") {
            if let Meeting::Turns(turns) = part.meeting {
                let names = turns.contestants(&arguments);
                let ours = names.iter().filter(|name| name.starts_with("allotrope"));
                assert_eq!(ours.collect::<Vec<_>>(), [&"allotrope-local-heap"]);
            }
        }
    }
}

//! What one measured section costs: time, user instructions, user cycles and page faults, threads
//! included.

use std::ops::AddAssign;
use std::os::fd::AsRawFd;
use std::time::Instant;

use perf_event::events::Hardware;
use perf_event::{Builder, Counter};

use crate::callgrind;

/// What one section cost; absent where it could not be counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Absent under callgrind, where times mean nothing.
    pub times: Option<Times>,
    /// User instructions of all threads.
    pub instructions: Option<u64>,
    /// User cycles of all threads.
    pub cycles: Option<u64>,
}

/// What the kernel knows of a section.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Wall time in nanoseconds.
    pub wall_ns: u64,
    /// CPU time of the process in nanoseconds, kernel included.
    pub cpu_ns: u64,
    /// Minor page faults.
    pub faults: u64,
}

impl AddAssign for Sample {
    /// Adds a later part of the same section, counted by the same meter.
    fn add_assign(&mut self, part: Sample) {
        if let Some(t) = part.times {
            let sum = self.times.get_or_insert_default();
            sum.wall_ns += t.wall_ns;
            sum.cpu_ns += t.cpu_ns;
            sum.faults += t.faults;
        }
        if let Some(n) = part.instructions {
            *self.instructions.get_or_insert_default() += n;
        }
        if let Some(n) = part.cycles {
            *self.cycles.get_or_insert_default() += n;
        }
    }
}

/// Measures sections of this process.
#[derive(Debug)]
pub struct Meter(Way);

#[derive(Debug)]
enum Way {
    /// The machine's counters, where it has any, and the clocks.
    Hardware {
        instructions: Option<Counter>,
        cycles: Option<Counter>,
    },
    Callgrind,
    /// Only runs the section.
    Off,
}

impl Meter {
    /// Counts this thread and every thread started after this call.
    pub fn new() -> Self {
        if callgrind::is_counting() {
            return Meter(Way::Callgrind);
        }
        Meter(Way::Hardware {
            instructions: counter(Hardware::INSTRUCTIONS, true),
            cycles: counter(Hardware::CPU_CYCLES, true),
        })
    }

    /// Runs sections without measuring them: for rounds that only warm up.
    pub fn off() -> Self {
        Meter(Way::Off)
    }

    /// Runs `section`; its result and cost.
    pub fn measure<R>(&self, section: impl FnOnce() -> R) -> (R, Sample) {
        match &self.0 {
            Way::Hardware { instructions, cycles } => hardware(instructions, cycles, section),
            Way::Callgrind => {
                callgrind::start();
                let (result, n) = callgrind::count(section);
                callgrind::stop();
                (result, Sample { instructions: Some(n), ..Sample::default() })
            }
            Way::Off => (section(), Sample::default()),
        }
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

fn hardware<R>(
    instructions: &Option<Counter>,
    cycles: &Option<Counter>,
    section: impl FnOnce() -> R,
) -> (R, Sample) {
    let (faults_0, instructions_0, cycles_0) = (faults(), read(instructions), read(cycles));
    let (cpu_0, wall_0) = (cpu_ns(), Instant::now());
    let result = section();
    let (wall_ns, cpu_1) = (wall_0.elapsed().as_nanos() as u64, cpu_ns());
    let (instructions_1, cycles_1, faults_1) = (read(instructions), read(cycles), faults());
    let times = Times { wall_ns, cpu_ns: cpu_1 - cpu_0, faults: faults_1 - faults_0 };
    let sample = Sample {
        times: Some(times),
        instructions: instructions_1.zip(instructions_0).map(|(after, before)| after - before),
        cycles: cycles_1.zip(cycles_0).map(|(after, before)| after - before),
    };
    (result, sample)
}

/// A counter of user space, of the threads this one starts too if `inherit`.
pub(crate) fn counter(what: Hardware, inherit: bool) -> Option<Counter> {
    let mut counter =
        Builder::new(what).exclude_kernel(true).exclude_hv(true).inherit(inherit).build().ok()?;
    counter.enable().ok()?;
    Some(counter)
}

/// The raw count, read without touching any allocator.
pub(crate) fn read(counter: &Option<Counter>) -> Option<u64> {
    let counter = counter.as_ref()?;
    let mut count = [0u64; 8];
    // SAFETY: `count` is valid for a write of its whole size, and any bytes are integers.
    let read =
        unsafe { libc::read(counter.as_raw_fd(), count.as_mut_ptr().cast(), size_of_val(&count)) };
    (read > 0).then_some(count[0])
}

fn cpu_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn faults() -> u64 {
    // SAFETY: `rusage` is made of integers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the result.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    usage.ru_minflt as u64
}

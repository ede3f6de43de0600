//! What the command line says.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::thread;

pub const USAGE: &str = "\
usage: tour [DIR] [--buffer BYTES] [--threads COUNT]

Indexes the words of the text files below DIR with each strategy, and compares.

  DIR              a source tree; without it, this repository, or else the current directory
  --buffer BYTES   how large the buffer is; without it, as large as the job needs
  --threads COUNT  how many threads share an allocator; without it, one for each processor, 2 to 8";

/// What is to be done.
#[derive(Debug, Eq, PartialEq)]
pub struct Options {
    pub directory: PathBuf,
    pub buffer: Option<usize>,
    pub threads: usize,
}

impl Options {
    /// Reads the arguments; `None` asks for help.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut arguments = arguments.into_iter();
        let (mut directory, mut buffer, mut threads) = (None, None, None);
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(None),
                Some("--buffer") => buffer = Some(number("--buffer", arguments.next())?),
                Some("--threads") => threads = Some(number("--threads", arguments.next())?),
                Some(option) if option.starts_with('-') => {
                    return Err(format!("there is no option {option}"));
                }
                _ if directory.is_some() => return Err("more than one directory".into()),
                _ => directory = Some(argument.into()),
            }
        }
        if threads.is_some_and(|threads| threads > 1024) {
            return Err("--threads takes at most 1024".into());
        }
        Ok(Some(Self {
            directory: directory.unwrap_or_else(this_repository),
            buffer,
            threads: threads.unwrap_or_else(processors),
        }))
    }
}

fn number(option: &str, argument: Option<OsString>) -> Result<usize, String> {
    let number = argument.and_then(|argument| argument.to_str()?.parse().ok());
    number.filter(|number| *number > 0).ok_or_else(|| format!("{option} takes a number above zero"))
}

/// The folder above this package's, if cargo runs us, else where we are.
fn this_repository() -> PathBuf {
    match env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) {
        Some(package) => package.parent().map_or_else(|| package.clone(), PathBuf::from),
        None => PathBuf::from("."),
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Option<Options>, String> {
        Options::read(arguments.iter().map(OsString::from))
    }

    #[test]
    fn arguments_are_understood_or_refused() {
        let options = read(&["--buffer", "4096", "somewhere", "--threads", "3"]).unwrap().unwrap();
        assert_eq!(options.directory, PathBuf::from("somewhere"));
        assert_eq!((options.buffer, options.threads), (Some(4096), 3));
        assert_eq!(read(&["--help"]), Ok(None));
        for wrong in
            [&["--buffer"][..], &["--buffer", "0"], &["--threads", "x"], &["--no"], &["a", "b"]]
        {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}

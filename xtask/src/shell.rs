//! Starting other programs: every command line is printed before it runs, and a failure is one
//! sentence that says what failed.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A command that starts `program` in `folder` and reads nothing.
pub fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// `cargo` of the nightly toolchain, whatever the toolchain that runs us.
///
/// # Errors
///
/// There is no nightly toolchain.
pub fn nightly(tool: &str, folder: &Path) -> Result<Command, String> {
    let probe = command("rustup", folder).args(["run", "nightly", "rustc", "--version"]).output();
    match probe {
        Ok(output) if output.status.success() => {
            let mut command = command("rustup", folder);
            command.args(["run", "nightly", tool]);
            Ok(command)
        }
        Ok(_) => Err("there is no nightly toolchain: `rustup toolchain install nightly --profile \
                      minimal` installs one"
            .to_string()),
        Err(error) => Err(cannot_start("rustup", &error)),
    }
}

/// Runs `command`, its output going where ours goes.
///
/// # Errors
///
/// It cannot be started, or it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    let line = command_line(command);
    println!("$ {line}");
    // Cargo writes to the same terminal: what we said comes first.
    io::stdout()
        .flush()
        .map_err(|error| format!("cannot write to the standard output: {error}"))?;
    let status = command.status().map_err(|error| cannot_start(&program(command), &error))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed ({status})")) }
}

/// Runs `command` silently and returns what it wrote to its standard output; its standard error
/// goes where ours goes.
///
/// # Errors
///
/// It cannot be started, fails, or writes something that is not UTF-8.
pub fn capture(command: &mut Command) -> Result<String, String> {
    let line = command_line(command);
    let Output { status, stdout, .. } = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(&program(command), &error))?;
    if !status.success() {
        return Err(format!("`{line}` failed ({status})"));
    }
    String::from_utf8(stdout).map_err(|_| format!("`{line}` wrote something that is not UTF-8"))
}

/// Runs `command`, its output going where ours goes, and returns what it wrote to its standard
/// output.
///
/// # Errors
///
/// It cannot be started, fails, or writes something that is not UTF-8.
pub fn tee(command: &mut Command) -> Result<String, String> {
    let line = command_line(command);
    println!("$ {line}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(&program(command), &error))?;
    let mut output = String::new();
    let cannot_read = |error: io::Error| format!("the output of `{line}` cannot be read: {error}");
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).lines() {
            let text = text.map_err(cannot_read)?;
            println!("{text}");
            output.push_str(&text);
            output.push('\n');
        }
    }
    let status = child.wait().map_err(cannot_read)?;
    if status.success() { Ok(output) } else { Err(format!("`{line}` failed ({status})")) }
}

/// What `rustc -vV` says after `field: `, such as the `host` that it compiles for.
///
/// # Errors
///
/// It cannot be started, or does not say.
pub fn rustc_says(mut rustc: Command, field: &str) -> Result<String, String> {
    let version = capture(rustc.arg("-vV"))?;
    let value = version.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(": "));
    value.map(str::to_string).ok_or_else(|| format!("`rustc -vV` says nothing of its {field}"))
}

/// Refuses arguments where a command takes none.
///
/// # Errors
///
/// There are some.
pub fn no_arguments(name: &str, arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => Ok(()),
        [first, ..] => Err(format!("`cargo xtask {name}` takes no arguments, not `{first}`")),
    }
}

/// `command` as one would type it.
pub fn command_line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={}", name.to_string_lossy(), quoted(&value?.to_string_lossy())))
    });
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words = words.map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// What went wrong with the file or folder at `path`, as a sentence.
pub fn cannot(verb: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+/.,:@".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The sentence for a program that cannot be started, with what would provide it.
pub fn cannot_start(program: &str, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::NotFound {
        return format!("`{program}` cannot be started: {error}");
    }
    let remedy = match program {
        "cargo" | "rustc" | "rustup" => "https://rustup.rs installs it",
        _ => "install it with the system's package manager",
    };
    format!("`{program}` is missing: {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_typed_again() {
        let mut command = command("cargo", Path::new("."));
        command.env("RUSTFLAGS", "-D warnings").args(["test", "--test", "*contract*"]);
        assert_eq!(
            command_line(&command),
            "RUSTFLAGS='-D warnings' cargo test --test '*contract*'"
        );
    }

    #[test]
    fn a_missing_program_is_one_sentence() {
        let error = run(&mut command("no-such-program", Path::new("."))).unwrap_err();
        assert!(error.starts_with("`no-such-program` is missing"), "{error}");
    }
}

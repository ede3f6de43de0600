//! What the commands that run a sanitizer share.

use std::env;
use std::process::Command;

use crate::workspace::{Package, Workspace};

/// The library whose tests run allocators that leak, race and overwrite memory on purpose. Its own
/// code runs under the sanitizers in everybody else's contract suites.
const WRONG_ON_PURPOSE: &str = "allotrope-conformance";

/// The libraries whose tests run under a sanitizer.
pub fn libraries(workspace: &Workspace) -> impl Iterator<Item = &Package> {
    workspace.libraries().filter(|library| library.name != WRONG_ON_PURPOSE)
}

/// What the environment asks of a sanitizer in `variable`, and that its own `malloc` refuses sizes
/// that no machine has instead of aborting: the contract suites ask for such sizes and expect a
/// refusal. It still reports what it always does.
pub fn options(variable: &str) -> String {
    let refuse = "allocator_may_return_null=1";
    match env::var(variable) {
        Ok(others) if !others.is_empty() => format!("{others}:{refuse}"),
        _ => refuse.to_string(),
    }
}

/// How many calls a random script makes, `ALLOTROPE_STEPS`, unless the environment says: each takes
/// many times as long as without a sanitizer, and `test` makes all of them.
const STEPS: &str = "2000";

/// Makes the random scripts that `command` runs short, and the sweeps samples, unless the environment
/// says how long the scripts are.
pub fn limit_steps(command: &mut Command) {
    if env::var_os("ALLOTROPE_STEPS").is_none() {
        command.env("ALLOTROPE_STEPS", STEPS).env("ALLOTROPE_SAMPLED", "1");
    }
}

//! A planted bug: a patch to one file of the shipped source.

use std::path::PathBuf;

use serde::Deserialize;

use crate::trial::Outcome;

/// An entry of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Short, unique, without spaces: it also names a log file.
    pub name: String,
    /// The promise that the bug breaks.
    pub promise: String,
    /// The file that is patched, relative to the root of the workspace.
    pub file: PathBuf,
    /// What is replaced: it occurs exactly once in the file.
    from: String,
    /// What replaces it.
    to: String,
    /// The arguments of the `cargo test` that must fail, separated by spaces.
    pub test: String,
    /// Whether the compiler is what must refuse the patch, by an assertion in a constant.
    #[serde(default)]
    compiler: bool,
}

impl Patch {
    /// The text of the file with the bug in it.
    ///
    /// # Errors
    ///
    /// The patch no longer applies.
    pub fn apply_to(&self, text: &str) -> Result<String, String> {
        let (name, file) = (&self.name, self.file.display());
        match text.matches(&self.from).count() {
            _ if self.from.is_empty() => Err(format!("planted bug {name}: `from` is empty")),
            _ if self.from == self.to => Err(format!("planted bug {name} changes nothing")),
            1 => Ok(text.replacen(&self.from, &self.to, 1)),
            count => Err(format!(
                "planted bug {name} no longer applies: its `from` occurs {count} times in {file}, \
                 not once"
            )),
        }
    }

    /// Whether `outcome` is that of a caught bug.
    pub fn is_caught_by(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failed { .. } | Outcome::TimedOut { .. } => !self.compiler,
            Outcome::NotCompiled => self.compiler,
            Outcome::Passed { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(from: &str, to: &str) -> Patch {
        Patch {
            name: "any".to_string(),
            promise: "any".to_string(),
            file: PathBuf::from("any.rs"),
            from: from.to_string(),
            to: to.to_string(),
            test: "any".to_string(),
            compiler: false,
        }
    }

    #[test]
    fn a_patch_applies_where_its_text_occurs_once() {
        assert_eq!(patch("<", "<=").apply_to("a < b").as_deref(), Ok("a <= b"));
        for text in ["a > b", "a < b < c"] {
            assert!(patch("<", "<=").apply_to(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_patch_that_changes_nothing_is_refused() {
        assert!(patch("<", "<").apply_to("a < b").is_err());
        assert!(patch("", "<").apply_to("").is_err());
    }

    #[test]
    fn a_patch_that_does_not_compile_is_not_caught() {
        assert!(!patch("<", "<=").is_caught_by(&Outcome::NotCompiled));
        assert!(!patch("<", "<=").is_caught_by(&Outcome::Passed { tests: 1 }));
        assert!(patch("<", "<=").is_caught_by(&Outcome::Failed { by: "any".to_string() }));
    }
}

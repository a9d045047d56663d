//! Running programs, mostly cargo, and paths of the repository.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository. Asked at run time, since copies of the repository that share a target directory share this
/// program.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned());
    own.parent().unwrap_or(&own).to_owned()
}

/// The cargo that runs this program, in the root of the repository, without the variables that describe this package: build
/// scripts (that of ring, for one) run again when such a variable changes, and everything that depends on them is rebuilt.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if is_about_us(&name.to_string_lossy()) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Variables that cargo sets for a program that it runs, by the program's package.
fn is_about_us(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|beginning| name.starts_with(beginning))
        || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&name)
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    // a relative path is relative to the working directory of cargo, which is the root
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Runs a program with inherited input and output.
pub(crate) fn run(mut command: Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", shown(&command))),
        Err(e) => Err(format!("{} can't be run: {e}", shown(&command))),
    }
}

/// Runs a program and returns its standard output.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let shown = shown(&command);
    let output = command.output().map_err(|e| format!("{shown} can't be run: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{shown} ended with {}: {}", output.status, said.trim_end()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{shown} wrote something that is not UTF-8"))
}

/// The program and its arguments: `Command`'s own `Debug` lists the variables too that are taken away.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    format!("`{}`", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}

/// The text of a file of the repository.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|e| format!("{} can't be read: {e}", path.display()))
}

/// Writes a file and creates its directories.
pub(crate) fn write(path: &Path, text: &str) -> Outcome {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|e| format!("{} can't be written: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_that_we_run_does_not_hear_of_our_package() {
        let removed: Vec<String> = cargo()
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        // cargo runs this test, and sets it for that
        assert!(removed.iter().any(|name| name == "CARGO_MANIFEST_DIR"), "{removed:?}");
        assert!(!is_about_us("CARGO_TARGET_DIR") && !is_about_us("CARGO_HOME"));
    }
}

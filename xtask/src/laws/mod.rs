//! `laws`: what holds between crates and rooms, where the compiler does not hold it.

mod builds;
mod dialect;
mod files;
mod manifests;
mod names;
mod promises;
mod rooms;
mod source;
mod weight;

use crate::{Outcome, public_api};

/// What a law is called, and how it is looked at: a figure, or what is against it.
type Law = (&'static str, fn() -> Result<String, Vec<String>>);

const LAWS: &[Law] = &[
    ("a crate names only those that it may", manifests::check),
    ("decoders are built without the engine", weight::check),
    ("no crate below the plug-ins knows a view set by name", names::check),
    ("no circle between the rooms of a crate", rooms::check),
    ("whatever is selected, crates of others are built once", builds::check),
    ("model, lake and core show few names", public_api::engine),
    ("the parser's dialect answers all that the engine's does", dialect::check),
    ("every test that the page of promises names is there", promises::check),
    ("every source file is compiled, and every listed one is there", files::check),
];

/// Looks at all laws, and fails at the end; or weighs view crates of others, by their directories.
///
/// Those are weighed only where they are named: what they are built of may not have been fetched yet, and the laws are a
/// test, which fetches nothing.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    if !arguments.is_empty() {
        let said = weight::of(arguments.iter().copied(), &[]).map_err(|faults| faults.join("\n"))?;
        println!("{said}");
        return Ok(());
    }
    let mut broken = 0;
    for (law, check) in LAWS {
        match check() {
            Ok(figure) => println!("holds   {law}: {figure}"),
            Err(faults) => {
                broken += 1;
                println!("BROKEN  {law}:\n  {}", faults.join("\n  "));
            }
        }
    }
    if broken == 0 { Ok(()) } else { Err(format!("{broken} laws are broken")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laws_hold() {
        assert_eq!(run(&[]), Ok(()));
    }
}

//! A lake for a game studio: logs, spans and images as Belvedere has them, and notes of players, which are our own.

use views_notes as _;

fn main() -> std::process::ExitCode {
    belvedere::main()
}

//! A lake for a game studio: logs, spans, and pictures of our own.

use views_images as _;

fn main() -> std::process::ExitCode {
    belvedere::main()
}

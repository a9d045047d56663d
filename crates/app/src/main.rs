//! The `belvedere` binary.

fn main() -> std::process::ExitCode {
    belvedere::main()
}
